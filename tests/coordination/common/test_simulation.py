import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.forecast import ErrorModel, day_errors
from multiscale.coordination.common.mechanism import Mechanism, MechanismError
from multiscale.coordination.common.prepared import operate_signals, prepare_days
from multiscale.coordination.common.settlement import Upstream, measured_prices
from multiscale.coordination.common.simulation import play_day, play_source
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.mechanisms import MECHANISMS, IntegratedSettings, mechanism_of
from multiscale.coordination.negotiation.bidirectional import BidirectionalSettings
from multiscale.coordination.prediction.hybrid import GAP, Hybrid, HybridSettings, negotiated
from multiscale.coordination.prediction.predictive import Predictive, PredictiveSettings, own_view
from multiscale.coordination.publication.flat import Flat, flat_signals
from multiscale.coordination.publication.pricing import Pricing, PricingSettings, published_signals
from tests.coordination.conftest import fleets_of


@pytest.fixture(scope="module")
def day(north_alone):
    """North alone; the transformer that feeds it carries a little less than the evening's load; prepared with ten days before it."""
    return north_alone(2050.0, history=10)


@pytest.fixture(scope="module")
def span(north_alone):
    """Two days in a row of the same system."""
    return north_alone(2050.0, history=2, days=2)


def played(day, mechanism, size, seed=1):
    return play_day(day, mechanism, day_errors(ErrorModel(size, seed=seed), day.tree, day.name))


@pytest.mark.parametrize("kind", ["flat", "profile"])
def test_with_perfect_forecasts_the_day_goes_as_planned(day, kind):
    mechanism = Flat() if kind == "flat" else Pricing(PricingSettings(signal="profile", slope=0.001))
    signals = flat_signals(day.tree, day.forecast) if kind == "flat" else published_signals(day.tree, day.forecast, "profile", 0.0, 0.001)
    at_once = operate_signals([day], [{"at once": signals}], SerialEngine())[0]["at once"]
    found = played(day, mechanism, 0.0)
    assert found.outcome.cost == pytest.approx(at_once.cost, rel=1e-6)
    assert found.imbalance(day.tree.horizon.hours_per_year) == pytest.approx(0.0, abs=1.0)


def test_what_was_done_is_feasible_and_costs_no_less_than_the_bound(day):
    found = played(day, Pricing(PricingSettings(signal="profile")), 0.2).outcome
    for name, program in day.tree.platforms.items():
        p = program.parameters.vector(found.signals[name].parameters())
        assert program.violation(found.platform_x[name], p) <= 1e-4
    assert found.cost >= found.bound - 1e-6 * abs(found.bound)


def test_worse_forecasts_mean_more_imbalance_and_it_shrinks_towards_real_time(day):
    hours = day.tree.horizon.hours_per_year
    ahead, before = [], []
    for size in (0.0, 0.1, 0.3):
        found = played(day, Flat(), size)
        ahead.append(found.imbalance(hours))
        before.append(found.imbalance(hours, before=True))
    assert ahead[0] < ahead[1] < ahead[2]
    assert before[2] < ahead[2]


def test_no_decision_uses_what_was_not_known_yet(day):
    """Two days whose forecasts differ for the last hours only, and only from the eighth period on: until then the same is done."""
    errors = day_errors(ErrorModel(0.3, seed=1), day.tree, day.name)

    class Switching(Mechanism):
        """A flat price that changes for the rest of the day at period 8."""

        name = "switching"

        def __init__(self, factor):
            self.factor = factor

        def signals(self, day, _errors, now, _traffic, _platforms):
            published = flat_signals(day.tree, day.forecast)
            if now not in (0, 8):
                return None
            factor = self.factor if now else np.ones(12)
            return {
                p: dataclasses.replace(s, import_price=s.import_price * factor, export_price=s.export_price * factor) for p, s in published.items()
            }

        def play(self, _first):
            return self

        def learn(self, _day, _number, _drawn):
            pass

    rising, falling = (play_day(day, Switching(f), errors).outcome for f in (np.linspace(0.2, 3.0, 12), np.linspace(3.0, 0.2, 12)))
    later = 0.0
    for name, program in day.tree.platforms.items():
        for block in day.tree.fleets[name].decided:
            if block in program.columns:
                a, b = (program.columns.array(block, o.platform_x[name]).values for o in (rising, falling))
                np.testing.assert_allclose(a[:, :8], b[:, :8], atol=1e-6)
                later = max(later, float(np.abs(a[:, 8:] - b[:, 8:]).max()))
    assert later > 0.1


def test_a_mechanism_learns_after_every_day_from_what_was_drawn_until_then(span):
    class Counting(Flat):
        def learn(self, _day, number, drawn):
            seen.append((number, {p: d.copy() for p, d in drawn.items()}))

    seen = []
    found = played(span, Counting(), 0.1).outcome
    assert [number for number, _ in seen] == [0, 1]
    for number, drawn in seen:
        over = span.tree.horizon.day_of <= number
        for p, exchange in drawn.items():
            np.testing.assert_allclose(exchange[over], found.exchange[p][over], atol=1e-4)


