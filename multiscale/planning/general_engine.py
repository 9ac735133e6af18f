"""The planning problem handed to the general bilevel engine: any leader it can state, any follower it takes.

It is the fallback where the decomposition does not apply, and its cross-check where it does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pyomo.environ as pyo

from multiscale import bilevel
from multiscale.planning.charge_range import implied_charge_range
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.even_prices import evenly_priced, in_their_units
from multiscale.planning.extremes import cost_of_extremes, decision_range
from multiscale.planning.follower_names import BUILT, RESOURCE_COST, UNSERVED
from multiscale.planning.largest_revenue import check_recoverable
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import Effort, Plan, cannot_recover, earns_too_much, plan_from
from multiscale.planning.regimes import Leader, Regime, Social
from multiscale.planning.regulated import allowed_range, largest_unserved, used_shares, users_cost_before
from multiscale.planning.target_rows import state_targets
from multiscale.planning.targets import Targets
from multiscale.programs import Block, ParametricProgram
from multiscale.tariffs import BILLED

NO_CLOCK = 86_400.0
"""Seconds given to the engine where the user sets no time limit: nodes end the search, and this only a search that hangs."""

PREPARATION = 60.0
"""Most seconds for multiplier bounds, and for a start, where the user sets no time limit."""


IDLE_BOUNDS = ("unserved", "curtailed", "import", "export", "flow")
"""Columns whose bounds lie beyond what any answer uses, as long as energy has a price."""


def without_idle_bounds(program: ParametricProgram) -> ParametricProgram:
    """The follower without bounds that no answer ever touches; the same answers, and prices that are provably bounded.

    Unserved demand costs more than any energy and curtailment costs something, so with a positive price neither is used more
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
    problem: PlanningProblem, regime: Regime = Social(), *, tolerance: float = 1e-5, targets: Targets | None = None
) -> tuple[pyo.ConcreteModel, bilevel.ProgramFollower]:
    """The leader as a Pyomo model, with the follower attached.

    Args:
        problem: what is planned.
        regime: objective and rows.
        tolerance: relative tolerance of cost recovery, upwards.
        targets: rows ``target`` of the leader, with a relaxation of each, ``relaxed``, that is fixed to zero.

    Raises:
        NoPlanError: the regime recovers the cost, and no permitted price does.
    """
    model = pyo.ConcreteModel(name=f"plan of {problem.dso}")
    names = problem.options.option.values.tolist()
    model.built = pyo.Var(names, domain=pyo.Binary)
    given = [(o, int(r)) for o, r, e in zip(names, problem.required.tolist(), problem.excluded.tolist(), strict=True) if r or e]
    model.given = pyo.Constraint([o for o, _ in given], rule=lambda m, o: m.built[o] == dict(given)[o])
    model.prices = pyo.Block(list(problem.tariff.decided))
    for name in problem.tariff.decided:
        _add_prices(model.prices[name], problem, name, regime, tolerance)
    program = without_idle_bounds(problem.program) if problem.energy_has_a_price else problem.program
    decided = {name: model.prices[name].price for name in problem.tariff.decided}
    follower = bilevel.ProgramFollower(program, {BUILT: model.built} | decided, model=model, name="operation")
    revenue, bought = (
        sum(
            _revenue(problem, name, decided.get(name, component.given), follower)
            for name, component in problem.tariff.earning.items()
            if component.expenditure is spent
        )
        for spent in (False, True)
    )
    investment = sum(a * model.built[o] for o, a in zip(names, problem.annuity.tolist(), strict=True))
    resource = follower.output(RESOURCE_COST) + problem.program.d0 + problem.constant
    leader = Leader(
        model=model,
        tolerance=tolerance,
        existing_cost=problem.existing_cost,
        investment=investment,
        revenue=revenue,
        bought=-bought,
        resource_cost=resource,
        unserved=lambda: follower.output(UNSERVED),
        largest_unserved=lambda: largest_unserved(problem),
        useful=cache(
            lambda share: sum(
                a * model.built[o] for o, a, used in zip(names, problem.annuity.tolist(), used_shares(problem).tolist(), strict=True) if used >= share
            )
        ),
        saved=cache(lambda price: users_cost_before(problem, price) - (follower.cost + _paid_by_passive(problem, decided))),
        discount_rate=problem.economics.discount_rate,
        yardstick=problem.yardstick,
    )
    regime.state(leader)
    state_targets(model, problem, targets or {}, follower, decided)
    return model, follower


def _add_prices(block: Any, problem: PlanningProblem, name: str, regime: Regime, tolerance: float) -> None:
    """Variables for the prices of a component, within their range; that of a single price is narrowed to where the cost can be recovered."""
    component, labels = problem.tariff.components[name], bilevel.labels_of(problem.program.parameters[name])
    low, high = component.price_min, component.price_max
    earning = problem.tariff.earning
    if name == problem.scalar_price and name in earning and regime.recovers_cost and not any(c.expenditure for c in earning.values()):
        # The range is found with the bounds in place, since they keep the dual bounds of its linear programs finite.
        least, most = allowed_range(problem, regime)
        recovery = least, most - least, (low, high), tolerance, _other_revenue(problem, name)
        low, high = implied_charge_range(problem.program, name, problem.passive_energy, *recovery)
        if high < component.price_min:
            raise earns_too_much(problem, most)
        if low > high:
            raise cannot_recover(problem, least, low, component.price_max)
    block.price = pyo.Var(bounds=(low, high)) if labels == [None] else pyo.Var(labels, bounds=(low, high))


