"""Solve a bilevel problem: read, check, bound multipliers, start, reformulate, run SCIP, solve the followers again, certify."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from multiscale.bilevel.automatic import solve_in_turn
from multiscale.bilevel.certify.as_read import as_read
from multiscale.bilevel.certify.conclude import PROVEN, conclude
from multiscale.bilevel.certify.original import check_originals
from multiscale.bilevel.certify.qualification import Qualification, qualify
from multiscale.bilevel.certify.solution import BilevelSolution, Status
from multiscale.bilevel.certify.unbounded_followers import check_unbounded_followers
from multiscale.bilevel.certify.unbounded_relaxation import NO_FINITE_OPTIMUM, relaxation_is_unbounded, resolve_unbounded_relaxation
from multiscale.bilevel.clock import Clock
from multiscale.bilevel.decomposed import solve_decomposed
from multiscale.bilevel.normal.normalise import normalise
from multiscale.bilevel.problem.description import BilevelError, BilevelProblem
from multiscale.bilevel.problem.gap import TOLERANCE, excess
from multiscale.bilevel.problem.preconditions import check_preconditions, check_products
from multiscale.bilevel.problem.solve_options import SolveOptions
from multiscale.bilevel.read.pyomo_model import PyomoProblem, read_model
from multiscale.bilevel.reformulate.assemble import assemble, assemble_lazy
from multiscale.bilevel.reformulate.bounds.dual_bounds import DualBounds
from multiscale.bilevel.reformulate.choose import bounds_for, choose_methods
from multiscale.bilevel.reformulate.lazy_data import LazyData
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.relaxed import bound_relaxation
from multiscale.bilevel.scip.client import Run, run, start_early
from multiscale.bilevel.scip.lp_export import write_problems
from multiscale.bilevel.scip.worker import ScipOutcome, Task
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.start import find_start, known_answers
from multiscale.bilevel.search.tighten import tighten_leader
from multiscale.bilevel.separate import solve_parts
from multiscale.programs.limits import limits, limits_in_force

_T = TypeVar("_T")

_CERTIFICATE = 4.0
"""Follower solves that a certificate takes, about: SCIP's point, the best point, and ties for and against the leader."""


