"""An answer found in normal form, taken back and certified on the problem as it was read.

The followers as they were read are solved again at the decision; what is certified is the better of their answer, with ties in the
leader's favour, and the columns that the way back gives, where those are optimal. Bound and search are those of the normal form: it has the same
decisions and the same optima.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from multiscale.bilevel.certify.certificate import Certificate, certify_follower
from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.normal.normalise import NormalForm
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import TOLERANCE, contradicts, is_closed, relative_gap
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.search.response import Answers, Responder, Response
from multiscale.programs import Termination

_FEASIBLE = 1e-8
"""Largest violation of a follower's rows by columns that come back from the normal form; beyond, only the fresh answer counts."""

_LEAST, _MOST = 60.0, 3600.0
"""Seconds for one solve of a follower as it was read: what is left of the solve, but not less than the first, so that a found answer is not lost."""

_DECISIONS = 2
"""Other decisions at which the followers as read and in normal form are compared."""


def as_read(
    problem: BilevelProblem, normal: NormalForm, answer: BilevelSolution, settings: SolveOptions, deadline: float = np.inf
) -> tuple[BilevelSolution, list[str]]:
    """The answer for the problem as it was read, and where it fails; nothing where it holds, or where there is no point to judge."""
    seconds = float(np.clip(deadline - time.perf_counter(), _LEAST, _MOST))
    responder = Responder(problem, tolerance=TOLERANCE, time_limit=seconds)
    if answer.certificate is None:
        proven = answer.status in (Status.INFEASIBLE, Status.UNBOUNDED)
        return replace(answer, problem=problem), _differences(problem, normal, responder, deadline) if proven else []
    y = np.array([answer.values[name] for name in normal.problem.leader.names])
    best = _best(problem, responder, *normal.restored(y, [answer.primal[f.name] for f in normal.problem.followers]))
    sense = problem.leader.sense
    if best is None:
        return replace(answer, problem=problem), ["a follower as it was read has no optimum at the decision found in normal form"]
    bound, objective = sense * answer.bound, best.objective
    certificate = _certificate(problem, responder, best, answer.certificate)
    apart = [*_differences(problem, normal, responder, deadline), *_contradictions(answer, certificate, sense, objective)]
    if apart:
        certificate = replace(certificate, failures=(*certificate.failures, *apart))
    status = answer.status
    if not certificate.holds:
        status = Status.ERROR
    elif status is Status.OPTIMAL and not is_closed(objective, bound, settings.gap, settings.absolute_gap):
        status = Status.FEASIBLE
    names = [*problem.leader.names, *problem.leader.quantity_names]
    found = replace(
        answer,
        status=status,
        objective=sense * objective,
        gap=relative_gap(objective, bound),
        values=dict(zip(names, best.z.tolist(), strict=True)),
        primal={f.name: x for f, x in zip(problem.followers, best.primal, strict=True)},
        dual={f.name: f.sense * multipliers for f, multipliers in zip(problem.followers, best.dual, strict=True)},
        certificate=certificate,
        size=f"{answer.size}; {normal.describe(problem)}",
        problem=problem,
    )
    return found, list(certificate.failures)


def _best(problem: BilevelProblem, responder: Responder, y: np.ndarray, primal: list[np.ndarray]) -> Response | None:
    """The best answer at the decision: the followers', with ties in the leader's favour, or the one that came back."""
    found = responder.respond(y, thorough=True)
    if found is None:
        return None
    primal = [np.clip(x, f.program.lower, f.program.upper) for x, f in zip(primal, problem.followers, strict=True)]
    violated = max(f.program.violation(x, y) for x, f in zip(primal, problem.followers, strict=True))
    if violated <= _FEASIBLE and responder.is_optimal(y, primal, found.primal):
        back: Response | None = responder.evaluate(y, primal, found.dual)
        if responder.own.size and back is not None:
            back = responder.choose(back, "own")
        if back is not None and back.better_than(found, responder.tolerance):
            return back
    return found


