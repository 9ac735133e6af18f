"""Check a follower whose products with binaries became columns against the follower as the user wrote it.

With the leader's variables fixed in the Pyomo model the products are linear: the block is read again, solved on its own, and the
answer is put into the user's own constraints.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyomo.environ as pyo

from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.problem.description import Follower
from multiscale.bilevel.problem.followers import BlockFollower
from multiscale.bilevel.problem.gap import TOLERANCE
from multiscale.bilevel.read.auxiliary import Auxiliary
from multiscale.bilevel.read.extract_block import extract_block
from multiscale.bilevel.read.extracted import Extracted
from multiscale.bilevel.read.pyomo_model import PyomoProblem
from multiscale.bilevel.solvers.conic_program import compiled
from multiscale.bilevel.solvers.polish import polished
from multiscale.programs import Termination


def check_originals(read: PyomoProblem, solution: BilevelSolution) -> BilevelSolution:
    """The solution, its certificate extended by the original form of every follower with lifted products.

    An answer that is not optimal for the original follower, or violates one of its constraints, by more than the tolerance fails.
    """
    certificate = solution.certificate
    if certificate is None:
        return solution
    entries, failures = list(certificate.followers), list(certificate.failures)
    for f, (extracted, stated) in enumerate(zip(read.extracted, read.followers, strict=True)):
        if not extracted.lifted or not isinstance(stated, BlockFollower):
            continue
        gap, violation, where = _original(read, extracted, stated, solution)
        entries[f] = replace(entries[f], original=f"with the leader's variables fixed: gap {gap:.1e}, constraints {violation:.1e} {where}".rstrip())
        if not (abs(gap) <= TOLERANCE and violation <= TOLERANCE):
            found = f"a gap of {gap:.2e} and a violation of {violation:.2e} {where}".rstrip()
            failures.append(f"follower {extracted.name}: its original form gives {found}")
    if failures == list(certificate.failures):
        return replace(solution, certificate=replace(certificate, followers=tuple(entries)))
    certificate = replace(certificate, followers=tuple(entries), failures=tuple(failures))
    return replace(solution, status=Status.ERROR, certificate=certificate)


def _original(read: PyomoProblem, extracted: Extracted, stated: BlockFollower, solution: BilevelSolution) -> tuple[float, float, str]:
    """Relative gap and largest relative violation of the answer in the user's own block, and the constraint."""
    leaders, own = read.leader_variables, extracted.variables
    x = solution.primal[extracted.name][: len(own)]
    values = [solution.values[name] for name in read.problem.leader.names]
    saved = [(v, v.value, v.fixed) for v in (*leaders, *own)]
    try:
        for v, value, kind in zip(leaders, values, read.problem.leader.kinds, strict=True):
            v.fix(round(value) if kind != "C" else value, skip_validation=True)
        plain = extract_block(stated, lambda _: None, Auxiliary())
        follower = Follower(extracted.name, plain.program, plain.sense, plain.cones)
        found = compiled(follower).solve(np.zeros(0))
        if found.termination is not Termination.OPTIMAL:
            return np.inf, np.inf, f"(it ends {found.termination})"
        best = found.x if follower.cones else polished(follower.program, np.zeros(0), found.x, found.y)[0]
        padded = np.concatenate([x, np.zeros(plain.program.columns.size - x.size)])
        optimum = follower.program.objective(best, np.zeros(0))
        gap = (follower.program.objective(padded, np.zeros(0)) - optimum) / max(1.0, abs(optimum))
        for v, value in zip(own, x, strict=True):
            v.set_value(float(value), skip_validation=True)
        return gap, *_violation(stated.block)
    finally:
        for v, value, fixed in saved:
            v.fixed = fixed
            v.set_value(value, skip_validation=True)


def _violation(block: Any) -> tuple[float, str]:
    worst, where = 0.0, ""
    for constraint in block.component_data_objects(pyo.Constraint, active=True, descend_into=True):
        body = pyo.value(constraint.body)
        low, high = pyo.value(constraint.lower, exception=False), pyo.value(constraint.upper, exception=False)
        short = max(0.0 if low is None else low - body, 0.0 if high is None else body - high) / max(1.0, abs(body))
        if short > worst:
            worst, where = short, constraint.name
    return worst, where
