"""Uncertainty by agreement: how much of its forecast error each level keeps, and how much it hands upward, at which price.

The error of node i's exchange has standard deviation s_i [kW]. A node keeps a share of every deviation and covers it with its own
flexibility, and hands the rest to its parent: kept r_i plus handed u_i make s_i. The parent is left with the sum of what its children hand
it, which is less than the sum of the parts unless they are fully correlated:

    s_n = sqrt(u'R u)      R: correlation of the children's errors
    min  sum_n c_n(z r_n)    s.t.  r_n + u_n = s_n,   r, u >= 0,   nothing is handed on above the top

``c_n`` is the cost of holding flexibility, convex and piecewise linear (steps of amount and price); z standard deviations are covered. The
problem is convex and solved by tangents of the norm to a certified gap. The **price** of handing over, mu_n (R u)_i / s_n with mu_n the
marginal cost of uncertainty at the parent, is what one unit more would cost there. Since the norm is homogeneous, payments sum to mu_n s_n
(Euler), which covers the parent's cost.

A message upward carries the band (quantiles of the exchange: plan +- z s) and the amount handed over; the one downward its price.

Source: homogeneous risk measures and their marginal contributions: Tasche, Conditional expectation as quantile derivative (2000).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.coordination.common.messages import Traffic
from multiscale.programs import ProgramBuilder, solve
from multiscale.programs.build import Term

COVERAGE = 2.0
"""Standard deviations of forecast errors for which reserves are held, where nothing else is asked."""


@dataclass(frozen=True)
class Level:
    """A node that bears uncertainty in one period.

    Attributes:
        name: of the node.
        parent: name of the parent; empty at the top.
        deviation: standard deviation of its own error [kW]; of a parent, beyond what its children hand it.
        amount, price: steps of flexibility [kW] and what holding them costs [EUR/kWh]; the last one may be infinite.
    """

    name: str
    parent: str
    deviation: float
    amount: np.ndarray
    price: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Who keeps and who hands over how much.

    Attributes:
        cost: of holding flexibility at all levels [EUR/h].
        bound: proven lower bound of it [EUR/h].
        alone: cost if every level hedges its own error alone [EUR/h].
        kept, handed: node -> standard deviation [kW].
        price: node -> price of handing over [EUR/kWh per kW of standard deviation]; zero where nothing is handed.
        pooled: node -> standard deviation it is left with [kW]: its own error and what its children hand it.
        traffic: messages up (band, amount) and down (price).
    """

    cost: float
    bound: float
    alone: float
    kept: Mapping[str, float]
    handed: Mapping[str, float]
    price: Mapping[str, float]
    pooled: Mapping[str, float]
    traffic: Traffic

    @property
    def gap(self) -> float:
        """(cost - bound) / cost."""
        return (self.cost - self.bound) / max(abs(self.cost), 1e-9)


