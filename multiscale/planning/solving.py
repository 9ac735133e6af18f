"""Solve a planning problem: by decomposition where it applies, else by the general bilevel engine."""

from __future__ import annotations

from typing import Any

from multiscale.planning.decomposition import applies, plan_by_decomposition
from multiscale.planning.distribution_planning import NoPlanError, Plan, PlanningProblem
from multiscale.planning.general_engine import plan_by_bilevel_engine
from multiscale.planning.regimes import Regime, Social


def solve_plan(
    problem: PlanningProblem,
    regime: Regime = Social(),
    *,
    tolerance: float = 1e-5,
    gap: float = 0.0,
    gap_eur: float = 0.0,
    solve_limit: int = 20_000,
    time_limit: float | None = None,
    method: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Plan:
    """Solve a DSO's planning problem to a proven gap, or as far as the work allows.

    Args:
        problem: what is planned.
        regime: whose interest the operator follows, and what it may earn.
        tolerance: relative tolerance of cost recovery: the revenue lies in [allowed, (1 + tolerance) allowed].
        gap, gap_eur: the search ends when plan and bound are this close, relative to the social cost or in EUR/a, whichever comes first.
        solve_limit: largest number of linear programs (decomposition) or nodes (other methods). It ends the search alike on every machine.
        time_limit: seconds, or None. A search that the clock ends says so in status and message.
        method: ``auto`` (decomposition where it applies, else branch and cut), ``decomposition``, or a method of the bilevel engine.
        seed: of the bilevel engine.
        **options: of the bilevel engine.

    Raises:
        NoPlanError: no decision recovers its cost within the range of the charge, nothing was found in time, or the decomposition was asked for and
            does not apply.
        bilevel.BilevelError: the method does not take this problem.
    """
    remark = ""
    if method in ("auto", "decomposition"):
        reason = applies(problem) if isinstance(regime, Social) else f"the operator's objective is {regime.objective}, not social cost"
        if reason is not None and method == "decomposition":
            raise NoPlanError("error", f"plan of {problem.dso}: planning.method=decomposition does not apply: {reason}; use planning.method=auto")
        if reason is None:
            return plan_by_decomposition(problem, tolerance=tolerance, gap=gap, gap_eur=gap_eur, solve_limit=solve_limit, time_limit=time_limit)
        method, remark = regime.method, f"by {regime.method}, as the decomposition does not apply: {reason}"
    return plan_by_bilevel_engine(
        problem,
        regime,
        tolerance=tolerance,
        gap=gap,
        gap_eur=gap_eur,
        node_limit=solve_limit,
        time_limit=time_limit,
        method=method,
        seed=seed,
        remark=remark,
        **options,
    )