def test_batteries_and_vehicles_pass_midnight_as_they_are(span):
    """What is stored when the second day begins is what was stored when the first ended: energy balances of the span hold across midnight."""
    found = played(span, Pricing(PricingSettings(signal="profile")), 0.1).outcome
    moved = 0.0
    for p, program in span.tree.platforms.items():
        fleet = span.tree.fleets[p]
        stored, charge, discharge = (program.columns.array(name, found.platform_x[p]).values for name in ("stored", "charge", "discharge"))
        owners = np.flatnonzero(fleet.data.battery_energy.values > 0)
        eta, loss = (fleet.data[n].values[owners] for n in ("battery_efficiency", "battery_loss"))
        step, first = span.tree.horizon.step_hours, span.tree.horizon.steps
        expected = (1 - loss * step) * stored[:, first - 1] + step * (eta * charge[:, first] - discharge[:, first] / eta)
        np.testing.assert_allclose(stored[:, first], expected, atol=1e-4)
        late = program.columns.array("ev_late", found.platform_x[p]).values
        power, due = program.columns.array("ev", found.platform_x[p]).values, fleet.data.ev.values[fleet.data.ev.values.max(axis=1) > 0]
        np.testing.assert_allclose(late[:, first], late[:, first - 1] + step * (due - power)[:, first], atol=1e-4)
        # By itself the second day would end as it began.
        moved = max(moved, *(float(np.abs(state[:, first - 1] - state[:, -1]).max()) for state in (stored, late)))
    assert moved > 0.1


def test_a_span_costs_no_more_than_its_days_one_by_one(north_alone, span):
    """Where states pass midnight more is possible: the bound of the span is no higher than the optimum of a schedule in which each day is cyclic."""
    assert span.optimum.bound <= span.optimum.cost * (1 + 1e-12)
    apart = dataclasses.replace(span.tree.horizon, consecutive=False)
    days = prepare_days(
        span.tree.system, apart, span.tree.economics, fleets_of(span.tree.system, apart), span.tree.design, span.tree.market, SerialEngine()
    )
    assert span.optimum.bound <= sum(d.optimum.cost for d in days) * (1 + 1e-7)


def test_past_days_are_the_calendar_days_before_and_nothing_of_the_day_itself_is_known(day, north_alone):
    assert [str(tree.horizon.days[0].date()) for tree in day.past] == [f"2016-01-{k}" for k in range(10, 20)]
    # Another day after the same past: what is known before it is the same.
    other = dataclasses.replace(north_alone(2200.0), past=day.past, history=10)
    assert other.optimum.cost != day.optimum.cost
    for model in ("explicit", "learned", "persistence"):
        known, same = (PredictiveSettings(model=model, history_days=4).experience(d) for d in (day, other))
        for p in known:
            view = own_view(day.tree.fleets[p])
            np.testing.assert_array_equal(known[p].expected_price(view), same[p].expected_price(view))
    with pytest.raises(ValueError, match="11 calendar days before it are to be learned from; it was prepared with 10"):
        PredictiveSettings(history_days=11).experience(day)


@pytest.mark.parametrize("mechanism", [Predictive(PredictiveSettings(history_days=3)), Hybrid(HybridSettings(history_days=3, period=24.0))])
def test_an_outcome_says_that_the_profiles_hold_fewer_days_than_were_to_be_learned_from(day, mechanism):
    (whole,) = mechanism.operate([day], SerialEngine())
    assert whole[mechanism.name].shortfall == ""
    # Without 2016-01-18: of the last three days two are there, and an earlier one does not stand in for it.
    held = tuple(tree for tree in day.past if str(tree.horizon.days[0].date()) != "2016-01-18")
    (some,) = mechanism.operate([dataclasses.replace(day, past=held)], SerialEngine())
    assert some[mechanism.name].shortfall.startswith("the profiles hold 2 of the 3 calendar days before it")


def test_persistence_predicts_the_price_of_the_day_before(span):
    source = Predictive(PredictiveSettings(model="persistence", history_days=0, first_price=0.04)).play(span)
    first = {p: known.expected_price(own_view(span.tree.fleets[p])) for p, known in source.experience.items()}
    assert all((price == 0.04).all() for price in first.values())
    drawn = play_source(span, "persistence", source, day_errors(ErrorModel(0.0), span.tree, span.name)).outcome.exchange
    measured = measured_prices(Upstream(span.tree), {p: drawn[p] for p in span.tree.platforms})
    for p, known in source.experience.items():
        np.testing.assert_allclose(known.expected_price(own_view(span.tree.fleets[p]))[:12], measured[p][12:], atol=1e-9)
    assert len(source.missed) == 2


