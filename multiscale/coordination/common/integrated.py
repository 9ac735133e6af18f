"""The integrated optimum: the whole tree as one problem, the reference of every mechanism.

The TSO's cost V(y) is a convex piecewise linear function of what the DSOs draw, and nothing couples its periods. So the tree is solved
with cuts (Benders): V_t(y_t) >= D_t(y_t^k) + lambda_t^k (y_t - y_t^k), where lambda^k is the nodal price at exchange y^k and D what its duals prove.
The cost of a dispatch is no tangent: tolerances of the solver leave it above V, by euros a year at the size of a transmission network, and the bound
with it.

    master:  min  sum over DSOs of (cost of the DSO with all its platforms) + sum_t theta_t     s.t. all cuts so far
    bound = dual bound of the master,   cost = its cost with V evaluated exactly at its exchanges

Both are exact at any time; the loop ends when they meet. With several DSOs the master is one program with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from multiscale.coordination.common.answer import Answer
from multiscale.coordination.common.assembled_basis import assembled_basis
from multiscale.coordination.common.outcome import Outcome, transmission_cost
from multiscale.operation import Dispatch, OperatingTree, dso_branch_program
from multiscale.operation.tree import dso_reference
from multiscale.programs import CompiledProgram, Link, ParametricProgram, ProgramBuilder, ProgramSolution, compose


def integrated_optimum(
    tree: OperatingTree,
    *,
    tolerance: float = 1e-6,
    rounds: int = 30,
    near: Outcome | None = None,
    answers: Mapping[str, Answer] | None = None,
) -> Outcome:
    """Solve the whole tree to a relative gap.

    Args:
        tree: programs of all nodes over one day.
        tolerance: relative gap at which to stop.
        rounds: of adding cuts at most; the outcome then carries the gap that is left.
        near: an outcome under the same transmission network, whose dispatch is the first cut; default: the dispatch without any response.
        answers: what every platform answers to the prices of ``near``, with bases, from which the first solve starts; changes no optimum.
    """
    dsos, transmission = tree.transmission.children, tree.transmission
    branches = {d: dso_branch_program(tree, d).fix({"energy_price": np.zeros(tree.horizon.periods)}) for d in dsos}
    idle = transmission.idle_cost
    if near is None:
        exchange = np.array([dso_reference(tree.system, d, tree.horizon, tree.fleets) for d in dsos])
        dispatch = transmission.dispatch(exchange)
    else:
        exchange, dispatch = np.array([near.exchange[d] for d in dsos]), near.dispatch
    dispatches: list[tuple[np.ndarray, Dispatch]] = [(exchange, dispatch)]
    best: tuple[float, ProgramSolution, np.ndarray, Dispatch] | None = None
    bound, basis = -np.inf, None
    for _ in range(rounds):
        compiled = CompiledProgram(_master(tree, branches, dispatches, idle), devex=True)
        if basis is None and near is not None and answers is not None:
            compiled.start_from(assembled_basis(tree, answers, near.energy_price))
        elif basis is not None:
            # The cuts are the first rows, and new ones the last of them.
            compiled.start_from(basis.with_basic_rows((len(dispatches) - 1) * tree.horizon.periods, tree.horizon.periods))
        solution = compiled.solve_optimal()
        basis = compiled.basis
        bound = max(bound, solution.bound)
        exchange = np.array([solution.output(f"{d}/exchange").values for d in dsos])
        dispatch = transmission.dispatch(exchange)
        cost = solution.objective - float(solution.primal("theta").values.sum()) + float((dispatch.cost - idle).sum())
        if best is None or cost < best[0]:
            best = (cost, solution, exchange, dispatch)
        if best[0] - bound <= tolerance * max(abs(best[0]), 1.0):
            break
        dispatches.append((exchange, dispatch))
    if best is None:
        raise ValueError(f"the integrated optimum needs at least one round of adding cuts, not {rounds}")
    cost, solution, exchange, dispatch = best
    return _outcome(tree, cost, bound, solution, exchange, dispatch, len(dispatches))


def _master(
    tree: OperatingTree, branches: dict[str, ParametricProgram], dispatches: list[tuple[np.ndarray, Dispatch]], idle: np.ndarray
) -> ParametricProgram:
    """All DSO branches plus the cuts on the TSO's cost (counted from its dispatch without DSOs)."""
    horizon, dsos = tree.horizon, tree.transmission.children
    period = {"period": horizon.labels}
    hours = horizon.hours_per_year
    builder = ProgramBuilder("transmission cost by cuts")
    exchange = builder.add_parameters("exchange", {"node": np.array(dsos, dtype=str), **period}, unit="kW", description="power drawn by the node")
    slope = np.array([d.price for _, d in dispatches])
    cuts = {"cut": np.arange(len(dispatches)), **period}
    value = np.array([d.bound - idle for _, d in dispatches]) - hours * (slope * np.array([y for y, _ in dispatches])).sum(axis=1)
    # Between the least that a cut allows and what all cuts demand at most: ends that exclude no optimum keep every dual bound finite, and near.
    most = np.array([_largest(branches[d]) for d in dsos])
    reach = hours * (most[None, :, None] * np.abs(slope)).sum(axis=1)
    lower, upper = (value - reach).max(axis=0) - 1.0, (value + reach).max(axis=0) + 1.0
    theta = builder.add_columns("theta", period, unit="EUR/a", lower=lower, upper=upper, cost=1.0, description="cost of transmission")
    drawn = np.broadcast_to(exchange.T, (len(dispatches), *exchange.T.shape))
    # theta_t - sum_n h lambda_nt y_nt >= V - sum_n h lambda y^k
    by_node = hours[None, :, None] * slope.transpose(0, 2, 1)
    builder.add_rows(
        "cuts",
        cuts,
        [(1.0, np.broadcast_to(theta, (len(dispatches), len(theta))))],
        ">=",
        value,
        unit="EUR/a",
        parameters=[(by_node, drawn)],
        description="cost of transmission is above its tangents",
    )
    links = [Link(d, "exchange", exchange[k]) for k, d in enumerate(dsos)]
    return compose(tree.system.name, builder.build(), branches, links)