def _certificate(problem: BilevelProblem, responder: Responder, best: Response, inner: Certificate) -> Certificate:
    """The certificate of the point as read, with what was found out in normal form of multipliers, SCIP's point and the single-level program."""
    followers = []
    for f, known in enumerate(inner.followers):
        found = certify_follower(problem, f, best.y, best.primal[f], best.dual[f])
        followers.append(replace(found, how=known.how, binding_bounds=known.binding_bounds))
    failures = [f"follower {c.name}: {c.message or 'a residual exceeds the tolerance'}" for c in followers if not c.holds()]
    if not best.violation[0] <= TOLERANCE:
        failures.append(f"leader row {best.violation[1]} is violated by {best.violation[0]:.2e}")
    sense = problem.leader.sense
    optimistic, pessimistic = (_extreme(responder, best, which) for which in ("best", "worst"))
    return Certificate(
        followers=tuple(followers),
        leader_violation=best.violation,
        optimistic=None if optimistic is None else sense * min(optimistic, best.objective),
        pessimistic=None if pessimistic is None else sense * max(pessimistic, best.objective),
        solver_gap=inner.solver_gap,
        round_trip=inner.round_trip,
        failures=(*inner.failures, *failures),
    )


def _contradictions(answer: BilevelSolution, certificate: Certificate, sense: float, objective: float) -> list[str]:
    """Where the point as read and the one in normal form are not the same: optima of the followers, the leader's objective, the bound."""
    found = []
    inner = answer.certificate.followers if answer.certificate is not None else ()
    for before, after in zip(inner, certificate.followers, strict=True):
        if not abs(before.optimum - after.optimum) <= TOLERANCE * max(1.0, abs(after.optimum)):
            found.append(f"follower {after.name} has the optimum {after.optimum:.9g} as read and {before.optimum:.9g} in normal form")
    if not objective <= sense * answer.objective + 1e-5 * max(1.0, abs(objective)):
        found.append(f"the leader's objective is {sense * objective:.9g} as read and {answer.objective:.9g} in normal form")
    if contradicts(objective, sense * answer.bound):
        found.append(f"the bound {answer.bound:.9g} contradicts the certified point {sense * objective:.9g}")
    return found


def _differences(problem: BilevelProblem, normal: NormalForm, responder: Responder, deadline: float) -> list[str]:
    """Other decisions at which a follower as read and in normal form have different optima: there are none unless a step is wrong."""
    leader, other = normal.problem.leader, Responder(normal.problem, time_limit=responder.time_limit)
    rng = np.random.default_rng(5)
    low, high = np.maximum(leader.lower, -1e3), np.minimum(leader.upper, 1e3)
    found = []
    for _ in range(_DECISIONS):
        if time.perf_counter() + 3.0 * responder.slowest > deadline:
            break
        y = rng.uniform(np.minimum(low, high), np.maximum(low, high))
        y[leader.integral] = np.round(y[leader.integral])
        y = np.clip(y, leader.lower, leader.upper)
        whole, _ = normal.restored(y, [np.zeros(f.program.columns.size) for f in normal.problem.followers])
        reduced, full = other.answer(y), responder.answer(whole)
        if not isinstance(reduced, tuple) or not isinstance(full, tuple):
            if isinstance(reduced, tuple) != isinstance(full, tuple):
                found.append(f"at another decision the followers end with {_ending(full)} as read and {_ending(reduced)} in normal form")
            continue
        for f, follower in enumerate(problem.followers):
            ends = problem.cost(f, full[0][f], whole), normal.problem.cost(f, reduced[0][f], y)
            if not abs(ends[0] - ends[1]) <= TOLERANCE * max(1.0, abs(ends[0])):
                found.append(f"follower {follower.name} has the optimum {ends[0]:.9g} as read and {ends[1]:.9g} in normal form at another decision")
    return found


def _ending(found: Answers | Termination) -> str:
    return "an optimum" if isinstance(found, tuple) else str(found)


def _extreme(responder: Responder, best: Response, which: str) -> float | None:
    if not responder.has_choice:
        return best.objective
    found = responder.choose(best, which)
    return None if found is None else found.objective
