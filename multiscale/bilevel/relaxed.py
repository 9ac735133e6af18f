"""A bound of branch and cut's relaxation by HiGHS, for relaxations so large that SCIP's linear programs take minutes.

The relaxation (primal rows of the followers, the leader's problem, value cuts of known answers; products replaced by their envelopes) is a
mixed-integer program whose optimum bounds the problem. Where the best known point is within the gap of it nothing is left to search; else its
integers are completed to a point, and SCIP's tree goes on.
"""

from __future__ import annotations

import time

import numpy as np
from scipy import sparse

from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposition.envelopes import Envelopes
from multiscale.bilevel.problem.description import CONTINUOUS
from multiscale.bilevel.problem.gap import is_closed, relative_gap
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.worker import ScipOutcome
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.solvers.linear_program import LinearProgram

_LARGE = 100_000
"""Entries of the relaxation from which on HiGHS is asked first: below, SCIP's root node takes seconds."""

_NODES = 100
"""Nodes of HiGHS after which SCIP goes on."""

_SHARE = 0.8
"""Share of the gap to which the bound is sought: tolerances of rows need some."""


def bound_relaxation(single: SingleLevel, search: DecisionSearch, settings: SolveOptions, clock: Clock) -> ScipOutcome | None:
    """HiGHS's bound, with the status ``gaplimit`` where it closes the gap; None where this does not apply. Points found become the best."""
    best, factors = search.best, np.unique(single.products[:, 1:])
    applies = single.rows.nnz >= _LARGE and not single.curved and not single.pairs and not single.indicators and single.objective.is_linear
    if best is None or not applies or not (np.isfinite(single.lower[factors]) & np.isfinite(single.upper[factors])).all():
        return None
    began = time.perf_counter()
    envelopes = Envelopes(single)
    entries, low, high = envelopes.rows(single.lower, single.upper)
    where, shape = np.repeat(np.arange(envelopes.count), 3), (envelopes.count, single.size)
    envelope = sparse.csr_matrix((entries.ravel(), (where, envelopes.columns.ravel())), shape=shape)
    costs = np.zeros(single.size)
    np.add.at(costs, single.objective.columns, single.objective.coefficients)
    program = LinearProgram(
        sparse.vstack([single.rows, envelope], format="csr"),
        np.concatenate([single.row_lower, low]),
        np.concatenate([single.row_upper, high]),
        single.lower,
        single.upper,
        costs,
        single.kinds != CONTINUOUS,
        time_limit=clock.left(),
    )
    # HiGHS measures its gap without the constant of the objective.
    allowed = _SHARE * max(settings.gap * abs(best.objective), settings.absolute_gap)
    start = single.complete(best.y, best.primal, best.dual)
    bound, found = program.bound_with_integers(start, 0.0, allowed, _NODES)
    bound += single.objective.constant
    if found is not None and not clock.is_late:
        search.try_decision(found[: single.leader_size], budget=12)
    best = search.best
    closed = best is not None and is_closed(best.objective, bound, settings.gap, settings.absolute_gap)
    note = "" if best is None else f"the relaxation of {single.size:,} columns bounds the best point to {relative_gap(best.objective, bound):.2g}"
    return ScipOutcome("gaplimit" if closed else "open", None, np.nan, bound, 0, time.perf_counter() - began, note, solver="HiGHS")
