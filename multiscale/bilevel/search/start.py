"""A bilevel-feasible point to begin with, and what is known of the followers from it."""

from __future__ import annotations

import time

import numpy as np

from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.work import solves_in

_FLIPS, _FLIPS_BY_SIZE = 2e8, 1e5
"""Work for flips at most, and for each column and row of the followers (``search.work``); SCIP's own heuristic goes on with them."""


def find_start(search: DecisionSearch, given: np.ndarray | None, seconds: float, left: float, *, flips: bool = True) -> None:
    """Fill ``search.best`` with a bilevel-feasible point, if the first decisions lead to one; then flip integers for a while.

    Args:
        search: where to keep what is found.
        given: the user's decision.
        seconds: for trying decisions.
        left: seconds before the time limit; the relaxation that leads to the first decision may take a third of them.
        flips: whether to flip integers.
    """
    deadline = time.perf_counter() + seconds
    first = search.first_decisions(given)
    if given is not None:
        search.try_decision(first.pop(0))
    near = search.relaxed_decisions(max(0.5, 0.5 * seconds, left / 3.0))
    quick = any(search.try_quickly(y) for y in near)
    if quick and not flips:
        # The search inside SCIP goes on from here.
        return
    # Whichever comes first must be finished; those near the relaxation are the better ones.
    for y in [*near, *first]:
        if search.best is not None and (time.perf_counter() > deadline or (not flips and y is first[0])):
            return
        search.try_decision(y)
    if flips:
        # The heuristic inside SCIP goes on with this, led by LP solutions.
        programs = [f.program for f in search.problem.followers]
        size, entries = sum(p.columns.size + p.rows.size for p in programs), sum(p.A.nnz for p in programs)
        search.improve(solves_in(min(_FLIPS, _FLIPS_BY_SIZE * size), entries), 0.5 * (deadline + time.perf_counter()))


def known_answers(search: DecisionSearch, *, along: bool) -> list[list[np.ndarray]]:
    """Follower answers at the best known point and along its prices, for value cuts."""
    best = search.best
    if best is None:
        return []
    answers = [best.primal]
    for share in (0.0, 0.25, 0.5, 0.75, 1.25, 1.5, 2.0) if along and search.prices.size else ():
        y = best.y.copy()
        y[search.prices] *= share
        found = search.responder.answer(search.clipped(y))
        if isinstance(found, tuple):
            answers.append(found[0])
    return answers
