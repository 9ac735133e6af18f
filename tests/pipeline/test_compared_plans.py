"""Operators of a case that are compared with each other, and plans that are kept where another is worth the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import pytest

from multiscale.config import load_config
from multiscale.pipeline.case import case_of
from multiscale.pipeline.compared_plans import Answers, compared_plans, kept_plan, kept_years
from multiscale.planning import NoPlanError, Plan
from multiscale.planning.persistence import LinkedPlans, Restriction
from multiscale.planning.regimes.yardstick import Yardstick
from multiscale.planning.settings import DsoPlanSettings
from multiscale.system import InvalidSystemError
from multiscale.system.existing_network import demand_today, existing_network_cost
from multiscale.tariffs import Prices, Tariff
from multiscale.tariffs.policies.flexibility import Flexibility

SMALL = ["study=tiny", "horizon=one_day", "horizon.step_hours=6 h", "planning.candidates=0"]


@pytest.fixture(scope="module")
def case():
    return case_of(load_config([*SMALL, "system.dsos=[north,south]"]))


def test_each_is_compared_with_the_unit_cost_of_the_other_in_every_year(case):
    """Of two operators each one's yardstick is the other's cost per kWh times its own demand; the second year is compared for itself."""
    existing = {dso: existing_network_cost(case.system, dso, case.horizon, case.economics) for dso in ("north", "south")}
    size = {dso: demand_today(case.system, dso, case.horizon) for dso in existing}
    asked: dict[str, Mapping[int, float]] = {}

    def respond(dso: str, given: Mapping[int, float], before: tuple[float, ...] | None) -> tuple[float, ...]:
        assert (before is None) == (dso not in asked)
        asked[dso] = given
        more = 10_000.0 if dso == "north" else 0.0
        return existing[dso] + more, existing[dso] + 2 * more

    answers = Answers(respond, respond, lambda costs: costs, lambda _: 0.0)
    found = compared_plans({2030: case, 2035: case}, answers, Yardstick(), DsoPlanSettings(), lambda _: None)
    assert found.rounds == 2
    for year, added in ((2030, 10_000.0), (2035, 20_000.0)):
        assert asked["south"][year] == pytest.approx((existing["north"] + added) * size["south"] / size["north"], rel=1e-12)
        assert asked["north"][year] == pytest.approx(existing["south"] * size["north"] / size["south"], rel=1e-12)


def test_one_operator_has_nobody_to_be_compared_with():
    alone = case_of(load_config([*SMALL, "system.dsos=[north]"]))
    answers = Answers(lambda *_: 0.0, lambda *_: 0.0, lambda cost: (cost,), lambda _: 0.0)
    with pytest.raises(InvalidSystemError, match=r"there is only north; plan two or more, or use another regime \(system.dsos\)"):
        compared_plans({2030: alone}, answers, Yardstick(), DsoPlanSettings(), lambda _: None)


@dataclass(frozen=True)
class Answer:
    """What is read of a plan."""

    built: Mapping[str, bool]
    objective: float
    bound: float
    gap: float = 0.0
    decision_range: float | None = None
    restriction: Restriction = field(default_factory=Restriction)
    dso: str = "north"
    status: str = "optimal"
    prices: Prices = field(default_factory=lambda: {"network_charge": np.array(0.03)})


@pytest.mark.parametrize(("worth", "kept"), [(10.5, True), (11.5, False)])
def test_a_plan_moves_only_for_more_than_the_gap(worth: float, kept: bool):
    """A gap of 2 EUR/a of two operators together: 1 EUR/a each. The plan that is kept has the bound of the free one."""
    before, free = Answer({"a": True, "b": False}, 0.0, 0.0), Answer({"a": False, "b": False}, 10.0, 10.0)

    def again(restriction: Restriction, _: Prices) -> Any:
        assert restriction == Restriction(frozenset({"a"}), frozenset({"b"}))
        return replace(before, objective=worth, bound=worth)

    found = kept_plan(cast("Plan", free), cast("Plan", before), again, DsoPlanSettings(gap_eur=2.0), 2)
    assert found.built == (before.built if kept else free.built)
    assert found.bound == 10.0
    assert found.restriction == Restriction()
    assert kept_plan(cast("Plan", free), None, again, DsoPlanSettings(), 2) is free


def test_a_plan_that_is_none_under_the_new_cap_is_not_kept():
    before, free = Answer({"a": True}, 0.0, 0.0), Answer({"a": False}, 10.0, 10.0)

    def again(_: Restriction, __: Prices, status: str = "infeasible") -> Any:
        raise NoPlanError(status, "no plan")

    assert kept_plan(cast("Plan", free), cast("Plan", before), again, DsoPlanSettings(), 2) is free
    with pytest.raises(NoPlanError):
        kept_plan(cast("Plan", free), cast("Plan", before), lambda r, held: again(r, held, "time_limit"), DsoPlanSettings(), 2)


def test_a_kept_plan_below_the_proven_bound_is_an_error():
    before, free = Answer({"a": True}, 0.0, 0.0), Answer({"a": False}, 10.0, 10.0)
    with pytest.raises(NoPlanError, match="below the proven bound of 10 EUR/a"):
        kept_plan(cast("Plan", free), cast("Plan", before), lambda *_: cast("Plan", replace(before, objective=9.0)), DsoPlanSettings(), 2)


def test_a_price_at_which_the_operator_buys_is_kept_too_and_what_has_to_be_kept_is():
    """What it buys is a cost of the operator, and moves what the others are allowed; charges follow the cap."""
    tariff = Tariff({**Tariff().components, "flexibility": Flexibility()})
    charges = {"network_charge": np.array(0.03), "flexibility": np.array(0.1)}
    before = Answer({"a": True}, 0.0, 0.0, prices=charges)
    free = Answer({"a": True}, 10.0, 10.0, prices={"network_charge": np.array(0.02), "flexibility": np.array(0.2)})
    asked: list[Prices] = []

    def again(worth: float):
        def plan(restriction: Restriction, held: Prices) -> Any:
            assert restriction == Restriction(frozenset({"a"}))
            asked.append(held)
            return replace(before, objective=worth, bound=worth)

        return plan

    def kept(worth: float, *, held: bool = False) -> Plan:
        return kept_plan(cast("Plan", free), cast("Plan", before), again(worth), DsoPlanSettings(gap_eur=2.0), 2, tariff, held=held)

    assert kept(10.5).prices == charges
    assert asked == [{"flexibility": np.array(0.1)}]
    assert kept(11.5) is cast("Plan", free)
    stands = kept(11.5, held=True)
    assert (stands.prices, stands.objective, stands.bound, stands.status) == (charges, 11.5, 10.0, "feasible")


YEARS = {"2030": 2.0, "2035": 1.0}


def of_years(first: Answer, second: Answer, bound: float) -> LinkedPlans[Plan]:
    plans = {"2030": cast("Plan", first), "2035": cast("Plan", second)}
    cost = sum(weight * plans[year].objective for year, weight in YEARS.items())
    return LinkedPlans(plans, cost, bound, bound, 2, "")


@pytest.mark.parametrize(("worth", "kept"), [(10.0, True), (10.9, True), (11.1, False)])
def test_plans_of_linked_years_that_are_worth_the_same_are_kept(worth: float, kept: bool):
    """A gap of 1 EUR/a for each of two operators is 3 EUR over the weights of both years; what costs more is given up, in all years."""
    before = of_years(Answer({"a": True, "b": False}, 8.0, 8.0), Answer({"a": True, "b": True}, 8.0, 8.0), 24.0)
    free = of_years(Answer({"a": False, "b": False}, 10.0, 10.0), Answer({"a": False, "b": True}, 10.0, 10.0), 30.0)
    asked: dict[str, Restriction] = {}

    def again(year: str, restriction: Restriction, _: Prices) -> Plan:
        asked[year] = restriction
        return cast("Plan", replace(cast("Any", before.plans[year]), objective=worth, bound=worth))

    found = kept_years(free, before, again, YEARS, DsoPlanSettings(gap_eur=2.0), 2)
    assert asked == {"2030": Restriction(frozenset({"a"}), frozenset({"b"})), "2035": Restriction(frozenset({"a", "b"}), frozenset())}
    assert {year: plan.built for year, plan in found.plans.items()} == {y: p.built for y, p in (before if kept else free).plans.items()}
    assert found.objective == pytest.approx(3.0 * worth if kept else 30.0)
    assert found.bound == 30.0
    assert kept_years(free, None, again, YEARS, DsoPlanSettings(), 2) is free


def test_plans_of_linked_years_below_their_bound_or_without_an_answer():
    before = of_years(Answer({"a": True}, 8.0, 8.0), Answer({"a": True}, 8.0, 8.0), 24.0)
    free = of_years(Answer({"a": False}, 10.0, 10.0), Answer({"a": False}, 10.0, 10.0), 30.0)
    with pytest.raises(NoPlanError, match="below the proven bound of 30 EUR"):
        kept_years(free, before, lambda year, *_: before.plans[year], YEARS, DsoPlanSettings(), 2)

    def none(*_: object) -> Plan:
        raise NoPlanError("infeasible", "no plan")

    assert kept_years(free, before, none, YEARS, DsoPlanSettings(), 2) is free
