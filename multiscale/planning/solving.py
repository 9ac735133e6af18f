"""Solve a planning problem: by decomposition where it applies, else by the general bilevel engine."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from multiscale.planning.decomposition import applies, applies_with_several_prices, plan_by_decomposition, plan_with_several_prices
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import Effort, Plan, bounded, with_targets
from multiscale.planning.regimes import ComparingRegime, Regime, Social
from multiscale.planning.standing_charges import widened, with_standing_charges, without_standing_charges
from multiscale.planning.targets import Targets


def solve_plan(
    problem: PlanningProblem,
    regime: Regime = Social(),
    *,
    method: str = "auto",
    seed: int = 0,
    memory_limit: float | None = None,
    targets: Targets | None = None,
    **effort: Any,
) -> Plan:
    """Solve a DSO's planning problem to a proven gap, or as far as the work allows.

    Args:
        problem: what is planned.
        regime: whose interest the operator follows, and what it may earn.
        method: ``auto`` (decomposition where it applies, else branch and cut), ``decomposition``, or a method of the bilevel engine.
        seed, memory_limit: of the bilevel engine [-, MB].
        targets: that the plan has to reach. The decomposition knows no such rows: where it applies, it plans without them first, and where that plan
            reaches them all it is the best with them too. Where not, the bilevel engine plans with them, and that plan's bound still holds.
        **effort: how exact the plan has to be, and what the search may spend: see ``Effort``.

    Raises:
        NoPlanError: no plan reaches the targets, the least relaxation of which is said; no decision recovers its cost within the range of the
            charge, nothing was found in time, or the decomposition was asked for and does not apply.
        bilevel.BilevelError: the method does not take this problem.
    """
    if isinstance(regime, ComparingRegime) and not isfinite(problem.yardstick):
        message = f"plan of {problem.dso}: regime {regime.kind} compares its cost with that of other operators, of which none is given"
        raise NoPlanError("error", f"{message}; plan two or more together, or use another regime")
    remark, wanted, free = "", targets or {}, None
    if method in ("auto", "decomposition"):
        plain = without_standing_charges(problem) if isinstance(regime, Social) else None
        seen, standing = (problem, 0.0) if plain is None else plain
        reason, decomposed = _by_decomposition(seen, regime)
        if reason is not None and method == "decomposition":
            raise NoPlanError("error", f"plan of {problem.dso}: planning.method=decomposition does not apply: {reason}; use planning.method=auto")
        if reason is None:
            made = decomposed(seen, widened(Effort(**effort), problem.existing_cost, standing))
            free = with_targets(problem, made if plain is None else with_standing_charges(problem, made, standing), wanted)
            if not free.missed_targets:
                return free
            reason = f"its plan misses targets ({', '.join(free.missed_targets)}), which it has no rows for"
            if method == "decomposition":
                raise NoPlanError("error", f"plan of {problem.dso}: planning.method=decomposition: {reason}; use planning.method=auto")
        method, remark = regime.method, f"by {regime.method}, as the decomposition does not apply: {reason}"
    from multiscale.planning.general_engine import plan_by_bilevel_engine

    more: dict[str, Any] = {"seed": seed} | ({} if memory_limit is None else {"memory_limit": memory_limit})
    if not wanted:
        return plan_by_bilevel_engine(problem, regime, Effort(**effort), method=method, remark=remark, **more)
    from multiscale.planning.relaxation import beyond_networks, unreached

    if reason := beyond_networks(problem, wanted):
        raise unreached(problem, regime, wanted, Effort(**effort), reason=reason, **more)
    try:
        plan = plan_by_bilevel_engine(problem, regime, Effort(**effort), method=method, remark=remark, targets=wanted, **more)
    except NoPlanError as error:
        # Without targets there may be no plan either; then they are not what is wrong.
        if error.status != "infeasible" or (free is None and not _planned_without(problem, regime, Effort(**effort), method, more)):
            raise
        raise unreached(problem, regime, wanted, Effort(**effort), **more) from error
    found = with_targets(problem, plan if free is None else bounded(plan, free.bound), wanted)
    if found.missed_targets:
        missed = {name: found.targets[name] for name in found.missed_targets}
        message = f"plan of {problem.dso}: what was found misses targets by more than rounding: {missed}"
        raise NoPlanError("error", f"{message}; try another planning.method")
    return found


def _by_decomposition(problem: PlanningProblem, regime: Regime) -> tuple[str | None, Callable[[PlanningProblem, Effort], Plan]]:
    """Why no decomposition takes a problem, or None, and the one that does."""
    if not isinstance(regime, Social):
        return f"the objective is the {regime.called}, not social cost", plan_by_decomposition
    if len(problem.tariff.decided) > 1:
        return applies_with_several_prices(problem), plan_with_several_prices
    return applies(problem), plan_by_decomposition


def _planned_without(problem: PlanningProblem, regime: Regime, effort: Effort, method: str, more: dict[str, Any]) -> bool:
    """Whether there is a plan without targets, or may be one."""
    from multiscale.planning.general_engine import plan_by_bilevel_engine

    try:
        plan_by_bilevel_engine(problem, regime, effort, method=method, **more)
    except NoPlanError as error:
        return error.status != "infeasible"
    return True