def _paid_by_passive(problem: PlanningProblem, decided: Mapping[str, Any]) -> Any:
    """What passive customers pay under the decided components [EUR/a], as an expression."""
    total: Any = 0.0
    for name, price in decided.items():
        labels = bilevel.labels_of(problem.program.parameters[name])
        each = [price[label] if price.is_indexed() else price for label in labels]
        total += sum(float(e) * p for e, p in zip(problem.passive[name].ravel().tolist(), each, strict=True) if e != 0)
    return total


def _other_revenue(problem: PlanningProblem, price: str) -> tuple[np.ndarray, float] | None:
    """What the operator earns by components other than one, per unit of every column, and by passive customers [EUR/a]; None for nothing."""
    columns, passive = np.zeros(problem.program.columns.size), 0.0
    for name in problem.tariff.earning:
        if name != price:
            given = problem.tariff.price(name, {})
            prices = np.broadcast_to(given, problem.passive[name].shape).ravel()
            columns += problem.program.outputs[BILLED + name].matrix.T @ prices
            passive += float((prices * problem.passive[name].ravel()).sum())
    return (columns, passive) if columns.any() or passive else None


def _revenue(problem: PlanningProblem, name: str, price: Any, follower: bilevel.ProgramFollower) -> Any:
    """What a component earns [EUR/a], as an expression: one product for each price."""
    output, passive = follower.output(BILLED + name), problem.passive[name].ravel()
    labels = bilevel.labels_of(problem.program.outputs[BILLED + name].index.blocks[0])
    if hasattr(price, "is_indexed"):
        each = [price[label] for label in labels]
    else:
        each = np.broadcast_to(np.asarray(price, dtype=float), passive.shape).tolist()
    return sum(p * (output[label] + float(passive[k])) for k, (label, p) in enumerate(zip(labels, each, strict=True)))


def _values(variable: Any, block: Block) -> np.ndarray:
    """Values of price variables in the shape of the parameter block."""
    return np.array([float(pyo.value(variable[label])) for label in bilevel.labels_of(block)]).reshape(block.shape)


def plan_by_bilevel_engine(
    problem: PlanningProblem,
    regime: Regime = Social(),
    effort: Effort = Effort(),
    *,
    method: str = "auto",
    seed: int = 0,
    remark: str = "",
    targets: Targets | None = None,
    **options: Any,
) -> Plan:
    """Solve a planning problem by ``bilevel.solve``; see ``solve_plan``. ``remark`` goes in front of the plan's message."""
    if problem.scalar_price is None:
        check_recoverable(problem, regime)
    tolerance, node_limit, time_limit = effort.tolerance, effort.solve_limit, effort.time_limit
    model, follower = leader_model(evenly_priced(problem), regime, tolerance=tolerance, targets=targets)
    # What decisions move is known where the objective is social cost and one price recovers it.
    extremes = cost_of_extremes(problem, problem.price_range, tolerance) if isinstance(regime, Social) and problem.single_price else []
    given = NO_CLOCK if time_limit is None else time_limit
    if time_limit is None:
        options = {"bound_share": PREPARATION / NO_CLOCK, "start_share": PREPARATION / NO_CLOCK} | options
    limits = {"limits/nodes": node_limit} | dict(options.pop("parameters", None) or {})
    started = time.perf_counter()
    solution = bilevel.solve(
        model,
        followers=[follower],
        method=regime.method if method == "auto" else method,
        gap=effort.gap,
        absolute_gap=effort.gap_eur,
        time_limit=given,
        seed=seed,
        parameters=limits,
        **options,
    )
    spent = time.perf_counter() - started
    if not np.isfinite(solution.objective):
        status = str(solution.status)
        clock = "" if time_limit is None else f", planning.time_limit_s {time_limit:g} s"
        memory = "; SCIP used up its memory: or raise solver.memory_limit_mb" if "memlimit" in solution.message else ""
        raise NoPlanError(
            status if status in ("infeasible", "time_limit") else "error",
            f"plan of {problem.dso}: {status.replace('_', ' ')}; allow higher prices (price_max of {', '.join(problem.tariff.decided)}) "
            f"or more work (planning.solve_limit is {node_limit:,}{clock}){memory}" + (f" ({solution.message})" if status == "error" else ""),
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
    prices = {name: _values(model.prices[name].price, problem.program.parameters[name]) for name in problem.tariff.decided}
    return plan_from(problem, built, in_their_units(problem, prices), solution, decision_range(solution.objective, extremes), message, regime=regime)
