"""Solve a planning problem: by decomposition where it applies, else by the general bilevel engine."""

from __future__ import annotations

from math import isfinite
from typing import Any

from multiscale.planning.decomposition import applies, plan_by_decomposition
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import Effort, Plan
from multiscale.planning.regimes import Regime, Social


def solve_plan(
    problem: PlanningProblem,
    regime: Regime = Social(),
    *,
    method: str = "auto",
    seed: int = 0,
    memory_limit: float | None = None,
    **effort: Any,
) -> Plan:
    """Solve a DSO's planning problem to a proven gap, or as far as the work allows.

    Args:
        problem: what is planned.
        regime: whose interest the operator follows, and what it may earn.
        method: ``auto`` (decomposition where it applies, else branch and cut), ``decomposition``, or a method of the bilevel engine.
        seed, memory_limit: of the bilevel engine [-, MB].
        **effort: how exact the plan has to be, and what the search may spend: see ``Effort``.

    Raises:
        NoPlanError: no decision recovers its cost within the range of the charge, nothing was found in time, or the decomposition was asked for and
            does not apply.
        bilevel.BilevelError: the method does not take this problem.
    """
    if regime.compares and not isfinite(problem.yardstick):
        message = f"plan of {problem.dso}: regime {regime.kind} compares its cost with that of other operators, of which none is given"
        raise NoPlanError("error", f"{message}; plan two or more together, or use another regime")
    remark = ""
    if method in ("auto", "decomposition"):
        reason = applies(problem) if isinstance(regime, Social) else f"the objective is the {regime.called}, not social cost"
        if reason is not None and method == "decomposition":
            raise NoPlanError("error", f"plan of {problem.dso}: planning.method=decomposition does not apply: {reason}; use planning.method=auto")
        if reason is None:
            return plan_by_decomposition(problem, Effort(**effort))
        method, remark = regime.method, f"by {regime.method}, as the decomposition does not apply: {reason}"
    from multiscale.planning.general_engine import plan_by_bilevel_engine

    more = {} if memory_limit is None else {"memory_limit": memory_limit}
    return plan_by_bilevel_engine(problem, regime, Effort(**effort), method=method, seed=seed, remark=remark, **more)
