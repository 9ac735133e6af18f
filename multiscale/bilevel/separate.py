"""A leader whose parts share no row, no product and no follower: the parts are solved apart and joined with one certificate.

The optimum of the whole is the sum of the parts' optima, and so are bounds. A part's gap is relative to its own objective; where the parts'
objectives cancel, the parts with the largest gaps are solved once more, closer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from multiscale.bilevel.certify.certificate import Certificate
from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import TOLERANCE, contradicts, is_closed, relative_gap
from multiscale.bilevel.problem.parts import Part, split
from multiscale.bilevel.problem.solve_options import SolveOptions

_ROUNDS = 3
"""Rounds in which parts are solved closer."""

Whole = Callable[[BilevelProblem, SolveOptions, np.ndarray | None, Clock], BilevelSolution]


def solve_parts(problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None, clock: Clock, whole: Whole) -> BilevelSolution | None:
    """The answer by parts; None where the problem is one part.

    Args:
        problem: the bilevel problem.
        settings: how to solve.
        start: the user's decision.
        clock: seconds left.
        whole: solves a problem in one piece.
    """
    found = split(problem)
    if found is None:
        return None
    parts, rest = found
    constant = rest.value(np.zeros(problem.leader.size + len(problem.leader.quantity_names)))
    known: list[BilevelSolution] = []
    each = replace(settings, absolute_gap=settings.absolute_gap / len(parts))
    for i, part in enumerate(parts):
        known.append(_solved(part, each, start, clock, len(parts) - i, whole))
        if known[-1].status is Status.INFEASIBLE or known[-1].ended == "userinterrupt":
            break
    answer = _joined(problem, parts, constant, known, settings)
    for _ in range(_ROUNDS):
        worst = max(range(len(known)), key=lambda i: _open(known[i]), default=0)
        allowed = settings.gap * abs(answer.objective) / len(parts) / max(abs(known[worst].objective), 1e-6)
        if answer.status is not Status.FEASIBLE or answer.ended == "userinterrupt" or clock.is_late or not allowed < 0.9 * known[worst].gap:
            break
        begin = np.zeros(problem.leader.size)
        begin[parts[worst].variables] = [known[worst].values[name] for name in parts[worst].problem.leader.names]
        closer = _solved(parts[worst], replace(each, gap=allowed), begin, clock, 1, whole)
        if closer.certificate is None or not closer.certificate.holds or not _open(closer) < _open(known[worst]):
            break
        known[worst] = closer
        answer = _joined(problem, parts, constant, known, settings)
    return replace(answer, timings=clock.timings)


def _open(answer: BilevelSolution) -> float:
    return abs(answer.objective - answer.bound)


def _solved(part: Part, settings: SolveOptions, start: np.ndarray | None, clock: Clock, left: int, whole: Whole) -> BilevelSolution:
    own = Clock(clock.left() / left)
    answer = whole(part.problem, replace(settings, time_limit=own.left()), None if start is None else start[part.variables], own)
    for stage, seconds in own.timings.items():
        clock.timings[stage] = clock.timings.get(stage, 0.0) + seconds
    return answer


def _joined(
    problem: BilevelProblem, parts: Sequence[Part], constant: float, known: Sequence[BilevelSolution], settings: SolveOptions
) -> BilevelSolution:
    """One answer from those of the parts, judged on the whole problem."""
    sense, leader = problem.leader.sense, problem.leader
    names = [", ".join(problem.followers[f].name for f in part.followers) for part in parts]
    said = "; ".join(f"[{name}] {s.status}: {s.message}" for name, s in zip(names, known, strict=False))
    message = f"{len(parts)} parts that share nothing, solved apart: {said}"
    merged = replace(
        known[-1],
        nodes=sum(s.nodes for s in known),
        methods={f.name: s.methods[f.name] for s in known for f in (s.problem.followers if s.problem else ()) if f.name in s.methods},
        size=" | ".join(filter(None, (s.size for s in known))),
        message=message,
        problem=problem,
    )
    bounds = [sense * s.bound for s in known]
    bound = constant + sum(bounds) if len(known) == len(parts) else -np.inf
    nothing = replace(merged, objective=np.nan, gap=np.inf, values={}, primal={}, dual={}, certificate=None)
    infeasible = next((s for s in known if s.status is Status.INFEASIBLE), None)
    if infeasible is not None:
        return replace(nothing, status=Status.INFEASIBLE, bound=sense * np.inf)
    pointless = [s for s in known if s.certificate is None]
    if pointless or len(known) < len(parts):
        order = (Status.ERROR, Status.TIME_LIMIT, Status.UNBOUNDED)
        ended = Status.ERROR if known[-1].ended == "userinterrupt" else Status.TIME_LIMIT
        status = next((kind for kind in order if any(s.status is kind for s in pointless)), ended)
        return replace(nothing, status=status, bound=sense * bound, ended=pointless[0].ended if pointless else known[-1].ended)
    values = {name: value for s in known for name, value in s.values.items()}
    z = np.array([values[name] for name in (*leader.names, *leader.quantity_names)])
    objective, violation = leader.objective.value(z), problem.violation(z)
    failures = [failure for s in known if s.certificate is not None for failure in s.certificate.failures]
    if not violation[0] <= TOLERANCE:
        failures.append(f"leader row {violation[1]} is violated by {violation[0]:.2e}")
    apart = abs(objective - constant - sum(sense * s.objective for s in known))
    if not apart <= TOLERANCE * max(1.0, abs(objective)):
        failures.append(f"the parts' objectives add up to {apart:.2e} other than that of the whole")
    if contradicts(objective, bound):
        failures.append(f"the bound {sense * bound:.9g} contradicts the certified point {sense * objective:.9g}")
    certificate = _certificate(problem, known, sense * constant, violation, failures)
    unbounded = any(s.status is Status.UNBOUNDED for s in known)
    failed = bool(failures) or any(s.status is Status.ERROR for s in known)
    closed = is_closed(objective, bound, settings.gap, settings.absolute_gap) and all(s.status is Status.OPTIMAL for s in known)
    return replace(
        merged,
        status=Status.ERROR if failed else Status.UNBOUNDED if unbounded else Status.OPTIMAL if closed else Status.FEASIBLE,
        objective=sense * objective,
        bound=sense * bound,
        gap=relative_gap(objective, bound),
        values={name: values[name] for name in (*leader.names, *leader.quantity_names)},
        primal={f.name: next(s.primal[f.name] for s in known if f.name in s.primal) for f in problem.followers},
        dual={f.name: next(s.dual[f.name] for s in known if f.name in s.dual) for f in problem.followers},
        certificate=certificate,
        ended=next((s.ended for s in known if s.status is not Status.OPTIMAL), known[-1].ended),
    )


def _certificate(
    problem: BilevelProblem, known: Sequence[BilevelSolution], constant: float, violation: tuple[float, str], failures: Sequence[str]
) -> Certificate:
    """Followers' certificates in the order of the whole problem; what ties are worth is the sum over the parts."""
    inner = [s.certificate for s in known if s.certificate is not None]
    of_follower = {c.name: c for certificate in inner for c in certificate.followers}
    ends = [[getattr(c, which) for c in inner] for which in ("optimistic", "pessimistic")]
    optimistic, pessimistic = (None if None in values else constant + sum(values) for values in ends)
    return Certificate(
        followers=tuple(of_follower[f.name] for f in problem.followers),
        leader_violation=violation,
        optimistic=optimistic,
        pessimistic=pessimistic,
        solver_gap=float(np.max([c.solver_gap for c in inner])),
        round_trip=max((c.round_trip for c in inner), key=lambda found: found[0]),
        failures=tuple(failures),
    )