def agree(
    levels: Sequence[Level], correlation: Mapping[str, np.ndarray], *, coverage: float = COVERAGE, tolerance: float = 1e-5, rounds: int = 60
) -> Agreement:
    """Find the cheapest agreement in one period.

    Args:
        levels: nodes, parents before children.
        correlation: parent -> correlation R of its own error (first) and those of its children in the order of ``levels`` [1].
        coverage: standard deviations that are covered, z [1].
        tolerance: relative gap at which to stop.
        rounds: of adding tangents at most; the agreement then carries the gap that is left.

    Raises:
        ValueError: a correlation that is no correlation of that node and its children, or flexibility that cannot cover a node's error alone.
    """
    at = {level.name: k for k, level in enumerate(levels)}
    children: dict[str, list[int]] = {level.name: [] for level in levels}
    for k, level in enumerate(levels):
        if level.parent:
            children[level.parent].append(k)
    for name, below in children.items():
        if below:
            _check_correlation(name, correlation.get(name), len(below) + 1)
    alone = sum(holding_cost(level, coverage * level.deviation) for level in levels)
    parents = [name for name, below in children.items() if below]
    tangents: dict[str, list[np.ndarray]] = {name: _first_tangents(correlation[name]) for name in parents}
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    bound = -np.inf
    for _ in range(rounds):
        handed, value = _master(levels, at, children, tangents, correlation, coverage)
        bound = max(bound, value)
        kept, pooled, handed = _evaluate(levels, children, correlation, handed)
        cost = sum(holding_cost(level, coverage * kept[k]) for k, level in enumerate(levels))
        if best is None or cost < best[0]:
            best = (cost, handed, pooled)
        if best[0] - bound <= tolerance * max(abs(best[0]), 1e-9):
            break
        for name in parents:
            parts = np.array([levels[at[name]].deviation, *(handed[c] for c in children[name])])
            if parts.any():
                tangents[name].append(parts)
    if best is None:
        raise ValueError(f"an agreement needs at least one round of tangents, not {rounds}")
    cost, handed, pooled = best
    price = _prices(levels, at, children, correlation, handed, pooled, coverage)
    traffic = Traffic()
    for level in levels:
        if level.parent:
            traffic.count("up", band=np.zeros(2), handed=0.0)
            traffic.count("down", price=0.0)
    names = [level.name for level in levels]
    return Agreement(
        cost,
        bound,
        alone,
        dict(zip(names, (pooled - handed).tolist(), strict=True)),
        dict(zip(names, handed.tolist(), strict=True)),
        dict(zip(names, price.tolist(), strict=True)),
        dict(zip(names, pooled.tolist(), strict=True)),
        traffic,
    )


def holding_cost(level: Level, power: float) -> float:
    """Least cost [EUR/h] of holding so much flexibility [kW].

    Raises:
        ValueError: the node does not have so much.
    """
    order = np.argsort(level.price, kind="stable")
    left, cost = power, 0.0
    for k in order:
        used = min(left, float(level.amount[k]))
        cost += used * float(level.price[k]) if used > 0 else 0.0
        left -= used
    if left > 1e-6 * max(power, 1.0):
        has = level.amount.sum()
        raise ValueError(f"node {level.name!r} has {has:g} kW of flexibility, {power:g} kW are needed; add a last resort of any amount")
    return cost


def aggregated(parts: np.ndarray, correlation: np.ndarray) -> float:
    """Standard deviation of a sum, sqrt(u'R u) [kW]."""
    return float(np.sqrt(max(parts @ correlation @ parts, 0.0)))


def _check_correlation(name: str, matrix: np.ndarray | None, size: int) -> None:
    if matrix is None or matrix.shape != (size, size):
        raise ValueError(f"node {name!r}: its correlation must be {size} x {size} (its own error, then its children)")
    if not np.allclose(matrix, matrix.T) or not np.allclose(np.diag(matrix), 1.0) or np.linalg.eigvalsh(matrix).min() < -1e-9:
        raise ValueError(f"node {name!r}: its correlation is not symmetric, not one on the diagonal, or not positive semidefinite")


def _first_tangents(correlation: np.ndarray) -> list[np.ndarray]:
    return [*np.eye(len(correlation)), np.ones(len(correlation))]


