"""Operators compared with each other: their plans are an equilibrium by brute force too; cycles and what cannot be compared are named."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from multiscale.planning import NoPlanError, Plan, PlanningProblem, solve_plan
from multiscale.planning.equilibrium import Costs, Equilibrium, Rules, best_responses
from multiscale.planning.regimes import Position
from multiscale.planning.regimes.yardstick import Yardstick, yardsticks
from multiscale.planning.targets import Emissions, Targets
from tests.planning.brute_force import BruteForce
from tests.planning.regulated_feeder import regulated_feeder

TOLERANCE = 1e-3


def feeders(nodes: int, seeds: tuple[int, ...]) -> dict[str, PlanningProblem]:
    return {f"feeder {seed}": dataclasses.replace(regulated_feeder(nodes, 4, seed=seed), dso=f"feeder {seed}") for seed in seeds}


def sizes(problems: Mapping[str, PlanningProblem]) -> dict[str, float]:
    """Demand, of which each kWh costs 6 ct of the existing network."""
    return {name: problem.existing_cost / 0.06 for name, problem in problems.items()}


def compared(problems: Mapping[str, PlanningProblem], regime: Yardstick, targets: Targets | None = None) -> Equilibrium[Plan]:
    size = sizes(problems)

    def respond(name: str, costs: Mapping[str, Costs], _: Plan | None) -> Plan:
        yardstick = yardsticks({n: sum(c) for n, c in costs.items()}, size)[name]
        return solve_plan(
            dataclasses.replace(problems[name], yardstick=yardstick), regime, targets=targets, tolerance=TOLERANCE, gap=1e-7, time_limit=60
        )

    first = {name: (problem.existing_cost,) for name, problem in problems.items()}
    return best_responses(list(problems), first, Rules(respond, respond, lambda plan: (plan.network_cost,), lambda plan: plan.gap_eur), most=20)


def best_alone(problem: PlanningProblem, regime: Yardstick, yardstick: float) -> dict[tuple[float, ...], float]:
    """Every set of options -> least loss of the operator with it, at its best price."""
    brute = BruteForce(dataclasses.replace(problem, yardstick=yardstick), regime, TOLERANCE)
    return {tuple(z.tolist()): brute.best_of(z, np.ones(1))[0] for z in brute.sets()}


@pytest.mark.parametrize(("own_share", "seeds"), [(0.0, (1, 2)), (0.5, (1, 2, 4))])
def test_no_operator_gains_by_another_plan(own_share: float, seeds: tuple[int, ...]):
    """Against the cost of the others as they stand, no set of options at any price is better, by brute force."""
    problems, regime = feeders(3, seeds), Yardstick(own_share=own_share, unserved_penalty=1.0)
    found = compared(problems, regime)
    stood = yardsticks({name: plan.network_cost for name, plan in found.answers.items()}, sizes(problems))
    assert any(any(plan.built.values()) for plan in found.answers.values())
    for name, plan in found.answers.items():
        values = best_alone(problems[name], regime, stood[name])
        scale = problems[name].existing_cost
        assert plan.objective == pytest.approx(min(values.values()), abs=1e-5 * scale)
        assert values[tuple(map(float, plan.built.values()))] == pytest.approx(min(values.values()), abs=1e-5 * scale)
        assert plan.objective - plan.bound <= 1e-6 * scale
        # The account refers to the yardstick that stands, and closes.
        allowed = own_share * plan.network_cost + (1 - own_share) * stood[name]
        assert plan.account.allowed == pytest.approx(allowed, rel=1e-9)
        assert plan.revenue <= allowed * (1 + 1e-9)
        assert plan.account.residual == pytest.approx(0.0, abs=1e-9)


def test_no_operator_gains_by_another_plan_that_reaches_its_target():
    """A cap on emissions that holds for each operator: against the others' cost, no set at any price that keeps it is better."""
    problems, regime = feeders(3, (1, 2)), Yardstick(unserved_penalty=1.0)
    free = compared(problems, regime, {"clean": Emissions(most=1e6)})
    most = 0.98 * max(plan.targets["clean"].value for plan in free.answers.values())
    found = compared(problems, regime, {"clean": Emissions(most=most)})
    stood = yardsticks({name: plan.network_cost for name, plan in found.answers.items()}, sizes(problems))
    for name, plan in found.answers.items():
        row = 0.4e-3 * problems[name].program.outputs["taken"].matrix.toarray().ravel(), most
        best = BruteForce(dataclasses.replace(problems[name], yardstick=stood[name]), regime, TOLERANCE, targets=lambda _, row=row: [row]).best[0]
        assert plan.objective == pytest.approx(best, abs=1e-5 * problems[name].existing_cost)
        assert not plan.targets["clean"].missed()
    assert any(plan.objective > free.answers[name].objective + 1e-6 for name, plan in found.answers.items())


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(1, 2), (3, 4)])
def test_the_equilibrium_is_among_those_of_enumeration(seeds: tuple[int, int]):
    """Every pair of sets of options is tried; where neither operator has a better one, the pair is an equilibrium."""
    problems, regime = feeders(3, seeds), Yardstick(unserved_penalty=1.0)
    names, size, found = list(problems), sizes(problems), compared(problems, regime)
    sets = list(itertools.product((0.0, 1.0), repeat=2))
    values = {}
    for name, other in (names, names[::-1]):
        for theirs in sets:
            cost = {name: 0.0, other: problems[other].existing_cost + float(problems[other].annuity @ np.array(theirs))}
            values[name, theirs] = best_alone(problems[name], regime, yardsticks(cost, size)[name])

    def stands(name: str, own: tuple[float, ...], theirs: tuple[float, ...]) -> bool:
        return values[name, theirs][own] <= min(values[name, theirs].values()) + 1e-6 * problems[name].existing_cost

    equilibria = [(a, b) for a in sets for b in sets if stands(names[0], a, b) and stands(names[1], b, a)]
    assert 0 < len(equilibria) < len(sets) ** 2
    assert tuple(tuple(map(float, found.answers[name].built.values())) for name in names) in equilibria


