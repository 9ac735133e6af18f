"""The planning problem handed to the general bilevel engine: any leader it can state, any follower it takes.

It is the fallback where the decomposition does not apply, and its cross-check where it does.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from multiscale import bilevel
from multiscale.planning.charge_range import implied_charge_range
from multiscale.planning.distribution_planning import NoPlanError, Plan, PlanningProblem, cannot_recover, plan_from
from multiscale.planning.extremes import cost_of_extremes, decision_range
from multiscale.planning.follower_names import BUILT, CHARGE, CHARGED_ENERGY, RESOURCE_COST
from multiscale.programs import ParametricProgram

NO_CLOCK = 86_400.0
"""Seconds given to the engine where the user sets no time limit: nodes end the search, and this only a search that hangs."""

PREPARATION = 60.0
"""Most seconds for multiplier bounds, and for a start, where the user sets no time limit."""


IDLE_BOUNDS = ("unserved", "curtailed", "import", "export", "flow")
"""Columns whose bounds lie beyond what any answer uses, as long as energy has a price."""


def without_idle_bounds(program: ParametricProgram) -> ParametricProgram:
    """The follower without bounds that no answer ever touches; the same answers, and prices that are provably bounded.

    Unserved demand is dearer than any energy and curtailment costs something, so with a positive price nobody uses more of either
    than there is; imports, exports and flows are bounded by what customers can draw and feed in. A finite bound on such a column
    would let its multiplier run free in the dual; without it, unserved demand alone keeps every price below its cost.
    """
    lower, upper = program.lower.copy(), program.upper.copy()
    for block in program.columns:
        if block.name.rsplit("/", 1)[-1] in IDLE_BOUNDS:
            where = block.positions.ravel()
            upper[where] = np.inf
            lower[where] = np.where(lower[where] < 0, -np.inf, lower[where])
    return replace(program, lower=lower, upper=upper)


def leader_model(
    problem: PlanningProblem, *, charge_range: tuple[float, float], tolerance: float = 1e-5
) -> tuple[pyo.ConcreteModel, bilevel.ProgramFollower]:
    """The leader as a Pyomo model, with the follower attached.

    Args:
        problem: what is planned.
        charge_range: lowest and highest charge [EUR/kWh].
        tolerance: relative tolerance of cost recovery, upwards.
    """
    # The range is found with the bounds in place, since they keep the dual bounds of its linear programs finite.
    low, high = implied_charge_range(
        problem.program, problem.passive_energy, problem.existing_cost, float(problem.annuity.sum()), charge_range, tolerance
    )
    if low > high:
        raise NoPlanError(
            "infeasible",
            cannot_recover(problem, low, charge_range[1]),
        )
    model = pyo.ConcreteModel(name=f"plan of {problem.dso}")
    names = problem.options.option.values.tolist()
    annuity = dict(zip(names, problem.annuity.tolist(), strict=True))
    model.built = pyo.Var(names, domain=pyo.Binary)
    model.charge = pyo.Var(bounds=(low, high))
    program = without_idle_bounds(problem.program) if problem.energy_has_a_price else problem.program
    follower = bilevel.ProgramFollower(program, {BUILT: model.built, CHARGE: model.charge}, model=model, name="operation")
    investment = sum(annuity[o] * model.built[o] for o in names)
    allowed = problem.existing_cost + investment
    revenue = model.charge * (follower.output(CHARGED_ENERGY) + problem.passive_energy)
    model.recovery_low = pyo.Constraint(expr=revenue >= allowed)
    model.recovery_high = pyo.Constraint(expr=revenue <= (1 + tolerance) * allowed)
    model.social_cost = pyo.Objective(expr=investment + follower.output(RESOURCE_COST) + problem.program.d0 + problem.constant)
    return model, follower


def plan_by_bilevel_engine(
    problem: PlanningProblem,
    *,
    charge_range: tuple[float, float],
    tolerance: float = 1e-5,
    gap: float = 0.0,
    gap_eur: float = 0.0,
    node_limit: int = 20_000,
    time_limit: float | None = None,
    method: str = "branch_and_cut",
    seed: int = 0,
    remark: str = "",
    **options: Any,
) -> Plan:
    """Solve a planning problem by ``bilevel.solve``; see ``solve_plan``. ``remark`` goes in front of the plan's message."""
    model, follower = leader_model(problem, charge_range=charge_range, tolerance=tolerance)
    extremes = cost_of_extremes(problem, charge_range, tolerance)
    # The engine knows relative gaps only; the cheaper of the two plans known so far is the scale.
    relative = max(gap, gap_eur / max(abs(min(extremes)), 1.0)) if extremes else gap
    given = NO_CLOCK if time_limit is None else time_limit
    if time_limit is None:
        options = {"bound_share": PREPARATION / NO_CLOCK, "start_share": PREPARATION / NO_CLOCK} | options
    limits = {"limits/nodes": node_limit} | dict(options.pop("parameters", None) or {})
    started = time.perf_counter()
    solution = bilevel.solve(model, followers=[follower], method=method, gap=relative, time_limit=given, seed=seed, parameters=limits, **options)
    spent = time.perf_counter() - started
    if not np.isfinite(solution.objective):
        status = str(solution.status)
        raise NoPlanError(
            status if status in ("infeasible", "time_limit") else "error",
            f"plan of {problem.dso}: {status.replace('_', ' ')}; allow a higher charge (tariff.charge_max is {charge_range[1]:g} EUR/kWh) "
            f"or more work (planning.solve_limit is {node_limit:,}{'' if time_limit is None else f', planning.time_limit_s {time_limit:g} s'})",
        )
    if solution.certificate is None or solution.certificate.failures:
        why = "; ".join(solution.certificate.failures) if solution.certificate else solution.message
        raise NoPlanError("error", f"plan of {problem.dso}: the certificate of what was found does not hold ({why}); try another planning.method")
    said = [remark] if remark else []
    if solution.status is bilevel.Status.FEASIBLE:
        # The engine ends a little before its limit, so that there is time for the certificate.
        by_clock = solution.nodes < node_limit and spent > 0.8 * given
        said.append(f"ended by the clock after {spent:.0f} s (planning.time_limit_s)" if by_clock else f"ended after {solution.nodes:,} nodes")
        solution = replace(solution, status=bilevel.Status.TIME_LIMIT if by_clock else solution.status)
    message = "; ".join([*said, *([solution.message] if solution.message else [])])
    built = np.array([1.0 if pyo.value(model.built[o]) > 0.5 else 0.0 for o in problem.options.option.values.tolist()])
    moved = decision_range(solution.objective, extremes)
    return plan_from(problem, built, float(pyo.value(model.charge)), solution, moved, message)
