from itertools import pairwise

import numpy as np
import pytest

from multiscale.coordination.common.answer import own_measures
from multiscale.coordination.common.conflicts import conflicts
from multiscale.coordination.common.forecast import ErrorModel, day_errors, scaled_fleet, scaled_tree
from multiscale.coordination.common.prepared import operate_signals
from multiscale.coordination.common.settlement import Upstream
from multiscale.coordination.common.simulation import play_day
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.publication.envelope import Guard, envelope
from multiscale.coordination.publication.flat import flat_signals
from multiscale.coordination.publication.pricing import Pricing, PricingSettings, expectation
from multiscale.operation.tree import BEYOND, exchange_bounds
from multiscale.programs import CompiledProgram

ERROR = ErrorModel(0.1)
COVERAGE = 1.5
MARGIN = COVERAGE * ERROR.size


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
def test_whatever_platforms_do_within_their_limits_no_customer_is_cut_off(wide, seed):
    """Any exchange between the limits, any net load within the coverage."""
    day, shared = wide
    rng = np.random.default_rng(seed)
    demand = rng.uniform(1 / (1 + MARGIN), 1 / (1 - MARGIN)) if seed else 1 / (1 - MARGIN)
    tree = scaled_tree(day.model, *factors(day, demand, 1 / (1 + MARGIN)))
    exchange = {}
    for p, fleet in day.tree.fleets.items():
        least, most = exchange_bounds(fleet)
        most, least = np.minimum(most, shared.most[p]), np.maximum(least, -shared.least[p])
        exchange[p] = most if seed == 0 else rng.uniform(least, most)
    assert relief(tree, exchange) == pytest.approx(0.0, abs=1e-5 * abs(day.optimum.cost))


def test_beyond_the_limits_somebody_is(wide):
    """The limits are not smaller than they need be: all platforms at once a little above them overload the network."""
    day, shared = wide
    tree = scaled_tree(day.model, *factors(day, 1 / (1 - MARGIN), 1 / (1 + MARGIN)))
    limited = np.any([shared.most[p] < BEYOND for p in day.tree.platforms], axis=0)
    assert limited.any()
    assert not limited.all()
    exchange = {p: np.where(limited, shared.most[p] + 20.0, 0.0) for p in day.tree.platforms}
    assert relief(tree, exchange) > 0.01 * abs(day.optimum.cost)


def test_a_platform_whose_net_load_is_covered_is_never_cut_off_by_its_limits(day, shared):
    """Also where the network could not carry the net loads that are guarded against."""
    tree = scaled_tree(day.model, *(dict.fromkeys(day.tree.platforms, f) for f in (1 / (1 - MARGIN), 1 / (1 + MARGIN))))
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


@pytest.mark.parametrize("seen", [-MARGIN, -0.5 * MARGIN, 0.0, 0.6 * MARGIN, MARGIN])
def test_limits_that_follow_the_own_demand_keep_the_network_whole(wide, seen):
    """All platforms see the same error; the passive net load is as high as is guarded against then; all draw what they may."""
    day, shared = wide
    guard = Guard(ERROR, COVERAGE)
    own, passive = 1 / (1 + seen), guard.actual(guard.passive(np.array(seen / ERROR.size)))
    tree = scaled_tree(day.model, *factors(day, passive, 1 / (1 + MARGIN)))
    exchange = {}
    for p, fleet in day.model.fleets.items():
        now = scaled_fleet(fleet, own, 1.0)
        exchange[p] = np.minimum(exchange_bounds(now)[1], np.maximum(shared.most[p] + shared.import_headroom[p].at(own_measures(now)[0]), 0.0))
    assert relief(tree, exchange) == pytest.approx(0.0, abs=1e-5 * abs(day.optimum.cost))


def test_limits_grow_as_the_own_demand_turns_out_lower(wide):
    day, shared = wide
    for p, fleet in day.model.fleets.items():
        demand, _ = own_measures(fleet)
        opened = [shared.import_headroom[p].at(factor * demand) for factor in (1 / (1 - MARGIN), 1.0, 1 / (1 + MARGIN), 0.5)]
        np.testing.assert_array_equal(opened[0], 0.0)
        assert opened[1].max() > 1.0
        for less, more in pairwise(opened):
            assert (more >= less).all()
        np.testing.assert_allclose(opened[2], shared.import_headroom[p].power, rtol=1e-9)