def _master(
    levels: Sequence[Level],
    at: Mapping[str, int],
    children: Mapping[str, list[int]],
    tangents: Mapping[str, list[np.ndarray]],
    correlation: Mapping[str, np.ndarray],
    coverage: float,
) -> tuple[np.ndarray, float]:
    """Amounts handed over [kW] and a lower bound of the cost [EUR/h] with the norms replaced by their tangents."""
    builder = ProgramBuilder("agreement on uncertainty")
    names = {"node": np.array([level.name for level in levels], dtype=str)}
    top = np.array([np.inf if level.parent else 0.0 for level in levels])
    handed = builder.add_columns("handed", names, unit="kW", upper=top, description="standard deviation handed to the parent")
    pooled = builder.add_columns("pooled", names, unit="kW", description="standard deviation of the pooled error")
    for k, level in enumerate(levels):
        axes = {f"step of {level.name}": np.arange(len(level.price))}
        step = builder.add_columns(f"held by {level.name}", axes, unit="kW", upper=level.amount, cost=level.price, description="flexibility held")
        rest: list[Term] = [(-1.0, step[None, :]), (coverage, pooled[[k]][:, None]), (-coverage, handed[[k]][:, None])]
        builder.add_rows(
            f"reserve requirement {level.name}", {"node": np.array([level.name])}, rest, "<=", 0.0, unit="kW", description="reserves for what is kept"
        )
    own = [k for k, level in enumerate(levels) if not children[level.name]]
    builder.add_rows(
        "own error",
        {"leaf": np.array([levels[k].name for k in own], dtype=str)},
        [(-1.0, pooled[own])],
        "<=",
        np.array([-levels[k].deviation for k in own]),
        unit="kW",
        description="a node without children bears its own error",
    )
    keeps: list[Term] = [(1.0, handed), (-1.0, pooled)]
    builder.add_rows("no more", names, keeps, "<=", 0.0, unit="kW", description="no node hands over more than it bears")
    for name, points in tangents.items():
        below, matrix = children[name], correlation[name]
        for j, v in enumerate(points):
            gradient = matrix @ v / aggregated(v, matrix)
            terms: list[Term] = [(gradient[1:][None, :], handed[below][None, :]), (-1.0, pooled[[at[name]]][:, None])]
            own_part = -gradient[0] * levels[at[name]].deviation
            axes = {"node": np.array([name])}
            builder.add_rows(f"tangent {j} of {name}", axes, terms, "<=", own_part, unit="kW", description="tangent of the norm")
    solution = solve(builder.build())
    return solution.primal("handed").values, solution.bound


def _evaluate(
    levels: Sequence[Level], children: Mapping[str, list[int]], correlation: Mapping[str, np.ndarray], handed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kept and borne standard deviations [kW] for given amounts handed over, children first; no node hands over more than it bears."""
    pooled, given = np.zeros(len(levels)), np.maximum(handed, 0.0)
    for k in range(len(levels) - 1, -1, -1):
        level = levels[k]
        below = children[level.name]
        pooled[k] = aggregated(np.array([level.deviation, *given[below]]), correlation[level.name]) if below else level.deviation
        given[k] = min(given[k], pooled[k]) if level.parent else 0.0
    return pooled - given, pooled, given


def _prices(
    levels: Sequence[Level],
    at: Mapping[str, int],
    children: Mapping[str, list[int]],
    correlation: Mapping[str, np.ndarray],
    handed: np.ndarray,
    pooled: np.ndarray,
    coverage: float,
) -> np.ndarray:
    """mu_n (R u)_i / s_n for every node i with a parent n; mu_n is the cheaper of keeping one unit more and handing it on."""
    price = np.zeros(len(levels))
    marginal = np.zeros(len(levels))
    for k, level in enumerate(levels):
        keeping = coverage * _marginal_cost(level, coverage * (pooled[k] - handed[k]))
        if level.parent:
            n = at[level.parent]
            below = children[level.parent]
            parts = np.array([levels[n].deviation, *handed[below]])
            size = aggregated(parts, correlation[level.parent])
            share = (correlation[level.parent] @ parts)[1 + below.index(k)] / size if size > 0 else 1.0
            price[k] = marginal[n] * share
        marginal[k] = min(keeping, price[k]) if level.parent else keeping
    return price


def _marginal_cost(level: Level, power: float) -> float:
    """Cost of one kW more [EUR/kWh] beyond so much held."""
    order = np.argsort(level.price, kind="stable")
    total = np.cumsum(level.amount[order])
    beyond = np.flatnonzero(total > power * (1 + 1e-9) + 1e-9)
    return float(level.price[order][beyond[0]]) if len(beyond) else np.inf
