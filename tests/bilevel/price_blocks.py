"""Random small problems of several followers under one price for each block, and their optimum by enumerating vertices.

    min_{u, p, x}  a'u + sum_b [ g_b p_b + sum_f h_f'x_f - earns_b p_b d_f'x_f ]     u binary, sum u <= budget,  p_b in a range
    s.t.           sum_f r_f'x_f <= limit_b,   p_b sum_f d_f'x_f >= e_b'u
                   x_f in argmin { (c_f + p_b d_f)'x : 0 <= x <= cap_f + B_f u,  a_f'x = or >= need_f }

Data are small whole numbers, so that many answers tie, of several followers at the same price. The oracle uses nothing of the package: with ``u``
held the optimum of a follower is the lowest of the lines of its vertices; between the prices where lines cross the optimal face and what it pays
a price for are fixed, at a crossing the price is. Either is one linear program over mixtures of vertices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pyomo.environ as pyo
from scipy.optimize import linprog

_TIE = 1e-8


@dataclass(frozen=True)
class Buyer:
    """One follower; ``equal``: its need is met exactly, at least, or (None) there is none."""

    c: np.ndarray
    d: np.ndarray
    cap: np.ndarray
    by_integers: np.ndarray
    a: np.ndarray
    need: float
    equal: bool | None
    h: np.ndarray
    r: np.ndarray


@dataclass(frozen=True)
class PriceBlock:
    """Followers of one price; ``limit`` None: no row on their columns."""

    followers: list[Buyer]
    low: float
    high: float
    g: float
    earns: float
    limit: float | None
    revenue: np.ndarray


@dataclass(frozen=True)
class Priced:
    """A problem."""

    costs: np.ndarray
    budget: float
    blocks: list[PriceBlock]

    def model(self):
        """The Pyomo model and its follower blocks."""
        m, lows = pyo.ConcreteModel(), []
        m.u, m.p = pyo.Var(range(self.costs.size), domain=pyo.Binary), pyo.Var(range(len(self.blocks)))
        m.rows = pyo.ConstraintList()
        m.rows.add(sum(m.u.values()) <= self.budget)
        value = _dot(self.costs, m.u)
        for b, block in enumerate(self.blocks):
            price = m.p[b]
            price.setlb(block.low)
            price.setub(block.high)
            value += block.g * price
            paid, taken = 0.0, 0.0
            for i, buyer in enumerate(block.followers):
                low = pyo.Block(concrete=True)
                m.add_component(f"low_{b}_{i}", low)
                lows.append(low)
                low.x = pyo.Var(range(buyer.c.size), bounds=(0, None))
                low.cap = pyo.ConstraintList()
                for j in range(buyer.c.size):
                    low.cap.add(low.x[j] <= float(buyer.cap[j]) + _dot(buyer.by_integers[j], m.u))
                if buyer.equal is not None:
                    met = _dot(buyer.a, low.x)
                    low.need = pyo.Constraint(expr=met == buyer.need if buyer.equal else met >= buyer.need)
                low.cost = pyo.Objective(expr=_dot(buyer.c, low.x) + price * _dot(buyer.d, low.x))
                value += _dot(buyer.h, low.x)
                paid += price * _dot(buyer.d, low.x)
                taken += _dot(buyer.r, low.x)
            value -= block.earns * paid
            if block.limit is not None:
                m.rows.add(taken <= block.limit)
            if block.revenue.any():
                m.rows.add(paid >= _dot(block.revenue, m.u))
        m.objective = pyo.Objective(expr=value)
        return m, lows


def _dot(weights, variables):
    return sum(float(a) * variables[k] for k, a in enumerate(weights) if a) + 0.0


def random_priced(seed: int) -> Priced:
    """Problem number ``seed``: one or two blocks of one to three followers, one to three binaries."""
    rng = np.random.default_rng(seed)
    n, blocks = int(rng.integers(1, 4)), []
    for _ in range(int(rng.choice([1, 1, 2]))):
        followers, count = [_buyer(rng, n)], int(rng.choice([1, 2, 2, 3]))
        while len(followers) < count:
            followers.append(_opposed(rng, followers[0]) if rng.random() < 0.5 else _buyer(rng, n))
        low = float(-rng.integers(0, 3)) if rng.random() < 0.4 else 0.0
        limit = float(rng.integers(0, 5)) if rng.random() < 0.4 and any(f.r.any() for f in followers) else None
        seen = np.any([f.by_integers.any(axis=0) for f in followers], axis=0)
        revenue = seen * rng.integers(0, 3, n) * float(rng.random() < 0.3)
        g, earns = 0.5 * float(rng.integers(-1, 2)), float(rng.integers(0, 2))
        blocks.append(PriceBlock(followers, low, low + float(rng.integers(1, 6)), g, earns, limit, revenue))
    return Priced(rng.integers(-2, 4, n).astype(float), float(rng.integers(1, n + 1)), blocks)


def _buyer(rng, n: int) -> Buyer:
    k = int(rng.integers(2, 5))
    d, by_integers = np.zeros(k), np.zeros((k, n))
    d[rng.integers(0, k)] = 1.0
    if rng.random() < 0.4:
        d[rng.integers(0, k)] = float(rng.choice([-1, 1, 2]))
    for j in np.flatnonzero(rng.random(k) < 0.6):
        by_integers[j, rng.integers(0, n)] = float(rng.choice([-1, 1, 2]))
    c, cap, a = (rng.integers(low, high, k).astype(float) for low, high in ((0, 4), (1, 4), (1, 3)))
    equal = (True, True, False, None)[int(rng.integers(0, 4))]
    return Buyer(c, d, cap, by_integers, a, float(rng.integers(1, 5)), equal, *(rng.integers(low, 1 - low, k).astype(float) for low in (-3, -1)))


def _opposed(rng, buyer: Buyer) -> Buyer:
    """The same follower, its columns in another order, of which the leader wants the opposite."""
    p = rng.permutation(buyer.c.size)
    moved = replace(buyer, c=buyer.c[p], d=buyer.d[p], cap=buyer.cap[p], by_integers=buyer.by_integers[p], a=buyer.a[p])
    return replace(moved, h=-buyer.h[p], r=rng.integers(-1, 2, p.size).astype(float))


def optimum(problem: Priced) -> float:
    """The least objective; infinite where nothing is feasible."""
    best = np.inf
    for values in itertools.product((0.0, 1.0), repeat=problem.costs.size):
        u = np.array(values)
        if u.sum() <= problem.budget:
            best = min(best, float(problem.costs @ u) + sum(_block_optimum(block, u) for block in problem.blocks))
    return best


def _block_optimum(block: PriceBlock, u: np.ndarray) -> float:
    vertices = [_vertices(f, u) for f in block.followers]
    if not all(len(found) for found in vertices):
        return np.inf
    lines = [(v @ f.c, v @ f.d) for v, f in zip(vertices, block.followers, strict=True)]
    prices = sorted({block.low, block.high, *(p for level, slope in lines for p in _crossings(level, slope) if block.low < p < block.high)})
    ranges = [(p, p) for p in prices] + list(itertools.pairwise(prices))
    return min(_at_prices(block, u, vertices, lines, low, high) for low, high in ranges)


def _crossings(level: np.ndarray, slope: np.ndarray) -> list[float]:
    """Prices where two lines cross on the lowest of all."""
    found = []
    for i, j in itertools.combinations(range(level.size), 2):
        if slope[i] != slope[j]:
            price = float((level[j] - level[i]) / (slope[i] - slope[j]))
            if level[i] + price * slope[i] <= (level + price * slope).min() + _TIE:
                found.append(round(price, 12))
    return found


def _at_prices(block: PriceBlock, u: np.ndarray, vertices: list, lines: list, low: float, high: float) -> float:
    """The least value at prices at which the optimal faces stay the same; the price is a variable where slopes are fixed, a number where not."""
    middle = 0.5 * (low + high)
    tied = [np.flatnonzero(level + middle * slope <= (level + middle * slope).min() + _TIE) for level, slope in lines]
    total = sum(chosen.size for chosen in tied) + 1
    costs, taken, paid, shares = np.zeros(total), np.zeros(total), np.zeros(total), np.zeros((len(tied), total))
    at = 0
    for f, (chosen, buyer) in enumerate(zip(tied, block.followers, strict=True)):
        mine, slope = slice(at, at + chosen.size), lines[f][1][chosen]
        at += chosen.size
        shares[f, mine] = 1.0
        costs[mine], taken[mine] = vertices[f][chosen] @ buyer.h, vertices[f][chosen] @ buyer.r
        if low == high:
            paid[mine] = low * slope
        else:
            assert np.ptp(slope) <= _TIE
            paid[-1] += slope[0]
    costs[-1] = block.g
    rows, limits = [np.zeros(total)], [0.0]
    if block.revenue.any():
        rows.append(-paid)
        limits.append(-float(block.revenue @ u))
    if block.limit is not None:
        rows.append(taken)
        limits.append(block.limit)
    bounds = [(0.0, 1.0)] * (total - 1) + [(low, high)]
    found = linprog(costs - block.earns * paid, np.array(rows), np.array(limits), shares, np.ones(len(tied)), bounds)
    assert found.status in (0, 2), found.message
    return float(found.fun) if found.status == 0 else np.inf


def _vertices(buyer: Buyer, u: np.ndarray) -> np.ndarray:
    """Where as many rows bind as there are columns."""
    k = buyer.c.size
    upper = buyer.cap + buyer.by_integers @ u
    rows, sides = [*np.eye(k), *np.eye(k)], [*np.zeros(k), *upper]
    if buyer.equal is not None:
        rows.append(buyer.a)
        sides.append(buyer.need)
    found = set()
    for chosen in itertools.combinations(range(len(rows)), k):
        matrix = np.array([rows[i] for i in chosen])
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        x = np.linalg.solve(matrix, [sides[i] for i in chosen])
        excess = float(buyer.a @ x) - buyer.need
        met = buyer.equal is None or abs(excess) <= _TIE or (not buyer.equal and excess > 0)
        if met and (x >= -_TIE).all() and (x <= upper + _TIE).all():
            found.add(tuple(np.round(x, 9)))
    return np.array(sorted(found)).reshape(-1, k)
