"""Solve a bilevel problem: read, check, bound multipliers, start, reformulate, run SCIP, solve the followers again, certify."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multiscale.bilevel.assemble import assemble, assemble_lazy
from multiscale.bilevel.bounds import DualBounds
from multiscale.bilevel.certificate import TOLERANCE, Certificate, certify_follower
from multiscale.bilevel.description import BilevelError, BilevelProblem
from multiscale.bilevel.gate import check_gate, check_products
from multiscale.bilevel.lazy_data import LazyData
from multiscale.bilevel.methods import bounds_for, choose_methods
from multiscale.bilevel.pattern import pattern_program
from multiscale.bilevel.read import PyomoProblem, read_model
from multiscale.bilevel.response import Response
from multiscale.bilevel.round_trip import round_trip
from multiscale.bilevel.scip_client import Run, run
from multiscale.bilevel.scip_worker import Outcome, Task
from multiscale.bilevel.search import DecisionSearch
from multiscale.bilevel.single_level import SingleLevel
from multiscale.bilevel.solution import BilevelSolution, Status
from multiscale.bilevel.tighten import tighten_leader

_PROVEN = {"optimal", "gaplimit"}
_SOLVER_GAP = 1e-3
"""Largest follower gap of SCIP's own point (before the followers are solved again) that its row tolerance can explain."""


@dataclass(frozen=True)
class Options:
    """How to solve.

    Attributes:
        method: one name or follower -> name.
        gap: relative gap at which to stop.
        time_limit: seconds for everything.
        seed: SCIP's random seed shift.
        memory_limit: megabytes for SCIP.
        heuristic: whether to run the follower heuristic inside SCIP.
        start_share: largest share of the time limit spent on a start.
        bound_share: largest share of the time limit spent on multiplier bounds.
        parameters: further SCIP parameters.
    """

    method: str | Mapping[str, str] = "auto"
    gap: float = 1e-4
    time_limit: float = 600.0
    seed: int = 0
    memory_limit: float = 8192.0
    heuristic: bool = True
    start_share: float = 0.1
    bound_share: float = 0.1
    parameters: Mapping[str, Any] | None = None


def solve(
    model: Any,
    followers: Sequence[Any],
    *,
    method: str | Mapping[str, str] = "auto",
    gap: float = 1e-4,
    time_limit: float = 600.0,
    seed: int = 0,
    start: Mapping[Any, float] | None = None,
    load: bool = True,
    **options: Any,
) -> BilevelSolution:
    """Solve a bilevel problem to a certified answer (optimistic: ties of followers are broken in the leader's favour).

        min_{y, x, lambda}  F(y, outputs, costs, duals)   s.t. leader rows,  x in argmin { 1/2 x'Qx + (c0 + C y)'x : A x = or <= b0 + B y }

    Args:
        model: Pyomo model with the leader's variables, constraints and one objective.
        followers: Pyomo blocks (convex linear or quadratic in their own variables) and ``ProgramFollower`` objects.
        method: ``auto``, the name of a reformulation, or follower name -> method.
        gap: relative optimality gap at which to stop.
        time_limit: seconds for everything.
        seed: same seed, same answer (as long as no time limit strikes).
        start: leader variable (Pyomo) -> value; a decision to complete and begin with. Others take their current values, if any.
        load: write the answer into the model.
        **options: see ``Options``.

    Returns:
        The answer; its ``status`` is never ``optimal`` unless the certificate holds.

    Raises:
        BilevelError: the problem is refused; the message names the component and says what to change.
    """
    started = time.perf_counter()
    settings = Options(method=method, gap=gap, time_limit=time_limit, seed=seed, **options)
    read = read_model(model, followers)
    decision = _given_start(read, start)
    solution = solve_problem(read.problem, settings, start=decision, read_seconds=time.perf_counter() - started)
    rows = {key: (e.name, parts) for e in read.extracted for key, parts in e.constraint_rows.items()}
    solution = replace(solution, constraint_rows=rows)
    if load and solution.certificate is not None:
        names = [*read.problem.leader.names, *read.problem.leader.quantity_names]
        read.load(np.array([solution.values[name] for name in names]), [solution.primal[f.name] for f in read.problem.followers])
    return solution


