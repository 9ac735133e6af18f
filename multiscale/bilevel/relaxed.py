"""A bound of branch and cut's relaxation by HiGHS, for relaxations so large that SCIP's linear programs take minutes.

The relaxation (primal rows of the followers, the leader's problem, value cuts of known answers; products replaced by their envelopes) is a
mixed-integer program whose optimum bounds the problem.

1. Its linear program is solved and cut (module ``reformulate.conditions.limit_cuts``), as long as there are cuts: a few rounds close most of what
   fractional binaries leave open. The cuts stay in the program that SCIP gets.
2. Where the best known point is not yet within the gap of it, the mixed-integer program is solved, by few nodes; the integers found are completed to
   a point.

Within the gap nothing is left to search; else SCIP's tree goes on.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.envelopes import Envelopes
from multiscale.bilevel.problem.description import CONTINUOUS
from multiscale.bilevel.problem.gap import is_closed, relative_gap
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.conditions.limit_cuts import limit_cuts
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.worker import ScipOutcome
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Response
from multiscale.bilevel.solvers.linear_program import LinearProgram

_MEDIUM, _LARGE = 20_000, 200_000
"""Entries of the relaxation from which on it is cut first, and from which on HiGHS solves it with its integers: below, SCIP's root takes seconds."""

_ROUNDS = 6
"""Rounds of cuts."""

_NODES = 100
"""Nodes of HiGHS after which SCIP goes on."""

_SHARE = 0.8
"""Share of the gap to which the bound is sought: tolerances of rows need some."""


def bound_relaxation(single: SingleLevel, search: DecisionSearch, settings: SolveOptions, clock: Clock) -> tuple[SingleLevel, ScipOutcome | None]:
    """The relaxation with cuts, and HiGHS's bound of it, with the status ``gaplimit`` where it closes the gap; points found become the best.

    None where this does not apply.
    """
    best, factors = search.best, np.unique(single.products[:, 1:])
    applies = single.rows.nnz >= _MEDIUM and not single.curved and not single.pairs and not single.indicators and single.objective.is_linear
    if best is None or not applies or not (np.isfinite(single.lower[factors]) & np.isfinite(single.upper[factors])).all():
        return single, None
    began = time.perf_counter()
    relaxation = _Relaxation(single, search, clock)
    bound = relaxation.cut(_target(best, settings))
    single = relaxation.single
    if bound < _target(best, settings) and single.rows.nnz >= _LARGE and not clock.is_late:
        bound = max(bound, relaxation.solve_whole(best, settings))
    best = search.best
    closed = best is not None and is_closed(best.objective, bound, settings.gap, settings.absolute_gap)
    note = "" if best is None else f"the relaxation of {single.size:,} columns bounds the best point to {relative_gap(best.objective, bound):.2g}"
    return single, ScipOutcome("gaplimit" if closed else "open", None, np.nan, bound, 0, time.perf_counter() - began, note, solver="HiGHS")


def _target(best: Response, settings: SolveOptions) -> float:
    """Bound at which the search ends."""
    return best.objective - _SHARE * max(settings.gap * abs(best.objective), settings.absolute_gap)


class _Relaxation:
    """The relaxation as rows; ``single`` gets the cuts."""

    def __init__(self, single: SingleLevel, search: DecisionSearch, clock: Clock) -> None:
        self.single, self.search, self.clock = single, search, clock
        envelopes = Envelopes(single)
        entries, self.low, self.high = envelopes.rows(single.lower, single.upper)
        where, shape = np.repeat(np.arange(envelopes.count), 3), (envelopes.count, single.size)
        self.envelopes = sparse.csr_matrix((entries.ravel(), (where, envelopes.columns.ravel())), shape=shape)
        self.costs = np.zeros(single.size)
        np.add.at(self.costs, single.objective.columns, single.objective.coefficients)

    def _program(self, integral: np.ndarray | None = None) -> LinearProgram:
        single = self.single
        return LinearProgram(
            sparse.vstack([single.rows, self.envelopes], format="csr"),
            np.concatenate([single.row_lower, self.low]),
            np.concatenate([single.row_upper, self.high]),
            single.lower,
            single.upper,
            self.costs,
            integral,
            time_limit=self.clock.left(),
        )

    def cut(self, target: float) -> float:
        """The bound of the linear program after rounds of cuts, or at the target."""
        program, leader, bound = self._program(), self.search.problem.leader, -np.inf
        for _ in range(_ROUNDS):
            answer = program.solve()
            if answer.status != "optimal":
                break
            bound = max(bound, answer.value + self.single.objective.constant)
            if bound >= target or self.clock.is_late:
                break
            rows = [
                (np.append(own[cut.columns], cut.binary), np.append(cut.weights, cut.need), cut.least)
                for follower, own in zip(self.search.problem.followers, self.single.primal, strict=True)
                for cut in limit_cuts(leader, follower, answer.x[own], answer.x[: leader.size])
            ]
            if not rows:
                break
            for columns, weights, least in rows:
                program.add_row(least, np.inf, columns, weights)
            self._keep(rows)
        return bound

    def _keep(self, rows: list[tuple[np.ndarray, np.ndarray, float]]) -> None:
        single = self.single
        where = np.repeat(np.arange(len(rows)), [columns.size for columns, _, _ in rows])
        columns, weights = np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows])
        added = sparse.csr_matrix((weights, (where, columns)), shape=(len(rows), single.size))
        self.single = replace(
            single,
            rows=sparse.vstack([single.rows, added], format="csr"),
            row_lower=np.append(single.row_lower, [least for _, _, least in rows]),
            row_upper=np.append(single.row_upper, np.full(len(rows), np.inf)),
            row_blocks=[*single.row_blocks, ("limit cut", single.row_lower.size, len(rows))],
        )

    def solve_whole(self, best: Response, settings: SolveOptions) -> float:
        """The bound of the program with its integers; its point is completed, where there is one."""
        program = self._program(self.single.kinds != CONTINUOUS)
        # HiGHS measures its gap without the constant of the objective.
        allowed = _SHARE * max(settings.gap * abs(best.objective), settings.absolute_gap)
        start = self.single.complete(best.y, best.primal, best.dual)
        bound, found = program.bound_with_integers(start, 0.0, allowed, _NODES)
        if found is not None and not self.clock.is_late:
            self.search.try_decision(found[: self.single.leader_size], budget=12)
        return bound + self.single.objective.constant
