"""Unbounded followers: a follower that is unbounded at every leader decision has no optimal answer and is refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError, BilevelProblem, Follower
from multiscale.bilevel.problem.extension import Extension
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.solvers.conic_program import compiled
from multiscale.programs import Termination


def check_unbounded_followers(problem: BilevelProblem, search: DecisionSearch) -> str:
    """Look at followers that are unbounded at the first decisions; to be called when no start was found.

    Returns:
        A remark on followers that are unbounded somewhere, or an empty text.

    Raises:
        BilevelError: a follower is unbounded at every leader decision at which it is feasible; names a column that grows.
    """
    remarks = []
    for f, follower in enumerate(problem.followers):
        program = compiled(follower, time_limit=10.0)
        ends = [program.solve(search.clipped(y)).termination for y in search.first_decisions(None)[:2]]
        if follower.cones and Termination.ERROR in ends:
            remarks.append(f"follower {follower.name!r} gives no optimum at some leader decisions: its least cost may not be attained")
        if Termination.UNBOUNDED not in ends:
            continue
        column = _ray(problem, f)
        if column is not None:
            what = "minimises" if follower.sense > 0 else "maximises"
            raise BilevelError(
                f"follower {follower.name!r} is unbounded at every leader decision: it {what} without limit along "
                f"{follower.program.columns.label(column)}; give that variable a bound, or correct its objective"
            )
        remarks.append(f"follower {follower.name!r} is unbounded at some leader decisions")
    return "; ".join(remarks)


def _ray(problem: BilevelProblem, f: int) -> int | None:
    """Largest column of a direction along which the cost falls at every leader decision; None where there is none.

    A d (= or <=) 0,  Q d = 0,  d in the cones,  c0'd + sum_k max over the box of y_k (C_k'd)  <=  -1
    """
    follower, leader = problem.followers[f], problem.leader
    program = follower.program
    n, none = program.columns.size, sparse.csr_matrix((program.rows.size, 0))
    added = Extension(n)
    costs = program.c0
    payments = []
    by_leader = program.C.tocsc()
    for k in follower.cost_columns:
        part = slice(by_leader.indptr[k], by_leader.indptr[k + 1])
        quantity = list(zip(by_leader.indices[part].tolist(), by_leader.data[part].tolist(), strict=True))
        payment = added.column(f"payment of {leader.names[k]}")
        payments.append(payment)
        for end, sign in ((leader.lower[k], -1.0), (leader.upper[k], 1.0)):
            if np.isfinite(end):
                added.row(f"payment of {leader.names[k]}", [*[(j, end * a) for j, a in quantity], (payment, -1.0)], [], 0.0, equality=False)
            else:
                added.row(f"sign of {leader.names[k]}", [(j, sign * a) for j, a in quantity], [], 0.0, equality=False)
    if program.Q is not None:
        curvature = program.Q.tocsr()
        for j in np.flatnonzero(np.diff(curvature.indptr)):
            part = slice(curvature.indptr[j], curvature.indptr[j + 1])
            entries = list(zip(curvature.indices[part].tolist(), curvature.data[part].tolist(), strict=True))
            added.row(f"curvature {j}", entries, [], 0.0, equality=True)
    decrease = [*[(int(j), -float(costs[j])) for j in np.flatnonzero(costs)], *[(payment, -1.0) for payment in payments]]
    added.row("decrease", decrease, [], 1.0, equality=False)
    base = replace(
        program,
        parameters=type(program.parameters)(()),
        b0=np.zeros(program.rows.size),
        B=none,
        C=sparse.csr_matrix((n, 0)),
        lower=np.where(np.isfinite(program.lower), 0.0, -np.inf),
        upper=np.where(np.isfinite(program.upper), 0.0, np.inf),
        Q=None,
        d0=0.0,
        d=np.zeros(0),
        outputs={},
    )
    whole = added.apply(base)
    goal = whole.c0.copy()
    goal[payments] = 1.0
    found = compiled(Follower("direction", replace(whole, c0=goal), cones=follower.cones)).solve(np.zeros(0))
    if found.termination is not Termination.OPTIMAL or found.objective > -1.0 + 1e-6:
        return None
    return int(np.abs(found.x[:n]).argmax())