def _given_start(read: PyomoProblem, start: Mapping[Any, float] | None) -> np.ndarray | None:
    values = {id(variable): float(value) for variable, value in start.items()} if start else {}
    known = [values.get(id(v), v.value) for v in read.leader_variables]
    if start is None and any(value is None for value in known):
        return None
    unknown = set(values) - {id(v) for v in read.leader_variables}
    if unknown and start:
        name = next(v.name for v in start if id(v) in unknown)
        raise BilevelError(f"start: {name} is no leader variable of this problem")
    leader = read.problem.leader
    middle = np.where(np.isfinite(leader.lower), leader.lower, 0.0)
    return np.array([middle[k] if value is None else value for k, value in enumerate(known)], dtype=float)


def solve_problem(problem: BilevelProblem, settings: Options, *, start: np.ndarray | None = None, read_seconds: float = 0.0) -> BilevelSolution:
    """Solve a problem given as arrays; see ``solve``."""
    clock = _Clock(settings.time_limit - read_seconds)
    clock.timings["read"] = read_seconds
    check_gate(problem)
    problem = tighten_leader(problem)
    methods, reasons = choose_methods(problem, settings.method)
    products = ("strong_duality", "branch_and_cut")
    check_products(replace(problem, followers=tuple(f for f, name in zip(problem.followers, methods, strict=True) if name in products)))
    with clock.stage("multiplier bounds"):
        share = settings.bound_share * settings.time_limit / len(methods)
        bounds = [bounds_for(problem, f, name, share) for f, name in enumerate(methods)]
    search = DecisionSearch(problem, tolerance=TOLERANCE)
    with clock.stage("start"), _interruptible() as stopped:
        find_start(search, start, min(settings.start_share * settings.time_limit, clock.left()), flips="branch_and_cut" not in methods)
    interrupted = bool(stopped)
    with clock.stage("reformulation"):
        lazy = None
        if "branch_and_cut" in methods:
            single, lazy = assemble_lazy(problem, bounds, _known_answers(search), settings.gap)
        else:
            single = assemble(problem, methods, bounds)
    # Row tolerances let SCIP's bound fall below the true optimum by more than they seem to: costs times quantities add up.
    tolerance = 1e-7 if "strong_duality" in methods else 1e-6
    while True:
        with clock.stage("scip"):
            outcome = _INTERRUPTED if interrupted else run(_task(problem, single, lazy, search, settings, clock.left(), tolerance))
        with clock.stage("certificate"):
            answer = conclude(problem, single, bounds, search, outcome, settings)
        done = answer.status is not Status.FEASIBLE or outcome.outcome.status not in _PROVEN or tolerance < 2e-8 or clock.left() < 1.0
        if done:
            break
        tolerance /= 10.0
    chosen = {f.name: why for f, why in zip(problem.followers, reasons, strict=True)}
    return replace(answer, methods=chosen, timings=clock.timings, size=single.describe(), problem=problem)


_INTERRUPTED = Run(Outcome("userinterrupt", None, np.nan, -np.inf, 0, 0.0), aborted="interrupted", interrupted=True)


@contextmanager
def _interruptible() -> Iterator[list[bool]]:
    """An interrupt ends the stage; the list then is not empty."""
    stopped: list[bool] = []
    try:
        yield stopped
    except KeyboardInterrupt:
        stopped.append(True)


class _Clock:
    """Seconds left, and where they went."""

    def __init__(self, limit: float) -> None:
        self.deadline = time.perf_counter() + limit
        self.timings: dict[str, float] = {}

    def left(self) -> float:
        return max(0.5, self.deadline - time.perf_counter())

    def stage(self, name: str) -> _Stage:
        return _Stage(self, name)


class _Stage:
    def __init__(self, clock: _Clock, name: str) -> None:
        self.clock, self.name = clock, name

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *failure: object) -> None:
        self.clock.timings[self.name] = self.clock.timings.get(self.name, 0.0) + time.perf_counter() - self.started


