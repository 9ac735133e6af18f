"""What regimes ask of a planning problem: use of what is built, users' cost before the plan, largest unserved energy; the operator's position."""

from __future__ import annotations

from functools import cache

import numpy as np

from multiscale.planning.charge_marching import recovering_charge
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.follower_names import BUILT, RESOURCE_COST, UNSERVED
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.regimes import Position, Regime
from multiscale.programs import CompiledProgram
from multiscale.tariffs import BILLED, Prices

BEFORE_TOLERANCE = 1e-9
"""Relative surplus of revenue over the cost of the existing network at the price before the plan."""


def used_shares(problem: PlanningProblem) -> np.ndarray:
    """Share of what each option adds to limits that a reference answer uses, in [0, 1], (option,).

    In the answer x with everything built and all decided prices at their lowest, where the network is used most, row r needs of option k

        ( A_r x - b0_r - sum over j other than k of B_rj ) / B_rk        of what it adds

    and the share is the largest over the rows: zero for an option without which the answer would keep all limits.
    """
    program = problem.program
    given = {BUILT: np.ones(problem.annuity.size)} | _lowest(problem)
    solution = CompiledProgram(program).solve_optimal(given)
    added = program.B.tocsc()[:, program.parameters[BUILT].positions.ravel()]
    missing = program.A @ solution.x - program.rhs(solution.parameters)
    shares = np.zeros(problem.annuity.size)
    for k in range(shares.size):
        rows, by = added[:, [k]].nonzero()[0], added[:, [k]].data
        helped = by > 0
        shares[k] = np.max(1.0 + missing[rows[helped]] / by[helped], initial=0.0)
    return np.clip(shares, 0.0, 1.0)


def largest_unserved(problem: PlanningProblem) -> float:
    """An upper bound on the energy that is not served: everything that customers could draw [kWh/a].

    Raises:
        ValueError: some demand that may be unserved has no upper bound.
    """
    weight = problem.program.outputs[UNSERVED].matrix.toarray().ravel()
    most = problem.program.upper[weight > 0]
    if not np.isfinite(most).all():
        raise ValueError(f"plan of {problem.dso}: columns of unserved demand have no upper bound, so none of an incentive on it is known; bound them")
    return float(weight[weight > 0] @ most)


def users_cost(problem: PlanningProblem, prices: Prices, follower_cost: float) -> float:
    """What platforms and passive customers spend and pay under decided components of the tariff [EUR/a].

    Args:
        problem: what is planned.
        prices: of the decided components.
        follower_cost: the follower's optimum at them [EUR/a].
    """
    return follower_cost + sum(float(np.sum(prices[name] * problem.passive[name])) for name in problem.tariff.decided)


def users_cost_before(problem: PlanningProblem, price: float | None) -> float:
    """The same with nothing built [EUR/a]: the first decided component at a price, all others at their lowest.

    Args:
        problem: what is planned.
        price: of the first decided component; None: the least that recovers the cost of the existing network.

    Raises:
        NoPlanError: no permitted price recovers that cost, or other components earn too, so that no single price is known to.
    """
    compiled, name = CompiledProgram(problem.program), problem.tariff.recovering
    lowest, nothing = _lowest(problem), np.zeros(problem.annuity.size)
    component, passive = problem.tariff.components[name], problem.passive[name]

    def at(charge: float) -> dict[str, np.ndarray]:
        return {BUILT: nothing} | lowest | {name: np.full(passive.shape, charge)}

    if price is None:
        earning = [n for n, c in problem.tariff.components.items() if c.receiver == component.receiver and not c.expenditure]
        if earning != [name]:
            message = f"plan of {problem.dso}: the operator earns by {', '.join(earning)}, so no single price before the plan recovers its cost"
            raise NoPlanError("error", f"{message}; give one (regime.reference_price)")

        def energy_at(charge: float) -> float:
            return float((problem.program.outputs[BILLED + name].matrix @ compiled.solve_optimal(at(charge)).x).sum())

        recovered = recovering_charge(
            energy_at, float(passive.sum()), problem.existing_cost, component.price_min, component.price_max, BEFORE_TOLERANCE
        )
        if recovered is None:
            message = f"plan of {problem.dso}: with nothing built, no price of {name} up to {component.price_max:g} {component.unit}"
            remedy = f"allow a higher one (tariff.{name}.price_max) or give the price before the plan (regime.reference_price)"
            raise NoPlanError("infeasible", f"{message} recovers {problem.existing_cost:,.0f} EUR/a; {remedy}")
        price = recovered.charge
    given = at(price)
    return users_cost(problem, {n: p for n, p in given.items() if n != BUILT}, compiled.solve_optimal(given).objective)


def earned(problem: PlanningProblem, prices: Prices, x: np.ndarray) -> tuple[float, float]:
    """What the operator's components of the tariff earn, and what it pays by those that are expenditure [EUR/a]; arguments as of ``position_of``."""
    totals = {False: 0.0, True: 0.0}
    for name, component in problem.tariff.earning.items():
        passive = problem.passive[name]
        amount = (problem.program.outputs[BILLED + name].matrix @ x).reshape(passive.shape) + passive
        totals[component.expenditure] += float(np.sum(problem.tariff.price(name, prices) * amount))
    return totals[False], 0.0 - totals[True]


def position_of(problem: PlanningProblem, choice: np.ndarray, prices: Prices, x: np.ndarray) -> Position:
    """The position of the operator in an answer of the follower, as numbers.

    Args:
        problem: what is planned.
        choice: 1 for every option that is built.
        prices: of the decided tariff components.
        x: columns of the follower.
    """
    program, (revenue, bought) = problem.program, earned(problem, prices, x)
    cost = program.objective(x, program.parameters.vector({BUILT: choice} | dict(prices)))
    return Position(
        existing_cost=problem.existing_cost,
        investment=float(problem.annuity @ choice),
        revenue=revenue,
        bought=bought,
        resource_cost=float((program.outputs[RESOURCE_COST].matrix @ x)[0]) + program.d0 + problem.constant,
        unserved=lambda: float((program.outputs[UNSERVED].matrix @ x)[0]),
        # Each takes solves of the follower, and regimes ask several times.
        useful=cache(lambda share: float(problem.annuity @ (choice * (used_shares(problem) >= share)))),
        saved=cache(lambda price: users_cost_before(problem, price) - users_cost(problem, prices, cost)),
        discount_rate=problem.economics.discount_rate,
        yardstick=problem.yardstick,
    )


def allowed_range(problem: PlanningProblem, regime: Regime) -> tuple[float, float]:
    """Revenue that a regime allows with nothing built, and with everything [EUR/a]; it does not fall with what is built."""
    annuities, rate = float(problem.annuity.sum()), problem.economics.discount_rate
    return allowed_with(regime, problem.existing_cost, 0.0, rate), allowed_with(regime, problem.existing_cost, annuities, rate)


def allowed_with(regime: Regime, existing_cost: float, investment: float, rate: float) -> float:
    """Revenue that a regime allows with annuities of what is built, all of it useful [EUR/a]; NaN where it sets no limit."""
    at = Position(existing_cost=existing_cost, investment=investment, revenue=0.0, useful=lambda _: investment, discount_rate=rate)
    allowed = regime.allowed_revenue(at)
    return float("nan") if allowed is None else float(allowed)


def _lowest(problem: PlanningProblem) -> dict[str, np.ndarray]:
    return {name: np.full(problem.passive[name].shape, component.price_min) for name, component in problem.tariff.decided.items()}