def test_one_s_saving_lowers_what_the_others_are_allowed_and_not_its_own():
    """Three operators of sizes 1, 2 and 4 that cost 10, 30 and 40: the others' unit costs are (15 + 10) / 2, (10 + 10) / 2 and (10 + 15) / 2."""
    costs, size = {"a": 10.0, "b": 30.0, "c": 40.0}, {"a": 1.0, "b": 2.0, "c": 4.0}
    assert yardsticks(costs, size) == pytest.approx({"a": 12.5, "b": 20.0, "c": 50.0})
    less = yardsticks(costs | {"b": 24.0}, size)
    assert less == pytest.approx({"a": 11.0, "b": 20.0, "c": 44.0})
    at = Position(existing_cost=8.0, investment=2.0, revenue=11.0, yardstick=12.5)
    assert Yardstick().allowed_revenue(at) == pytest.approx(12.5)
    assert Yardstick(own_share=0.4).allowed_revenue(at) == pytest.approx(0.4 * 10.0 + 0.6 * 12.5)


def test_what_is_not_compared_has_no_plan():
    with pytest.raises(NoPlanError, match="compares its cost with that of other operators"):
        solve_plan(regulated_feeder(3, 4), Yardstick())
    with pytest.raises(ValueError, match="there is only a;"):
        yardsticks({"a": 1.0}, {"a": 1.0})
    with pytest.raises(ValueError, match="b has a yearly demand of 0 kWh/a"):
        yardsticks({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 0.0})


@dataclasses.dataclass(frozen=True)
class Move:
    """A cost that an operator chooses, and what it gains by another choice."""

    cost: float
    gain: float = 0.0


def rules(respond, stand) -> Rules[Move]:
    return Rules(respond, stand, lambda move: (move.cost,), lambda move: move.gain)


def other_of(name: str, costs: Mapping[str, Costs]) -> float:
    (other,) = [sum(c) for n, c in costs.items() if n != name]
    return other


def test_of_a_cycle_the_plans_are_taken_by_which_operators_gain_least():
    """One operator wants to cost the same as the other, the other does not: matching pennies has no equilibrium in pure strategies.

    Where both cost 1 it is worth 3 to the one that loses to be elsewhere, where both cost 0 only 2.
    """

    def respond(name: str, costs: Mapping[str, Costs], _: Move | None) -> Move:
        other = other_of(name, costs)
        return Move(other if name == "same" else 1.0 - other)

    def stand(name: str, costs: Mapping[str, Costs], move: Move) -> Move:
        other = other_of(name, costs)
        loses = (move.cost == other) != (name == "same")
        return Move(move.cost, (2.0 + other) * loses)

    def refused(name: str, costs: Mapping[str, Costs], move: Move) -> Move | None:
        return None if sum(costs["same"]) == 0.0 else stand(name, costs, move)

    first = {"same": (0.0,), "other": (0.0,)}
    found = best_responses(["same", "other"], first, rules(respond, stand), most=50)
    assert "cycle of 2 rounds" in found.cycle
    assert "same: " in found.cycle
    assert "gain least by another plan: 2.00 EUR/a at most" in found.cycle
    states = {0.0: 1.0, 1.0: 0.0}
    assert found.answers["other"].cost == states[found.answers["same"].cost]
    assert max(move.gain for move in found.answers.values()) == 2.0
    over_years = dataclasses.replace(rules(respond, stand), unit="EUR over all years")
    assert "2.00 EUR over all years at most" in best_responses(["same", "other"], first, over_years, most=50).cycle
    # Rounds in which some plan cannot be kept are left out, and without any there is no answer.
    kept = best_responses(["same", "other"], first, rules(respond, refused), most=50)
    assert kept.answers["same"].cost == 1.0
    with pytest.raises(NoPlanError, match=r"cycle of 2 rounds.*same: .*other: .*in none of these rounds") as error:
        best_responses(["same", "other"], first, rules(respond, lambda *_: None), most=50)
    assert error.value.status == "error"


def test_responses_that_come_to_rest_and_responses_that_do_not():
    """Half of the other's cost and one more: both tend to 2. They come to rest to within 0.01, and what has moved is said; not within 3 rounds."""

    def respond(name: str, costs: Mapping[str, Costs], _: Move | None) -> Move:
        return Move(1.0 + 0.5 * other_of(name, costs))

    def stand(name: str, costs: Mapping[str, Costs], move: Move) -> Move:
        return Move(move.cost, abs(move.cost - respond(name, costs, None).cost))

    first = {"a": (0.0,), "b": (9.0,)}
    found = best_responses(["a", "b"], first, rules(respond, stand), most=20, rest=0.01)
    assert {name: move.cost for name, move in found.answers.items()} == {"a": pytest.approx(2.0, abs=0.02), "b": pytest.approx(2.0, abs=0.02)}
    assert 2 < found.rounds < 20
    assert 0.0 < found.moved <= 0.01
    assert not found.cycle
    short = best_responses(["a", "b"], first, rules(respond, stand), most=3)
    assert "still move after 3 rounds" in short.cycle
    assert short.rounds == 3
    # Costs that move by rounding alone stand.
    noise = itertools.count()
    assert best_responses(["a", "b"], first, rules(lambda *_: Move(2.0 + 1e-12 * next(noise)), stand), most=20).rounds == 2