@pytest.mark.parametrize("platforms", [1, 2, 16])
def test_what_platforms_see_predicts_the_passive_net_load_with_the_probability_stated(platforms):
    """Also the mean of what several see, with any weights."""
    e = ErrorModel(0.1, seed=5).draw(platforms + 1, 24, 1.0, 4000)
    weights = np.random.default_rng(0).dirichlet(np.ones(platforms))
    seen = np.tensordot(weights, e[:, 1:], axes=(0, 1))
    below = (e[:, 0] < Guard(ERROR, 2.5).passive(seen)).mean()
    beyond = 0.00621  # P(error > 2.5 standard deviations)
    assert below <= beyond + 0.001
    if platforms == 1:
        assert below >= 0.7 * beyond


def test_a_network_is_hardly_ever_overrun_when_all_draw_what_they_may(wide):
    """Fresh draws of all errors: not more often than the coverage says."""
    day, _ = wide
    shared = envelope(day.model, day.forecast, ERROR, 2.33)
    overrun = []
    for seed in range(40):
        errors = day_errors(ErrorModel(0.1, seed=seed), day.model, day.name)
        actual = [{n: 1 / (1 + 0.1 * e) for n, e in profile.items()} for profile in (errors.demand, errors.generation)]
        tree = scaled_tree(day.model, *actual)
        exchange = {}
        for p, fleet in tree.fleets.items():
            most = np.maximum(shared.most[p] + shared.import_headroom[p].at(own_measures(fleet)[0]), 0.0)
            exchange[p] = np.minimum(exchange_bounds(fleet)[1], most)
        own = tree.distribution["north"]
        fixed = own.program.fix({"energy_price": 0.0, "built": tree.design.choice(own.options)})
        solution = CompiledProgram(fixed).solve_optimal({"exchange": np.array([exchange[c] for c in own.children])})
        overrun.append(solution.primal("unserved").values.sum(axis=0) > 0.1)
    assert np.mean(overrun) <= 0.02


def test_the_envelope_keeps_most_of_the_value_where_not_every_net_load_can_be_served(day):
    """Prices and plan of the forecast lose half of it in each of these draws, at least."""
    flat = operate_signals([day], [{"flat": flat_signals(day.tree, day.forecast)}], SerialEngine())[0]["flat"].cost
    for seed in (1, 2):
        errors = day_errors(ErrorModel(0.1, seed=seed), day.tree, day.name)
        published = {name: Pricing(PricingSettings(signal=name)).published(day, errors) for name in ("profile", "envelope")}
        found = operate_signals([day], [published], SerialEngine())[0]
        reached = {name: (flat - outcome.cost) / (flat - day.optimum.bound) for name, outcome in found.items()}
        assert reached["profile"] < 0.5
        assert reached["envelope"] > 0.97


def test_congestion_is_priced_at_what_limits_do_not_hold(day):
    errors = day_errors(ErrorModel(0.1, seed=1), day.tree, day.name)
    known = expectation(day, errors)
    beyond = day.tree.economics.value_of_lost_load * 0.00819754
    for child, one in Pricing(PricingSettings(signal="envelope", import_export_gap=0.002)).published(day, errors, known).items():
        middle = (one.import_price + one.export_price) / 2 - known.optimum.energy_price["north"]
        assert np.abs(known.optimum.platform_price[child] - known.optimum.energy_price["north"]).max() > 1.0
        assert np.abs(middle).max() == pytest.approx(beyond, rel=1e-5)


def test_played_forward_platforms_keep_to_limits_as_they_see_them(wide):
    day, _ = wide
    mechanism = Pricing(PricingSettings(signal="envelope"))
    found = play_day(day, mechanism, day_errors(ErrorModel(0.1, seed=3), day.tree, day.name)).outcome
    assert all(name.startswith("down") for name in found.traffic.fields)
    assert "down: import_headroom: begins" in found.traffic.fields
    for p, published in found.signals.items():
        assert published.import_headroom is None
        assert (found.exchange[p] <= published.import_limit + 1e-4).all()


def test_under_certainty_an_envelope_is_price_and_plan_without_a_gap(day):
    published = Pricing(PricingSettings(signal="envelope", slope=0.001)).published(day, day_errors(ErrorModel(0.0), day.tree, day.name))
    for child, one in published.items():
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
