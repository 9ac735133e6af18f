"""The decomposition: cuts at points between the master's and a central one, then integers of the master until its bound meets the best point.

1. *Blocks* (module ``problem.parts``): with the integers that followers see held, followers that meet in nothing else are blocks of their own. A
   tree of years and scenarios that share investments is as many blocks as it has nodes.
2. *Cuts.* The master's relaxation proposes integers; each block's relaxation there gives a cut (module ``relaxation``). Points are taken between the
   proposal and a central one (Ben-Ameur and Neto 2007), as long as the bound rises.
3. *Integers.* The master's best integers are either closed by the blocks' cuts there, or the blocks are solved exactly (module ``price_faces``). The
   exact values are rows of the master, and the blocks' answers together a point of the whole.

Every row of the master is proven, so its optimum is a bound at any time. Points are evaluated on the whole problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.block import Block
from multiscale.bilevel.decomposition.boxes import BoxSearch
from multiscale.bilevel.decomposition.master import Master
from multiscale.bilevel.problem.description import BilevelProblem, Form, MethodError
from multiscale.bilevel.problem.gap import TOLERANCE
from multiscale.bilevel.problem.parts import Part, form_columns, split
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.price_parts import joined_answers
from multiscale.bilevel.search.response import Response

_INWARDS = 0.6
"""Weight of the master's proposal in the points at which cuts are taken; the rest is that of the central point."""

_MOVED = 0.3
"""Share of the way to the proposal that the central point moves each round."""

_IDLE = 4
"""Rounds in a row that raise the bound by less than a tenth of the gap asked for, after which integers are next."""

_SHARE = 0.8
"""Share of the gap asked for to which the search closes: the certificate's tolerances need some."""

_STALLED = 40
"""Points of the master in a row that close less than ``_PROGRESS`` of the gap, after which a search that is to be patient no longer ends."""

_BOXES = 4
"""Such points after which boxes of binaries are searched instead, where that applies."""

_PROGRESS = 0.02

_RETURNS = 20
"""How often the master may come back to integers that cuts have closed."""


@dataclass(frozen=True)
class Decomposed:
    """What a decomposition found.

    Attributes:
        bound: proven; infinite where no integers are feasible.
        ended: why the search ended: ``gap``, ``infeasible``, ``time limit``, ``stalled``, ``userinterrupt`` or what failed.
        cuts, exact, blocks: how many cuts and exact values there were, and blocks.
        multipliers: bounds of each follower's multipliers that value cuts used.
    """

    bound: float
    ended: str
    cuts: int
    exact: int
    blocks: int
    multipliers: list[DualBounds]


def decompose(problem: BilevelProblem, settings: SolveOptions, search: DecisionSearch, clock: Clock) -> Decomposed:
    """Solve a problem whose followers see one price for each block, and binaries.

    Args:
        problem: the bilevel problem.
        settings: how to solve.
        search: with a start as its best point, if one is known; new points become its best.
        clock: seconds left.

    Raises:
        MethodError: the problem is not of this kind; the message says why.
    """
    leader = problem.leader
    held = np.zeros(leader.size, dtype=bool)
    held[search.integral] = True
    parts, rest = split(problem, held) or ([Part(problem, np.arange(leader.size), np.arange(len(problem.followers)))], Form())
    if len(parts) > 1 and any(np.isin(form_columns(row.form), search.integral).all() for row in leader.curved):
        raise MethodError("decomposition takes linear rows of integers only")
    share = min(settings.bound_share * settings.time_limit, clock.left()) / len(problem.followers)
    try:
        blocks = [Block(part, settings, clock, share, search.best) for part in parts]
        return _Search(problem, settings, search, clock, blocks, rest).run()
    except KeyboardInterrupt:
        return Decomposed(-np.inf, "userinterrupt", 0, 0, len(parts), [])