@pytest.mark.parametrize("model", ["explicit", "learned"])
def test_prediction_sends_nothing_and_reaches_most_of_the_value_of_coordination(day, model):
    found = Predictive(PredictiveSettings(model=model, history_days=6, forecast_error=0.1)).operate([day], SerialEngine())[0]["predictive"]
    assert found.traffic.messages == 0
    assert found.traffic.fields == set()
    flat = played(day, Flat(), 0.1, seed=0).outcome.cost
    assert (flat - found.cost) / (flat - day.optimum.bound) > 0.8
    assert found.cost >= day.optimum.bound * (1 - 1e-6)


def test_experience_grows_in_operation(day):
    experience = PredictiveSettings(history_days=2, slope=0.001).experience(day)
    before = {p: known.model.predict(own_view(day.tree.fleets[p])).copy() for p, known in experience.items()}
    source = Predictive(PredictiveSettings(slope=0.001), experience).play(day)
    play_source(day, "predictive", source, day_errors(ErrorModel(0.1, seed=1), day.tree, day.name))
    for p, known in source.experience.items():
        assert (known.days, experience[p].days) == (3, 2)
        assert np.abs(known.model.predict(own_view(day.tree.fleets[p])) - before[p]).max() > 0


@pytest.mark.parametrize(("period", "times"), [(6.0, 4), (24.0, 1)])
def test_hybrid_negotiates_as_often_as_asked(day, period, times):
    calls = []

    def negotiate(parents, platforms):
        calls.append(negotiated(parents, platforms))
        return calls[-1]

    found = played(day, Hybrid(HybridSettings(period=period, history_days=0, slope=0.001), negotiate=negotiate), 0.1)
    assert len(calls) == times
    assert found.outcome.traffic.messages == sum(c.traffic.messages for c in calls)
    assert all(c.traffic.messages >= 2 * 3 and c.gap <= 2e-3 for c in calls)
    assert {name.split(":")[0] for name in found.outcome.traffic.fields} == {"up", "down"}


def test_negotiating_more_often_is_worth_something(day):
    every = [HybridSettings(period=p, history_days=0, forecast_error=0.3, forecast_seed=2) for p in (6.0, 24.0)]
    costs = [Hybrid(settings).operate([day], SerialEngine())[0]["hybrid"].cost for settings in every]
    assert day.optimum.bound <= costs[0] < costs[1]


def test_with_perfect_forecasts_hybrid_is_published_prices(day):
    found = Hybrid(HybridSettings(period=12.0, history_days=0, slope=0.001, forecast_error=0.0)).operate([day], SerialEngine())[0]["hybrid"]
    published = played(day, Pricing(PricingSettings(signal="profile", slope=0.001)), 0.0).outcome
    # Negotiations end at a gap, published prices are those of the optimum.
    assert found.cost == pytest.approx(published.cost, rel=GAP)


def test_hybrid_negotiates_with_the_platforms_as_they_stand(day):
    """Every later negotiation agrees on what was done already, member by member behind its own network; no model of a platform takes part."""
    agreed = []

    def negotiate(parents, platforms):
        for p, program in platforms.items():
            assert [b.name for b in program.columns] == [b.name for b in day.tree.platforms[p].columns]
            assert program.A.shape == day.tree.platforms[p].A.shape
        agreed.append(negotiated(parents, platforms))
        return agreed[-1]

    found = played(day, Hybrid(HybridSettings(period=12.0, history_days=0, slope=0.001), negotiate=negotiate), 0.2).outcome
    changed = 0.0
    for p in day.tree.platforms:
        np.testing.assert_allclose(agreed[1].exchange[p][:6], found.exchange[p][:6], atol=1e-3 * np.abs(found.exchange[p]).max())
        changed = max(changed, float(np.abs(agreed[0].exchange[p][:6] - found.exchange[p][:6]).max()))
    assert changed > 1.0


def test_a_period_shorter_than_a_step_is_refused(day):
    with pytest.raises(RuntimeError, match=r"coordination.period 0.5 h is shorter than a step of 2 h"):
        Hybrid(HybridSettings(period=0.5, history_days=0)).operate([day], SerialEngine())


@pytest.mark.parametrize("settings", [BidirectionalSettings(), IntegratedSettings()])
def test_a_mechanism_that_needs_the_whole_day_says_so_by_name_when_it_is_to_be_played(day, settings):
    with pytest.raises(MechanismError, match=f"mechanism '{settings.kind}' cannot be played forward"):
        played(day, mechanism_of(settings), 0.1)


def test_every_mechanism_of_the_registry_operates_a_day_and_has_the_name_of_its_settings(day):
    for kind, entry in MECHANISMS.items():
        mechanism = mechanism_of(entry.settings())
        assert mechanism.name == kind
        found = mechanism.operate([day], SerialEngine())[0][kind]
        assert found.mechanism == kind
        assert found.cost >= day.optimum.bound * (1 - 1e-6)