def solve(
    model: Any,
    followers: Any,
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
        followers: Pyomo blocks (convex linear or quadratic in their own variables), ``BlockFollower`` and ``ProgramFollower`` objects: one, a list of
            them, or an indexed block, whose active members are followers.
        method: ``auto``, the name of a reformulation, or follower name -> method.
        gap: relative optimality gap at which to stop; ``absolute_gap`` (see ``SolveOptions``) ends the search too, whichever is reached first.
        time_limit: seconds for everything.
        seed: same seed, same answer (as long as no time limit strikes).
        start: leader variable (Pyomo) -> value; a decision to complete and begin with. Others take their current values, if any.
        load: write the answer into the model.
        **options: see ``SolveOptions``.

    Returns:
        The answer; its ``status`` is never ``optimal`` unless the certificate holds.

    Raises:
        BilevelError: the problem is refused; the message names the component and says what to change.
    """
    read, solution = read_and_solve(model, followers, start, options | {"method": method, "gap": gap, "time_limit": time_limit, "seed": seed})
    if load:
        for variable, value in answers(read, solution):
            variable.set_value(value, skip_validation=True)
    return solution


def read_and_solve(model: Any, followers: Any, start: Mapping[Any, float] | None, options: Mapping[str, Any]) -> tuple[PyomoProblem, BilevelSolution]:
    """The problem as read, and its answer, which is not yet in the model; see ``solve``."""
    started = time.perf_counter()
    settings = SolveOptions.stated(options)
    start_early()
    read = read_model(model, followers)
    decision = _given_start(read, start)
    solution = solve_problem(read.problem, settings, start=decision, read_seconds=time.perf_counter() - started)
    rows = {key: (e.name, parts) for e in read.extracted for key, parts in e.constraint_rows.items()}
    return read, check_originals(read, replace(solution, constraint_rows=rows))


def answers(read: PyomoProblem, solution: BilevelSolution) -> list[tuple[Any, float]]:
    """Pyomo variables with their values of an answer; none without a point."""
    if solution.certificate is None:
        return []
    names = [*read.problem.leader.names, *read.problem.leader.quantity_names]
    return read.answers(np.array([solution.values[name] for name in names]), [solution.primal[f.name] for f in read.problem.followers])


def _given_start(read: PyomoProblem, start: Mapping[Any, float] | None) -> np.ndarray | None:
    values = {id(v): float(v.value) for v in read.leader_variables if v.value is not None}
    values |= {id(variable): float(value) for variable, value in start.items()} if start else {}
    values |= read.auxiliary.values(values)
    known = [values.get(id(v)) for v in read.leader_variables]
    if start is None and any(value is None for value in known):
        return None
    unknown = {id(v) for v in start or ()} - {id(v) for v in read.leader_variables}
    if unknown and start:
        name = next(v.name for v in start if id(v) in unknown)
        raise BilevelError(f"start: {name} is not a leader variable of this problem")
    leader = read.problem.leader
    middle = np.where(np.isfinite(leader.lower), leader.lower, 0.0)
    return np.array([middle[k] if value is None else value for k, value in enumerate(known)], dtype=float)


def solve_problem(problem: BilevelProblem, settings: SolveOptions, *, start: np.ndarray | None = None, read_seconds: float = 0.0) -> BilevelSolution:
    """Solve a problem given as arrays; see ``solve``. Where the method is chosen here, one way follows another until the answer is proven."""
    clock = Clock(settings.time_limit - read_seconds)
    clock.timings["read"] = read_seconds
    check_preconditions(problem)
    with limits_in_force(limits().model_copy(update={"memory_limit_mb": settings.memory_limit})):
        answer = solve_parts(problem, settings, start, clock, _whole) if settings.method == "auto" and settings.write is None else None
        if answer is None:
            answer = _whole(problem, settings, start, clock)
    sense = problem.leader.sense
    return replace(answer, message="; ".join(filter(None, [answer.message, excess(sense * answer.objective, sense * answer.bound)])))


def _whole(problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None, clock: Clock) -> BilevelSolution:
    """Solve in one piece."""
    return solve_in_turn(problem, settings, start, clock, _once) if settings.method == "auto" else _once(problem, settings, start, clock)


def _once(problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None, clock: Clock) -> BilevelSolution:
    """Solve by one method: in normal form, and certified as it was read, where the method is chosen here or is branch and cut."""
    remark = ""
    if settings.method in ("auto", "branch_and_cut", "decomposition") and settings.write is None:
        with clock.stage("normal form"):
            normal = normalise(problem)
        try:
            answer = None if normal is None else _solve(normal.problem, settings, start, clock, solves=2.0 * _CERTIFICATE)
        except BilevelError as refusal:
            answer, remark = None, f"refused in normal form ({refusal}), solved as it was read"
        if normal is not None and answer is not None:
            with clock.stage("certificate"):
                answer, failures = as_read(problem, normal, answer, settings, clock.deadline)
            if not failures:
                return replace(answer, timings=clock.timings)
            remark = f"the answer in normal form was not certified ({'; '.join(failures)}), solved as it was read"
    answer = _solve(problem, settings, start, clock)
    return replace(answer, message="; ".join(filter(None, [answer.message, remark])))


def _solve(
    problem: BilevelProblem, settings: SolveOptions, start: np.ndarray | None, clock: Clock, *, solves: float = _CERTIFICATE
) -> BilevelSolution:
    """Solve a problem as it stands; time for some follower solves is kept for the certificate."""
    problem = tighten_leader(problem)
    decomposed, refused = solve_decomposed(problem, settings, start, clock)
    if decomposed is not None:
        return decomposed
    methods, reasons = choose_methods(problem, settings.method)
    products = ("strong_duality", "branch_and_cut")
    check_products(replace(problem, followers=tuple(f for f, name in zip(problem.followers, methods, strict=True) if name in products)))
    with clock.stage("multiplier bounds"):
        share = min(settings.bound_share * settings.time_limit, clock.left()) / len(methods)
        bounds = [bounds_for(problem, f, name, share) for f, name in enumerate(methods)]
    with clock.stage("constraint qualification"):
        conic = {f: qualify(problem, f, seconds=share) for f, follower in enumerate(problem.followers) if follower.cones}
    search = DecisionSearch(problem, tolerance=TOLERANCE, gap=max(1e-6, 0.1 * settings.gap), time_limit=clock.one_solve)
    with clock.stage("start"), _interruptible() as stopped:
        find_start(search, start, min(settings.start_share * settings.time_limit, clock.left()), clock.left(), flips="branch_and_cut" not in methods)
    remark = "" if search.best is not None or stopped else check_unbounded_followers(problem, search)
    # What the certificate will take, with a follower solve as the measure; with little more than that left, the start is the answer.
    reserve = solves * search.responder.slowest
    short = clock.left() < 3.0 * reserve
    with clock.stage("reformulation"):
        single, lazy = _despite_interrupt(lambda: _reformulate(problem, methods, bounds, search, settings, short=short or bool(stopped)), stopped)
    with clock.stage("relaxation"):
        single, relaxed = (single, None) if lazy is None or stopped or short else bound_relaxation(single, search, settings, clock)
    closed = relaxed is not None and relaxed.status in PROVEN
    # Row tolerances let SCIP's bound fall below the true optimum by more than they seem to: costs times quantities add up.
    tolerance = 1e-7 if "strong_duality" in methods else 1e-6
    with clock.stage("reformulation"):
        unclear = not stopped and relaxation_is_unbounded(single)
    while True:
        with clock.stage("scip"):
            task = _task(problem, single, lazy, search, settings, clock.left(reserve), tolerance)
            if stopped:
                outcome = _INTERRUPTED
            elif relaxed is not None and closed:
                outcome = Run(relaxed)
            elif search.best is not None and clock.left() < reserve:
                outcome = _NO_TIME
            else:
                outcome = resolve_unbounded_relaxation(problem, single, task) if unclear else run(task)
            if outcome.outcome.status in NO_FINITE_OPTIMUM and not unclear:
                outcome = resolve_unbounded_relaxation(problem, single, replace(task, time_limit=clock.left(reserve)))
        if relaxed is not None and relaxed.bound > outcome.outcome.bound:
            outcome = replace(outcome, outcome=replace(outcome.outcome, bound=relaxed.bound))
        with clock.stage("certificate"):
            ended = partial(conclude, problem, single, bounds, search, outcome, settings, clock.deadline)
            answer = _despite_interrupt(ended, stopped)
        done = answer.status is not Status.FEASIBLE or outcome.outcome.status not in PROVEN or tolerance < 2e-9 or clock.is_late
        if done or stopped or closed:
            break
        tolerance /= 10.0
    answer = _qualified(answer, conic)
    remarks = [refused, remark if answer.certificate is None else ""]
    answer = replace(answer, message="; ".join(filter(None, [answer.message, *remarks])))
    chosen = {f.name: why for f, why in zip(problem.followers, reasons, strict=True)}
    return replace(answer, methods=chosen, timings=clock.timings, size=single.describe(), problem=problem)


def _reformulate(
    problem: BilevelProblem, methods: list[str], bounds: list[DualBounds], search: DecisionSearch, settings: SolveOptions, *, short: bool
) -> tuple[SingleLevel, LazyData | None]:
    """The single-level program and, for branch and cut, what is added to it during the search."""
    lazy = None
    if "branch_and_cut" in methods:
        known = known_answers(search, along=not short)
        single, lazy = assemble_lazy(problem, bounds, known, settings.gap, ceilings=search.exact.applies and not short)
    else:
        single = assemble(problem, methods, bounds, rewrite_prices=settings.rewrite_prices)
    if settings.write is not None:
        exact = {} if lazy is None else {"exact_at_integers": assemble(problem, ["strong_duality"] * len(methods), bounds)}
        write_problems(settings.write, problem, {"single_level": single} | exact)
    return single, lazy


def _qualified(answer: BilevelSolution, conic: Mapping[int, Qualification]) -> BilevelSolution:
    """The answer with what is known of constraint qualifications; where none is proven, optimality and infeasibility are not proven either."""
    unproven = "; ".join(found.text for found in conic.values() if not found.proven)
    if answer.certificate is not None and conic:
        followers = [replace(c, qualification=conic[f].text) if f in conic else c for f, c in enumerate(answer.certificate.followers)]
        answer = replace(answer, certificate=replace(answer.certificate, followers=tuple(followers)))
    if not unproven or answer.status not in (Status.OPTIMAL, Status.INFEASIBLE, Status.ERROR):
        return answer
    status = Status.FEASIBLE if answer.status is Status.OPTIMAL else Status.ERROR
    return replace(answer, status=status, message=f"{answer.message}; the bound excludes decisions without a constraint qualification: {unproven}")


_NO_TIME = Run(ScipOutcome("timelimit", None, np.nan, -np.inf, 0, 0.0, note="no time left for SCIP"), aborted="", interrupted=False)
_INTERRUPTED = Run(ScipOutcome("userinterrupt", None, np.nan, -np.inf, 0, 0.0), aborted="interrupted", interrupted=True)


@contextmanager
def _interruptible() -> Iterator[list[bool]]:
    """An interrupt ends the stage; the list then is not empty."""
    stopped: list[bool] = []
    try:
        yield stopped
    except KeyboardInterrupt:
        stopped.append(True)


def _despite_interrupt(stage: Callable[[], _T], stopped: list[bool]) -> _T:
    """What a stage gives; interrupted, it begins once more, for what is known needs it. A second interrupt ends everything."""
    try:
        return stage()
    except KeyboardInterrupt:
        stopped.append(True)
        return stage()


def _task(
    problem: BilevelProblem, single: SingleLevel, lazy: LazyData | None, search: DecisionSearch, settings: SolveOptions, left: float, tolerance: float
) -> Task:
    best = search.best
    # Margin for what row tolerances (and the slack of value cuts) cost SCIP's bound.
    share = 0.5 if lazy is None else 0.8
    return Task(
        single=single,
        problem=problem if settings.heuristic or lazy is not None else None,
        lazy=lazy,
        known=best,
        starts=[] if best is None or lazy is not None else [single.complete(best.y, best.primal, best.dual)],
        gap=settings.gap * share,
        absolute_gap=settings.absolute_gap * share,
        time_limit=left,
        memory_limit=settings.memory_limit,
        tolerance=tolerance,
        seed=settings.seed,
        safe=False,
        parameters=dict(settings.parameters or {}),
        patience=settings.patience,
    )
