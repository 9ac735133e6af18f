"""Solve a planning problem: by decomposition where it applies, else by the general bilevel engine."""

from __future__ import annotations

from typing import Any

from multiscale.planning.decomposition import applies, plan_by_decomposition
from multiscale.planning.distribution_planning import Plan, PlanningProblem
from multiscale.planning.general_engine import plan_by_bilevel_engine

GENERAL = "branch_and_cut"


def solve_plan(
    problem: PlanningProblem,
    *,
    charge_range: tuple[float, float],
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
        charge_range: lowest and highest charge [EUR/kWh].
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
        reason = applies(problem, charge_range)
        if reason is None or method == "decomposition":
            return plan_by_decomposition(
                problem, charge_range=charge_range, tolerance=tolerance, gap=gap, gap_eur=gap_eur, solve_limit=solve_limit, time_limit=time_limit
            )
        method, remark = GENERAL, f"by {GENERAL}, as the decomposition does not apply: {reason}"
    return plan_by_bilevel_engine(
        problem,
        charge_range=charge_range,
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
