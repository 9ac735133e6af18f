"""What joins the nodes: known points and bounds of each node's ``f_n(z)`` under persistence.

Points ``z_i`` with values ``v_i`` of node ``n`` are its columns, lower bounds its cuts:

    f_n(z) >= a - s'z                             from the node solved with the further objective s'z (a: its proven bound)
    f_n(z) >= v - (v - a_0) d(z)                  from the node solved in a box l <= z <= u of binary investments, v its proven bound there,
                                                  a_0 one of f_n everywhere, d(z) = sum over l_k = 1 of (1 - z_k) + sum over u_k = 0 of z_k
    d(z) >= 1                                     where it is infeasible there

At a point of the box ``d`` is zero, elsewhere at least one. A child that has at least its parent's investments is a box, so what it costs there also
bounds it under every parent that has more.

- ``prices``: multipliers of persistence, from the mixtures of columns;
- ``best_choice``: the best columns that keep persistence (a feasible tree);
- ``bound_and_proposal``: the least value that the cuts allow, and investments that attain it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import clarabel
import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from multiscale.bilevel.tree.node_solves import Box, NodeAnswer
from multiscale.bilevel.tree.statement import Tree

_KEPT = 1e-6
"""Largest violation of persistence of investments that are not integers."""


@dataclass
class NodeKnowledge:
    """What is known of one node: columns, affine cuts ``(a, s)``, boxes ``(l, u, v)`` that were solved.

    ``v`` is inf where the node is infeasible in the box, -inf where its solve proved nothing.
    """

    columns: list[NodeAnswer] = field(default_factory=list)
    affine: list[tuple[float, np.ndarray]] = field(default_factory=list)
    boxes: list[tuple[np.ndarray, np.ndarray, float]] = field(default_factory=list)

    @property
    def least(self) -> float:
        """A proven bound of ``f_n`` everywhere."""
        return max((a for a, s in self.affine if not s.any()), default=-np.inf)

    def has_box(self, lower: np.ndarray, upper: np.ndarray) -> bool:
        """Whether the node was solved in this box."""
        return any(np.array_equal(low, lower) and np.array_equal(high, upper) for low, high, _ in self.boxes)


class Master:
    """Columns and cuts of all nodes."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.known = [NodeKnowledge() for _ in tree.names]
        self.binary = [np.array([tree.problem(n).leader.is_binary(int(k)) for k in tree.investments[n]], dtype=bool) for n in range(len(tree.names))]

    def learn(self, answer: NodeAnswer) -> None:
        """Add what a node solve found."""
        job = answer.job
        known = self.known[job.node]
        if answer.z is not None:
            known.columns.append(answer)
        if job.box is not None:
            known.boxes.append((*job.box, answer.bound))
        elif np.isfinite(answer.bound):
            known.affine.append((answer.bound, np.zeros(self.tree.investments[job.node].size) if job.slope is None else job.slope))

    def cheapest(self, n: int, slope: np.ndarray | None = None, box: Box | None = None) -> NodeAnswer | None:
        """The best known column of a node, with a further objective and in a box of its investments."""
        fits = [
            c for c in self.known[n].columns if c.z is not None and (box is None or ((c.z >= box[0] - _KEPT).all() and (c.z <= box[1] + _KEPT).all()))
        ]
        return min(fits, key=lambda c: c.value + (0.0 if slope is None or c.z is None else float(slope @ c.z)), default=None)

    # Multipliers.

    def slopes(self, prices: list[np.ndarray]) -> list[np.ndarray]:
        """The further objective of each node, per unit of its own, at multipliers of the links: ``sum price (z_parent - z_child)``."""
        found = [np.zeros(places.size) for places in self.tree.investments]
        for link, price in zip(self.tree.links, prices, strict=True):
            np.add.at(found[link.parent], link.of, price)
            np.add.at(found[link.child], link.to, -price)
        return [slope / weight for slope, weight in zip(found, self.tree.weights, strict=True)]

    def prices(self, centre: list[np.ndarray], bound: float) -> tuple[list[np.ndarray], float]:
        """The next multipliers, and the most that any multipliers could reach by the columns known so far.

        A level step: of all multipliers whose bound by the known columns is at least half way from ``bound`` to that most, those nearest to
        ``centre`` (the linear program's own multipliers swing from one extreme to another).
        """
        costs, choice, rows = self._choice()
        nodes, count = choice.shape[0], rows.shape[0]
        highest = 2.0 * max(1e-6, float(np.ptp(costs)) if costs.size else 0.0)
        # sum eta with eta_n <= w_n v_i + price'(what column i gives), 0 <= price <= highest
        limits = sparse.hstack([-rows.T, choice.T], format="csr")
        ends = [(0.0, highest)] * count + [(None, None)] * nodes
        found = linprog(np.append(np.zeros(count), -np.ones(nodes)), A_ub=limits, b_ub=costs, bounds=ends, method="highs")
        if found.status != 0:
            raise ArithmeticError(f"the linear program of the columns ended with: {found.message}")
        most = -float(found.fun)
        prices = found.x[:count]
        if most > bound > -np.inf:
            level = sparse.csr_matrix(np.append(np.zeros(count), -np.ones(nodes)))
            box = sparse.hstack([sparse.vstack([sparse.identity(count), -sparse.identity(count)]), sparse.csr_matrix((2 * count, nodes))])
            settings = clarabel.DefaultSettings()
            settings.verbose = False
            nearest = clarabel.DefaultSolver(
                sparse.csc_matrix(sparse.diags(np.append(np.ones(count), np.zeros(nodes)))),
                np.append(-np.concatenate(centre), np.zeros(nodes)),
                sparse.csc_matrix(sparse.vstack([limits, level, box])),
                np.concatenate([costs, [-0.5 * (most + bound)], np.full(count, highest), np.zeros(count)]),
                [clarabel.NonnegativeConeT(costs.size + 1 + 2 * count)],
                settings,
            ).solve()
            if str(nearest.status) in ("Solved", "AlmostSolved"):
                prices = np.clip(np.array(nearest.x)[:count], 0.0, highest)
        prices = np.where(prices < 1e-9 * highest, 0.0, prices)
        return np.split(prices, np.cumsum([link.of.size for link in self.tree.links])[:-1]), most

    def best_choice(self) -> list[NodeAnswer] | None:
        """The best column of each node such that persistence holds; None where no choice does."""
        if not all(known.columns for known in self.known):
            return None
        costs, choice, rows = self._choice()
        found = milp(
            costs,
            constraints=[LinearConstraint(choice, 1.0, 1.0), LinearConstraint(rows, -np.inf, _KEPT)],
            integrality=np.ones(costs.size),
            bounds=Bounds(0.0, 1.0),
            options={"mip_rel_gap": 1e-9},
        )
        if found.x is None:
            return None
        columns = [column for known in self.known for column in known.columns]
        return [columns[j] for j in np.flatnonzero(found.x > 0.5)]

    def _choice(self) -> tuple[np.ndarray, sparse.csr_matrix, sparse.csr_matrix]:
        """Costs of all columns, rows that take one of each node, and rows ``z_parent - z_child``."""
        sizes = [len(known.columns) for known in self.known]
        first = np.cumsum([0, *sizes])
        costs = np.array([self.tree.weights[n] * c.value for n, known in enumerate(self.known) for c in known.columns])
        choice = sparse.block_diag([np.ones((1, size)) for size in sizes], format="csr")
        rows = [sparse.csr_matrix((0, costs.size))]
        for link in self.tree.links:
            part = sparse.lil_matrix((link.of.size, costs.size))
            for n, places, sign in ((link.parent, link.of, 1.0), (link.child, link.to, -1.0)):
                part[:, first[n] : first[n + 1]] = sign * np.column_stack([c.z[places] for c in self.known[n].columns if c.z is not None])
            rows.append(part.tocsr())
        return costs, choice, sparse.vstack(rows, format="csr")

    # Bounds.

    def bound_at(self, slopes: list[np.ndarray]) -> float:
        """The Lagrangean bound at multipliers at which all nodes were solved."""
        total = 0.0
        for n, slope in enumerate(slopes):
            total += self.tree.weights[n] * max((a for a, s in self.known[n].affine if np.array_equal(s, slope)), default=-np.inf)
        return total

    def bound_and_proposal(self, seconds: float) -> tuple[float, list[np.ndarray] | None]:
        """The least value the cuts allow and investments that attain it; an infinite bound where no investments are left."""
        program = _CutProgram(self)
        return program.solve(seconds)