def find_start(search: DecisionSearch, given: np.ndarray | None, seconds: float, *, flips: bool = True) -> None:
    """Fill ``search.best`` with a bilevel-feasible point, if the first decisions lead to one; then flip integers for a second."""
    deadline = time.perf_counter() + seconds
    for y in search.first_decisions(given):
        search.try_decision(y)
        if time.perf_counter() > deadline:
            return
    if flips:
        # The heuristic inside SCIP goes on with this, led by LP solutions.
        search.improve(min(1.0, 0.5 * max(0.0, deadline - time.perf_counter())))


def _known_answers(search: DecisionSearch) -> list[list[np.ndarray]]:
    """Follower answers along the prices of the best known point, for value cuts."""
    best = search.best
    if best is None:
        return []
    answers = [best.primal]
    for share in (0.0, 0.25, 0.5, 0.75, 1.25, 1.5, 2.0) if search.prices.size else ():
        y = best.y.copy()
        y[search.prices] *= share
        found = search.responder.answer(search.clipped(y))
        if isinstance(found, tuple):
            answers.append(found[0])
    return answers


def _task(
    problem: BilevelProblem, single: SingleLevel, lazy: LazyData | None, search: DecisionSearch, settings: Options, left: float, tolerance: float
) -> Task:
    best = search.best
    return Task(
        single=single,
        problem=problem if settings.heuristic or lazy is not None else None,
        lazy=lazy,
        known=None if best is None else best.y,
        starts=[] if best is None or lazy is not None else [single.complete(best.y, best.primal, best.dual)],
        # Room for what row tolerances (and the slack of value cuts) take off SCIP's bound.
        gap=settings.gap * (0.5 if lazy is None else 0.8),
        time_limit=left,
        memory_limit=settings.memory_limit,
        tolerance=tolerance,
        seed=settings.seed,
        safe=False,
        parameters=dict(settings.parameters or {}),
    )


