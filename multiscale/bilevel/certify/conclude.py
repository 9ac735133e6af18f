"""From SCIP's outcome to a certified answer: the followers are solved again, the best of all known points is certified."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from multiscale.bilevel.certify.certificate import Certificate, certify_follower
from multiscale.bilevel.certify.pattern import pattern_program
from multiscale.bilevel.certify.round_trip import round_trip
from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.decomposition.decompose import Decomposed
from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.problem.gap import TOLERANCE, contradicts, is_closed, relative_gap
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.client import Run, run
from multiscale.bilevel.scip.lp_export import write_lp
from multiscale.bilevel.scip.worker import Task
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.enumeration import Enumerated
from multiscale.bilevel.search.response import Response

PROVEN = {"optimal", "gaplimit"}
"""What SCIP calls a closed gap."""

_SOLVER_GAP = 1e-3
"""Largest follower gap of SCIP's own point (before the followers are solved again) that its row tolerance can explain."""


_PATTERN = 1e8
"""Work (``search.work``) without progress after which the best point of a complementary pattern is no longer sought."""


def conclude(
    problem: BilevelProblem,
    single: SingleLevel,
    bounds: list[DualBounds],
    search: DecisionSearch,
    outcome: Run,
    settings: SolveOptions,
    deadline: float = np.inf,
) -> BilevelSolution:
    """Turn SCIP's outcome into a certified answer: the followers are solved again, the better of all known points is certified."""
    scip = outcome.outcome
    solver_gap = 0.0
    if scip.v is not None and not np.isnan(scip.v).any():
        solver_gap = _solver_gap(problem, single, scip.v)
        _consider(search, problem, single, scip.v)
        if _falls_short(search, scip.objective, settings.gap):
            _consider_pattern(search, problem, single, scip.v, settings, deadline)
    best = _finish(search)
    bound = scip.bound if abs(scip.bound) < 1e20 else (np.inf if scip.bound > 0 else -np.inf)
    message = "; ".join(
        [f"{scip.solver}: {scip.status}", *filter(None, [scip.note, outcome.aborted, "solved again under safe settings" if outcome.retried else ""])]
    )
    sense = problem.leader.sense
    if best is None:
        status = {"infeasible": Status.INFEASIBLE, "unbounded": Status.UNBOUNDED}.get(scip.status, Status.ERROR)
        if scip.status in ("timelimit", "memlimit", "userinterrupt"):
            status = Status.TIME_LIMIT if scip.status == "timelimit" else Status.ERROR
        if scip.v is not None:
            message += "; SCIP's point fails when the followers are solved again, and no certified point is known"
            status = Status.ERROR
        return no_point(status, sense * bound, message, scip.nodes, scip.status)
    certificate = certify(problem, single, best, bounds, search, solver_gap, bound, deadline)
    proven = scip.status in PROVEN | {"timelimit", "userinterrupt", "memlimit", "stalled"}
    answer = _answer(problem, best, certificate, bound, settings, message, proven=proven)
    if scip.status in ("unbounded", "inforunbd"):
        answer = replace(answer, status=Status.UNBOUNDED)
    return replace(answer, nodes=scip.nodes, ended=scip.status)


def conclude_enumeration(problem: BilevelProblem, search: DecisionSearch, found: Enumerated, settings: SolveOptions) -> BilevelSolution:
    """The certified answer of an enumeration of all leader decisions; its bound is the least value over them."""
    count = f"{found.decisions:,} decisions"
    message = f"all {count} enumerated" if found.complete else f"enumeration given up: {found.reason}"
    if found.best is None:
        # Where followers are unbounded, the decision has no answer; whether all have none is for the refusal by name to say.
        infeasible = found.complete and not found.unbounded and np.isinf(found.bound)
        if not infeasible:
            message += f"; no certified point, and a follower is unbounded at {found.unbounded:,} of them" if found.unbounded else ""
        return no_point(Status.INFEASIBLE if infeasible else Status.ERROR, problem.leader.sense * (found.bound if infeasible else -np.inf), message)
    certificate = certify(problem, None, found.best, [], search, 0.0, found.bound, np.inf)
    return _answer(problem, found.best, certificate, found.bound, settings, message, proven=found.complete)


