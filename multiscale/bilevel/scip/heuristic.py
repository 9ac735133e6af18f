"""A SCIP heuristic: leader decisions from LP solutions and around the incumbent, followers solved by their own solvers.

At a node the LP's leader decision is rounded in two ways; then the decision of a new incumbent (SCIP may have found it itself, met to
row tolerances only), neighbours of the best decision in one integer each, and the point half way to the LP's in continuous variables.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from pyscipopt import SCIP_RESULT, Heur

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.lazy_handler import LazyFollowers
from multiscale.bilevel.scip.model import create_solution
from multiscale.bilevel.scip.progress import iterations
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Response
from multiscale.bilevel.search.work import SOLVE, of_iteration

_SHARE, _FREE = 0.2, 1e8
"""Largest share of the work of a run that the heuristic may take, beyond its first call and so much work (about half a second)."""


class FollowerHeuristic(Heur):
    """Injects complete bilevel-feasible points.

    Args:
        problem: the bilevel problem.
        single: the single-level program SCIP solves, which knows how to complete a point.
        variables: SCIP variables in the order of its columns.
        lazy: the handler of branch and cut, which must let the points in.
    """

    def __init__(self, problem: BilevelProblem, single: SingleLevel, variables: list[Any], lazy: LazyFollowers | None = None) -> None:
        self.single, self.variables, self.lazy = single, variables, lazy
        self.search = DecisionSearch(problem) if lazy is None else lazy.search
        self.solves, self.calls, self.skip = 0, 0, 0
        self._flips: Iterator[int] = itertools.cycle(self.search.integral.tolist()) if self.search.integral.size else iter(())
        self._seen = np.inf

    def heurexec(self, heurtiming: object, nodeinfeasible: bool) -> dict[str, Any]:
        """SCIP's entry point."""
        del heurtiming
        if nodeinfeasible or not self._turn():
            return {"result": SCIP_RESULT.DIDNOTRUN}
        before = self.search.responder.solves
        found = self.lazy is not None and self.lazy.best is not None and self._inject(self.lazy.best)
        for y in self._decisions():
            if self.calls > 1 and self._is_over(self.solves + self.search.responder.solves - before):
                break
            response = self.search.try_decision(y, budget=12)
            if response is not None and self._inject(response):
                found = True
        self.solves += self.search.responder.solves - before
        self.skip = 0 if found else min(2 * self.skip + 1, 100)
        return {"result": SCIP_RESULT.FOUNDSOL if found else SCIP_RESULT.DIDNOTFIND}

    def _turn(self) -> bool:
        """Once in any case, every node at first, then ever more rarely while nothing is found, within a share of the work."""
        self.calls += 1
        if self.calls == 1:
            return True
        if self.skip > 0 and self.calls > 3 and self.calls % (self.skip + 1):
            return False
        return not self._is_over(self.solves)

    def _is_over(self, solves: int) -> bool:
        allowed = _SHARE * iterations(self.model, self.search.responder.solves) + _FREE / of_iteration(self.single.rows.nnz)
        return SOLVE * solves > allowed

    def _decisions(self) -> list[np.ndarray]:
        size, leader = self.single.leader_size, self.search.problem.leader
        point = np.array([self.model.getSolVal(None, variable) for variable in self.variables[:size]])
        if not np.isfinite(point).all() or np.abs(point).max(initial=0.0) > 1e18:
            point = np.nan_to_num(point, nan=0.0, posinf=1e6, neginf=-1e6)
        decisions = []
        for threshold in (0.5, 0.1) if self.calls <= 3 and leader.integral.any() else (0.5,):
            y = point.copy()
            y[leader.integral] = np.floor(y[leader.integral] + 1.0 - threshold + 1e-9)
            decisions.append(y)
        # Branch and cut finds the best price of a design by itself, and its incumbents are the handler's.
        decisions += self._new_incumbent() if self.lazy is None else []
        best = self.search.best
        if best is not None:
            for k in itertools.islice(self._flips, 2):
                for value in self.search.neighbours(k, best.y[k]):
                    y = best.y.copy()
                    y[k] = value
                    decisions.append(y)
            moved = self.search.continuous
            if self.lazy is None and moved.size and np.abs(point[moved] - best.y[moved]).max() > 1e-6:
                y = best.y.copy()
                y[moved] = 0.5 * (y[moved] + point[moved])
                decisions.append(y)
        return decisions

    def _new_incumbent(self) -> list[np.ndarray]:
        """The decision of SCIP's incumbent, once, where it is better than the best known follower-optimal point."""
        if not self.model.getNSols() or self.model.getPrimalbound() >= self._seen:
            return []
        self._seen = self.model.getPrimalbound()
        best = self.search.best
        if best is not None and best.objective <= self._seen + 1e-9 * max(1.0, abs(self._seen)):
            return []
        found = self.model.getBestSol()
        return [np.array([found[variable] for variable in self.variables[: self.single.leader_size]])]

    def _inject(self, response: Response) -> bool:
        if self.model.getNSols() and response.objective >= self.model.getPrimalbound() - 1e-9 * max(1.0, abs(response.objective)):
            return False
        v = self.single.complete(response.y, response.primal, response.dual)
        solution = create_solution(self.model, self.variables, self.single, v, self)
        if self.lazy is None:
            return bool(self.model.trySol(solution, printreason=False, completely=False))
        if response.better_than(self.lazy.best, self.search.tolerance):
            self.lazy.best = response
        self.lazy.injecting = True
        try:
            return bool(self.model.trySol(solution, printreason=False, completely=False))
        finally:
            self.lazy.injecting = False
