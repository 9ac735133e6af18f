import numpy as np
import pytest

from multiscale.coordination.common.forecast import ErrorModel, day_errors
from multiscale.coordination.common.prepared import operate_signals
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.publication.expected import expected_signals, half_gap, hedge_optima, hedged_signals, scenario_optima
from multiscale.coordination.publication.flat import flat_signals
from multiscale.coordination.publication.pricing import Pricing, PricingSettings


@pytest.fixture(scope="module")
def day(north_alone):
    return north_alone(2050.0)


@pytest.fixture(scope="module")
def scenarios(day):
    return scenario_optima(day.model, ErrorModel(0.1, seed=3), 4)


def test_the_gap_is_what_the_covariance_of_price_and_exchange_takes_from_the_parent(scenarios):
    price = np.array([[o.platform_price[c] for c in ("north 1", "north 2")] for o in scenarios])
    drawn = np.array([[o.exchange[c] for c in ("north 1", "north 2")] for o in scenarios])
    half = half_gap(price, drawn)
    fixed = price.mean(axis=0)
    collected = (fixed * drawn).mean(axis=0).sum(axis=0) + half * np.abs(drawn).mean(axis=0).sum(axis=0)
    owed = (price * drawn).mean(axis=0).sum(axis=0)
    assert (half >= 0).all()
    assert half.max() > 0
    assert (collected >= owed - 1e-9).all()


def test_under_certainty_expected_prices_have_no_gap(day):
    signals = expected_signals(day.tree, [day.forecast, day.forecast], 0.001)
    for child, signal in signals.items():
        np.testing.assert_allclose(signal.import_price, signal.export_price, atol=1e-12)
        np.testing.assert_allclose(signal.import_price, day.forecast.platform_price[child], atol=1e-12)


def test_hedged_prices_charge_at_most_the_expected_cost_of_what_they_guard_against(day):
    optima = hedge_optima(day.model, day.forecast, ErrorModel(0.1), 2.0)
    signals = hedged_signals(day.tree, optima, 2.0, 0.001)
    most = day.tree.economics.value_of_lost_load * 0.022750131948
    congestion = np.array([s.import_price - optima[0].energy_price["north"] for s in signals.values()])
    assert congestion.max() == pytest.approx(most, rel=1e-6)
    assert congestion.min() >= -most - 1e-12


def test_hedged_prices_keep_their_value_when_the_forecast_is_too_low(day):
    """The draw in which prices and plan of the forecast lose most."""
    flat = operate_signals([day], [{"flat": flat_signals(day.tree, day.forecast)}], SerialEngine())[0]["flat"].cost
    reached = {}
    for signal in ("profile", "hedged"):
        draws = [PricingSettings(signal=signal, coverage=2.0, forecast_error=0.1, forecast_seed=s) for s in (0, 1)]
        costs = [Pricing(settings).operate([day], SerialEngine())[0]["pricing"].cost for settings in draws]
        reached[signal] = min((flat - c) / (flat - day.optimum.bound) for c in costs)
    assert reached["profile"] < 0.5
    assert reached["hedged"] > 0.95


def test_without_error_nothing_changes(day):
    for signal in ("profile", "hedged"):
        published = Pricing(PricingSettings(signal=signal, slope=0.001)).published(day, day_errors(ErrorModel(0.0), day.tree, day.name))
        for child, one in published.items():
            np.testing.assert_array_equal(one.import_price, day.forecast.platform_price[child])
            np.testing.assert_array_equal(one.planned, day.forecast.exchange[child])


def test_no_prosumer_is_worse_off_than_at_the_published_prices(day, scenarios):
    """What a prosumer pays or earns per kWh in its platform is never worse than importing or exporting itself."""
    signals = expected_signals(day.tree, scenarios, 0.0)
    outcome = operate_signals([day], [{"pricing": signals}], SerialEngine())[0]["pricing"]
    economics, hours = day.tree.economics, day.tree.horizon.hours_per_year
    for child, signal in signals.items():
        program = day.tree.platforms[child]
        price = program.rows.array("prosumer_balance", outcome.platform_y[child]).values / hours
        free = (outcome.exchange[child] < signal.import_limit - 1e-6) & (-outcome.exchange[child] < signal.export_limit - 1e-6)
        most = signal.import_price + signal.tariff["network_charge"] + economics.tariff.components["levy"].price
        least = signal.export_price - economics.tariff.components["export_deduction"].price
        assert free.any()
        assert (price <= most + 1e-9)[:, free].all()
        assert (price >= least - 1e-9)[:, free].all()
