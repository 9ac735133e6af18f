"""From the search to the answer: every node's point in its own objective, certificates of all nodes, persistence, and the gap of the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from multiscale.bilevel.certify.original import check_originals
from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.problem.gap import contradicts, is_closed, relative_gap
from multiscale.bilevel.tree.node_solves import Job
from multiscale.bilevel.tree.search import TreeSearch
from multiscale.bilevel.tree.solution import TreeSolution

_APART = 1e-6
"""Largest violation of persistence."""

_CLOSER = 0.25
"""Share of the gap of node solves at which points are solved again at their investments."""


def conclude(search: TreeSearch) -> TreeSolution:
    """The answer of a search; ``optimal`` only with every node certified, persistence kept and the gap closed."""
    tree = search.tree
    if search.failed is not None:
        name = tree.names[search.failed.job.node]
        if search.failed.solution.status is Status.INFEASIBLE:
            return _answer(search, Status.INFEASIBLE, np.inf, f"node {name!r} is infeasible")
        what = "is unbounded without persistence, which leaves the tree undecided; bound its investments"
        return _answer(search, Status.ERROR, -np.inf, f"node {name!r} {what}")
    if search.best is None:
        if search.bound == np.inf:
            return _answer(search, Status.INFEASIBLE, np.inf, "no investments keep persistence")
        status = Status.TIME_LIMIT if search.is_late else Status.ERROR
        return _answer(search, status, search.bound, "no feasible tree is known")
    _evaluate_priced(search)
    found = [check_originals(read, replace(c.solution, constraint_rows=_rows(read))) for read, c in zip(tree.reads, search.best, strict=True)]
    failures = []
    for name, solution in zip(tree.names, found, strict=True):
        if solution.certificate is None or not solution.certificate.holds:
            known = "no certificate" if solution.certificate is None else "; ".join(solution.certificate.failures)
            failures.append(f"node {name!r}: {known}")
    apart = tree.violation([c.z for c in search.best if c.z is not None])
    if not apart <= _APART:
        failures.append(f"persistence is violated by {apart:.2e}")
    if contradicts(search.objective, search.bound):
        failures.append(f"the bound {search.bound:.9g} contradicts the certified tree {search.objective:.9g}")
    closed = is_closed(search.objective, search.bound, search.settings.gap)
    status = Status.ERROR if failures else Status.OPTIMAL if closed else Status.FEASIBLE
    return _answer(search, status, search.bound, "; ".join(failures), found)


def _evaluate_priced(search: TreeSearch) -> None:
    """Points found with multipliers in the objective are solved again in the node's own objective, at their investments."""
    assert search.best is not None
    jobs = [Job(c.job.node, box=(c.z, c.z), start=c.y) for c in search.best if c.z is not None and c.job.slope is not None and c.job.slope.any()]
    answered = {a.job.node: a for a in search.solve(jobs, _CLOSER) if a.z is not None}
    for job in jobs:
        column = search.best[job.node]
        if job.node not in answered or answered[job.node].value > column.value:
            # What ties are worth was asked with the multipliers in the objective.
            assert column.solution.certificate is not None
            certificate = replace(column.solution.certificate, optimistic=None, pessimistic=None)
            plain = replace(column.solution, objective=search.tree.sense * column.value, bound=-search.tree.sense * np.inf, gap=np.inf)
            plain = replace(plain, certificate=certificate)
            answered[job.node] = replace(column, solution=replace(plain, message=f"found with multipliers in the objective; {plain.message}"))
    search.best = [answered.get(n, column) for n, column in enumerate(search.best)]


def _answer(search: TreeSearch, status: Status, bound: float, message: str, found: Sequence[BilevelSolution] | None = None) -> TreeSolution:
    tree, sense = search.tree, search.tree.sense
    found = [a.solution for a in search.alone] if found is None else found
    objective = search.objective if search.best is not None else np.nan
    held = [None] * len(tree.names) if search.best is None else [c.z for c in search.best]
    labels = [[tree.problem(n).leader.names[int(k)] for k in places] for n, places in enumerate(tree.investments)]
    return TreeSolution(
        status=status,
        objective=sense * objective,
        bound=sense * bound,
        gap=relative_gap(objective, bound) if search.best is not None else np.inf,
        nodes=dict(zip(tree.names, found, strict=False)),
        weights=dict(zip(tree.names, tree.weights.tolist(), strict=True)),
        investments={
            name: {} if z is None else dict(zip(names, z.tolist(), strict=True)) for name, names, z in zip(tree.names, labels, held, strict=True)
        },
        separate={name: sense * search.master.known[n].least for n, name in enumerate(tree.names)},
        solves=search.solver.count,
        timings=search.clock.timings,
        message="; ".join(filter(None, [message, *search.said])),
    )


def _rows(read: Any) -> dict[int, tuple[str, list[tuple[int, float]]]]:
    return {key: (e.name, parts) for e in read.extracted for key, parts in e.constraint_rows.items()}
