"""Several decided prices: plans are those of a refined grid over prices and all sets of options, and bounds hold."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from multiscale.planning import NoPlanError, PlanningProblem, solve_plan
from multiscale.planning.decomposition import applies_with_several_prices
from multiscale.planning.decomposition.all_classes import all_classes
from multiscale.planning.decomposition.component import Work
from multiscale.planning.decomposition.joint_answers import JointAnswers
from multiscale.planning.decomposition.network_state import LimitsViolated
from multiscale.planning.decomposition.price_box import PriceBox
from multiscale.planning.decomposition.several_answer import moving_prices, without_standing_prices
from multiscale.planning.decomposition.structure import structure
from multiscale.programs import CompiledProgram
from multiscale.tariffs import BILLED, Capacity, Fixed, Tariff
from tests.planning.transfer_problems import transfer_problem

TOLERANCE = 1e-5
GAP = 2e-6


def problem_of(system, seed: int, standing: float = 0.5, members: int = 1) -> PlanningProblem:
    """A network charge, a charge on peaks and a standing charge, all decided; the last can recover a part of the cost."""
    support = {"peak": Capacity(price_max=150.0), "standing": Fixed(price_max=standing)}
    return transfer_problem(system, seed, members=members, support=support)


class Grid:
    """Least social cost over all sets of options and a grid of network charges and prices of peaks that is refined around its best points.

    What standing charges earn up to their largest price is free, so prices are feasible where they earn at most the cost and at least the rest.
    """

    def __init__(self, problem: PlanningProblem) -> None:
        self.problem, self.compiled = problem, CompiledProgram(problem.program)
        self.most = self._earned("standing", problem.tariff.components["standing"].price_max)

    def _earned(self, name: str, price: float) -> float:
        program = self.problem.program
        held = np.where(program.lower == program.upper, program.lower, 0.0)
        return price * (float((program.outputs[BILLED + name].matrix @ held)[0]) + float(self.problem.passive[name]))

    def at(self, built: np.ndarray, charge: float, peak: float) -> tuple[float, float]:
        """Social cost, and what charge and price of peaks earn [EUR/a]."""
        problem, program = self.problem, self.problem.program
        x = self.compiled.solve_optimal({"built": built, "network_charge": charge, "peak": peak, "standing": 0.0}).x
        cost = float((program.outputs["resource_cost"].matrix @ x)[0]) + program.d0 + problem.constant + float(problem.annuity @ built)
        earned = sum(
            price * (float((program.outputs[BILLED + name].matrix @ x)[0]) + float(problem.passive[name]))
            for name, price in (("network_charge", charge), ("peak", peak))
        )
        return cost, earned

    def best_of(self, built: np.ndarray, steps: int, rounds: int) -> float:
        due = self.problem.existing_cost + float(self.problem.annuity @ built)
        low, high = np.zeros(2), np.array([0.4, 150.0])
        best, where = np.inf, 0.5 * (low + high)
        for _ in range(rounds):
            for peak in np.linspace(low[1], high[1], steps):
                for charge in [*np.linspace(low[0], high[0], steps), self._least(built, float(peak), due)]:
                    cost, earned = self.at(built, float(charge), float(peak))
                    if due - self.most <= earned * (1 + 1e-12) and earned <= due * (1.0 + TOLERANCE) and cost < best:
                        best, where = cost, np.array([charge, peak])
            half = (high - low) / steps
            low, high = np.maximum(0.0, where - half), np.minimum([0.4, 150.0], where + half)
        return best

    def _least(self, built: np.ndarray, peak: float, due: float) -> float:
        """A charge at which the rest is just earned, by halving."""
        low, high = 0.0, 0.4
        if self.at(built, 0.0, peak)[1] + self.most >= due:
            return 0.0
        for _ in range(30):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if self.at(built, middle, peak)[1] + self.most >= due else (middle, high)
        return high

    def best(self, steps: int, rounds: int) -> float:
        return min(self.best_of(np.array(z), steps, rounds) for z in itertools.product((0.0, 1.0), repeat=self.problem.annuity.size))


@pytest.mark.parametrize(("seed", "standing"), [(0, 0.5), pytest.param(2, 0.0, marks=pytest.mark.slow), pytest.param(6, 2.0, marks=pytest.mark.slow)])
def test_the_plan_is_that_of_a_refined_grid(system, seed, standing):
    problem = problem_of(system, seed, standing)
    assert applies_with_several_prices(problem) is None
    plan = solve_plan(problem, tolerance=TOLERANCE, gap=GAP, method="decomposition")
    scale = abs(plan.objective)
    assert plan.status == "optimal"
    assert plan.gap_eur <= GAP * scale * (1 + 1e-6)
    assert plan.follower_gap <= 1e-9
    allowed = problem.existing_cost + float(problem.annuity @ [float(b) for b in plan.built.values()])
    assert allowed * (1 - 1e-9) <= plan.revenue <= allowed * (1 + TOLERANCE * (1 + 1e-6))
    grid = Grid(problem).best(5, 4)
    assert plan.bound - 1e-7 * scale <= grid
    assert plan.objective <= grid + 1e-5 * scale
    assert grid <= plan.objective + 1e-5 * scale


def test_one_charge_with_a_standing_charge(system):
    """A standing charge that may recover all leaves the charge at zero where no other transfer distorts; the plan is no dearer than at any charge."""
    problem = transfer_problem(system, 3, members=1, support={"standing": Fixed(price_max=50.0)})
    plan = solve_plan(problem, tolerance=TOLERANCE, gap=GAP, method="decomposition")
    assert plan.status == "optimal"
    assert sum(plan.prices["standing"].ravel()) > 0
    program, compiled = problem.program, CompiledProgram(problem.program)
    for built in itertools.product((0.0, 1.0), repeat=problem.annuity.size):
        for charge in np.linspace(0.0, 0.4, 9):
            x = compiled.solve_optimal({"built": np.array(built), "network_charge": charge, "standing": 0.0}).x
            billed = float((program.outputs[BILLED + "network_charge"].matrix @ x)[0]) + float(problem.passive["network_charge"])
            annuity = float(problem.annuity @ built)
            if charge * billed <= problem.existing_cost + annuity:
                cost = float((program.outputs["resource_cost"].matrix @ x)[0]) + program.d0 + problem.constant + annuity
                assert plan.objective <= cost + 1e-5 * abs(cost)


@pytest.mark.parametrize("seed", [0, 9])
def test_bounds_hold_at_prices_of_a_box(system, seed):
    """Resource cost of the answer at random prices of a box, against the bound of every component; what is paid against its bound."""
    problem = without_standing_prices(problem_of(system, seed))[0]
    prices = moving_prices(problem)
    assert prices == ["network_charge", "peak"]
    known, work, rng = structure(problem, prices), Work(np.inf), np.random.default_rng(seed)
    joint = JointAnswers(known, work, problem.required)
    every = np.ones(problem.annuity.size, dtype=bool)
    joint.checked_answers(every, (0.0, 0.0), at_base=True)
    tight = 0
    for _ in range(12):
        low = rng.uniform(0.0, 1.0, 2) * [0.2, 80.0] * rng.integers(0, 2, 2)
        box = PriceBox(tuple(low.tolist()), tuple((low + rng.uniform(0.0, 1.0, 2) * [0.1, 40.0] * 10 ** rng.uniform(-2, 0)).tolist()), known.levy)
        for component in joint.split.components:
            built = every[component.options]
            bound = box.bound_of(component, built, joint.network.spread, work, levied=False, scale=None)
            for _ in range(4):
                at = tuple(rng.uniform(box.lower, box.upper).tolist())
                answer = component.solve(built, at, joint.network.spread, work)
                paid = float(np.dot(at, np.append(answer.energy, answer.further)))
                resource = answer.cost - answer.transfers - paid
                scale = 1.0 + abs(answer.cost)
                assert bound.resource <= resource + 1e-6 * scale
                assert paid <= bound.revenue + 1e-7 * scale
                tight += bound.resource >= resource - 1e-6 * scale
    assert tight > 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 7])
def test_bounds_of_components_add_up_where_limits_bind_within_a_box(system, seed):
    """In sum they hold against the whole follower with all limits, also at prices at which limits bind that are omitted at the lower corner."""
    problem = without_standing_prices(problem_of(system, seed, members=2))[0]
    prices, rng, bind = moving_prices(problem), np.random.default_rng(seed), 0
    limits = structure(problem, prices).limits
    for share in (1.0, 0.8, 0.6, 0.5, 0.4, 0.3):
        b0 = problem.program.b0.copy()
        b0[limits] *= share
        program = replace(problem.program, b0=b0)
        tight = replace(problem, program=program)
        known, work, whole = structure(tight, prices), Work(np.inf), CompiledProgram(program)
        built = rng.integers(0, 2, problem.annuity.size).astype(bool)
        for _ in range(6):
            low = rng.uniform(0.0, 1.0, 2) * [0.2, 80.0] * rng.integers(0, 2, 2)
            box = PriceBox(tuple(low.tolist()), tuple((low + rng.uniform(0.0, 1.0, 2) * [0.2, 80.0] * 10 ** rng.uniform(-1, 0)).tolist()), known.levy)
            joint, found = JointAnswers(known, work, problem.required), None
            while found is None:
                choices = [[(built[c.options], built[c.options])] for c in joint.split.components]
                try:
                    found = all_classes(joint, choices, box, problem.annuity, work, levied=False)
                except LimitsViolated as violated:
                    joint.retain(violated.limits)
            bound = joint.split.constant + sum(part[0].bound.resource for part in found)
            for _ in range(4):
                at = tuple(rng.uniform(box.lower, box.upper).tolist())
                x = whole.solve_optimal({"built": built.astype(float)} | dict(zip(prices, at, strict=True))).x
                resource = float((program.outputs["resource_cost"].matrix @ x)[0]) + program.d0
                assert bound <= resource + 1e-6 * (1.0 + abs(resource))
                split = joint.split
                joint.checked_answers(built, at)
                bind += joint.split is not split
    assert bind


def test_prices_that_cannot_recover_the_cost_are_named(system):
    support = {"peak": Capacity(price_max=0.01), "standing": Fixed(price_max=0.01)}
    problem = transfer_problem(system, 0, members=1, support=support)
    components = dict(problem.tariff.components)
    components["network_charge"] = components["network_charge"].model_copy(update={"price_max": 1e-4})
    with pytest.raises(NoPlanError, match=r"no permitted prices recover .*tariff.network_charge.price_max, tariff.peak.price_max"):
        solve_plan(replace(problem, tariff=Tariff(components)), tolerance=TOLERANCE, gap=GAP)


@pytest.mark.parametrize("price", [0.0, 10.0])
def test_a_price_with_one_permitted_value_is_held(system, price):
    problem = transfer_problem(system, 0, members=1, support={"peak": Capacity(price_min=price, price_max=price), "standing": Fixed(price_max=0.5)})
    plan = solve_plan(problem, tolerance=TOLERANCE, gap=GAP, method="decomposition")
    assert plan.status == "optimal"
    assert float(plan.prices["peak"]) == price


@pytest.mark.parametrize(
    ("charge", "said"), [(1.0, r"lowest permitted prices earn more than .*tariff.network_charge.price_min"), (0.172, "revenues jump")]
)
def test_prices_that_earn_too_much_are_named(system, charge, said):
    """A given charge that earns more than everything costs; and one that earns more than the network, while no choice of options costs as much."""
    problem = transfer_problem(system, 0, members=1, support={"peak": Capacity(price_max=0.0), "standing": Fixed(price_max=0.01)})
    held = problem.at_prices({"network_charge": np.asarray(charge)})
    with pytest.raises(NoPlanError, match=said):
        solve_plan(held, tolerance=TOLERANCE, gap=GAP, method="decomposition", solve_limit=50)
