"""Nodes solved apart: with other objectives of their investments, with bounds on them, or with investments held; one by one or in processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.description import BilevelError, BilevelProblem
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.solving import solve_problem
from multiscale.bilevel.tree.statement import Tree
from multiscale.machine import children_apart_from_current_folder

_SHARE = 0.6
"""Largest share of the time left that one round of node solves takes."""


Box = tuple[np.ndarray, np.ndarray]
"""Least and most of a node's persistent investments."""


@dataclass(frozen=True)
class Job:
    """A node to solve: ``min f_n(z) + slope'z`` with investments in a box (both None: as the node stands)."""

    node: int
    slope: np.ndarray | None = None
    box: Box | None = None
    start: np.ndarray | None = None


@dataclass(frozen=True)
class NodeAnswer:
    """What a node solve found, as a minimum.

    Attributes:
        job: what was solved.
        solution: the answer.
        z: the investments (None without a certified point).
        y: the leader's vector.
        value: ``f_n(z)`` at them, without ``slope'z``.
        bound: proven least value of ``f_n(z) + slope'z``; infinite where the job is infeasible.
    """

    job: Job
    solution: BilevelSolution
    z: np.ndarray | None
    y: np.ndarray | None
    value: float
    bound: float


class NodeSolves:
    """Solves nodes of a tree, in ``processes`` processes where these are more than one."""

    def __init__(self, tree: Tree, settings: SolveOptions, clock: Clock, pool: ProcessPoolExecutor | None, processes: int) -> None:
        self.tree, self.settings, self.clock, self.pool, self.processes = tree, settings, clock, pool, processes
        self.interrupted = False
        self.count = 0

    def solve(self, jobs: Sequence[Job], gap: float, seconds: float = np.inf) -> list[NodeAnswer]:
        """Answers in the order of the jobs, each within ``seconds`` and its share of the time left; after an interrupt only the first ones.

        Raises:
            BilevelError: a node is refused, with its name.
        """
        rounds = -(-len(jobs) // max(1, self.processes if self.pool is not None else 1))
        tasks = [_task(self.tree.problem(job.node), self.tree.investments[job.node], job) for job in jobs]
        found: list[BilevelSolution] = []
        if self.pool is not None and len(jobs) > 1:
            settings = replace(self.settings, gap=gap, time_limit=max(1.0, min(seconds, _SHARE * self.clock.left() / rounds)))
            waiting = [self.pool.submit(_solved, problem, settings, job.start) for problem, job in zip(tasks, jobs, strict=True)]
            for job, future in zip(jobs, waiting, strict=True):
                with self._named(job):
                    found.append(future.result())
        else:
            for k, (problem, job) in enumerate(zip(tasks, jobs, strict=True)):
                left = min(seconds, self.clock.left() * _SHARE / max(1.0, _SHARE * (len(jobs) - k)))
                with self._named(job):
                    found.append(_solved(problem, replace(self.settings, gap=gap, time_limit=max(1.0, left)), job.start))
                if found[-1].ended == "userinterrupt":
                    break
        self.interrupted |= any(solution.ended == "userinterrupt" for solution in found)
        self.count += len(found)
        return [self._answer(job, solution) for job, solution in zip(jobs, found, strict=False)]

    @contextmanager
    def _named(self, job: Job) -> Iterator[None]:
        try:
            yield
        except BilevelError as refusal:
            raise BilevelError(f"node {self.tree.names[job.node]!r}: {refusal}") from refusal

    def _answer(self, job: Job, solution: BilevelSolution) -> NodeAnswer:
        problem, sense = self.tree.problem(job.node), self.tree.sense
        solution = replace(solution, problem=problem)
        if solution.status is Status.INFEASIBLE:
            return NodeAnswer(job, solution, None, None, np.inf, np.inf)
        bound = sense * solution.bound
        if solution.status is Status.ERROR or not np.isfinite(bound):
            # A failed certificate says nothing of the point, and of the bound only if no contradiction was found: neither counts.
            bound = -np.inf
        if solution.certificate is None or not solution.certificate.holds:
            return NodeAnswer(job, solution, None, None, np.inf, bound)
        y = np.array([solution.values[name] for name in problem.leader.names])
        z = y[self.tree.investments[job.node]]
        z = np.where(problem.leader.integral[self.tree.investments[job.node]], np.round(z), z)
        value = sense * solution.objective - (0.0 if job.slope is None else float(job.slope @ z))
        return NodeAnswer(job, solution, z, y, value, bound)


@contextmanager
def node_solves(tree: Tree, settings: SolveOptions, clock: Clock, processes: int) -> Iterator[NodeSolves]:
    """Solver of nodes whose processes end with the context."""
    if processes <= 1:
        yield NodeSolves(tree, settings, clock, None, 1)
        return
    spawned = multiprocessing.get_context("spawn")
    with children_apart_from_current_folder(), ProcessPoolExecutor(processes, mp_context=spawned) as pool:
        yield NodeSolves(tree, settings, clock, pool, processes)


def _task(problem: BilevelProblem, investments: np.ndarray, job: Job) -> BilevelProblem:
    """The node's problem as the job states it."""
    leader = problem.leader
    lower, upper, objective = leader.lower.copy(), leader.upper.copy(), leader.objective
    if job.box is not None:
        lower[investments] = np.maximum(lower[investments], job.box[0])
        upper[investments] = np.minimum(upper[investments], job.box[1])
    if job.slope is not None and job.slope.any():
        columns, inverse = np.unique(np.concatenate([objective.columns, investments]), return_inverse=True)
        total = np.bincount(inverse, weights=np.concatenate([objective.coefficients, job.slope]))
        objective = replace(objective, columns=columns, coefficients=total)
    return replace(problem, leader=replace(leader, lower=lower, upper=upper, objective=objective))


def _solved(problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None) -> BilevelSolution:
    crossed = problem.leader.lower > problem.leader.upper
    if crossed.any():
        name = problem.leader.names[int(crossed.argmax())]
        message = f"the parent has more of {name} than this node allows"
        return BilevelSolution(Status.INFEASIBLE, np.nan, np.inf * problem.leader.sense, np.inf, {}, {}, {}, None, {}, {}, message)
    if start is not None:
        start = np.clip(start, problem.leader.lower, problem.leader.upper)
    return replace(solve_problem(problem, settings, start=start), problem=None)