class _CutProgram:
    """``min sum w_n theta_n`` over investments of all nodes, persistence, the leaders' rows of investments alone, and the cuts."""

    def __init__(self, master: Master) -> None:
        self.tree, self.master = master.tree, master
        sizes = [places.size for places in self.tree.investments]
        self.first = np.cumsum([0, *sizes])
        self.total = int(self.first[-1])
        self.entries: list[tuple[np.ndarray, np.ndarray, float, float]] = []
        for link in self.tree.links:
            for a, b in zip(self.first[link.parent] + link.of, self.first[link.child] + link.to, strict=True):
                self._row([int(a), int(b)], [-1.0, 1.0], 0.0, np.inf)
        for n in range(len(self.tree.names)):
            self._own_rows(n)
            self._cuts(n)

    def _row(self, columns: list[int] | np.ndarray, data: list[float] | np.ndarray, lower: float, upper: float) -> None:
        self.entries.append((np.asarray(columns, dtype=np.int64), np.asarray(data, dtype=float), lower, upper))

    def _own_rows(self, n: int) -> None:
        leader, places = self.tree.problem(n).leader, self.tree.investments[n]
        where = {int(k): self.first[n] + i for i, k in enumerate(places)}
        matrix = leader.matrix.tocsr()
        for i in range(matrix.shape[0]):
            part = slice(matrix.indptr[i], matrix.indptr[i + 1])
            columns = matrix.indices[part]
            if columns.size and all(int(k) in where for k in columns):
                self._row([int(where[int(k)]) for k in columns], matrix.data[part], float(leader.row_lower[i]), float(leader.row_upper[i]))

    def _cuts(self, n: int) -> None:
        known, places = self.master.known[n], np.arange(self.first[n], self.first[n + 1])
        theta = self.total + n
        for a, slope in known.affine:
            self._row(np.append(places, theta), np.append(slope, 1.0), a, np.inf)
        if not self.master.binary[n].all():
            return
        for low, high, value in known.boxes:
            sign = np.where(low > 0.5, -1.0, np.where(high < 0.5, 1.0, 0.0))
            ones = float((low > 0.5).sum())
            if value == np.inf:
                self._row(places, sign, 1.0 - ones, np.inf)
            elif value > known.least > -np.inf:
                rise = value - known.least
                self._row(np.append(places, theta), np.append(rise * sign, 1.0), value - rise * ones, np.inf)

    def solve(self, seconds: float) -> tuple[float, list[np.ndarray] | None]:
        """Bound and proposal; see ``Master.bound_and_proposal``."""
        nodes = len(self.tree.names)
        if any(not known.affine for known in self.master.known):
            return -np.inf, None
        leaders = [self.tree.problem(n).leader for n in range(nodes)]
        parts = list(zip(leaders, self.tree.investments, strict=True))
        free = np.full(nodes, np.inf)
        lower = np.concatenate([*(leader.lower[p] for leader, p in parts), -free])
        upper = np.concatenate([*(leader.upper[p] for leader, p in parts), free])
        integral = np.concatenate([*(leader.integral[p] for leader, p in parts), np.zeros(nodes, dtype=bool)])
        sizes = [columns.size for columns, _, _, _ in self.entries]
        where = (np.repeat(np.arange(len(sizes)), sizes), np.concatenate([columns for columns, _, _, _ in self.entries]))
        matrix = sparse.csr_matrix((np.concatenate([data for _, data, _, _ in self.entries]), where), shape=(len(sizes), self.total + nodes))
        found = milp(
            np.append(np.zeros(self.total), self.tree.weights),
            constraints=LinearConstraint(matrix, [low for _, _, low, _ in self.entries], [high for _, _, _, high in self.entries]),
            integrality=integral.astype(int),
            bounds=Bounds(lower, upper),
            options={"mip_rel_gap": 1e-6, "time_limit": max(0.1, seconds)},
        )
        if found.status == 2:
            return np.inf, None
        # HiGHS states a dual bound of programs with integers only; of others the optimum is the bound.
        bound = found.mip_dual_bound if integral.any() else found.fun if found.status == 0 else None
        if bound is None:
            return -np.inf, None
        z = None if found.x is None else [found.x[self.first[n] : self.first[n + 1]] for n in range(nodes)]
        if z is not None:
            z = [np.where(leader.integral[p], np.round(v), v) for leader, p, v in zip(leaders, self.tree.investments, z, strict=True)]
        return float(bound), z
