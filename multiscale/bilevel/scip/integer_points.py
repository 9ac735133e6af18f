"""The exact value of an integer leader point: by the search over prices where it applies, else by a single-level program."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
from pyscipopt.scip import Expr, ExprCons, Term

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import contradicts
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.lazy_data import LazyData
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.model import build_model, create_solution
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.price_cutting import PriceCutting
from multiscale.bilevel.search.price_parts import PriceParts
from multiscale.bilevel.search.price_search import PriceSearch
from multiscale.bilevel.search.response import Response


class IntegerPoints:
    """Solves the problem with its integers fixed.

    Args:
        problem: the bilevel problem.
        data: of branch and cut.
        search: the decisions tried so far.
        deadline: when to end (``time.perf_counter``).
    """

    def __init__(self, problem: BilevelProblem, data: LazyData, search: DecisionSearch, deadline: float) -> None:
        self.problem, self.data, self.search, self.deadline = problem, data, search, deadline
        self.integers = search.integral
        self.prices: PriceSearch | PriceParts | PriceCutting = search.exact
        if not self.prices.applies:
            self.prices = PriceCutting(problem, search.responder, [proven.quantities for proven in data.bounds])
            self.prices.deadline = deadline
            search.several = self.prices
        self.unbounded_remainder = False
        self._inner: SingleLevel | None = None

    def solve(self, y: np.ndarray, cutoff: float, gap: float) -> tuple[Response | None, float]:
        """Best answer and bound at the integers of ``y``; the bound is nan where it could not be solved."""
        if self.prices.applies:
            answer = self.prices.solve(y, gap=gap, cutoff=cutoff)
            if answer is not None:
                found = np.inf if answer.response is None else answer.response.objective
                if isinstance(self.prices, PriceSearch) or answer.bound >= min(cutoff, found) - 1.1 * gap * abs(found):
                    return answer.response, answer.bound
        return self._by_inner(y, cutoff, gap)

    def _by_inner(self, y: np.ndarray, cutoff: float, gap: float) -> tuple[Response | None, float]:
        """The exact single-level program by strong duality, with the integers fixed: for what no price search takes."""
        if self._inner is None:
            self._inner = assemble(self.problem, ["strong_duality"] * len(self.problem.followers), self.data.bounds)
        inner = self._inner
        lower, upper = inner.lower.copy(), inner.upper.copy()
        lower[self.integers] = upper[self.integers] = y[self.integers]
        model, variables = build_model(replace(inner, lower=lower, upper=upper))
        settings = {
            "limits/time": max(0.5, self.deadline - time.perf_counter()),
            "limits/gap": gap,
            "nlp/disable": True,
            "numerics/feastol": 1e-7,
            "parallel/maxnthreads": 1,
            "misc/catchctrlc": False,
        }
        for key, value in settings.items():
            model.setParam(key, value)
        known = self.search.try_decision(y, budget=12)
        if known is not None:
            model.addSol(create_solution(model, variables, inner, inner.complete(known.y, known.primal, known.dual)), free=True)
        if np.isfinite(cutoff):
            # Points above the cutoff need no exact value.
            model.addCons(_objective_row(inner, variables, cutoff)) if inner.objective.is_linear else None
        model.optimize()
        status = model.getStatus()
        if status == "infeasible":
            return _consistent(known, cutoff)
        if status not in ("optimal", "gaplimit"):
            self.unbounded_remainder |= status in ("unbounded", "inforunbd")
            return known, np.nan
        best = model.getBestSol()
        v = np.array([best[variable] for variable in variables])
        bound = float(model.getDualbound())
        decision = self.search.clipped(v[: inner.leader_size])
        response = self.search.responder.respond(decision, thorough=True)
        if response is not None and response.violation[0] > self.search.tolerance:
            response = self.search.search_prices(decision, budget=24) if self.search.prices.size else None
        if response is None or (known is not None and known.objective < response.objective):
            response = known
        return _consistent(response, bound)


def _consistent(response: Response | None, bound: float) -> tuple[Response | None, float]:
    """An answer and its bound, which is nan where the answer contradicts it."""
    wrong = contradicts(np.inf if response is None else response.objective, bound)
    return response, np.nan if wrong else bound


def _objective_row(inner: SingleLevel, variables: list[Any], cutoff: float) -> Any:
    content: dict[Any, float] = {}
    for column, weight in zip(inner.objective.columns.tolist(), inner.objective.coefficients.tolist(), strict=True):
        term = Term(variables[column])
        content[term] = content.get(term, 0.0) + weight
    return ExprCons(Expr(content), lhs=None, rhs=cutoff - inner.objective.constant)
