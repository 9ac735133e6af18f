"""Random small bilevel problems as arrays, the Pyomo model of each, and an oracle that uses nothing of the package.

    min_{y, x}  g'y + sum_f h_f'x_f - [profit] sum_f (C_f y)'x_f     s.t.  leader rows over y and x,
                x_f in argmin { 1/2 x'Qx + (c0 + C y)'x : A x = or <= b0 + B y, l <= x <= u }

The oracle enumerates the leader's integers and branches on complementary pairs; every node is a linear program (HiGHS) or, where a
leader earns price times quantity at a quadratic follower, a convex quadratic one (Clarabel). Revenue is linear there by strong duality:

    (C y)'x  =  b'lambda + l'r_l - u'r_u - c0'x - x'Qx,      lambda <= 0 for rows "<=",   r_l, r_u >= 0
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import clarabel
import highspy
import numpy as np
import pyomo.environ as pyo
from scipy import sparse

FAMILIES = ("toll", "investment", "interdiction", "supply", "mixed")

_ZERO = 1e-6
"""Smaller side of a pair that counts as zero."""

_ENDINGS = {"PrimalInfeasible": "infeasible", "DualInfeasible": "unbounded", "Solved": "optimal"}


@dataclass(frozen=True)
class Lower:
    """One follower (minimisation)."""

    A: np.ndarray
    equality: np.ndarray
    b0: np.ndarray
    B: np.ndarray
    c0: np.ndarray
    C: np.ndarray
    Q: np.ndarray | None
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Small:
    """A problem; ``rows`` are ``(over y, over x of each follower, right-hand side)``, each ``<=``."""

    family: str
    lower: np.ndarray
    upper: np.ndarray
    integral: np.ndarray
    g: np.ndarray
    h: list[np.ndarray]
    followers: list[Lower]
    rows: list[tuple[np.ndarray, list[np.ndarray], float]]
    profit: bool

    @property
    def columns(self) -> int:
        """Columns of the followers together."""
        return sum(f.c0.size for f in self.followers)

    def model(self):
        """The Pyomo model and its follower blocks."""
        m = pyo.ConcreteModel()
        m.y = pyo.Var(range(self.g.size))
        for k in range(self.g.size):
            if self.integral[k]:
                m.y[k].domain = pyo.Binary if self.upper[k] == 1 else pyo.Integers
            m.y[k].setlb(None if np.isinf(self.lower[k]) else float(self.lower[k]))
            m.y[k].setub(None if np.isinf(self.upper[k]) else float(self.upper[k]))
        blocks = []
        for f, low in enumerate(self.followers):
            block = pyo.Block(concrete=True)
            m.add_component(f"low{f}", block)
            k = low.c0.size
            ends = [(None if np.isinf(a) else float(a), None if np.isinf(b) else float(b)) for a, b in zip(low.lower, low.upper, strict=True)]
            block.x = pyo.Var(range(k), bounds=lambda _, j, ends=ends: ends[j])
            block.rows = pyo.ConstraintList()
            for i in range(low.b0.size):
                body = dot(low.A[i], block.x) - dot(low.B[i], m.y)
                block.rows.add(body == float(low.b0[i]) if low.equality[i] else body <= float(low.b0[i]))
            cost = dot(low.c0, block.x) + payment(low, m.y, block.x)
            if low.Q is not None:
                cost = cost + 0.5 * sum(float(low.Q[i, j]) * block.x[i] * block.x[j] for i, j in itertools.product(range(k), repeat=2) if low.Q[i, j])
            block.cost = pyo.Objective(expr=cost)
            blocks.append(block)
        m.rows = pyo.ConstraintList()
        for over_y, over_x, limit in self.rows:
            if not any(part.any() for part in (over_y, *over_x)):
                continue
            m.rows.add(dot(over_y, m.y) + sum(dot(a, b.x) for a, b in zip(over_x, blocks, strict=True)) <= float(limit))
        value = dot(self.g, m.y) + sum(dot(h, b.x) for h, b in zip(self.h, blocks, strict=True))
        if self.profit:
            value = value - sum(payment(low, m.y, b.x) for low, b in zip(self.followers, blocks, strict=True))
        m.objective = pyo.Objective(expr=value)
        return m, blocks


def dot(weights, variables):
    return sum(float(a) * variables[k] for k, a in enumerate(weights) if a) + 0.0


def payment(low, y, x):
    return sum(float(a) * y[k] * x[j] for (j, k), a in np.ndenumerate(low.C) if a) + 0.0


def random_small(seed: int, largest: int = 12) -> Small:
    """Problem number ``seed``: its family is ``FAMILIES[seed % 5]``; the followers have up to ``largest`` columns together."""
    rng = np.random.default_rng(seed)
    family = FAMILIES[seed % len(FAMILIES)]
    count = int(rng.choice([1, 1, 2, 3]))
    most = max(2, largest // count)
    quadratic = [bool(rng.random() < 0.35) for _ in range(count)]
    prices = int(rng.integers(1, 3)) if family in ("toll", "supply", "mixed") else 0
    binaries = int(rng.integers(0, 3)) if family in ("toll", "mixed") else int(rng.integers(1, 5)) if family != "supply" else 1
    integers = int(rng.random() < 0.4) if family in ("investment", "mixed", "toll") else 0
    moving = int(rng.random() < 0.5) if family == "mixed" else 0
    n = prices + binaries + integers + moving
    kind = np.repeat([0, 1, 2, 3], [prices, binaries, integers, moving])
    free = bool(rng.random() < 0.3)
    lower = np.where((kind == 0) & free & (rng.random(n) < 0.5), -np.inf, 0.0)
    toll_limit = np.inf if free and family == "toll" else float(rng.integers(2, 9))
    upper = np.select([kind == 0, kind == 1, kind == 2], [np.full(n, toll_limit), 1.0, 3.0], 4.0)
    if family != "toll":
        lower = np.where(kind == 0, -float(rng.integers(0, 3)), lower)
    followers = [_follower(rng, family, kind, most, q) for q in quadratic]
    h = [rng.integers(-3, 4, f.c0.size).astype(float) if family in ("supply", "mixed") else np.zeros(f.c0.size) for f in followers]
    if family in ("investment", "interdiction"):
        h = [(1.0 if family == "investment" else -1.0) * f.c0 for f in followers]
    g = np.where(kind == 0, rng.integers(-2, 3, n) if family in ("supply", "mixed") else 0, rng.integers(0, 6, n)).astype(float)
    rows = []
    if family == "interdiction":
        rows.append((np.ones(n), [np.zeros(f.c0.size) for f in followers], float(rng.integers(1, n + 1))))
        g = np.zeros(n)
    elif rng.random() < 0.5:
        over_x = [rng.integers(0, 2, f.c0.size).astype(float) for f in followers]
        rows.append((rng.integers(0, 2, n).astype(float) * (kind > 0), over_x, float(rng.integers(4, 20))))
    return Small(family, lower, upper, kind > 0 if not moving else np.isin(kind, (1, 2)), g, h, followers, rows, family == "toll")


def _follower(rng, family, kind, most, quadratic) -> Lower:
    """Supply of one or two needs from several sources, the last of which is dear and without limit; ``mixed``: arbitrary rows."""
    n = kind.size
    k = int(rng.integers(2, most + 1))
    needs = int(rng.integers(1, 3))
    if family == "mixed":
        m = int(rng.integers(1, 4))
        A, equality = rng.integers(-1, 3, (m, k)).astype(float), rng.random(m) < 0.2
        A[~A.any(axis=1), 0] = 1.0
        b0, B = rng.integers(0, 7, m).astype(float), rng.integers(-1, 2, (m, n)) * (kind > 0).astype(float)
        c0, C = rng.integers(-2, 4, k).astype(float), np.zeros((k, n))
        upper = np.where(rng.random(k) < 0.8, rng.integers(1, 6, k), np.inf).astype(float)
        low = np.where(rng.random(k) < 0.1, -np.inf, 0.0)
    else:
        A = np.zeros((needs + k, k))
        A[:needs] = -rng.integers(0, 3, (needs, k))
        A[:needs, -1] = -1.0
        A[needs:] = np.eye(k)
        equality = np.zeros(needs + k, dtype=bool)
        if family == "toll":
            A[:needs] = -1.0
            equality[0] = True
            A[0] = 1.0
        b0 = np.concatenate([-rng.integers(2, 8, needs), rng.integers(1, 5, k)]).astype(float)
        if family == "toll":
            b0[:needs] = [-b0[0], *b0[1:needs]] if needs == 1 else [float(-b0[:needs].min()), *(b0[:needs].min() for _ in range(needs - 1))]
        B = np.zeros((needs + k, n))
        for j in range(k - 1):
            moved = int(rng.integers(0, n))
            if kind[moved] > 0:
                B[needs + j, moved] = -float(b0[needs + j]) if family == "interdiction" else float(rng.integers(1, 4))
        keep = np.ones(needs + k, dtype=bool)
        keep[needs + k - 1] = False
        A, equality, b0, B = A[keep], equality[keep], b0[keep], B[keep]
        c0, C = rng.integers(1, 6, k).astype(float), np.zeros((k, n))
        c0[-1] = 9.0
        upper, low = np.full(k, np.inf), np.zeros(k)
    for price in np.flatnonzero(kind == 0):
        C[rng.integers(0, max(1, k - 1)), price] = 1.0
        if k > 3 and rng.random() < 0.5:
            C[rng.integers(0, k - 1), price] = 1.0
    Q = None
    if quadratic:
        root = rng.integers(-1, 2, (int(rng.integers(1, k + 1)), k)).astype(float)
        Q = root.T @ root
        Q = Q if np.abs(Q).max() > 0 else None
    return Lower(A, equality, b0, B, c0, C, Q, low, upper)


def oracle(small: Small, most_nodes: int = 10000):
    """The least leader objective, ``"infeasible"``, ``"unbounded"``, or None where it took too many nodes or a solver gave no answer."""
    whole = np.flatnonzero(small.integral)
    best, nodes = np.inf, [most_nodes]
    for values in itertools.product(*(range(int(small.lower[k]), int(small.upper[k]) + 1) for k in whole)):
        try:
            found = _at_integers(small, whole, np.array(values, dtype=float), best, nodes)
        except ArithmeticError:
            return None
        if isinstance(found, str):
            return found
        best = min(best, found)
        if nodes[0] < 0:
            return None
    return float(best) if np.isfinite(best) else "infeasible"


def _at_integers(small: Small, whole: np.ndarray, values: np.ndarray, best: float, nodes: list[int]):
    """The optimum with the integers held, by branching on pairs; ``best`` where nothing is better."""
    n = small.g.size
    low, high = small.lower.copy(), small.upper.copy()
    low[whole] = high[whole] = values
    if any(f.B[:, np.setdiff1d(np.arange(n), whole)].any() for f in small.followers) and small.profit:
        raise ValueError("revenue is linear only where continuous decisions move no right-hand side")
    sizes = [(f.c0.size, f.b0.size) for f in small.followers]
    total = n + sum(3 * k + 2 * m for k, m in sizes)
    lower, upper = np.full(total, -np.inf), np.full(total, np.inf)
    lower[:n], upper[:n] = low, high
    costs, curved = np.zeros(total), np.zeros((total, total))
    costs[:n] = small.g
    equations, rhs, pairs, place = [], [], [], n
    limits, most = [np.zeros(total) for _ in small.rows], [row[2] for row in small.rows]
    for row, (over_y, _, _) in zip(limits, small.rows, strict=True):
        row[:n] = over_y
    y0 = np.zeros(n)
    y0[whole] = values
    for f, p in enumerate(small.followers):
        k, m = sizes[f]
        x, s, dual, rl, ru = (place + np.arange(a, b) for a, b in itertools.pairwise((0, k, k + m, k + 2 * m, 2 * k + 2 * m, 3 * k + 2 * m)))
        place += 3 * k + 2 * m
        lower[x], upper[x] = p.lower, p.upper
        lower[s], upper[s] = 0.0, np.where(p.equality, 0.0, np.inf)
        # dual = -lambda >= 0 for rows "<="; free for equations.
        lower[dual] = np.where(p.equality, -np.inf, 0.0)
        lower[rl], lower[ru] = 0.0, 0.0
        upper[rl], upper[ru] = np.where(np.isfinite(p.lower), np.inf, 0.0), np.where(np.isfinite(p.upper), np.inf, 0.0)
        Q = np.zeros((k, k)) if p.Q is None else p.Q
        first = np.zeros((m, total))
        first[:, x], first[:, s], first[:, :n] = p.A, np.eye(m), -p.B
        second = np.zeros((k, total))
        second[:, x], second[:, :n], second[:, dual], second[:, rl], second[:, ru] = Q, p.C, p.A.T, -np.eye(k), np.eye(k)
        equations += [first, second]
        rhs += [p.b0, -p.c0]
        costs[x] += small.h[f]
        for row, (_, over_x, _) in zip(limits, small.rows, strict=True):
            row[x] = over_x[f]
        if small.profit:
            # minus revenue
            costs[x] += p.c0
            curved[np.ix_(x, x)] += 2.0 * Q
            costs[dual] += p.b0 + p.B @ y0
            finite_l, finite_u = np.isfinite(p.lower), np.isfinite(p.upper)
            costs[rl[finite_l]] -= p.lower[finite_l]
            costs[ru[finite_u]] += p.upper[finite_u]
        pairs += [(s[i], 0.0, dual[i]) for i in np.flatnonzero(~p.equality)]
        pairs += [(x[j], p.lower[j], rl[j]) for j in np.flatnonzero(np.isfinite(p.lower))]
        pairs += [(x[j], p.upper[j], ru[j]) for j in np.flatnonzero(np.isfinite(p.upper))]
    equal, right = np.vstack(equations), np.concatenate(rhs)
    under, most = (np.vstack(limits), np.array(most)) if limits else (np.zeros((0, total)), np.zeros(0))
    program = costs, curved, equal, right, under, most
    node = partial(_quadratic, *program) if curved.any() else _linear_node(costs, equal, right, under, most)
    stack = [(lower, upper, pairs)]
    while stack:
        lo, up, left = stack.pop()
        nodes[0] -= 1
        if nodes[0] < 0:
            return best
        status, value, v = node(lo, up)
        if status == "infeasible" or (status == "optimal" and value >= best - 1e-9 * max(1.0, abs(best))):
            continue
        apart = [min(abs(v[a] - end), abs(v[b])) if status == "optimal" else 1.0 for a, end, b in left]
        if not apart or max(apart) <= _ZERO:
            if status != "optimal":
                return "unbounded"
            best = min(best, value)
            continue
        worst = int(np.argmax(apart))
        (a, end, b), rest = left[worst], left[:worst] + left[worst + 1 :]
        off = up.copy()
        off[b] = 0.0
        held = lo.copy(), up.copy()
        held[0][a] = held[1][a] = end
        stack += [(lo, off, rest)]
        if lo[a] - 1e-9 <= end <= up[a] + 1e-9:
            stack += [(*held, rest)]
    return best


def _linear_node(costs, equal, right, under, most):
    """A function from bounds to status, value and point of one linear program, warm."""
    highs = highspy.Highs()
    for key, value in {"output_flag": False, "threads": 1}.items():
        highs.setOptionValue(key, value)
    model, size = highspy.HighsModel(), costs.size
    lp, matrix = model.lp_, sparse.csc_matrix(np.vstack([equal, under]))
    lp.num_col_, lp.num_row_, lp.col_cost_ = size, len(right) + len(most), costs
    lp.col_lower_, lp.col_upper_ = np.zeros(size), np.zeros(size)
    lp.row_lower_, lp.row_upper_ = np.append(right, np.full(len(most), -highspy.kHighsInf)), np.append(right, most)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    highs.passModel(model)
    ids, status = np.arange(size, dtype=np.int32), highspy.HighsModelStatus
    known = {status.kOptimal: "optimal", status.kInfeasible: "infeasible", status.kUnbounded: "unbounded"}

    def solve(lower, upper):
        highs.changeColsBounds(size, ids, lower, upper)
        for presolve in ("choose", "off"):
            highs.setOptionValue("presolve", presolve)
            highs.run()
            if highs.getModelStatus() in known:
                return known[highs.getModelStatus()], highs.getObjectiveValue(), np.array(highs.getSolution().col_value)
            highs.clearSolver()
        raise ArithmeticError(f"HiGHS ended with {highs.getModelStatus()}")

    return solve


def _quadratic(costs, curved, equal, right, under, most, lower, upper):
    """Status, value and point of one convex quadratic program."""
    size = costs.size
    fixed = lower == upper
    eye = np.eye(size)
    parts = [equal, eye[fixed], under, eye[np.isfinite(upper) & ~fixed], -eye[np.isfinite(lower) & ~fixed]]
    sides = [right, lower[fixed], most, upper[np.isfinite(upper) & ~fixed], -lower[np.isfinite(lower) & ~fixed]]
    equations = len(right) + int(fixed.sum())
    A, b = np.vstack(parts), np.concatenate(sides)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-9
    cones = [clarabel.ZeroConeT(equations), clarabel.NonnegativeConeT(len(b) - equations)]
    found = clarabel.DefaultSolver(sparse.triu(sparse.csc_matrix(curved), format="csc"), costs, sparse.csc_matrix(A), b, cones, settings).solve()
    status = str(found.status)
    name = next((name for part, name in _ENDINGS.items() if part in status), "")
    if not name:
        raise ArithmeticError(f"Clarabel ended with {status}")
    return name, found.obj_val, np.array(found.x)


def agrees(expected, status: str, objective: float) -> bool:
    """Whether an answer is the oracle's. A problem refused because a follower is unbounded at every decision has no bilevel-feasible point."""
    if isinstance(expected, str):
        return status == expected or (expected == "infeasible" and status == "refused")
    return status == "optimal" and abs(objective - expected) <= 1e-4 * max(1.0, abs(expected))