def conclude_decomposition(problem: BilevelProblem, search: DecisionSearch, found: Decomposed, settings: SolveOptions) -> BilevelSolution:
    """The certified answer of a decomposition; its bound is that of the master program."""
    blocks = f"{found.blocks} block{'s' if found.blocks > 1 else ''}"
    message = f"decomposition ({blocks}, {found.cuts:,} cuts, {found.exact:,} exact values): {found.ended}"
    best = _finish(search)
    if best is None:
        ending = {"infeasible": Status.INFEASIBLE, "time limit": Status.TIME_LIMIT}.get(found.ended, Status.ERROR)
        return no_point(ending, problem.leader.sense * found.bound, message, ended=found.ended)
    certificate = certify(problem, None, best, found.multipliers, search, 0.0, found.bound, np.inf)
    return replace(_answer(problem, best, certificate, found.bound, settings, message, proven=True), ended=found.ended)


def no_point(status: Status, bound: float, message: str, nodes: int = 0, ended: str = "") -> BilevelSolution:
    """An answer without a point."""
    return BilevelSolution(status, np.nan, bound, np.inf, {}, {}, {}, None, {}, {}, message, nodes, ended)


def _answer(
    problem: BilevelProblem, best: Response, certificate: Certificate, bound: float, settings: SolveOptions, message: str, *, proven: bool
) -> BilevelSolution:
    """A point with its certificate; optimal where that holds, the bound is proven and the gap is closed."""
    closed = is_closed(best.objective, bound, settings.gap, settings.absolute_gap)
    status = Status.ERROR if not certificate.holds else Status.OPTIMAL if closed and proven else Status.FEASIBLE
    sense, names = problem.leader.sense, [*problem.leader.names, *problem.leader.quantity_names]
    return BilevelSolution(
        status=status,
        objective=sense * best.objective,
        bound=sense * bound,
        gap=relative_gap(best.objective, bound),
        values=dict(zip(names, best.z.tolist(), strict=True)),
        primal={f.name: x for f, x in zip(problem.followers, best.primal, strict=True)},
        dual={f.name: f.sense * y for f, y in zip(problem.followers, best.dual, strict=True)},
        certificate=certificate,
        methods={},
        timings={},
        message=message,
    )


def _solver_gap(problem: BilevelProblem, single: SingleLevel, v: np.ndarray) -> float:
    """Largest follower gap of SCIP's point at SCIP's decision; infinite where a follower has no optimum there."""
    y = v[: single.leader_size].copy()
    y[problem.leader.integral] = np.round(y[problem.leader.integral])
    gaps = []
    for f in range(len(problem.followers)):
        multipliers = v[single.dual[f]] if single.dual[f].size else np.zeros(problem.followers[f].program.rows.size)
        found = certify_follower(problem, f, y, v[single.primal[f]], multipliers)
        gaps.append(np.inf if found.message else abs(found.gap))
    return float(np.max([0.0, *gaps]))


def _consider(search: DecisionSearch, problem: BilevelProblem, single: SingleLevel, v: np.ndarray) -> None:
    """Add SCIP's decision, with the followers solved again, to the known points."""
    y = search.clipped(v[: single.leader_size])
    quantities = (single.joint_factors * v[single.joint_columns])[problem.leader.size :]
    response = search.responder.respond(y, thorough=True)
    candidates = [response]
    if response is not None:
        candidates.append(_as_returned(search, problem, single, v, response))
        near = search.responder.choose(response, "near", quantities)
        if near is not None:
            candidates.append(search.responder.evaluate(y, near.primal, near.dual))
            candidates.append(near)
    candidates.append(search.try_answers(y, [v[columns] for columns in single.primal]))
    if not any(c is not None and c.violation[0] <= search.tolerance for c in candidates) and search.prices.size:
        candidates.append(search.search_prices(y, budget=40))
    for candidate in candidates:
        if candidate is not None and candidate.violation[0] <= search.tolerance and candidate.better_than(search.best, search.tolerance):
            search.best = candidate


def _falls_short(search: DecisionSearch, objective: float, gap: float) -> bool:
    """Whether the best certified point is worse than SCIP's point by more than the gap."""
    return search.best is None or search.best.objective > objective + gap * abs(objective) + 1e-6 * (1.0 + abs(objective))