class _Search:
    """The state of one solve."""

    def __init__(
        self, problem: BilevelProblem, settings: SolveOptions, search: DecisionSearch, clock: Clock, blocks: list[Block], rest: Form
    ) -> None:
        self.problem, self.settings, self.search, self.clock, self.blocks = problem, settings, search, clock, blocks
        self.master = Master(problem, blocks, rest)
        self.bound, self.cuts, self.exact = -np.inf, 0, 0
        self.core = np.zeros(0)
        self.last: np.ndarray | None = None
        self.returned = 0
        whole = len(blocks) == 1 and blocks[0].problem is problem
        boxes = BoxSearch(blocks[0], clock) if whole else None
        self.boxes = boxes if boxes is not None and boxes.applies else None

    @property
    def target(self) -> float:
        """Bound at which the search ends."""
        best = self.search.best
        if best is None:
            return np.inf
        value = abs(best.objective)
        # What counts as closed, see ``problem.gap.is_closed``: of an objective of zero a relative gap leaves nothing.
        return best.objective - _SHARE * (max(self.settings.gap * value, self.settings.absolute_gap) + TOLERANCE * (1.0 + value))

    @property
    def is_late(self) -> bool:
        return self.clock.is_late

    def run(self) -> Decomposed:
        """All stages; see the module."""
        for p, block in enumerate(self.blocks):
            cut, v = block.relaxation.least()
            if cut is None:
                return self._ended("the relaxation of a block was not solved")
            if not cut.feasible or v is None:
                self.bound = np.inf
                return self._ended("infeasible")
            block.least = cut.least(block.relaxation.lower[block.integers], block.relaxation.upper[block.integers])
            if not np.isfinite(block.least):
                raise MethodError("decomposition needs bounds of the leader's integers")
            self.master.bound_block(p, block.least)
            self.master.add_cut(p, cut)
        try:
            return self._ended(self._continuous() or self._integers())
        except KeyboardInterrupt:
            return self._ended("userinterrupt")

    def _ended(self, reason: str) -> Decomposed:
        known = {int(f): bounds for block in self.blocks for f, bounds in zip(block.part.followers, block.bounds, strict=True)}
        return Decomposed(self.bound, reason, self.cuts, self.exact, len(self.blocks), [known[f] for f in range(len(known))])

    def _solve_master(self, *, integral: bool) -> tuple[str, np.ndarray]:
        """Why the search ends (empty: it goes on), and the master's vector."""
        status, bound, v = self.master.solve(integral=integral, seconds=self.clock.left())
        if status == "infeasible":
            self.bound = np.inf
            return "infeasible", v
        if status != "optimal":
            return f"the master program ended with {status}", v
        self.bound = max(self.bound, bound)
        if self.bound >= self.target:
            return "gap", v
        return ("time limit" if self.is_late else ""), v

    def _continuous(self) -> str:
        """Rounds of cuts with integers relaxed."""
        idle, before = 0, -np.inf
        best = self.search.best
        while idle < _IDLE:
            ended, v = self._solve_master(integral=False)
            if ended:
                return ended
            u = v[: self.master.count]
            if not self.core.size:
                self.core = u if best is None else 0.5 * (u + best.y[self.master.integers])
            step = 0.1 * self.settings.gap * max(abs(self.bound), abs(self.target) if best is not None else 0.0)
            idle = 0 if self.bound > before + step else idle + 1
            before = self.bound
            weight = 1.0 if idle % 2 else _INWARDS
            self._cut(weight * u + (1.0 - weight) * self.core)
            self.core = (1.0 - _MOVED) * self.core + _MOVED * u
        return ""

    def _cut(self, u: np.ndarray) -> tuple[list[float], list[np.ndarray | None]]:
        """Cuts of all blocks at integers, fractional ones too; what each block is worth there at least, and its relaxation's point."""
        values, points = [], []
        for p, block in enumerate(self.blocks):
            mine = u[self.master.where[p]]
            cut, v = block.cut(mine)
            if cut is not None:
                self.master.add_cut(p, cut)
                self.cuts += 1
            values.append(block.least if cut is None else cut.at(mine) if cut.feasible else np.inf)
            points.append(v)
        return values, points

    def _integers(self) -> str:
        """The master's integers, closed by cuts or solved exactly."""
        idle, before = 0, np.inf
        while True:
            ended, v = self._solve_master(integral=True)
            if ended:
                return ended
            left = self.target - self.bound
            idle, before = (idle + 1, before) if left > (1.0 - _PROGRESS) * before else (0, left)
            if self.boxes is not None and idle > _BOXES:
                return self._in_boxes()
            if idle > _STALLED and self.settings.patience is not None:
                return "stalled"
            u = v[: self.master.count]
            values, points = self._cut(u)
            outside = self.master.value_of_integers(u)
            if outside + sum(values) >= self.target:
                if not self._is_closed(u, values):
                    return "the cuts of a point do not close it"
                continue
            said = self._solve_blocks(u, values, points, outside)
            if said:
                return said

    def _in_boxes(self) -> str:
        """Boxes of binaries, where cuts raise the bound too little."""
        assert self.boxes is not None
        self.bound, ended = self.boxes.run(self.bound, lambda: self.target, self._solve_point)
        if self.bound >= self.target:
            # Where no point is known, none is feasible.
            return "gap" if np.isfinite(self.bound) else "infeasible"
        return ended

    def _solve_point(self, u: np.ndarray, proven: float) -> bool:
        """Whether the integers of the only block were solved to the target."""
        outside = self.master.value_of_integers(u)
        values = [proven - outside]
        self._solve_blocks(u, values, [None], outside)
        return outside + values[0] >= self.target

    def _is_closed(self, u: np.ndarray, values: list[float]) -> bool:
        """Whether the master may go on; where it comes back to integers that cuts have closed but for rounding, their values are stated as rows."""
        if self.last is None or not np.array_equal(self.last, u):
            self.last = u
            return True
        self.returned += 1
        if self.returned > _RETURNS or not all(block.linking.all() for block in self.blocks):
            return False
        for p, value in enumerate(values):
            self.master.add_value(p, u[self.master.where[p]], value)
        return True

    def _solve_blocks(self, u: np.ndarray, values: list[float], points: list[np.ndarray | None], outside: float) -> str:
        """Exact values of the blocks at integers until the point is closed; with all of them, it is a point of the whole."""
        allowed = 0.1 * max(self.settings.gap * abs(self.bound), self.settings.absolute_gap) / len(self.blocks)
        found: list[Response | None] = []
        raised = False
        for p, block in enumerate(self.blocks):
            mine = u[self.master.where[p]]
            others = outside + sum(values) - values[p]
            before = block.visited.get(block.key(mine))
            exact = block.exact(mine, points[p], allowed, self.target - others)
            self.exact += 1
            if exact is None:
                return "time limit" if self.is_late else "a block was not solved exactly"
            # A value that was known is a row of the master already.
            raised |= exact is not before and exact.bound > values[p]
            values[p] = max(values[p], exact.bound)
            self.master.add_value(p, mine, exact.bound)
            found.append(exact.response)
            if outside + sum(values) >= self.target:
                return ""
            if self.is_late:
                return "time limit"
        if not all(response is not None for response in found):
            return "the exact value of a block has no point that holds when it is checked"
        y = self.search.clipped(np.zeros(self.problem.leader.size))
        y[self.master.integers] = u
        answers = [(block.part, response) for block, response in zip(self.blocks, found, strict=True) if response is not None]
        joined = joined_answers(self.search.responder, y, answers)
        better = joined.violation[0] <= self.search.tolerance and joined.better_than(self.search.best, self.search.tolerance)
        if better:
            self.search.best = joined
        return "" if better or raised else "no progress at a point"
