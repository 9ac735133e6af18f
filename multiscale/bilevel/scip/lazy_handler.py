"""SCIP's side of branch and cut over investment: solve the rest exactly at integer leader points, then exclude the point."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from pyscipopt import SCIP_RESULT, Conshdlr
from pyscipopt.scip import Expr, ExprCons, Term

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.reformulate.conditions.value_cuts import value_cut
from multiscale.bilevel.reformulate.lazy_data import LazyData
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.integer_points import IntegerPoints
from multiscale.bilevel.scip.model import create_solution
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.price_cutting import PriceCutting
from multiscale.bilevel.search.response import Response
from multiscale.programs import Termination

_SHARE_OF_GAP = 0.95
"""Share of the gap that the search over several prices leaves open at one integer point: its last tenths are the most expensive."""


SEPARATION_ROUNDS = 3
"""How often the same node is separated: each round takes a solve of every follower."""


WIDE = 0.3
"""Share of a price's range down to which it is branched on before the integers: narrower pieces wait until the integers are decided."""


NEARLY = 1e-3
"""How far above its optimum a follower may pay, relative, for prices to be sought at which its answer is optimal."""


class LazyFollowers(Conshdlr):
    """At an integer leader point: exact value, injection, value cuts, and a row that excludes the point.

    Every excluded point was solved to ``floor`` or better: the bound of the whole problem is the smaller of SCIP's bound and
    ``floor``. Only points injected from here pass ``conscheck``: what SCIP finds by itself has no optimal follower.
    """

    def __init__(
        self, problem: BilevelProblem, single: SingleLevel, variables: list[Any], data: LazyData, search: DecisionSearch, deadline: float
    ) -> None:
        self.problem, self.single, self.variables, self.data, self.search = problem, single, variables, data, search
        self.points = IntegerPoints(problem, data, search, deadline)
        self.prices = self.points.prices
        self.integers = search.integral
        self.best: Response | None = search.best
        self.floor = np.inf
        self.visited: dict[bytes, float] = {}
        self.excluded: set[bytes] = set()
        self.injecting = False
        self.unsolved = False
        self.sub_seconds = 0.0
        self.separated: set[bytes] = set()
        self.node, self.rounds, self.fruitless = -1, 0, 0

    # Callbacks of SCIP.

    def conscheck(self, constraints: object, solution: Any, *rest: object) -> dict[str, Any]:
        """Injected points are bilevel feasible; others where the followers' costs are their optima."""
        del constraints, rest
        if self.injecting:
            return {"result": SCIP_RESULT.FEASIBLE}
        if self.prices.applies:
            return {"result": SCIP_RESULT.INFEASIBLE}
        y = np.array([solution[v] for v in self.variables[: self.single.leader_size]])
        if np.abs(y - np.round(y))[self.integers].max(initial=0.0) > 1e-5:
            return {"result": SCIP_RESULT.INFEASIBLE}
        found = self.search.responder.answer(self.search.clipped(y))
        if not isinstance(found, tuple):
            return {"result": SCIP_RESULT.INFEASIBLE}
        return {"result": SCIP_RESULT.INFEASIBLE if self._overpaid(y, self._paid(solution), found[0]) else SCIP_RESULT.FEASIBLE}

    def consenfolp(self, constraints: object, count: int, infeasible: bool) -> dict[str, Any]:
        """Enforce an LP solution."""
        del constraints, count, infeasible
        return self._enforce()

    def conssepalp(self, constraints: object, count: int) -> dict[str, Any]:
        """Cut off an LP solution, fractional or not, whose followers pay more than they would at the integers next to it."""
        del constraints, count
        node = int(self.model.getCurrentNode().getNumber())
        self.rounds = self.rounds + 1 if node == self.node else 1
        self.node = node
        # With several prices the answer at one of them tells little about the others: cuts wait for integer points.
        # Where it has found nothing of late, it is tried ever more seldom.
        if self.rounds > SEPARATION_ROUNDS or not self.search.exact.applies or node % 2 ** min(self.fruitless // 4, 6):
            return {"result": SCIP_RESULT.DIDNOTRUN}
        y = np.array([self.model.getSolVal(None, v) for v in self.variables[: self.single.leader_size]])
        paid = self._paid(None)
        # What follower optimality would cost here must justify a row.
        least = 0.1 * self.data.gap * max(1.0, abs(self.best.objective) if self.best is not None else 1.0)
        added = 0
        for corner in self._corners(y):
            key = corner[self.integers].tobytes() + np.round(corner, 6).tobytes()
            if key in self.separated:
                continue
            self.separated.add(key)
            found = self.search.responder.answer(corner)
            if isinstance(found, tuple):
                added += self._add_value_cuts([found[0]], at=(y, paid, least))
        self.fruitless = 0 if added else self.fruitless + 1
        return {"result": SCIP_RESULT.CONSADDED if added else SCIP_RESULT.DIDNOTFIND}

    def _corners(self, y: np.ndarray) -> list[np.ndarray]:
        """The decision with its integers rounded, and with only those up that are up already."""
        nearest = self.search.clipped(y)
        down = y.copy()
        down[self.integers] = np.floor(y[self.integers] + 1e-6)
        return [nearest, self.search.clipped(down)]

    def _paid(self, solution: Any) -> list[float]:
        """What each follower pays in a solution of SCIP (None: of the current LP)."""
        value = self.model.getSolVal
        return [
            constant + sum(w * value(solution, self.variables[j]) for j, w in zip(columns.tolist(), weights.tolist(), strict=True))
            for columns, weights, constant in self.data.costs
        ]

    def consenfops(self, constraints: object, count: int, infeasible: bool, objinfeasible: bool) -> dict[str, Any]:
        """Enforce a pseudo solution (SCIP could not solve the node's linear program): branch until all integers are fixed."""
        del constraints, count, infeasible
        if objinfeasible:
            return {"result": SCIP_RESULT.DIDNOTRUN}
        return self._split()

    def _split(self) -> dict[str, Any]:
        """Branch on an integer that is not fixed; a node with all of them fixed is solved exactly and closed."""
        columns = [self.variables[k] for k in self.integers]
        for variable in columns:
            if variable.getUbLocal() - variable.getLbLocal() > 0.5:
                self.model.branchVar(variable)
                return {"result": SCIP_RESULT.BRANCHED}
        y = np.array([self.model.getSolVal(None, v) for v in self.variables[: self.single.leader_size]])
        y[self.integers] = [round(variable.getLbLocal()) for variable in columns]
        y = self.search.clipped(np.nan_to_num(y, posinf=1e6, neginf=-1e6))
        if y[self.integers].tobytes() not in self.visited and self.visit(y) is None:
            self.unsolved = True
            self.model.interruptSolve()
            return {"result": SCIP_RESULT.INFEASIBLE}
        return {"result": SCIP_RESULT.CUTOFF}

    def conslock(self, constraint: object, locktype: Any, positive: int, negative: int) -> None:
        """The integers matter in both directions."""
        del constraint
        for k in self.integers:
            self.model.addVarLocksType(self.variables[k], locktype, positive + negative, positive + negative)

    def _branch_on_price(self) -> bool:
        """Branch on the price of a product that is far off, before any integer: branching on integers does not narrow a wide envelope."""
        worst, chosen = max(0.01, 10.0 * self.data.gap), None
        for target, first, second in self.single.products.tolist():
            price = next((k for k in (first, second) if k in self.search.prices), None)
            if price is None:
                continue
            a, b, product = (self.model.getSolVal(None, self.variables[k]) for k in (first, second, target))
            off = abs(product - a * b) / max(1.0, abs(product))
            if off > worst:
                worst, chosen = off, (self.variables[price], a if price == first else b)
        if chosen is None:
            return False
        variable, value = chosen
        low, high = variable.getLbLocal(), variable.getUbLocal()
        if high - low < WIDE * (variable.getUbGlobal() - variable.getLbGlobal()):
            return False
        self.model.branchVarVal(variable, float(np.clip(value, low + 0.2 * (high - low), high - 0.2 * (high - low))))
        return True

    def _enforce(self) -> dict[str, Any]:
        if self.search.exact.applies and self._branch_on_price():
            return {"result": SCIP_RESULT.BRANCHED}
        u = np.array([self.model.getSolVal(None, self.variables[k]) for k in self.integers])
        if np.abs(u - np.round(u)).max(initial=0.0) > 1e-5:
            return {"result": SCIP_RESULT.INFEASIBLE}
        # Adding zero turns -0.0 into 0.0: keys are bytes.
        u = np.round(u) + 0.0
        y = np.array([self.model.getSolVal(None, v) for v in self.variables[: self.single.leader_size]])
        y[self.integers] = u
        y = self.search.clipped(y)
        if not self.prices.applies:
            return self._enforce_values(y)
        if u.tobytes() not in self.visited:
            answers = self.visit(y)
            if answers is None:
                self.unsolved = True
                self.model.interruptSolve()
                return {"result": SCIP_RESULT.INFEASIBLE}
            self._add_value_cuts(answers)
        if u.tobytes() in self.excluded:
            return self._split()
        self._exclude(u)
        return {"result": SCIP_RESULT.CONSADDED}

    def _enforce_values(self, y: np.ndarray) -> dict[str, Any]:
        """Several prices, or none: cut off points at which a follower pays more than its optimum; branching on products does the rest."""
        found = self.search.responder.answer(y)
        if not isinstance(found, tuple):
            return self._enforce_without_answer(y, found)
        paid = self._paid(None)
        response = self.search.try_decision(y, budget=8)
        if response is not None and response.better_than(self.best, self.search.tolerance):
            self.best = response
            self._inject(response)
        over = self._overpaid(y, paid, found[0])
        self._try_answers(y, paid, found[0])
        if not over:
            return {"result": SCIP_RESULT.FEASIBLE}
        if self._add_value_cuts([found[0]], over):
            return {"result": SCIP_RESULT.CONSADDED}
        # No value cut can be proven here: solve at these integers by the exact single-level program.
        if y[self.integers].tobytes() not in self.visited and self.visit(y) is None:
            self.unsolved = True
            self.model.interruptSolve()
            return {"result": SCIP_RESULT.INFEASIBLE}
        self._exclude(y[self.integers])
        return {"result": SCIP_RESULT.CONSADDED}

    def _try_answers(self, y: np.ndarray, paid: list[float], optimal: list[np.ndarray]) -> None:
        """Where followers pay little more than their optimum: the prices at which they would want what they do here, a mixture of ties."""
        bests = [self.problem.cost(f, x, y) for f, x in enumerate(optimal)]
        if any(cost > best + NEARLY * max(1.0, abs(best)) for cost, best in zip(paid, bests, strict=True)):
            return
        value = self.model.getSolVal
        primal = [np.array([value(None, self.variables[j]) for j in columns]) for columns in self.single.primal]
        response = self.search.try_answers(y, primal)
        if response is not None and response.better_than(self.best, self.search.tolerance):
            self.best = response
            self._inject(response)

    def _enforce_without_answer(self, y: np.ndarray, reason: Termination) -> dict[str, Any]:
        """A follower has no optimum here: infeasible rows exclude the integers; an unbounded objective may be bounded at other prices."""
        proven = reason is Termination.INFEASIBLE or (reason is Termination.UNBOUNDED and not self.search.continuous.size)
        if not proven and y[self.integers].tobytes() not in self.visited and self.visit(y) is None:
            self.unsolved = True
            self.model.interruptSolve()
            return {"result": SCIP_RESULT.INFEASIBLE}
        self._exclude(y[self.integers])
        return {"result": SCIP_RESULT.CONSADDED}

    def _overpaid(self, y: np.ndarray, paid: list[float], primal: list[np.ndarray]) -> list[int]:
        """Followers that pay more than their optimum at ``y``, by more than a small share of the gap.

        Ever finer cuts of nearly the same place would only make the linear programs ill-conditioned; the bound stays valid either way.
        """
        tolerance = max(1e-7, 0.02 * self.data.gap)
        over = []
        for f, (cost, x) in enumerate(zip(paid, primal, strict=True)):
            optimum = self.problem.cost(f, x, y)
            if cost > optimum + tolerance * max(1.0, abs(optimum)):
                over.append(f)
        return over

    # Exact solution at fixed integers.

    def visit(self, y: np.ndarray) -> list[list[np.ndarray]] | None:
        """Solve exactly at the integers of ``y``; answers of the followers for value cuts, or None if it could not be solved."""
        began = time.perf_counter()
        share = _SHARE_OF_GAP if isinstance(self.prices, PriceCutting) and self.prices.applies else 0.1
        cutoff = np.inf if self.best is None else self.best.objective - share * self.data.gap * abs(self.best.objective)
        response, bound = self.points.solve(y, cutoff, share * self.data.gap)
        self.sub_seconds += time.perf_counter() - began
        if np.isnan(bound):
            return None
        self.visited[y[self.integers].tobytes()] = bound
        self.floor = min(self.floor, bound)
        answers = []
        if response is not None:
            answers.append(response.primal)
            if response.better_than(self.best, self.search.tolerance):
                self.best = response
                self._inject(response)
        found = self.search.responder.answer(response.y if response is not None else y)
        if isinstance(found, tuple):
            answers.append(found[0])
        return answers

    # Rows.

    def _exclude(self, u: np.ndarray) -> None:
        """``sum over u' = 0 of u  +  sum over u' = 1 of (1 - u)  >=  1``."""
        self.excluded.add(u.tobytes())
        content = {Term(self.variables[k]): (1.0 if value < 0.5 else -1.0) for k, value in zip(self.integers, u, strict=True)}
        if not content:
            content = {Term(self.variables[0]): 0.0}
        self.model.addCons(ExprCons(Expr(content), lhs=1.0 - float(u.sum()), rhs=None), name="visited")

    def _add_value_cuts(
        self, answers: list[list[np.ndarray]], chosen: list[int] | None = None, at: tuple[np.ndarray, list[float], float] | None = None
    ) -> int:
        """Value cuts of known answers; returns how many were added.

        Args:
            answers: columns of every follower, for each answer.
            chosen: followers to cut; all without it.
            at: a leader decision, what each follower pays there, and by how much a cut has to cut that off to be added.
        """
        added = 0
        for answer in answers:
            for f, follower in enumerate(self.problem.followers):
                if chosen is not None and f not in chosen:
                    continue
                cut = value_cut(self.problem.leader, follower, self.data.bounds[f], answer[f], self.data.ceilings[f])
                if cut is None or (at is not None and at[1][f] < float(cut[0] @ at[0]) + cut[1] + at[2]):
                    continue
                columns, weights, constant = self.data.costs[f]
                content: dict[Any, float] = {}
                for j, weight in [*zip(columns.tolist(), weights.tolist(), strict=True), *((int(k), -cut[0][k]) for k in np.flatnonzero(cut[0]))]:
                    term = Term(self.variables[j])
                    content[term] = content.get(term, 0.0) + weight
                largest = max(abs(weight) for weight in content.values())
                # Rounding residues only make the linear programs ill-conditioned.
                content = {term: weight for term, weight in content.items() if abs(weight) > 1e-11 * largest}
                self.model.addCons(ExprCons(Expr(content), lhs=None, rhs=cut[1] - constant), name="value")
                added += 1
        return added

    def _inject(self, response: Response) -> None:
        v = self.single.complete(response.y, response.primal, response.dual)
        self.injecting = True
        try:
            self.model.trySol(create_solution(self.model, self.variables, self.single, v), printreason=False)
        finally:
            self.injecting = False
