"""The method ``auto``: one way after another until an answer is proven.

1. all leader decisions one by one, where they are few (module ``search.enumeration``);
2. the reformulation that suits the problem (module ``reformulate.choose``);
3. where that does not apply, fails, is not certified, makes no progress or leaves a gap while time is left: the other reformulations, each from
   the best point known. Progress is measured in work (LP iterations, nodes), never by the clock; where all make none, the one with the smallest
   gap has the rest of the time.

Bounds of all ways are proven, so the best point and the best bound make the answer. Two certified answers that contradict each other are never
reported as optimal. The message names what was tried, in order, and how each way ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from textwrap import shorten

import numpy as np

from multiscale.bilevel.certify.conclude import conclude_enumeration
from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.description import BilevelProblem, MethodError
from multiscale.bilevel.problem.gap import TOLERANCE, contradicts, is_closed, relative_gap
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.enumeration import decisions, enumerate_decisions

OTHERS = ("branch_and_cut", "strong_duality", "sos1", "indicator", "product", "big_m")
"""What is tried after the first choice, in order."""

_NOT_AFTER_A_STALL = ("indicator", "product", "big_m")
"""These state the same pairs as ``sos1``: where that makes no progress, they do not either."""

_PROVEN = (Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED)

_PATIENCE = 5e8
"""Work of SCIP (see ``scip.worker``) without progress after which another way is tried."""

_LEAST = 1.0
"""Seconds below which no further way is begun."""

Once = Callable[[BilevelProblem, SolveOptions, np.ndarray | None, Clock], BilevelSolution]


def solve_in_turn(problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None, clock: Clock, once: Once) -> BilevelSolution:
    """Solve a problem by one way after another.

    Args:
        problem: the bilevel problem as it was read.
        settings: with ``method="auto"``.
        start: the user's decision.
        clock: seconds left.
        once: solves the problem by the method of the settings.

    Raises:
        BilevelError: the problem is refused, or no method takes it (then the refusal of the first choice).
    """
    tried: list[str] = []
    answer: BilevelSolution | None = None
    refusal: MethodError | None = None
    if settings.write is None:
        answer = _enumerated(problem, settings, clock)
        if answer is not None:
            tried.append(f"enumeration: {_ending(answer)}")
    used: set[str] = set()
    stalled: list[tuple[float, str]] = []
    for method in ("auto", *OTHERS, "last"):
        patience: float | None = _PATIENCE
        if method == "last" and stalled:
            method, patience = min(stalled)[1], None
        elif method == "last" or method in used or (stalled and method in _NOT_AFTER_A_STALL):
            continue
        if answer is not None and (answer.status in _PROVEN or _is_over(answer, problem, settings, clock)):
            break
        known = start if answer is None or not answer.values else np.array([answer.values[name] for name in problem.leader.names])
        try:
            found = once(problem, replace(settings, method=method, patience=patience), known, clock)
        except MethodError as error:
            refusal = refusal or error
            tried.append(f"{method}: does not apply ({error})")
            continue
        if method != "auto":
            found = replace(found, methods=dict.fromkeys(found.methods, f"{method} (after others, see the message)"))
        names = {why.split(" ", 1)[0] for why in found.methods.values()}
        used |= names if len(names) == 1 else set()
        tried.append(f"{' and '.join(sorted(names)) or method}: {_ending(found)}")
        if found.ended == "stalled":
            stalled.append((found.gap, method))
        answer = found if answer is None else combined(answer, found, settings, problem.leader.sense)
    if answer is None:
        assert refusal is not None
        raise refusal
    if len(tried) > 1:
        answer = replace(answer, message="; ".join(filter(None, [answer.message, f"tried in this order: {' | '.join(tried)}"])))
    return replace(answer, timings=clock.timings)


def _enumerated(problem: BilevelProblem, settings: SolveOptions, clock: Clock) -> BilevelSolution | None:
    """The answer by enumeration; None where it does not apply."""
    search = DecisionSearch(problem, tolerance=TOLERANCE, time_limit=clock.one_solve)
    values = decisions(problem, search.responder.linking, settings.enumerate_up_to, TOLERANCE)
    if not values:
        return None
    with clock.stage("enumeration"):
        found = enumerate_decisions(search, values, clock.deadline)
        answer = conclude_enumeration(problem, search, found, settings)
    why = f"enumeration (followers see {len(values):,} decisions, each solved with its certificate)"
    return replace(answer, methods={f.name: why for f in problem.followers}, problem=problem)


def _is_over(answer: BilevelSolution, problem: BilevelProblem, settings: SolveOptions, clock: Clock) -> bool:
    """Whether a further way is of no use: no time, the user's own limit or interrupt, a contradiction, or a bound that no method can prove."""
    if clock.deadline - time.perf_counter() < _LEAST or answer.status is Status.TIME_LIMIT or answer.ended in ("userinterrupt", "contradiction"):
        return True
    if any(name.startswith("limits/") for name in settings.parameters or ()):
        return True
    # Constraint qualifications do not depend on the method.
    return any(f.cones for f in problem.followers) and answer.certificate is not None and answer.certificate.holds


def combined(one: BilevelSolution, other: BilevelSolution, settings: SolveOptions, sense: float) -> BilevelSolution:
    """The better certified point with the better proven bound; ``feasible`` with a remark where the two contradict each other."""
    first, second = (a.certificate is not None and a.certificate.holds for a in (one, other))
    if first and (other.status is Status.INFEASIBLE or (other.status is Status.UNBOUNDED and np.isfinite(one.bound))):
        return _contradicted(one, f"a way that ended with {other.status} contradicts the certified answer of another")
    if not first:
        return other if second or other.status in _PROVEN or one.certificate is None else one
    if other.status is Status.UNBOUNDED:
        return other
    if not second:
        return replace(one, message=other.message, ended=other.ended)
    best = min(one, other, key=lambda a: sense * a.objective)
    objective, bound = sense * best.objective, max(sense * one.bound, sense * other.bound)
    if contradicts(objective, bound):
        return _contradicted(best, f"the bound {sense * bound:.9g} of one way contradicts the certified point {best.objective:.9g} of another")
    return replace(
        best,
        status=Status.OPTIMAL if is_closed(objective, bound, settings.gap, settings.absolute_gap) else Status.FEASIBLE,
        bound=sense * bound,
        gap=relative_gap(objective, bound),
        methods=other.methods if sense * other.bound >= bound else best.methods,
        message=other.message,
        ended=other.ended,
    )


def _contradicted(best: BilevelSolution, remark: str) -> BilevelSolution:
    return replace(best, status=Status.FEASIBLE, message="; ".join(filter(None, [best.message, remark])), ended="contradiction")


def _ending(answer: BilevelSolution) -> str:
    """Status and why, in a few words."""
    if answer.status in _PROVEN:
        return str(answer.status)
    failures = "; ".join(answer.certificate.failures) if answer.certificate is not None else ""
    gap = f"gap {answer.gap:.2g}" if np.isfinite(answer.gap) else "no gap"
    return f"{answer.status} ({shorten('; '.join(filter(None, [gap, failures or answer.message])), 200)})"