def conclude(
    problem: BilevelProblem, single: SingleLevel, bounds: list[DualBounds], search: DecisionSearch, outcome: Run, settings: Options
) -> BilevelSolution:
    """Turn SCIP's outcome into a certified answer: the followers are solved again, the better of all known points is certified."""
    scip = outcome.outcome
    solver_gap = 0.0
    if scip.v is not None and not np.isnan(scip.v).any():
        solver_gap = _solver_gap(problem, single, scip.v)
        _consider(search, problem, single, scip.v)
        if _falls_short(search, scip.objective, settings.gap):
            _consider_pattern(search, problem, single, scip.v, settings)
    best = _finish(search)
    bound = scip.bound if abs(scip.bound) < 1e20 else (np.inf if scip.bound > 0 else -np.inf)
    said = "; ".join(
        [f"SCIP: {scip.status}", *filter(None, [scip.note, outcome.aborted, "solved again under safe settings" if outcome.retried else ""])]
    )
    sense = problem.leader.sense
    if best is None:
        status = {"infeasible": Status.INFEASIBLE, "unbounded": Status.UNBOUNDED, "inforunbd": Status.UNBOUNDED}.get(scip.status, Status.ERROR)
        if scip.status in ("timelimit", "memlimit", "userinterrupt"):
            status = Status.TIME_LIMIT if scip.status == "timelimit" else Status.ERROR
        if scip.v is not None:
            said += "; SCIP's point fails when the followers are solved again, and no certified point is known"
            status = Status.ERROR
        return BilevelSolution(status, np.nan, sense * bound, np.inf, {}, {}, {}, None, {}, {}, said, scip.nodes)
    certificate = certify(problem, single, best, bounds, search, solver_gap, bound)
    gap = max(0.0, best.objective - bound) / max(abs(best.objective), 1e-6)
    closed = best.objective - bound <= settings.gap * abs(best.objective) + 1e-6 * (1.0 + abs(best.objective))
    if scip.status in ("unbounded", "inforunbd"):
        status = Status.UNBOUNDED
    elif not certificate.holds:
        status = Status.ERROR
    elif closed and scip.status in _PROVEN | {"timelimit", "userinterrupt", "memlimit"}:
        status = Status.OPTIMAL
    else:
        status = Status.FEASIBLE
    names = [*problem.leader.names, *problem.leader.quantity_names]
    return BilevelSolution(
        status=status,
        objective=sense * best.objective,
        bound=sense * bound,
        gap=gap,
        values=dict(zip(names, best.z.tolist(), strict=True)),
        primal={f.name: x for f, x in zip(problem.followers, best.primal, strict=True)},
        dual={f.name: f.sense * y for f, y in zip(problem.followers, best.dual, strict=True)},
        certificate=certificate,
        methods={},
        timings={},
        message=said,
        nodes=scip.nodes,
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
    return max(gaps, default=0.0)


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
    if not any(c is not None and c.violation[0] <= search.tolerance for c in candidates) and search.prices.size:
        candidates.append(search.search_prices(y, budget=40))
    for candidate in candidates:
        if candidate is not None and candidate.violation[0] <= search.tolerance and candidate.better_than(search.best, search.tolerance):
            search.best = candidate


def _falls_short(search: DecisionSearch, objective: float, gap: float) -> bool:
    """Whether the best certified point is worse than SCIP's point by more than the gap."""
    return search.best is None or search.best.objective > objective + gap * abs(objective) + 1e-6 * (1.0 + abs(objective))


def _consider_pattern(search: DecisionSearch, problem: BilevelProblem, single: SingleLevel, v: np.ndarray, settings: Options) -> None:
    """Add the best point with the complementary pattern of SCIP's point."""
    y = search.clipped(v[: single.leader_size])
    if any(not columns.size and f.program.rows.size for columns, f in zip(single.dual, problem.followers, strict=True)):
        return
    program = pattern_program(problem, y, [v[columns] for columns in single.primal], [v[columns] for columns in single.dual])
    if program is None:
        return
    task = Task(program, None, [], 1e-9, min(30.0, settings.time_limit), settings.memory_limit, 1e-9, settings.seed, False, {})
    found = run(task).outcome
    if found.v is not None:
        _consider(search, problem, program, found.v)


def _as_returned(search: DecisionSearch, problem: BilevelProblem, single: SingleLevel, v: np.ndarray, response: Response) -> Response | None:
    """The follower answers as SCIP returned them, if they are optimal to rounding: at a price where answers tie, a mixture of them."""
    if any(follower.program.Q is not None for follower in problem.followers):
        # A quadratic cost is flat at its optimum: a small gap says little about the point.
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
    if better is not None and better.violation[0] <= search.tolerance and better.objective < best.objective:
        return better
    return best


def certify(
    problem: BilevelProblem, single: SingleLevel, best: Response, bounds: list[DualBounds], search: DecisionSearch, solver_gap: float, bound: float
) -> Certificate:
    """The certificate of a point; see ``Certificate`` for what is checked."""
    followers = tuple(certify_follower(problem, f, best.y, best.primal[f], best.dual[f], bounds[f]) for f in range(len(problem.followers)))
    failures = [f"follower {c.name}: {c.message or 'a residual exceeds the tolerance'}" for c in followers if not c.holds()]
    if best.violation[0] > TOLERANCE:
        failures.append(f"leader row {best.violation[1]} is violated by {best.violation[0]:.2e}")
    if solver_gap > _SOLVER_GAP:
        failures.append(f"SCIP's own point leaves a follower gap of {solver_gap:.2e}: the single-level program is wrong or too loose")
    returned = round_trip(single, search, best, bounds)
    if returned[0] > 1e-5:
        failures.append(f"true follower answers violate the single-level program ({returned[1]} by {returned[0]:.2e}): it cuts them off")
    if bound > best.objective + 1e-4 * max(1.0, abs(best.objective)):
        failures.append(f"SCIP's bound {bound:.9g} contradicts the certified point {best.objective:.9g}")
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