def _largest(branch: ParametricProgram) -> float:
    """A bound on the power a DSO can draw or feed in [kW]."""
    return float(np.abs(branch.reach("exchange")).max(initial=0.0))


def _outcome(
    tree: OperatingTree, cost: float, bound: float, solution: ProgramSolution, exchange: np.ndarray, dispatch: Dispatch, rounds: int
) -> Outcome:
    columns, rows = solution.program.columns, solution.program.rows
    hours = tree.horizon.hours_per_year
    platform_x, platform_y, distribution_x = {}, {}, {}
    flows, platform_price, energy_price = {}, {}, {}

    def part(index_blocks: object, prefix: str, vector: np.ndarray) -> np.ndarray:
        return np.concatenate([vector[b.offset : b.offset + b.size] for b in index_blocks if b.name.startswith(prefix)])  # type: ignore[attr-defined]

    for k, dso in enumerate(tree.transmission.children):
        own = tree.distribution[dso]
        flows[dso], energy_price[dso] = exchange[k], dispatch.price[k]
        names = [b.name for b in own.program.columns]
        distribution_x[dso] = np.concatenate([columns.values(f"{dso}/{n}", solution.x).ravel() for n in names])
        y = np.concatenate([rows.values(f"{dso}/{b.name}", solution.y).ravel() for b in own.program.rows])
        marginal = (own.program.B.T @ y)[own.program.parameters["exchange"].positions] / hours if own.children else np.zeros((0, len(hours)))
        for c, child in enumerate(own.children):
            prefix = f"{dso}/{child}/"
            platform_x[child], platform_y[child] = part(columns, prefix, solution.x), part(rows, prefix, solution.y)
            flows[child] = tree.platforms[child].outputs["exchange"].matrix @ platform_x[child]
            platform_price[child] = marginal[c]
    supply = transmission_cost(tree, dispatch)
    prices = energy_price, platform_price
    return Outcome("integrated", cost, bound, platform_x, platform_y, distribution_x, flows, {}, *prices, dispatch, supply, rounds)
