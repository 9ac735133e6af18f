"""The most that the components of a tariff can earn, all prices together: where that is less than the cost to recover, no plan exists.

With the own cost f(x) of a follower at prices of zero, its determinants w_k(x) and prices p_k within [l_k, u_k], its answer x at p costs no more
than an answer x_0 that is feasible whatever is built (``charge_range.largest_cost``), and that no more than

    f(x) + sum_k p_k w_k(x)  <=  ceiling  =  cost of the best x_0 with every price at the end at which it costs the follower more

So what is paid by price k, s_k = p_k w_k(x), satisfies, for everything that can be answered at any prices,

    f(x) + sum_k s_k <= ceiling,     s_k between l_k w_k(x) and u_k w_k(x),     x feasible with options relaxed to [0, 1],

and the largest sum of those that the operator receives, with what given prices earn and passive customers pay, bounds its revenue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from scipy import sparse

from multiscale.devices.fleet import Fleet
from multiscale.planning.charge_range import largest_cost, with_least_room
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.follower_names import BUILT
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.regimes import Regime
from multiscale.planning.regulated import allowed_range
from multiscale.programs import Block, Index, ParametricProgram, solve
from multiscale.tariffs import BILLED, Tariff

SUSPECTED = 1.5
"""The bound is computed where the largest permitted prices, on all demand without response, earn less than this multiple of the cost."""


def revenue_without_response(tariff: Tariff, passive: Mapping[str, np.ndarray], fleets: Iterable[Fleet]) -> float:
    """What all charges of an operator would earn at their largest permitted prices, if no customer responded [EUR/a].

    Args:
        tariff: what is charged for.
        passive: determinant of every component that passive customers add.
        fleets: members of its platforms.
    """
    members, total = list(fleets), 0.0
    for name, component in tariff.earning.items():
        if component.expenditure:
            continue
        price = component.price_max if component.decided else component.given
        amount = np.asarray(passive[name], dtype=float)
        for fleet in members:
            drawn = fleet.reference_demand
            amount = amount + component.passive(drawn, np.zeros_like(drawn), fleet.horizon)
        total += float(np.sum(np.asarray(price, dtype=float) * amount))
    return total


def too_little(problem: PlanningProblem, regime: Regime) -> tuple[float, float] | None:
    """The most that all charges earn together and what is allowed with nothing built [EUR/a], where the first is proven to be less; else None."""
    if not regime.recovers_cost:
        return None
    allowed, _ = allowed_range(problem, regime)
    if not revenue_without_response(problem.tariff, problem.passive, problem.members.values()) < SUSPECTED * allowed:
        return None
    most = largest_revenue(problem)
    return None if most is None or not most < allowed * (1.0 - 1e-9) else (most, allowed)


def check_recoverable(problem: PlanningProblem, regime: Regime) -> None:
    """Nothing, where prices within their ranges may recover what is allowed.

    Raises:
        NoPlanError: none do, whatever is built and however customers respond.
    """
    found = too_little(problem, regime)
    if found is not None:
        most, allowed = found
        names = ", ".join(name for name in problem.tariff.decided if name in problem.tariff.earning)
        said = f"all charges together earn at most {most:,.0f} of the {allowed:,.0f} EUR/a that are allowed"
        remedy = f"allow higher prices (price_max of {names}), or lower costs.existing_network_cost" if names else "set higher prices"
        raise NoPlanError("infeasible", f"plan of {problem.dso}: {said}; {remedy}")


def largest_revenue(problem: PlanningProblem) -> float | None:
    """A proven upper bound on what all charges of the operator earn [EUR/a], whatever is built and decided and however customers respond.

    What the operator pays by components that are expenditure is not deducted. None where the determinant of a decided price may be of either sign:
    then it is not known which of its ends costs more; and where no answer is feasible whatever is built.
    """
    program, tariff = problem.program, problem.tariff
    names = list(tariff.decided)
    amounts = [program.outputs[BILLED + name].matrix.tocsr() for name in names]
    lows, highs, signs = [], [], []
    for name, matrix in zip(names, amounts, strict=True):
        least, most = program.reach(BILLED + name)
        if ((least < 0) & (most > 0)).any():
            return None
        signs.append(np.where(least < 0, -1.0, 1.0))
        component = tariff.components[name]
        lows.append(np.full(matrix.shape[0], component.price_min))
        highs.append(np.full(matrix.shape[0], component.price_max))
    determinant = sparse.vstack(amounts, format="csr") if names else sparse.csr_matrix((0, program.columns.size))
    low, high, sign = (np.concatenate(part) if part else np.zeros(0) for part in (lows, highs, signs))
    costliest = np.split(np.where(sign > 0, high, low), np.cumsum([m.shape[0] for m in amounts])[:-1]) if names else []
    at = {name: p.reshape(problem.passive[name].shape) for name, p in zip(names, costliest, strict=True)}
    ceiling = largest_cost(with_least_room(program), at)
    if ceiling is None:
        return None
    received, passive = np.zeros(program.columns.size), 0.0
    counted = []
    for name in names:
        mine = name in tariff.earning and not tariff.components[name].expenditure
        paid = problem.passive[name].ravel()
        counted.append(np.full(paid.size, float(mine)))
        ends = (tariff.components[name].price_min * paid, tariff.components[name].price_max * paid)
        passive += mine * float(np.maximum(*ends).sum())
    for name, component in tariff.earning.items():
        if not component.decided and not component.expenditure:
            prices = np.broadcast_to(tariff.price(name, {}), problem.passive[name].shape).ravel()
            received += program.outputs[BILLED + name].matrix.T @ prices
            passive += float((prices * problem.passive[name].ravel()).sum())
    most, least = np.where(sign > 0, high, low), np.where(sign > 0, low, high)
    most_paid = _with_payments(program, determinant, least, most, ceiling, received, np.concatenate(counted) if counted else np.zeros(0))
    return passive - solve(most_paid).bound


def _with_payments(
    program: ParametricProgram,
    determinant: sparse.csr_matrix,
    least: np.ndarray,
    most: np.ndarray,
    ceiling: float,
    received: np.ndarray,
    counted: np.ndarray,
) -> ParametricProgram:
    """The program that looks for the largest payments: columns of the follower, options, and what is paid by each price [EUR/a].

    ``least`` and ``most`` are the prices at which the least and the most is paid.
    """
    built = program.parameters[BUILT]
    n, k, prices = program.columns.size, built.size, determinant.shape[0]
    none, pays = sparse.csr_matrix((prices, k)), sparse.identity(prices, format="csr")
    above = sparse.hstack([-sparse.diags(most) @ determinant, none, pays])
    below = sparse.hstack([sparse.diags(least) @ determinant, none, -pays])
    cost = sparse.csr_matrix(np.concatenate([program.c0, np.zeros(k), np.ones(prices)]))
    physical = sparse.hstack([program.A, -program.B[:, built.positions.ravel()], sparse.csr_matrix((program.rows.size, prices))])
    label = {"price": np.arange(prices)}
    axes = (Block("__above__", label, "EUR/a", 0), Block("__below__", label, "EUR/a", 0), Block("__cost__", {}, "EUR/a", 0))
    reach = np.abs(determinant) @ np.maximum(np.abs(program.lower), np.abs(program.upper)) * np.maximum(np.abs(least), np.abs(most)) + 1.0
    return ParametricProgram(
        name=f"{program.name} (largest revenue)",
        columns=Index.stacked([*program.columns.blocks, Block("__built__", built.coords, "1", 0), Block("__paid__", label, "EUR/a", 0)]),
        rows=Index.stacked([*program.rows.blocks, *axes]),
        parameters=Index(),
        A=sparse.vstack([physical, above, below, cost], format="csr"),
        b0=np.concatenate([program.b0, np.zeros(2 * prices), [ceiling - program.d0 + 1e-7 * abs(ceiling)]]),
        B=sparse.csr_matrix((program.rows.size + 2 * prices + 1, 0)),
        equality=np.concatenate([program.equality, np.zeros(2 * prices + 1, dtype=bool)]),
        c0=-np.concatenate([received, np.zeros(k), counted]),
        C=sparse.csr_matrix((n + k + prices, 0)),
        lower=np.concatenate([program.lower, np.zeros(k), -reach]),
        upper=np.concatenate([program.upper, np.ones(k), reach]),
    )
