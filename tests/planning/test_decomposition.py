"""The decomposition against enumeration of everything: same plan, same charge, and a bound that holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from multiscale.planning import NoPlanError, PlanningProblem, solve_plan
from multiscale.planning.charge_marching import end_of_range
from multiscale.planning.decomposition import applies
from multiscale.planning.decomposition.component import Work
from multiscale.planning.decomposition.search import DecompositionSearch
from multiscale.planning.decomposition.structure import structure
from multiscale.programs import CompiledProgram
from multiscale.tariffs import Tariff
from tests.further import first
from tests.planning.conftest import RANGE
from tests.planning.enumeration import Enumeration
from tests.planning.random_problems import TOP, random_problem

WIDE, TIGHT = (0.0, 0.4), 1e-5


def within(problem: PlanningProblem, charge_range: tuple[float, float]) -> PlanningProblem:
    """The problem with another range of the network charge [EUR/kWh]."""
    limits = {"price_min": charge_range[0], "price_max": charge_range[1]}
    components = problem.tariff.components
    charge = components["network_charge"].model_copy(update=limits)
    return replace(problem, tariff=Tariff({**components, "network_charge": charge}))


def check(problem: PlanningProblem, charge_range=WIDE):
    """The plan is the best of all; returns it."""
    problem = within(problem, charge_range)
    plan = solve_plan(problem, tolerance=TIGHT, method="decomposition")
    value, built, _ = Enumeration(problem, TIGHT).best
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(value, rel=1e-8)
    assert tuple(float(b) for b in plan.built.values()) == built
    assert value * (1 - 1e-8) - 1e-6 <= plan.bound <= plan.objective
    assert plan.follower_gap <= 1e-9
    assert plan.allowed_revenue * (1 - 1e-12) <= plan.revenue <= plan.allowed_revenue * (1 + TIGHT)
    return plan


@pytest.mark.parametrize("name", ["problem", "problem_with_adoption"])
def test_the_plan_is_that_of_brute_force(name, request):
    """With adoption, prosumers buy PV at a charge near the one that recovers the cost: the charged energy jumps there."""
    plan = check(request.getfixturevalue(name), RANGE)
    if name == "problem_with_adoption":
        assert max(float(np.sum(bought["photovoltaics"])) for bought in plan.bought.values()) > 0


@pytest.fixture(scope="module")
def checked(system):
    """Seed -> random problem and its plan, which is the best of all; each is solved once."""
    known = {}

    def get(seed):
        if seed not in known:
            problem = random_problem(system, seed)
            known[seed] = problem, check(problem)
        return known[seed]

    return get


@pytest.mark.parametrize("seed", first(12, range(100, 124)))
def test_random_problems(checked, seed):
    """Options in series and idle ones, a binding HV/MV transformer, voltages that bind, negative prices, batteries, adoption."""
    checked(seed)


def test_random_problems_hold_what_they_are_to_test(checked):
    """Among the seeds, limits of every kind bind in the plan, and prices fall below zero."""
    seen = set()
    for seed in range(100, 124):
        problem, plan = checked(seed)
        program, x, y = problem.program, plan.solution.primal["operation"], plan.solution.dual["operation"]
        for name in ("rating_forward", "rating_reverse"):
            if name in program.rows:
                block = program.rows[name]
                binding = np.flatnonzero(np.abs(y[block.positions]) > 1e-3)
                labels = [program.rows.label(block.offset + int(i)) for i in binding]
                seen |= {name} if labels else set()
                seen |= {"top"} if any(TOP in label for label in labels) else set()
        if "voltage_squared" in program.columns:
            v = program.columns["voltage_squared"].positions.ravel()
            seen |= {"voltage"} if (np.minimum(x[v] - program.lower[v], program.upper[v] - x[v]) < 1e-7).any() else set()
        seen |= {"negative price"} if program.c0[program.columns["import"].positions].min() < 0 else set()
        seen |= {"bought"} if any(np.max(size) > 1e-3 for bought in plan.bought.values() for size in bought.values()) else set()
        seen |= {"built"} if any(plan.built.values()) else {"nothing built"}
    assert seen == {"rating_forward", "rating_reverse", "top", "voltage", "negative price", "bought", "built", "nothing built"}


@pytest.mark.parametrize("seed", [104, 119, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (110, 124, 128))])
def test_choices_one_by_one_give_the_same_plan(system, seed):
    """With one level only and no first plan nothing is dropped, and every combination has to be judged at its own charge."""
    problem = random_problem(system, seed)
    search = DecompositionSearch(
        known=structure(problem), annuity=problem.annuity, admitted_choices=(problem.required, ~problem.excluded),
        existing=problem.existing_cost, passive=float(problem.passive["network_charge"]),
        charge_range=WIDE,
        tolerance=TIGHT, gap_eur=-np.inf, gap=-np.inf, constant=problem.constant, work=Work(1e5), most_levels=1,
    )  # fmt: skip
    consider, calls = search.consider, []

    def without_first_plan(built, start, **more):
        calls.append(start)
        return None if len(calls) == 1 else consider(built, start, **more)

    search.consider = without_first_plan
    search.run()
    assert len(calls) > 1
    assert search.best.cost + problem.constant == pytest.approx(Enumeration(within(problem, WIDE), TIGHT).best[0], rel=1e-8)
    assert search.bound == pytest.approx(search.best.cost, rel=1e-8)


@pytest.mark.parametrize("seed", first(5, [100, 104, 110, 119, 128, 103, 107, 113, 116, 124]))
def test_a_search_that_starts_where_another_ended_gives_the_plan_of_one_from_scratch(system, seed):
    """Limits are tightened by one per cent, as a repair does; the bound is proven anew, whatever the start."""
    first = within(random_problem(system, seed), WIDE)
    known, tightened = structure(first), first.program.b0.copy()
    tightened[known.limits] *= 0.99
    second = replace(first, program=replace(first.program, b0=tightened))
    start = solve_plan(first, method="decomposition", tolerance=TIGHT).start
    anew, near = (solve_plan(second, method="decomposition", tolerance=TIGHT, start=each) for each in (None, start))
    assert near.status == anew.status == "optimal"
    assert near.built == anew.built
    assert near.objective == pytest.approx(anew.objective, rel=1e-9)
    assert near.prices["network_charge"] == pytest.approx(anew.prices["network_charge"], rel=1e-9)
    assert near.solution.certificate.followers[0].holds()


def test_a_start_of_another_follower_is_not_used(system, problem):
    """It is of other rows and columns; the search is the one from scratch."""
    other = solve_plan(within(random_problem(system, 104), WIDE), method="decomposition").start
    near, anew = (solve_plan(within(problem, WIDE), method="decomposition", start=each) for each in (other, None))
    assert (near.objective, near.solution.nodes) == (anew.objective, anew.solution.nodes)


def test_social_cost_of_operation_does_not_fall_with_the_charge(problem_with_adoption):
    """What the bound stands on: phi - (charge + levy) w does not fall, and w does not rise."""
    problem = problem_with_adoption
    compiled, outputs = CompiledProgram(problem.program), problem.program.outputs
    points = []
    for charge in np.linspace(0.0, 0.3, 31):
        x = compiled.solve_optimal({"built": 0.0, "network_charge": charge}).x
        points.append([float((outputs[n].matrix @ x)[0]) for n in ("resource_cost", "billed network_charge")])
    resource, energy = np.array(points).T
    assert (np.diff(resource) >= -1e-6 * np.abs(resource[1:])).all()
    assert (np.diff(energy) <= 1e-6 * energy[1:]).all()
    assert energy[0] > energy[-1]


def test_the_gap_is_stated_against_what_decisions_move(problem):
    """The yardstick is the dearer of nothing and everything built, less the plan."""
    plan = solve_plan(within(problem, RANGE))
    forced = []
    for built in (0.0, 1.0):
        compiled, charge = CompiledProgram(problem.program), 0.0
        allowed = problem.existing_cost + built * problem.annuity.sum()
        for _ in range(60):
            x = compiled.solve_optimal({"built": built, "network_charge": charge}).x
            charge = allowed / (float((problem.program.outputs["billed network_charge"].matrix @ x)[0]) + float(problem.passive["network_charge"]))
        resource = float((problem.program.outputs["resource_cost"].matrix @ x)[0])
        forced.append(built * problem.annuity.sum() + resource + problem.program.d0 + problem.constant)
    assert plan.decision_range == pytest.approx(max(forced) - plan.objective, rel=1e-6)
    assert plan.gap_of_decisions == plan.gap_eur / plan.decision_range


def test_both_engines_agree(problem):
    """The general engine, its recovery one-sided too, finds the plan of the decomposition and the same yardstick."""
    ours = solve_plan(within(problem, RANGE), method="decomposition")
    general = solve_plan(within(problem, RANGE), gap=1e-7, method="branch_and_cut")
    assert general.objective == pytest.approx(ours.objective, rel=1e-6)
    assert general.built == ours.built
    assert general.decision_range == pytest.approx(ours.decision_range, rel=1e-6)
    assert general.revenue >= general.allowed_revenue * (1 - 1e-9)


def test_work_ends_the_search_alike_every_time(problem):
    """Few solves leave a gap, a bound that holds, and a message that names the limit."""
    best = solve_plan(within(problem, RANGE)).objective
    plans = [solve_plan(within(problem, RANGE), solve_limit=8, method="decomposition") for _ in range(2)]
    assert plans[0].status == "feasible"
    assert "ended after 8 solves of linear programs (planning.solve_limit)" in plans[0].message
    assert plans[0].bound <= best <= plans[0].objective
    assert (plans[0].objective, plans[0].bound, plans[0].prices) == (plans[1].objective, plans[1].bound, plans[1].prices)


def test_three_runs_are_alike_to_the_last_digit(system):
    """Everything that is a number of the plan; each run states its problem anew."""
    plans = [solve_plan(within(random_problem(system, 105), WIDE), tolerance=TIGHT, method="decomposition") for _ in range(3)]
    found = [(p.objective, p.bound, p.revenue, float(p.prices["network_charge"]), p.built, p.message) for p in plans]
    assert found[0] == found[1] == found[2]
    for plan in plans[1:]:
        np.testing.assert_array_equal(plan.solution.primal["operation"], plans[0].solution.primal["operation"])


def test_no_charge_above_the_end_of_the_range_earns_too_little():
    """For private costs that are concave in the charge: of nothing built, of everything, and of all choices in between."""
    rng = np.random.default_rng(3)
    narrowed = 0
    for _ in range(50):
        fixed, energy = rng.uniform(100.0, 200.0, 4).cumsum(), np.sort(rng.uniform(1000.0, 4000.0, 4))[::-1]
        passive, at, far, largest, gain = rng.uniform(0.0, 4000.0), 0.02, 0.6, 0.3, rng.uniform(0.0, 60.0)
        prices = np.linspace(at, largest, 400)
        costs = fixed[:, None] + energy[:, None] * prices
        first = int(np.argmin(fixed + energy * at))
        unbuilt = float(fixed[first] + energy[first] * at)
        everything = float((fixed + energy * far).min()) - gain
        most = rng.uniform(0.02, 0.06) * (energy[0] + passive)
        end = end_of_range(unbuilt, float(energy[first]), at, everything, far, passive, most, largest)
        narrowed += end < largest
        earned = prices * (energy[costs.argmin(axis=0)] + passive)
        assert (earned[prices > end] > most).all()
    assert narrowed > 10


def test_a_clock_that_ends_the_search_is_named(problem):
    plan = solve_plan(within(problem, RANGE), time_limit=1e-9, method="decomposition")
    assert plan.status == "time_limit"
    assert "ended by the clock after" in plan.message
    assert plan.bound < plan.objective


def test_a_charge_that_earns_too_much_is_the_least_permitted_one_and_says_so(problem):
    least = solve_plan(within(problem, RANGE)).prices["network_charge"]
    plan = solve_plan(within(problem, (1.5 * least, 0.3)), method="decomposition")
    assert plan.prices["network_charge"] == pytest.approx(1.5 * least)
    assert plan.surplus == pytest.approx(plan.revenue - (1 + TIGHT) * plan.allowed_revenue, rel=1e-6)
    assert plan.surplus > 0
    assert "more than the cost to be recovered" in plan.message


def test_a_charge_range_that_cannot_recover_the_cost_is_refused(problem):
    with pytest.raises(NoPlanError, match=r"recovering [\d,]+ EUR/a takes a price of network_charge of at least 0\.0\d+ EUR/kWh") as found:
        solve_plan(within(problem, (0.0, 0.01)), method="decomposition")
    assert found.value.status == "infeasible"


def dearer_exports(problem):
    """Energy is bought at a higher price than it is sold."""
    program = problem.program
    given, output = program.columns["export"].positions, program.outputs["resource_cost"]
    cost, resource = program.c0.copy(), output.matrix.toarray()
    cost[given] *= 0.9
    resource[0, given] *= 0.9
    outputs = dict(program.outputs) | {"resource_cost": replace(output, matrix=sparse.csr_matrix(resource))}
    return replace(problem, program=replace(program, c0=cost, outputs=outputs))


def quadratic(problem):
    n = problem.program.columns.size
    return replace(problem, program=replace(problem.program, Q=sparse.identity(n, format="csr")))


def other_transfers(problem):
    """The network pays a transfer on what it exchanges with its parent."""
    program = problem.program
    output = program.outputs["resource_cost"]
    changed = output.matrix.toarray()
    changed[0, program.columns["import"].positions] -= 1.0
    outputs = dict(program.outputs) | {"resource_cost": replace(output, matrix=sparse.csr_matrix(changed))}
    return replace(problem, program=replace(program, outputs=outputs))


@pytest.mark.parametrize(
    ("change", "reason"),
    [(dearer_exports, "at different prices"), (quadratic, "a quadratic cost"), (other_transfers, "network pays or receives transfers")],
)
def test_where_it_does_not_apply_it_says_why(problem, change, reason):
    assert applies(within(problem, RANGE)) is None
    other = change(problem)
    assert reason in applies(within(other, RANGE))
    with pytest.raises(NoPlanError, match=reason):
        solve_plan(within(other, RANGE), method="decomposition")


def test_auto_falls_back_to_the_general_engine_and_says_so(problem):
    other = dearer_exports(problem)
    plan = solve_plan(within(other, RANGE), gap=1e-7)
    assert "by branch_and_cut, as the decomposition does not apply: energy is bought" in plan.message
    assert plan.objective == pytest.approx(Enumeration(within(other, RANGE), TIGHT).best[0], rel=1e-6)


def test_a_charge_below_the_levy_is_refused(system):
    """Where the levy is all that is transferred."""
    assert "below zero together" in applies(within(random_problem(system, 100), (-0.2, 0.3)))


def test_a_search_that_ends_without_a_plan_does_not_say_that_there_is_none(system):
    """Neither building nothing nor everything recovers its cost below this charge, something between does."""
    values = Enumeration(within(random_problem(system, 101), (0.0, 2.0)), TIGHT).values
    charges = {z: charge if np.isfinite(value) else np.inf for z, (value, _, charge) in values.items()}
    extremes = min(charge for z, charge in charges.items() if len(set(z)) == 1)
    problem = within(random_problem(system, 101), (0.0, 0.5 * (min(charges.values()) + extremes)))
    assert min(charges.values()) < problem.price_range[1] < extremes
    assert solve_plan(problem, tolerance=TIGHT, method="decomposition").status == "optimal"
    with pytest.raises(NoPlanError, match=r"none was found; ended after 5 solves.*planning\.solve_limit") as found:
        solve_plan(problem, tolerance=TIGHT, method="decomposition", solve_limit=5)
    assert found.value.status == "error"
