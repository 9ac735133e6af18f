import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.forecast import ErrorModel, day_errors
from multiscale.coordination.common.mechanism import Mechanism, MechanismError
from multiscale.coordination.common.prepared import operate_signals, prepare_days
from multiscale.coordination.common.simulation import play_day, play_days
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.mechanisms import MECHANISMS, IntegratedSettings, mechanism_of
from multiscale.coordination.negotiation.bidirectional import BidirectionalSettings
from multiscale.coordination.prediction.hybrid import GAP, Hybrid, HybridSettings, negotiated
from multiscale.coordination.prediction.predictive import Predictive, PredictiveSettings, learn_from_past, own_view, retail
from multiscale.coordination.publication.flat import Flat, flat_signals
from multiscale.coordination.publication.pricing import Pricing, PricingSettings, published_signals
from multiscale.markets import Community
from tests.variants import changed, charged


@pytest.fixture(scope="module")
def day(system, winter, economics, fleets):
    """North alone; the transformer that feeds it carries a little less than the evening's load."""
    tight = changed(system.cut(["north 1", "north 2"]), "branches", "rating_kva", {"north HV/MV transformer": 2050.0})
    mine = {p: fleets[p] for p in ("north 1", "north 2")}
    return prepare_days(tight, winter, economics, mine, charged(["north"], 0.05), Community(), SerialEngine())[0]


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

        def signals(self, day, _errors, now, _traffic):
            published = flat_signals(day.tree, day.forecast)
            if now not in (0, 8):
                return None
            factor = self.factor if now else np.ones(12)
            return {
                p: dataclasses.replace(s, import_price=s.import_price * factor, export_price=s.export_price * factor) for p, s in published.items()
            }

        def play(self, _first):
            return self

    rising, falling = (play_day(day, Switching(f), errors).outcome for f in (np.linspace(0.2, 3.0, 12), np.linspace(3.0, 0.2, 12)))
    later = 0.0
    for name, program in day.tree.platforms.items():
        for block in day.tree.fleets[name].decided:
            if block in program.columns:
                a, b = (program.columns.array(block, o.platform_x[name]).values for o in (rising, falling))
                np.testing.assert_allclose(a[:, :8], b[:, :8], atol=1e-6)
                later = max(later, float(np.abs(a[:, 8:] - b[:, 8:]).max()))
    assert later > 0.1


def test_a_mechanism_learns_after_every_day(day):
    class Counting(Flat):
        def learn(self, _day, played):
            seen.append(played.outcome.cost)

    seen = []
    found = play_days([day, day], Counting(), ErrorModel(0.1))
    assert seen == [p.outcome.cost for p in found]


@pytest.mark.parametrize("model", ["explicit", "learned"])
def test_prediction_sends_nothing_and_reaches_most_of_the_value_of_coordination(day, model):
    found = Predictive(PredictiveSettings(model=model, history_days=6, forecast_error=0.1)).operate([day], SerialEngine())[0]["predictive"]
    assert found.traffic.messages == 0
    assert found.traffic.fields == set()
    flat = played(day, Flat(), 0.1, seed=0).outcome.cost
    assert (flat - found.cost) / (flat - day.optimum.bound) > 0.8
    assert found.cost >= day.optimum.bound * (1 - 1e-6)


def test_experience_grows_in_operation(day):
    experience = learn_from_past(day.model, retail(day), kind="explicit", days=2, variation=0.1, slope=0.001, seed=0)
    before = {p: known.model.predict(own_view(day.tree.fleets[p])).copy() for p, known in experience.items()}
    mechanism = Predictive(PredictiveSettings(slope=0.001), experience)
    source = mechanism.play(day)
    source.learn(day, played(day, mechanism, 0.1))
    for p, known in source.experience.items():
        assert known.days == 3
        assert np.abs(known.model.predict(own_view(day.tree.fleets[p])) - before[p]).max() > 0


@pytest.mark.parametrize(("period", "times"), [(6.0, 4), (24.0, 1)])
def test_hybrid_negotiates_as_often_as_asked(day, period, times):
    calls = []

    def negotiate(model):
        calls.append(negotiated(model))
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


def test_a_period_shorter_than_a_step_is_refused(day):
    with pytest.raises(RuntimeError, match=r"coordination.period 0.5 h is shorter than a step of 2 h"):
        Hybrid(HybridSettings(period=0.5, history_days=0)).operate([day], SerialEngine())


@pytest.mark.parametrize("settings", [BidirectionalSettings(), IntegratedSettings()])
def test_a_mechanism_that_needs_the_whole_day_says_so_by_name_when_it_is_to_be_played(day, settings):
    with pytest.raises(MechanismError, match=f"mechanism '{settings.kind}' cannot be played forward"):
        play_days([day], mechanism_of(settings), ErrorModel(0.1))


def test_every_mechanism_of_the_registry_operates_a_day_and_has_the_name_of_its_settings(day):
    for kind, entry in MECHANISMS.items():
        mechanism = mechanism_of(entry.settings())
        assert mechanism.name == kind
        found = mechanism.operate([day], SerialEngine())[0][kind]
        assert found.mechanism == kind
        assert found.cost >= day.optimum.bound * (1 - 1e-6)
