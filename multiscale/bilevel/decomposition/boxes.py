"""Branching on the binaries of one block whose followers pay no more where they have more room: a ceiling on the price together with recovery.

What a leader can earn under a ceiling is bounded by how much its followers take, and that by what they may pay at most: an optimal answer costs no
more than any answer ``x_a`` that its rows permit. In a box ``l <= u <= h`` of binaries that only widen rows, the answers at its narrow corner are
permitted everywhere, so that at every decision ``y`` of the box

    c(y)'x  <=  c(y)'x_a          x_a: optimal at the narrow corner and at one of a few prices

with no term for the binaries that are omitted: between integers such terms leave most of the gap open. Each box is the relaxation of the block
(module ``relaxation``) with these rows; its duals bound the box. Boxes are split until they are at the target, or a single point, which is solved
exactly.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import numpy as np

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.block import Block
from multiscale.bilevel.decomposition.relaxation import Relaxation
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.search.work import solves_in
from multiscale.programs import Termination

_PRICES = (0.5, 0.75, 1.0)
"""Shares of the price's range at which the answers of a corner are known."""

_WORK = 4e10
"""Work (``search.work``) after which the search ends; a box is one solve, its corner another for each price."""

_EVERY = 20
"""Boxes after which the binaries of the best one are rounded and solved exactly, for a point."""

Corner = list[tuple[float, float]]
"""The price's entry and the limit of each row of a corner."""


