"""The plan with several prices out of a finished search, with its certificate: one solve of the whole follower, all limits included."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from multiscale import bilevel
from multiscale.bilevel.certify.certificate import TOLERANCE, Certificate
from multiscale.planning.decomposition.answer import METHOD, follower_certificate
from multiscale.planning.decomposition.component import Work
from multiscale.planning.decomposition.price_box import PriceBox
from multiscale.planning.decomposition.several_prices import PricedChoice, SeveralPricesSearch
from multiscale.planning.decomposition.structure import applies_to_several, structure
from multiscale.planning.distribution_planning import PlanningProblem
from multiscale.planning.extremes import decision_range
from multiscale.planning.follower_names import BUILT, RESOURCE_COST
from multiscale.planning.no_plan import NoPlanError
from multiscale.planning.plan import Effort, Plan, plan_from
from multiscale.programs import Basis, CompiledProgram
from multiscale.tariffs import BILLED, Tariff, Volumetric


def without_standing_prices(problem: PlanningProblem) -> tuple[PlanningProblem, dict[str, float]]:
    """The problem without decided prices that no answer moves, each held at zero, and what one unit of each earns, in the unit of its determinant."""
    program, earns = problem.program, dict[str, float]()
    for name, component in problem.tariff.decided.items():
        matrix = program.outputs[BILLED + name].matrix
        moving = np.flatnonzero(np.diff(matrix.tocsc().indptr))
        if not component.constant or (program.lower[moving] != program.upper[moving]).any() or matrix.shape[0] != 1:
            continue
        held = np.where(program.lower == program.upper, program.lower, 0.0)
        earns[name] = float((matrix @ held)[0]) + float(problem.passive[name])
    if not earns:
        return problem, earns
    left = {name: c for name, c in problem.tariff.components.items() if name not in earns}
    passive = {name: amount for name, amount in problem.passive.items() if name not in earns}
    program = program.fix(dict.fromkeys(earns, np.zeros(())))
    return replace(problem, program=program, tariff=Tariff(left), passive=passive), earns


def moving_prices(problem: PlanningProblem) -> list[str]:
    """The decided prices in the order of the search: an energy price first."""
    return sorted(problem.tariff.decided, key=lambda name: not isinstance(problem.tariff.components[name], Volumetric))


def applies_with_several_prices(problem: PlanningProblem) -> str | None:
    """Why the decomposition with several prices does not take a problem; None where it does."""
    return applies_to_several(without_standing_prices(problem)[0])


def plan_with_several_prices(problem: PlanningProblem, effort: Effort) -> Plan:
    """Solve a problem to which the decomposition with several prices applies.

    Raises:
        NoPlanError: no choice recovers its cost within the range of the prices, or none was found in time.
    """
    seen, earns = without_standing_prices(problem)
    prices, components = moving_prices(seen), problem.tariff.components
    started = time.perf_counter()

    def clock() -> str:
        spent = time.perf_counter() - started
        late = effort.time_limit is not None and spent > effort.time_limit
        return f"ended by the clock after {spent:.0f} s (planning.time_limit_s)" if late else ""

    given = float(problem.annuity @ problem.required)
    known = structure(seen, prices)
    lower, upper = (tuple(getattr(components[name], end) for name in prices) for end in ("price_min", "price_max"))
    search = SeveralPricesSearch(
        known=known,
        annuity=np.where(problem.required, 0.0, problem.annuity),
        admitted=(problem.required, ~problem.excluded),
        existing=problem.existing_cost + given,
        passive=np.array([float(seen.passive[name]) for name in prices]),
        standing=(
            sum(components[name].price_min * amount for name, amount in earns.items()),
            sum(components[name].price_max * amount for name, amount in earns.items()),
        ),
        box=PriceBox(lower, upper, known.levy),
        tolerance=effort.tolerance,
        gap_eur=effort.gap_eur,
        gap=effort.gap,
        constant=problem.constant + given,
        most_boxes=effort.solve_limit,
        work=Work(np.inf, clock),
    )
    search.run()
    if search.best is None:
        if search.ended:
            status = "time_limit" if "clock" in search.ended else "error"
            raise NoPlanError(status, f"plan of {problem.dso}: none was found; {search.ended}; allow more work, or a wider range of prices")
        end = "price_max" if search.short else "price_min"
        settings = ", ".join(f"tariff.{name}.{end}" for name in problem.tariff.decided)
        said = f"no permitted prices recover {search.existing:,.0f} EUR/a; allow higher ones"
        if not search.short:
            said = "the lowest permitted prices earn more than may be recovered with every option built; allow lower ones"
        raise NoPlanError("infeasible", f"plan of {problem.dso}: {said} ({settings})")
    searched = time.perf_counter()
    best = search.best
    decided = _in_force(problem, prices, best, earns)
    x, y, certificate = _certified(problem, search, decided)
    if certificate.failures:
        raise NoPlanError("error", f"plan of {problem.dso}: the certificate of what was found does not hold ({'; '.join(certificate.failures)})")
    program = problem.program
    objective = float(problem.annuity @ best.built) + float((program.outputs[RESOURCE_COST].matrix @ x)[0]) + program.d0 + problem.constant
    bound = min(search.bound + search.constant, objective)
    closed = objective - bound <= search.allowance
    status = bilevel.Status.OPTIMAL if closed else bilevel.Status.TIME_LIMIT if "clock" in search.ended else bilevel.Status.FEASIBLE
    said = f"{search.boxes:,} boxes of {len(prices)} prices, {search.work.solves:,} solves of components"
    message = f"{search.ended}; {said}" if search.ended else said
    names = problem.options.option.values.tolist()
    values = {f"built[{o}]": float(b) for o, b in zip(names, best.built.tolist(), strict=True)} | {n: float(p) for n, p in decided.items()}
    answer = bilevel.BilevelSolution(
        status=status,
        objective=objective,
        bound=bound,
        gap=(objective - bound) / max(abs(objective), 1e-6),
        values=values,
        primal={"operation": x},
        dual={"operation": y},
        certificate=certificate,
        methods={"operation": f"{METHOD}: boxes of {len(prices)} prices, {search.work.solves:,} solves"},
        timings={"search": searched - started, "certificate": time.perf_counter() - searched},
        message=message,
        nodes=search.boxes,
    )
    return plan_from(problem, best.built.astype(float), decided, answer, _range(search, objective), message)


def _in_force(problem: PlanningProblem, prices: list[str], best: PricedChoice, earns: dict[str, float]) -> dict[str, np.ndarray]:
    """All decided prices of a plan: standing charges earn what is asked of them together, each the same share of its range."""
    components = problem.tariff.components
    decided = {name: np.asarray(price) for name, price in zip(prices, best.prices, strict=True)}
    least = sum(components[name].price_min * amount for name, amount in earns.items())
    room = sum((components[name].price_max - components[name].price_min) * amount for name, amount in earns.items())
    share = (best.standing - least) / room if room > 0 else 0.0
    for name in earns:
        low, high = components[name].price_min, components[name].price_max
        decided[name] = np.asarray(low + share * (high - low))
    return {name: decided[name] for name in problem.tariff.decided}


def _certified(problem: PlanningProblem, search: SeveralPricesSearch, decided: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, Certificate]:
    """The components' answer as columns of the whole follower, with the duals and residuals of the whole follower solved again at the plan."""
    assert search.best is not None
    program, best, split = problem.program, search.best, search.joint.split
    x = search.joint.point(best.built, best.prices)
    compiled = CompiledProgram(program, devex=True)
    statuses = split.statuses(settled=True)
    if statuses is not None:
        compiled.start_from(Basis.of_statuses(*statuses))
    solution = compiled.solve_optimal({BUILT: best.built.astype(float)} | decided)
    follower = follower_certificate(solution, x)
    failures = [] if follower.holds() else [f"the answer of the components: {follower}"]
    revenue = sum(
        float(price) * (float((program.outputs[BILLED + name].matrix @ x)[0]) + float(problem.passive[name])) for name, price in decided.items()
    )
    allowed = search.existing + float(search.annuity @ best.built)
    wrong = max(0.0, allowed - revenue, revenue - (1.0 + search.tolerance) * allowed) / max(1.0, allowed)
    if wrong > TOLERANCE * 1e-3:
        failures.append(f"the prices earn {revenue:,.2f} EUR/a of {allowed:,.2f} EUR/a")
    return x, solution.y, Certificate((follower,), (wrong, "recovery" if wrong else ""), None, None, failures=tuple(failures))


def _range(search: SeveralPricesSearch, objective: float) -> float | None:
    """What decisions move: the least and the most that is admitted, each at the best prices on a few lines that recover its cost [EUR/a]."""
    priced = [search.priced(choice, search.box, limited=False) for choice in search.admitted]
    return decision_range(objective, [one.cost + search.constant for one in priced if one is not None])
