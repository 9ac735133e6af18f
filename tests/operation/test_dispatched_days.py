"""Days as the DSO dispatches them: part by part at the price of energy, what one program of the whole network costs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from multiscale.operation import Design, operating_tree
from multiscale.operation.built import built_system, with_transmission_built
from multiscale.operation.device_classes import OneMeter, device_classes
from multiscale.operation.dispatched_days import dispatched_days, joint_program, network_states
from multiscale.operation.tree import dso_branch_program
from multiscale.programs import solve, solve_with_omitted_limits
from multiscale.system import LoadingLimits
from multiscale.tariffs import Capacity, Tariff, standard_components
from multiscale.timeline import Horizon
from tests.variants import changed, reinforced

DAYS = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-10")), (366.0, 366.0), 3.0)
PRICE = np.tile([0.05, 0.03, -0.02, 0.06, 0.04, 0.05, 0.09, 0.08], 2)
UNITS = {"north 1 MV/LV transformer": 25.0, "north 2 MV/LV transformer": 25.0}


def tree_of(system, economics, days=DAYS, design=Design(), limits=LoadingLimits()):
    fleets = {p: device_classes(system.fleet(p, days)).fleet for p in system.at_level("platform")}
    return operating_tree(system, days, economics, fleets, design, OneMeter(), networks=False, limits=limits)


@pytest.mark.parametrize("rating", [1.0, 0.03, 0.01])
def test_parts_at_the_price_cost_what_the_network_costs_as_one_program(system, economics, rating):
    """However much of the ratings may be used, and at prices below zero too; the tighter, the more limits are retained."""
    system = system.replace(options=system.options.isel(option=[]))
    tree = tree_of(system, economics, limits=LoadingLimits(mv_load=rating, mv_feed_in=rating))
    for dso in tree.distribution:
        joint = joint_program(tree, dso, PRICE)
        found = solve_with_omitted_limits(joint, network_states(tree.distribution[dso], DAYS))
        assert found.objective == pytest.approx(solve(joint).objective, rel=1e-9)
        assert found.bound == pytest.approx(found.objective, rel=1e-9)
        assert joint.violation(found.x, np.zeros(0)) <= 1e-6
        assert (found.retained > 0) == (rating < 1.0), dso


def test_platforms_in_their_networks_cost_what_they_cost_as_one_program(system, economics):
    """Limits that can bind are others on every day: what is solved from where the day before ended costs what it costs from nothing."""
    lines = changed(system, "branches", "rating_kva", {"north 1 line 2": 12.0, "north 1 line 4": 6.0, "north 2 line 2": 9.0})
    days = Horizon(tuple(pd.date_range("2016-01-20", periods=4, freq="47D")), (366.0,) * 4, 3.0)
    thin = built_system(lines, system.options.isel(option=[]))
    fleets = {p: thin.fleet(p, days) for p in thin.at_level("platform")}
    tree = operating_tree(thin, days, economics, fleets, Design(), OneMeter())
    joint = joint_program(tree, "north", np.tile(PRICE, 2))
    dates = [label[-16:-6] for label in joint.rows["north 1/rating_forward"].coords["branch_period"].tolist()]
    assert len({dates.count(date) for date in dates}) > 1
    found = solve_with_omitted_limits(joint, network_states(tree.distribution["north"], days))
    assert found.objective == pytest.approx(solve(joint).objective, rel=1e-9)
    assert found.bound == pytest.approx(found.objective, rel=1e-9)


def test_what_is_built_in_transmission_is_built_once(system):
    """By its own stage, in a network that is meshed; building the networks below leaves it alone."""
    both = reinforced(system, {"line A-E": 50000.0, "north line 1": 100.0})
    before = with_transmission_built(system, both).branches.rating_kva.to_series()
    assert before["line A-E"] == system.branches.rating_kva.to_series()["line A-E"] + 50000.0
    assert before["north line 1"] == system.branches.rating_kva.to_series()["north line 1"]
    after = built_system(with_transmission_built(system, both), both)
    assert after.options.sizes["option"] == 0
    assert (after.branches.rating_kva.to_series() - before).loc[lambda more: more != 0].to_dict() == {"north line 1": pytest.approx(100.0)}


def test_the_network_as_built_is_the_network_in_which_it_is_decided_to_build(system, economics):
    system = changed(system, "branches", "rating_kva", UNITS)
    design = Design({str(option): True for option in system.options.option.values[::2]})
    decided = tree_of(system, economics, design=design, limits=LoadingLimits(lv_load=0.5, lv_feed_in=0.5))
    built = tree_of(built_system(system, design.options(system.options)), economics, limits=LoadingLimits(lv_load=0.5, lv_feed_in=0.5))
    for dso in decided.distribution:
        whole = solve(dso_branch_program(decided, dso), {"energy_price": PRICE})
        assert solve(joint_program(built, dso, PRICE)).objective == pytest.approx(whole.objective, rel=1e-9)


def test_days_dispatched_together_are_those_dispatched_alone(system, economics):
    """Nothing ties them: together they cost what each costs, and the power of each stands under its own date."""
    small = built_system(changed(system, "branches", "rating_kva", dict.fromkeys(UNITS, 12.0)), system.options.isel(option=[]))

    def cost(days, price):
        tree = tree_of(small, economics, days)
        return sum(
            solve_with_omitted_limits(joint_program(tree, d, price), network_states(own, days)).objective for d, own in tree.distribution.items()
        )

    each = [cost(Horizon((day,), (366.0,), 3.0), PRICE[DAYS.day_of == k]) for k, day in enumerate(DAYS.days)]
    assert cost(DAYS, PRICE) == pytest.approx(sum(each), rel=1e-9)
    fleets = {p: small.fleet(p, DAYS) for p in small.at_level("platform")}
    found = dispatched_days(small, DAYS, economics, fleets, Design(), LoadingLimits(), dict.fromkeys(small.at_level("dso"), PRICE))
    for day, answer in zip(DAYS.days, found, strict=True):
        assert answer.injections["north"].period.values.tolist() == Horizon((day,), (366.0,), 3.0).labels.tolist()
    assert found[0].unserved > 0


def test_days_that_a_charge_couples_are_dispatched_one_by_one(system, economics):
    coupled = replace(economics, tariff=Tariff(standard_components() | {"peak": Capacity(price=20.0)}))
    fleets = {p: system.fleet(p, DAYS) for p in system.at_level("platform")}
    prices = dict.fromkeys(system.at_level("dso"), PRICE)
    with pytest.raises(ValueError, match="couples days; dispatch them one by one"):
        dispatched_days(system, DAYS, coupled, fleets, Design(), LoadingLimits(), prices)