class BoxSearch:
    """Best-first search over boxes of the binaries of a block that is the whole problem.

    Args:
        block: with the relaxation, whose value cuts are taken over, and the exact search at integers.
        clock: seconds left.
    """

    def __init__(self, block: Block, clock: Clock) -> None:
        self.block, self.clock = block, clock
        self.problem, self.integers = block.problem, block.integers
        self.narrow = _narrow(block.problem, block.integers)
        self.price = -1 if block.faces.price is None else block.faces.price
        self.nodes = 0
        self._corners: dict[bytes, Corner] = {}
        self._worth: dict[bytes, np.ndarray] = {}
        self._at: bytes | None = None

    @property
    def applies(self) -> bool:
        """Whether one price with bounds is left besides binaries, and each binary widens rows only, or narrows them only."""
        binary = all(self.problem.leader.is_binary(int(k)) for k in self.integers)
        costs = all(np.isin(np.append(f.cost_columns, np.flatnonzero(f.program.d)), self.price).all() for f in self.problem.followers)
        return self.price >= 0 and binary and costs and bool(self.narrow.all())

    def run(self, bound: float, target: Callable[[], float], solve: Callable[[np.ndarray, float], bool]) -> tuple[float, str]:
        """The bound, and why the search ended: ``gap``, ``time limit``, ``stalled`` or what failed.

        Args:
            bound: what is proven so far.
            target: bound at which the search ends.
            solve: solves integers exactly, given what is proven there; whether that closed them.
        """
        self._prepare()
        solves = solves_in(_WORK, self.relaxation.matrix.nnz)
        order, count, tried = itertools.count(), self.integers.size, 0
        heap = [(bound, next(order), np.zeros(count), np.ones(count), np.full(count, 0.5))]
        while heap and heap[0][0] < target():
            proven, _, low, high, u = heapq.heappop(heap)
            left = [proven, *(entry[0] for entry in heap[:1])]
            if self.clock.is_late:
                return min(left), "time limit"
            if self.nodes >= solves:
                return min(left), "stalled"
            free = high > low
            if not free.any():
                if not solve(low, proven):
                    return min(left), "time limit" if self.clock.is_late else "a point was not solved exactly"
                continue
            if self.nodes >= tried + _EVERY:
                tried = self.nodes
                solve(np.round(u), proven)
            k = self._widest(low, high, free, u)
            for value in (0.0, 1.0):
                ends = low.copy(), high.copy()
                ends[0][k] = ends[1][k] = value
                here, relaxed = self._bound(*ends)
                if max(here, proven) < target():
                    heapq.heappush(heap, (max(here, proven), next(order), *ends, relaxed))
        # What was dropped is at the target of its time, which a better point lowers.
        return min([target(), *(entry[0] for entry in heap[:1])]), "gap"

    def _prepare(self) -> None:
        """The relaxation with room for the rows of a corner."""
        own, leader, price = self.block.relaxation, self.problem.leader, self.price
        self.relaxation = relaxation = Relaxation(own.single, self.clock)
        for i in range(relaxation.matrix.shape[0], own.matrix.shape[0]):
            row = own.matrix[[i]]
            relaxation.add_row(row.indices, row.data, float(own.row_upper[i]))
        self.prices = leader.lower[price] + np.array(_PRICES) * (leader.upper[price] - leader.lower[price])
        self.rows: list[tuple[int, float, float]] = []
        for columns, weights, constant in self.block.data.costs:
            others = columns != price
            for _ in self.prices:
                self.rows.append((relaxation.matrix.shape[0], float(weights[~others].sum()), constant))
                relaxation.add_row(np.append(columns[others], price), np.append(weights[others], 1.0), np.inf)
        self.weight = np.abs(relaxation.costs[relaxation.integers])

    def _bound(self, low: np.ndarray, high: np.ndarray) -> tuple[float, np.ndarray]:
        """What is proven in a box, infinite where it is infeasible, and the relaxation's binaries."""
        self.nodes += 1
        corner = np.where(self.narrow > 0, low, high)
        key = corner.tobytes()
        if key not in self._corners:
            self._corners[key] = self._corner(corner)
        if self._at != key:
            self._at = key
            for (row, paid, constant), (slope, level) in zip(self.rows, self._corners[key], strict=True):
                limit = level - constant
                self.relaxation.change_row(row, self.price, paid - slope, limit + 1e-7 + 1e-9 * abs(limit))
        bound, v = self.relaxation.inside(low, high)
        return bound, 0.5 * (low + high) if v is None else np.clip(v[self.relaxation.integers], low, high)

    def _widest(self, low: np.ndarray, high: np.ndarray, free: np.ndarray, u: np.ndarray) -> int:
        """The binary whose absence costs followers most at the narrow corner; where none does, the one that the relaxation leaves most open."""
        worth = self._worth.get(np.where(self.narrow > 0, low, high).tobytes())
        if worth is not None and np.where(free, worth, 0.0).max() > 1e-6:
            return int(np.where(free, worth, -1.0).argmax())
        middle = np.where(free, np.minimum(u, 1.0 - u), -1.0)
        return int(middle.argmax()) if middle.max() > 1e-6 else int(np.where(free, self.weight, -1.0).argmax())

    def _corner(self, corner: np.ndarray) -> Corner:
        """The answers' slope and level along the price; no limit where a follower has no answer."""
        y = self.block.search.clipped(np.zeros(self.problem.leader.size))
        y[self.integers] = corner
        found: list[Corner] = [[] for _ in self.problem.followers]
        for price in self.prices.tolist():
            y[self.price] = price
            answers = self.block.responder.answer(y)
            for f, follower in enumerate(self.problem.followers):
                if isinstance(answers, Termination):
                    found[f].append((0.0, np.inf))
                    continue
                x, program = answers[0][f], follower.program
                slope = float((program.C.T @ x)[self.price]) + float(program.d[self.price])
                found[f].append((slope, program.objective(x, y) - price * slope))
            if not isinstance(answers, Termination):
                rates = [f.program.B.T @ dual for f, dual in zip(self.problem.followers, answers[1], strict=True)]
                self._worth[corner.tobytes()] = np.abs(sum(rates))[self.integers]
        return [row for rows in found for row in rows]


def _narrow(problem: BilevelProblem, integers: np.ndarray) -> np.ndarray:
    """For each binary 1 if followers' rows have least room at zero, -1 if at one, 0 where rows differ in that or are equations."""
    up, down = np.zeros(integers.size, dtype=bool), np.zeros(integers.size, dtype=bool)
    for follower in problem.followers:
        entries = follower.program.B.tocsc()[:, integers].tocoo()
        equation = follower.program.equality[entries.row]
        up[entries.col[(entries.data > 0) | equation]] = True
        down[entries.col[(entries.data < 0) | equation]] = True
    return np.where(up & down, 0.0, np.where(down, -1.0, 1.0))
