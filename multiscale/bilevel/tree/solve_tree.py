"""Solve a tree of bilevel problems: nodes apart, a feasible tree from ordered repair, multipliers of persistence, and cuts until the gap closes.

1. *Separate bounds.* Every node alone, without persistence: ``sum w_n f_n`` of the proven bounds bounds the tree.
2. *Ordered repair.* From the root on, a child with less than its parent is solved again with at least that; the other way round, where that fails.
3. *Sharper nodes.* Where the nodes' own gaps are most of what is open, those are solved longer.
4. *Lagrangean.* Multipliers of ``z_child >= z_parent`` come from the linear program over mixtures of known points; the nodes solved with them
   give bounds and points, and the best choice of known points that keeps persistence is the feasible tree.
5. *Cuts.* The investments of least cost under all known bounds are tried: children under their parents' and parents under their children's, then
   every node at its own; each trial that is no improvement raises the bound there. With binary investments this ends with a proof; with others it stops where no trial tells anything new, with the gap that is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from multiscale.bilevel.certify.gap import contradicts, is_closed, relative_gap
from multiscale.bilevel.certify.original import check_originals
from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.solving import answers
from multiscale.bilevel.tree.master import Master
from multiscale.bilevel.tree.node_solves import Box, Job, NodeAnswer, NodeSolves, node_solves
from multiscale.bilevel.tree.solution import TreeSolution
from multiscale.bilevel.tree.statement import Tree, TreeNode, read_tree

_NODE_SHARE = 0.4
"""Share of the gap asked of the tree at which node solves stop; the rest is for persistence."""

_ROUNDS = 12
"""Rounds of multipliers."""

_STEP = 0.1
"""Share of the open gap that a round of multipliers must close for another one to follow."""

_LEAST = 1.0
"""Seconds below which nothing further is begun."""


def solve_tree(
    nodes: Sequence[TreeNode],
    persistence: Sequence[str],
    *,
    method: str = "auto",
    gap: float = 1e-3,
    time_limit: float = 600.0,
    seed: int = 0,
    processes: int = 1,
    load: bool = True,
    **options: Any,
) -> TreeSolution:
    """Solve bilevel problems of several years and scenarios that investments tie, to a certified gap.

        min  sum_n w_n f_n(z_n)   subject to   z_child >= z_parent,       w_n = weight_n x probabilities from the root on

    Args:
        nodes: the nodes, each a bilevel problem of its own; see ``TreeNode``.
        persistence: names of the leader variables that a child has at least as much of as its parent; the same in every model.
        method: method of the node solves, as in ``bilevel.solve``.
        gap: relative gap of the whole tree at which to stop.
        time_limit: seconds for everything.
        seed: random seed of the node solves.
        processes: node solves at the same time, each in a process of its own when more than one; a script then needs ``if __name__ == "__main__"``.
        load: write the answer into the nodes' models.
        **options: see ``SolveOptions``, for the node solves.

    Returns:
        The answer; its ``status`` is never ``optimal`` unless every node's certificate holds and persistence is kept.

    Raises:
        BilevelError: the tree or one of its nodes is refused; the message names it and says what to change.
    """
    settings = SolveOptions.stated(options | {"method": method, "gap": gap, "time_limit": time_limit, "seed": seed})
    if settings.write is not None:
        raise BilevelError("write: a tree has one program for each node solve; write the nodes with bilevel.solve")
    clock = Clock(time_limit)
    with clock.stage("read"):
        tree = read_tree(nodes, persistence)
    with node_solves(tree, settings, clock, processes) as solver:
        found = _Search(tree, solver, settings, clock).run()
    if load:
        for read, node in zip(tree.reads, found.nodes.values(), strict=True):
            for variable, value in answers(read, node):
                variable.set_value(value, skip_validation=True)
    return found


class _Search:
    """The state of one solve."""

    def __init__(self, tree: Tree, solver: NodeSolves, settings: SolveOptions, clock: Clock) -> None:
        self.tree, self.solver, self.settings, self.clock = tree, solver, settings, clock
        self.master = Master(tree)
        self.node_gap = settings.gap * (_NODE_SHARE if tree.links else 1.0)
        self.bound = -np.inf
        self.best: list[NodeAnswer] | None = None
        self.latest: list[NodeAnswer] = []
        self.said: list[str] = []
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
        return closed or self.solver.interrupted or self.clock.left() < _LEAST

    def run(self) -> TreeSolution:
        """All stages; see the module."""
        with self.clock.stage("separate"):
            alone = self._solve([Job(n) for n in range(len(self.tree.names))])
            failed = next((a for a in alone if a.solution.status in (Status.INFEASIBLE, Status.UNBOUNDED)), None)
            if failed is not None:
                return self._without_point(failed)
            self._raise_bound(self.master.bound_at(self._zero()))
            self._choose()
            self.slowest = max((sum(a.solution.timings.values()) for a in alone), default=1.0)
        if self.tree.links and not self.over:
            with self.clock.stage("repair"):
                self._repair()
            with self.clock.stage("sharpen"):
                self._sharpen()
            with self.clock.stage("multipliers"):
                self._multipliers()
            with self.clock.stage("cuts"):
                self._cuts()
        with self.clock.stage("certificate"):
            return self._concluded()

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
                    found = self._solve([Job(n, box=box, start=None if alone is None else alone.y)])
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
            if not gaps.sum() > 0.5 * (self.objective - self.bound):
                return
            worst = np.argsort(-gaps)[: self.solver.processes]
            self._solve([Job(int(n), start=self._start(int(n), None)) for n in worst if gaps[n] > 0], seconds=float(seconds[worst].max()))
            seconds[worst] *= 2.0
            self._choose()
            self._raise_bound(self.master.bound_at(self._zero()))

    def _value(self, n: int) -> float:
        column = self.master.cheapest(n)
        return np.inf if column is None else column.value

    def _multipliers(self) -> None:
        """Rounds of multipliers while they close the gap noticeably."""
        best = [np.zeros(link.of.size) for link in self.tree.links]
        for _ in range(_ROUNDS):
            if self.over:
                return
            before = self.bound
            new = self.master.prices()
            # Halfway from the best known ones: those of few columns swing.
            improved = False
            for share in (0.5, 1.0):
                tried = [b + share * (p - b) for b, p in zip(best, new, strict=True)]
                slopes = self.master.slopes(tried)
                jobs = [Job(n, slope=slope, start=self._start(n, slope)) for n, slope in enumerate(slopes) if not self._is_known(n, slope)]
                if not jobs:
                    continue
                self._solve(jobs)
                self._choose()
                bound = self.master.bound_at(slopes)
                if bound > self.bound:
                    best, improved = tried, True
                self._raise_bound(bound)
                if improved or self.over:
                    break
            if not improved or self.bound - before < _STEP * max(0.0, self.objective - self.bound):
                return

    def _cuts(self) -> None:
        """Trial investments of least cost under all known bounds, until the bound meets the best tree."""
        while not self.over:
            bound, z = self.master.bound_and_proposal(0.2 * self.clock.left())
            self._raise_bound(min(bound, self.objective) if self.best is not None else bound)
            if z is None or self.over:
                return
            jobs = self._neighbours(z) or [Job(n, box=(held, held)) for n, held in enumerate(z) if not self.master.known[n].has_box(held, held)]
            if not jobs:
                self.said.append("the investments of least cost under all bounds are known: what is left is the gap of the nodes")
                return
            jobs = [replace(job, start=self._start(job.node, None, job.box)) for job in jobs]
            self._solve(jobs, 0.5, seconds=2.0 * self.slowest)
            self._choose()

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

    def _solve(self, jobs: Sequence[Job], share: float = 1.0, seconds: float = np.inf) -> list[NodeAnswer]:
        found = self.solver.solve(jobs, share * self.node_gap, seconds)
        for answer in found:
            self.master.learn(answer)
        if not self.latest:
            self.latest = list(found)
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

    # The end.

    def _without_point(self, failed: NodeAnswer) -> TreeSolution:
        """A node without an answer leaves the tree without one: infeasible where it is; a node that is unbounded alone is not decided."""
        name, status = self.tree.names[failed.job.node], failed.solution.status
        if status is Status.INFEASIBLE:
            return self._answer(Status.INFEASIBLE, np.inf, f"node {name!r} is infeasible")
        return self._answer(Status.ERROR, -np.inf, f"node {name!r} is unbounded without persistence, which leaves the tree undecided; bound its investments")

    def _concluded(self) -> TreeSolution:
        if self.best is None:
            status = Status.INFEASIBLE if self.bound == np.inf else Status.TIME_LIMIT if self.clock.left() < _LEAST else Status.ERROR
            return self._answer(status, self.bound, "no investments keep persistence" if status is Status.INFEASIBLE else "no feasible tree is known")
        held = [column.z for column in self.best]
        self._evaluate_priced()
        found = [
            check_originals(read, replace(c.solution, constraint_rows=_rows(read)))
            for read, c in zip(self.tree.reads, self.best, strict=True)
        ]
        failures = [f"node {name!r}: {'; '.join(s.certificate.failures)}" for name, s in zip(self.tree.names, found, strict=True) if s.certificate and s.certificate.failures]
        apart = self.tree.violation([z for z in held if z is not None])
        if apart > 1e-6:
            failures.append(f"persistence is violated by {apart:.2e}")
        if contradicts(self.objective, self.bound):
            failures.append(f"the bound {self.bound:.9g} contradicts the certified tree {self.objective:.9g}")
        closed = is_closed(self.objective, self.bound, self.settings.gap)
        status = Status.ERROR if failures else Status.OPTIMAL if closed else Status.FEASIBLE
        return self._answer(status, self.bound, "; ".join(failures), found)

    def _evaluate_priced(self) -> None:
        """Points found with multipliers in the objective are solved again in the node's own objective, at their investments."""
        assert self.best is not None
        jobs = [Job(c.job.node, box=(c.z, c.z), start=c.y) for c in self.best if c.z is not None and c.job.slope is not None and c.job.slope.any()]
        answered = {a.job.node: a for a in self._solve(jobs, 0.25) if a.z is not None}
        for job in jobs:
            if job.node not in answered:
                self.said.append(f"node {self.tree.names[job.node]!r}: its point was certified with multipliers in the objective only")
                column = self.best[job.node]
                plain = replace(column.solution, objective=self.tree.sense * column.value, bound=np.nan, gap=np.inf)
                answered[job.node] = replace(column, solution=plain)
        self.best = [answered.get(n, column) for n, column in enumerate(self.best)]

    def _answer(self, status: Status, bound: float, message: str, found: Sequence[BilevelSolution] | None = None) -> TreeSolution:
        tree, sense = self.tree, self.tree.sense
        found = [a.solution for a in self.latest] if found is None else found
        objective = self.objective if self.best is not None else np.nan
        held = [None] * len(tree.names) if self.best is None else [c.z for c in self.best]
        labels = [[tree.problem(n).leader.names[int(k)] for k in places] for n, places in enumerate(tree.investments)]
        return TreeSolution(
            status=status,
            objective=sense * objective,
            bound=sense * bound,
            gap=relative_gap(objective, bound) if self.best is not None else np.inf,
            nodes=dict(zip(tree.names, found, strict=False)),
            weights=dict(zip(tree.names, tree.weights.tolist(), strict=True)),
            investments={
                name: {} if z is None else dict(zip(names, z.tolist(), strict=True)) for name, names, z in zip(tree.names, labels, held, strict=True)
            },
            separate={name: sense * self.master.known[n].least for n, name in enumerate(tree.names)},
            solves=self.solver.count,
            timings=self.clock.timings,
            message="; ".join(filter(None, [message, *self.said])),
        )


def _rows(read: Any) -> dict[int, tuple[str, list[tuple[int, float]]]]:
    return {key: (e.name, parts) for e in read.extracted for key, parts in e.constraint_rows.items()}
