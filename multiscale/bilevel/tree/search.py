"""The search for the best tree: a bound and a feasible tree that meet.

1. *Separate bounds.* Every node alone, without persistence: ``sum w_n f_n`` of the proven bounds bounds the tree.
2. *Ordered repair.* From the root on, a child with less than its parent is solved again with at least that; the other way round, where that fails.
3. *Sharper nodes.* Where the nodes' own gaps are most of what is open, those are solved longer.
4. *Lagrangean.* Multipliers of ``z_child >= z_parent`` come from the linear program over mixtures of known points; the nodes solved with them
   give bounds and points, and the best choice of known points that keeps persistence is the feasible tree.
5. *Cuts.* The investments of least cost under all known bounds are tried: children under their parents' and parents under their children's, then
   every node at its own; each trial that is no improvement raises the bound there. With binary investments this ends with a proof; with others it
   stops where no trial is new, and after a better tree the multipliers are sought again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from multiscale.bilevel.certify.solution import Status
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.gap import is_closed
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.tree.master import Master
from multiscale.bilevel.tree.node_solves import Box, Job, NodeAnswer, NodeSolves
from multiscale.bilevel.tree.statement import Tree

_NODE_SHARE = 0.4
"""Share of the gap asked of the tree at which node solves stop; the rest is for persistence."""

_STEP = 0.1
"""Share of the open gap that a round of multipliers must close to count, and that must be left to gain for another one."""

_IDLE = 4
"""Rounds of multipliers in a row that close less, after which they end."""

_LEAST = 1.0
"""Seconds below which nothing further is begun."""


class TreeSearch:
    """The state of one solve."""

    def __init__(self, tree: Tree, solver: NodeSolves, settings: SolveOptions, clock: Clock) -> None:
        self.tree, self.solver, self.settings, self.clock = tree, solver, settings, clock
        self.master = Master(tree)
        self.node_gap = settings.gap * (_NODE_SHARE if tree.links else 1.0)
        self.bound = -np.inf
        self.best: list[NodeAnswer] | None = None
        self.alone: list[NodeAnswer] = []
        self.said: list[str] = []
        self.failed: NodeAnswer | None = None
        self.slowest = 1.0

    @property
    def objective(self) -> float:
        """Value of the best tree, as a minimum."""
        if self.best is None:
            return np.inf
        return float(sum(w * c.value for w, c in zip(self.tree.weights, self.best, strict=True)))

    @property
    def over(self) -> bool:
        """Closed, interrupted, or no time left."""
        closed = self.best is not None and is_closed(self.objective, self.bound, self.settings.gap)
        return closed or self.solver.interrupted or self.is_late

    @property
    def is_late(self) -> bool:
        """No time left for another node solve."""
        return self.clock.left() < _LEAST

    def run(self) -> None:
        """All stages; see the module. ``failed`` is a node that is infeasible or unbounded alone."""
        with self.clock.stage("separate"):
            self.alone = alone = self.solve([Job(n) for n in range(len(self.tree.names))])
            failed = [next((a for a in alone if a.solution.status is status), None) for status in (Status.INFEASIBLE, Status.UNBOUNDED)]
            self.failed = failed[0] or failed[1]
            if self.failed is not None:
                return
            self._raise_bound(self.master.bound_at(self._zero()))
            self._choose()
            self.slowest = max((sum(a.solution.timings.values()) for a in alone), default=1.0)
        if self.tree.links and not self.over:
            with self.clock.stage("repair"):
                self._repair()
            with self.clock.stage("sharpen"):
                self._sharpen()
            self._in_turn()

    def _in_turn(self) -> None:
        """Multipliers and cuts, once more after each better tree: it makes a bound worth raising that was not."""
        known, tried = np.inf, False
        while not self.over:
            with self.clock.stage("multipliers"):
                self._multipliers()
            with self.clock.stage("cuts"):
                tried = self._cuts()
            if not self.objective < known:
                break
            known = self.objective
        if tried and not self.over:
            left = "" if all(binary.all() for binary in self.master.binary) else ", and what investments that are not binary leave open"
            self.said.append(f"the investments of least cost under all bounds have been tried: what is left is the gaps of nodes{left}")

    # Stages.

    def _repair(self) -> None:
        """A feasible tree near the separate answers: children raised to their parents, or else parents lowered to their children."""
        for upwards in (False, True):
            if self.best is not None and (upwards or self.over):
                return
            order = range(len(self.tree.names))
            held: list[np.ndarray | None] = [None] * len(self.tree.names)
            for n in reversed(order) if upwards else order:
                box = self._limits(n, held)
                alone = self.master.cheapest(n)
                column = self.master.cheapest(n, box=box)
                if column is None or column is not alone:
                    found = self.solve([Job(n, box=box, start=None if alone is None else alone.y)])
                    column = self.master.cheapest(n, box=box)
                    if column is None and found and not upwards:
                        self.said.append(f"repair from the root on ended at node {self.tree.names[n]!r}: {found[0].solution.status}")
                if column is None or self.solver.interrupted:
                    break
                held[n] = column.z
            self._choose()

    def _limits(self, n: int, held: Sequence[np.ndarray | None], *, above: bool = True, below: bool = True) -> Box:
        """What the neighbours that are held leave of a node's investments."""
        leader, places = self.tree.problem(n).leader, self.tree.investments[n]
        least, most = leader.lower[places].copy(), leader.upper[places].copy()
        for link in self.tree.links:
            parent, child = held[link.parent], held[link.child]
            if above and link.child == n and parent is not None:
                least[link.to] = np.maximum(least[link.to], parent[link.of])
            if below and link.parent == n and child is not None:
                most[link.of] = np.minimum(most[link.of], child[link.to])
        return least, most

    def _sharpen(self) -> None:
        """Nodes whose own gap is most of what is open are solved once more, with twice the time each turn."""
        seconds = np.full(len(self.tree.names), 2.0 * self.slowest)
        while not self.over:
            gaps = np.array([w * (self._value(n) - self.master.known[n].least) for n, w in enumerate(self.tree.weights)])
            gaps[seconds > self.clock.left()] = 0.0
            # A node without a point or without a bound leaves everything open.
            if not (np.isinf(gaps).any() or gaps.sum() > 0.5 * (self.objective - self.bound)):
                return
            worst = np.argsort(-gaps)[: self.solver.processes]
            self.solve([Job(int(n), start=self._start(int(n), None)) for n in worst if gaps[n] > 0], seconds=float(seconds[worst].max()))
            seconds[worst] *= 2.0
            self._choose()
            self._raise_bound(self.master.bound_at(self._zero()))

    def _value(self, n: int) -> float:
        column = self.master.cheapest(n)
        return np.inf if column is None else column.value

    def _multipliers(self) -> None:
        """Rounds of multipliers until all known points leave little to gain, or some rounds in a row gained little."""
        centre = [np.zeros(link.of.size) for link in self.tree.links]
        reached, idle = self.bound, 0
        while self.best is not None and not self.over and idle < _IDLE:
            tried, most = self.master.prices(centre, reached)
            before = reached
            if not most - reached > _STEP * (self.objective - reached):
                return
            slopes = self.master.slopes(tried)
            jobs = [Job(n, slope=slope, start=self._start(n, slope)) for n, slope in enumerate(slopes) if not self._is_known(n, slope)]
            self.solve(jobs, seconds=2.0 * self.slowest)
            self._choose()
            bound = self.master.bound_at(slopes)
            if bound > reached:
                centre, reached = tried, bound
                self._raise_bound(bound)
            idle = 0 if reached - before > _STEP * (self.objective - before) else idle + 1

    def _cuts(self) -> bool:
        """Trial investments of least cost under all known bounds, until the bound meets the best tree. Returns whether no trial was left."""
        while not self.over:
            bound, z = self.master.bound_and_proposal(0.2 * self.clock.left())
            self._raise_bound(bound)
            if z is None or self.over:
                return False
            jobs = self._neighbours(z) or [Job(n, box=(held, held)) for n, held in enumerate(z) if not self.master.known[n].has_box(held, held)]
            if not jobs:
                return True
            jobs = [replace(job, start=self._start(job.node, None, job.box)) for job in jobs]
            self.solve(jobs, 0.5, seconds=2.0 * self.slowest)
            self._choose()
        return False

    def _neighbours(self, z: Sequence[np.ndarray]) -> list[Job]:
        """Children under their parents' trial investments, and parents under their children's, where that is news: it bounds more than the trial."""
        jobs = []
        for n in range(len(self.tree.names)):
            for above in (True, False):
                box = self._limits(n, z, above=above, below=not above)
                best = self.master.cheapest(n)
                fits = best is not None and best is self.master.cheapest(n, box=box)
                if not fits and not self.master.known[n].has_box(*box):
                    jobs.append(Job(n, box=box))
        return jobs

    # Steps.

    def solve(self, jobs: Sequence[Job], share: float = 1.0, seconds: float = np.inf) -> list[NodeAnswer]:
        """Solve nodes to a share of their gap, and keep what is learnt."""
        found = self.solver.solve(jobs, share * self.node_gap, seconds)
        for answer in found:
            self.master.learn(answer)
        return found

    def _choose(self) -> None:
        chosen = self.master.best_choice()
        if chosen is not None and (self.best is None or sum(w * c.value for w, c in zip(self.tree.weights, chosen, strict=True)) < self.objective):
            self.best = chosen

    def _raise_bound(self, bound: float) -> None:
        self.bound = max(self.bound, bound)

    def _zero(self) -> list[np.ndarray]:
        return [np.zeros(places.size) for places in self.tree.investments]

    def _start(self, n: int, slope: np.ndarray | None, box: Box | None = None) -> np.ndarray | None:
        column = self.master.cheapest(n, slope, box)
        return None if column is None else column.y

    def _is_known(self, n: int, slope: np.ndarray) -> bool:
        return any(np.array_equal(s, slope) for _, s in self.master.known[n].affine)