def _consider_pattern(
    search: DecisionSearch, problem: BilevelProblem, single: SingleLevel, v: np.ndarray, settings: SolveOptions, deadline: float
) -> None:
    """Add the best point with the complementary pattern of SCIP's point."""
    y = search.clipped(v[: single.leader_size])
    if any(f.cones for f in problem.followers):
        # A cone has no two sides to choose from.
        return
    if any(not columns.size and f.program.rows.size for columns, f in zip(single.dual, problem.followers, strict=True)):
        return
    program = pattern_program(problem, y, [v[columns] for columns in single.primal], [v[columns] for columns in single.dual])
    if program is None:
        return
    if settings.write is not None:
        write_lp(program, Path(settings.write) / "pattern.lp", problem)
    left = max(0.5, min(settings.time_limit, deadline - time.perf_counter()))
    task = Task(program, None, [], 1e-9, left, settings.memory_limit, 1e-9, settings.seed, False, {})
    # What it leaves open near zero, by the tolerance of certificates, never closes.
    task = replace(task, absolute_gap=0.1 * TOLERANCE, patience=_PATTERN)
    found = run(task).outcome
    if found.v is not None:
        _consider(search, problem, program, found.v)


def _as_returned(search: DecisionSearch, problem: BilevelProblem, single: SingleLevel, v: np.ndarray, response: Response) -> Response | None:
    """The follower answers as SCIP returned them, if they are optimal to rounding: at a price where answers tie, a mixture of them."""
    if not all(follower.is_linear for follower in problem.followers):
        # A quadratic cost is flat at its optimum: a small gap tells little about the point.
        return None
    y = response.y
    primal = [np.clip(v[columns], f.program.lower, f.program.upper) for columns, f in zip(single.primal, problem.followers, strict=True)]
    violated = max(f.program.violation(x, y) for f, x in zip(problem.followers, primal, strict=True))
    if violated > 1e-8 or not search.responder.is_optimal(y, primal, response.primal):
        return None
    return search.responder.evaluate(search.clipped(v[: single.leader_size]), primal, response.dual)


def _finish(search: DecisionSearch) -> Response | None:
    """The best known point, its ties broken in the leader's favour."""
    best = search.best
    if best is None:
        return None
    better = search.responder.choose(best, "best")
    # Interior-point answers leave the face of a conic follower a little width, which is not a tie.
    least_gain = 1e-6 * max(1.0, abs(best.objective)) if any(f.cones for f in search.problem.followers) else 0.0
    if better is not None and better.violation[0] <= search.tolerance and better.objective < best.objective - least_gain:
        return better
    return best


def certify(
    problem: BilevelProblem,
    single: SingleLevel | None,
    best: Response,
    bounds: Sequence[DualBounds],
    search: DecisionSearch,
    solver_gap: float,
    bound: float,
    deadline: float,
) -> Certificate:
    """The certificate of a point; see ``Certificate`` for what is checked. Without a single-level program there is none to check."""
    known: Sequence[DualBounds | None] = bounds or [None] * len(problem.followers)
    followers = tuple(certify_follower(problem, f, best.y, best.primal[f], best.dual[f], known[f]) for f in range(len(problem.followers)))
    failures = [f"follower {c.name}: {c.message or 'a residual exceeds the tolerance'}" for c in followers if not c.holds()]
    if not best.violation[0] <= TOLERANCE:
        failures.append(f"leader row {best.violation[1]} is violated by {best.violation[0]:.2e}")
    if not solver_gap <= _SOLVER_GAP:
        failures.append(f"SCIP's own point leaves a follower gap of {solver_gap:.2e}: the single-level program is wrong or too loose")
    returned = (0.0, "") if single is None else round_trip(single, search, best, bounds, seconds=min(2.0, deadline - time.perf_counter()))
    if not returned[0] <= 1e-5:
        failures.append(f"true follower answers violate the single-level program ({returned[1]} by {returned[0]:.2e}): it cuts them off")
    if contradicts(best.objective, bound):
        failures.append(f"the bound {bound:.9g} contradicts the certified point {best.objective:.9g}")
    sense = problem.leader.sense
    optimistic, pessimistic = (_extreme(search, best, which) for which in ("best", "worst"))
    return Certificate(
        followers=followers,
        leader_violation=best.violation,
        optimistic=None if optimistic is None else sense * min(optimistic, best.objective),
        pessimistic=None if pessimistic is None else sense * max(pessimistic, best.objective),
        solver_gap=solver_gap,
        round_trip=returned,
        failures=tuple(failures),
    )


def _extreme(search: DecisionSearch, best: Response, which: str) -> float | None:
    if not any(q.kind != "cost" for q in search.problem.leader.quantities):
        return best.objective
    found = search.responder.choose(best, which)
    return None if found is None else found.objective
