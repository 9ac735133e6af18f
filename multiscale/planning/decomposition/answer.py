"""The plan out of a finished search, with its certificate: one solve of the whole follower, all limits included."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from multiscale import bilevel
from multiscale.bilevel.certify.certificate import TOLERANCE, Certificate, FollowerCertificate
from multiscale.planning.decomposition.component import Work
from multiscale.planning.decomposition.known_answers import as_data
from multiscale.planning.decomposition.search import Candidate, DecompositionSearch
from multiscale.planning.decomposition.structure import parameters, structure
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.extremes import decision_range
from multiscale.planning.follower_names import RESOURCE_COST
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import Effort, Plan, cannot_recover, plan_from
from multiscale.planning.search_start import SearchStart
from multiscale.programs import Basis, CompiledProgram, LabelledBasis, ProgramSolution
from multiscale.programs.selection import least_second_cost

METHOD = "decomposition"


def plan_by_decomposition(problem: PlanningProblem, effort: Effort) -> Plan:
    """Solve a planning problem to which the decomposition applies (see ``applies``).

    Raises:
        NoPlanError: no choice recovers its cost within the range of the charge.
    """
    price, charge_range = str(problem.single_price), problem.price_range
    started = time.perf_counter()

    def clock() -> str:
        spent = time.perf_counter() - started
        late = effort.time_limit is not None and spent > effort.time_limit
        return f"ended by the clock after {spent:.0f} s (planning.time_limit_s)" if late else ""

    known, given = structure(problem), float(problem.annuity @ problem.required)
    search = DecompositionSearch(
        known=known,
        # What has to be built anyway is paid like the existing network.
        annuity=np.where(problem.required, 0.0, problem.annuity),
        admitted_choices=(problem.required, ~problem.excluded),
        existing=problem.existing_cost + given,
        passive=problem.passive_energy,
        charge_range=charge_range,
        tolerance=effort.tolerance,
        gap_eur=effort.gap_eur,
        gap=effort.gap,
        constant=problem.constant + given,
        work=Work(effort.solve_limit, clock),
        start=effort.start,
    )
    search.run()
    if search.best is None:
        if search.ended:
            # No proof: a plan may exist that was not looked at.
            status = "time_limit" if "clock" in search.ended else "error"
            raise NoPlanError(status, f"plan of {problem.dso}: none was found; {search.ended}; allow more work or a higher price")
        raise cannot_recover(problem, search.existing, search.least_charge, charge_range[1])
    searched = time.perf_counter()
    best = search.best
    solution, basis, certificate = certified(search, best)
    timings = {"search": searched - started, "certificate": time.perf_counter() - searched}
    if certificate.failures:
        raise NoPlanError("error", f"plan of {problem.dso}: the certificate of what was found does not hold ({'; '.join(certificate.failures)})")
    program = known.program
    resource = float((program.outputs[RESOURCE_COST].matrix @ solution.x)[0])
    objective = float(problem.annuity @ best.built) + resource + program.d0 + problem.constant
    bound = min(search.bound + search.constant, objective)
    closed = objective - bound <= search.allowance
    extremes = [search.evaluate(choice, search.first_charge, limited=False) for choice in search.admitted_choices]
    moved = decision_range(objective, [e.cost + search.constant for e in extremes if e is not None])
    status = bilevel.Status.OPTIMAL if closed else bilevel.Status.TIME_LIMIT if "clock" in search.ended else bilevel.Status.FEASIBLE
    message = search.ended or f"levels of the charge: {len(search.levels)}, solves of components: {search.work.solves:,}"
    if best.recovery.surplus > 0:
        message += f"; the least charge earns {best.recovery.surplus:,.0f} EUR/a more than the cost to be recovered and its tolerance"
    names = problem.options.option.values.tolist()
    values = {f"built[{o}]": float(b) for o, b in zip(names, best.built.tolist(), strict=True)} | {price: best.recovery.charge}
    answer = bilevel.BilevelSolution(
        status=status,
        objective=objective,
        bound=bound,
        gap=(objective - bound) / max(abs(objective), 1e-6),
        values=values,
        primal={"operation": solution.x},
        dual={"operation": solution.y},
        certificate=certificate,
        methods={"operation": f"{METHOD}: {len(search.split.components)} components at the price of energy, {search.work.solves:,} solves"},
        timings=timings,
        message=message,
        nodes=search.work.solves,
    )
    plan = plan_from(
        problem, best.built.astype(float), {price: np.asarray(best.recovery.charge)}, answer, moved, message, surplus=best.recovery.surplus
    )
    return replace(plan, start=_ended(search, basis))


def _ended(search: DecompositionSearch, basis: Basis) -> SearchStart:
    """Where the search ended, for similar ones."""
    program, retained = search.known.program, search.split.retained
    bought = np.zeros(program.columns.size, dtype=bool)
    for component in search.split.components:
        bought[component.bought] = True
    charges = {search.first_charge, *(end for level in search.levels for end in (level.charges.lower, level.charges.upper))}
    answers = tuple(as_data(component, charges) for component in search.split.components if component.options.size)
    ranges = np.array([(level.charges.lower, level.charges.upper) for level in search.levels]).reshape(-1, 2)
    return SearchStart(LabelledBasis.of(program, basis), retained.rows, retained.bounds, bought, search.without_limits, ranges, answers)


def certified(search: DecompositionSearch, best: Candidate) -> tuple[ProgramSolution, Basis, Certificate]:
    """The whole follower at the plan, from a basis put together of those of the components, where it ended, and what it says about their answer.

    Of several answers that cost members the same and pay the charge on the same energy, the plan takes one of least social cost. So what it costs is
    a property of the problem, and not of the way the solver took.

    The answer of the components must cost what the whole follower costs, satisfy all its rows and bounds, be complementary to its duals, and pay the
    charge on the same energy.
    """
    known = search.known
    program = known.program
    charge = best.recovery.charge
    x = search.joint.point(best.built, charge)
    p = parameters(known, best.built.astype(float), charge)
    compiled = CompiledProgram(program, devex=True)
    statuses = search.split.statuses(settled=True)
    if statuses is not None:
        compiled.start_from(Basis.of_statuses(*statuses))
    solution = compiled.solve_optimal(p)
    energy = program.outputs[known.charged_energy].matrix
    resource = program.outputs[RESOURCE_COST].matrix
    solution = replace(solution, x=least_second_cost(solution, resource.toarray()[0], energy.toarray()[0]))
    ours, theirs = float((energy @ x)[0]), float((energy @ solution.x)[0])
    follower = follower_certificate(solution, x)
    failures = [] if follower.holds() else [f"the answer of the components: {follower}"]
    if abs(ours - theirs) > TOLERANCE * max(1.0, abs(theirs)):
        failures.append(f"the components pay the charge on {ours:,.3f} kWh/a, the whole follower on {theirs:,.3f} kWh/a")
    revenue, allowed = charge * (theirs + search.passive), search.existing + float(search.annuity @ best.built)
    short = max(0.0, allowed - revenue) / max(1.0, allowed)
    if short > TOLERANCE * 1e-3:
        failures.append(f"the charge earns {revenue:,.2f} EUR/a of {allowed:,.2f} EUR/a")
    return solution, compiled.basis, Certificate((follower,), (short, "recovery" if short else ""), None, None, failures=tuple(failures))


def follower_certificate(solution: ProgramSolution, x: np.ndarray) -> FollowerCertificate:
    """Residuals of the components' answer against the whole follower, relative as in ``bilevel.certificate``."""
    program, p, y = solution.program, solution.parameters, solution.y
    rhs, activity, costs = program.rhs(p), program.A @ x, program.costs(p)
    slack = rhs - activity
    row_scale = np.maximum(1.0, np.maximum(np.abs(rhs), np.abs(activity)))
    column_scale = np.maximum(1.0, np.abs(x))
    outside = np.maximum(program.lower - x, x - program.upper) / column_scale
    primal = np.concatenate([np.where(program.equality, np.abs(slack), -slack) / row_scale, outside]).max(initial=0.0)
    reduced = solution.reduced_costs
    lacking = np.where(np.isinf(program.lower), np.maximum(reduced, 0.0), 0.0) + np.where(np.isinf(program.upper), np.maximum(-reduced, 0.0), 0.0)
    dual = np.concatenate([lacking / np.maximum(1.0, np.abs(costs)), np.where(program.equality, 0.0, np.maximum(y, 0.0))]).max(initial=0.0)
    low = np.where(np.isfinite(program.lower), x - program.lower, 0.0)
    high = np.where(np.isfinite(program.upper), program.upper - x, 0.0)
    loose = np.abs(y * slack).sum() + np.abs(np.maximum(reduced, 0.0) * low).sum() + np.abs(np.minimum(reduced, 0.0) * high).sum()
    cost, optimum = program.objective(x, p), solution.objective
    scale = max(1.0, abs(optimum))
    return FollowerCertificate("operation", optimum, cost, (cost - optimum) / scale, float(primal), float(dual), float(loose) / scale)
