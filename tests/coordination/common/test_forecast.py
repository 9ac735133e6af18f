import numpy as np
import pytest

from multiscale.coordination.common.forecast import CUT_OFF, ErrorModel, day_errors, scaled_tree


def test_errors_have_mean_zero_and_are_symmetric_exactly():
    drawn = ErrorModel(0.1, seed=3).draw(4, 24, 1.0, 200)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(-drawn, axis=0))


def test_errors_have_the_variance_and_the_correlations_asked_for():
    drawn = ErrorModel(0.1, common=0.6, hourly=0.8, seed=1).draw(3, 6, 1.0, 40_000)
    assert np.abs(drawn).max() <= CUT_OFF
    assert drawn.std(axis=0) == pytest.approx(np.full((3, 6), 1.0), abs=0.03)
    assert np.corrcoef(drawn[:, 0, 2], drawn[:, 1, 2])[0, 1] == pytest.approx(0.6, abs=0.02)
    assert np.corrcoef(drawn[:, 0, 1], drawn[:, 0, 3])[0, 1] == pytest.approx(0.8**2, abs=0.02)


def test_forecasts_become_better_as_time_approaches():
    grown = ErrorModel(0.1).grown(24, 1.0, 6)
    assert (grown[:7] == 0).all()
    assert (np.diff(grown[6:]) > 0).all()
    assert grown[-1] < 0.1


def test_a_seed_repeats_and_days_differ(tree):
    model = ErrorModel(0.1, seed=5)
    one, again, other = (day_errors(model, tree, name) for name in ("2016-01-20", "2016-01-20", "2016-01-21"))
    for node in one.demand:
        np.testing.assert_array_equal(one.demand[node], again.demand[node])
        assert np.abs(one.demand[node] - other.demand[node]).max() > 0.1
        assert np.abs(one.demand[node] - one.generation[node]).max() > 0.1


def test_a_scaled_tree_has_scaled_customers_platforms_and_cities(tree):
    factor = np.linspace(0.8, 1.2, tree.horizon.periods)
    other = scaled_tree(tree, {"north": factor, "north 1": factor, "transmission": factor}, {"north": 2.0 - factor})
    day, before = other.system.passive("north", tree.horizon), tree.system.passive("north", tree.horizon)
    np.testing.assert_allclose(day.demand.values, before.demand.values * factor, rtol=1e-9)
    np.testing.assert_allclose(day.generation.values, before.generation.values * (2.0 - factor), rtol=1e-9)
    np.testing.assert_allclose(day.reactive.values, before.reactive.values, rtol=1e-9)
    np.testing.assert_allclose(other.transmission.demand, tree.transmission.demand * factor, rtol=1e-9)
    np.testing.assert_allclose(other.fleets["north 1"].data.ev.values, tree.fleets["north 1"].data.ev.values * factor)
    np.testing.assert_array_equal(other.fleets["south 1"].data.demand.values, tree.fleets["south 1"].data.demand.values)
    announced = scaled_tree(tree, {"north 1": factor}, {}, announced=True).fleets["north 1"].data
    np.testing.assert_array_equal(announced.ev.values, tree.fleets["north 1"].data.ev.values)


def test_an_error_so_large_that_demand_could_be_negative_is_refused():
    with pytest.raises(ValueError, match=r"size 0.5 is not between 0 and 0.4"):
        ErrorModel(0.5)
