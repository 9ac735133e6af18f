import numpy as np
import pytest

from multiscale.coordination.conflicts import conflicts
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.envelope import envelope
from multiscale.coordination.forecast import ErrorModel, day_errors, scaled_tree
from multiscale.coordination.prepared import operate_signals
from multiscale.coordination.pricing import Publication, flat_signals
from multiscale.coordination.settlement import Upstream
from multiscale.operation.tree import BEYOND, exchange_bounds
from multiscale.programs import CompiledProgram

ERROR = ErrorModel(0.1)
COVERAGE = 1.5
REACH = COVERAGE * ERROR.size


@pytest.fixture(scope="module")
def day(north_alone):
    return north_alone(2050.0)


@pytest.fixture(scope="module")
def shared(day):
    return envelope(day.model, day.forecast, ERROR, COVERAGE)


@pytest.fixture(scope="module")
def wide(north_alone):
    """With a transformer that can just carry the net loads guarded against."""
    day = north_alone(2350.0)
    return day, envelope(day.model, day.forecast, ERROR, COVERAGE)


def relief(tree, exchange):
    """Cost of what the networks cannot carry [EUR/a] when platforms draw so much."""
    return Upstream(tree).cost(exchange)[0] - transmission_alone(tree, exchange)


def transmission_alone(tree, exchange):
    """Cost of the TSO when the DSO's network carries everything."""
    passive = tree.system.passive("north", tree.horizon)
    drawn = (passive.demand - passive.generation).sum("bus").values + sum(exchange.values())
    dispatch = tree.transmission.dispatch(drawn[None, :])
    return float((dispatch.cost - tree.transmission.idle_cost).sum())


def factors(day, demand, generation):
    ones = np.ones(day.tree.horizon.periods)
    return {"north": demand * ones}, {"north": generation * ones}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_whatever_platforms_do_within_their_limits_nobody_is_cut_off(wide, seed):
    """Any exchange between the limits, any net load within the coverage."""
    day, shared = wide
    rng = np.random.default_rng(seed)
    demand = rng.uniform(1 / (1 + REACH), 1 / (1 - REACH)) if seed else 1 / (1 - REACH)
    tree = scaled_tree(day.model, *factors(day, demand, 1 / (1 + REACH)))
    exchange = {}
    for p, fleet in day.tree.fleets.items():
        least, most = exchange_bounds(fleet)
        most, least = np.minimum(most, shared.most[p]), np.maximum(least, -shared.least[p])
        exchange[p] = most if seed == 0 else rng.uniform(least, most)
    assert relief(tree, exchange) == pytest.approx(0.0, abs=1e-5 * abs(day.optimum.cost))


def test_beyond_the_limits_somebody_is(wide):
    """The limits are not smaller than they need be: all platforms at once a little above them overload the network."""
    day, shared = wide
    tree = scaled_tree(day.model, *factors(day, 1 / (1 - REACH), 1 / (1 + REACH)))
    limited = np.any([shared.most[p] < BEYOND for p in day.tree.platforms], axis=0)
    assert limited.any()
    assert not limited.all()
    exchange = {p: np.where(limited, shared.most[p] + 20.0, 0.0) for p in day.tree.platforms}
    assert relief(tree, exchange) > 0.01 * abs(day.optimum.cost)


def test_a_platform_whose_net_load_is_covered_is_never_cut_off_by_its_limits(day, shared):
    """Also where the network could not carry the net loads that are guarded against."""
    tree = scaled_tree(day.model, *(dict.fromkeys(day.tree.platforms, f) for f in (1 / (1 - REACH), 1 / (1 + REACH))))
    for p, program in tree.platforms.items():
        free = {"import_price": 1.0, "export_price": 1.0, "network_charge": 0.0, "planned": 0.0, "deviation_price": 0.0, "export_limit": BEYOND}
        solution = CompiledProgram(program).solve_optimal(free | {"import_limit": shared.most[p]})
        assert solution.primal("unserved").values.max() <= 1e-4


def test_limits_leave_room_for_what_the_dispatch_needs(day, shared):
    high = envelope(day.model, day.forecast, ErrorModel(0.0), COVERAGE)
    for p in day.tree.platforms:
        assert (day.forecast.exchange[p] <= high.most[p] + 1e-3).all()
        assert (-day.forecast.exchange[p] <= high.least[p] + 1e-3).all()
        assert shared.most[p].sum() <= high.most[p].sum()


def test_under_certainty_an_envelope_is_price_and_plan_without_a_gap(day):
    told = Publication("envelope", slope=0.001).signals(day, day_errors(ErrorModel(0.0), day.tree, day.name))
    for child, one in told.items():
        np.testing.assert_array_equal(one.import_price, day.forecast.platform_price[child])
        np.testing.assert_array_equal(one.export_price, one.import_price)
        np.testing.assert_array_equal(one.planned, day.forecast.exchange[child])


def test_customers_cut_off_in_place_of_platforms_are_a_conflict(day):
    """A flat tariff overloads the transformer; who is cut off for it is reported, with what it costs."""
    flat = operate_signals([day], [{"flat": flat_signals(day.tree, day.forecast)}], SerialEngine())[0]["flat"]
    found = conflicts(day.tree, flat)
    hours = dict(zip(day.tree.horizon.labels.tolist(), day.tree.horizon.hours_per_year.tolist(), strict=True))
    cost = sum(hours[c.period] * abs(c.refused) * day.tree.economics.value_of_lost_load for c in found if c.resolved == "cut off")
    own = day.tree.distribution["north"].program
    assert found
    assert all(c.limiting == "north" and "north HV/MV transformer" in c.limits for c in found)
    assert cost == pytest.approx(own.c0 @ flat.distribution_x["north"], rel=1e-6)
    assert conflicts(day.tree, day.optimum) == []
