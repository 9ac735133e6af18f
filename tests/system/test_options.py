import numpy as np
import pandas as pd
import pytest

from multiscale.sources import reinforcement_costs
from multiscale.system import Economics, InvalidSystemError, LoadingLimits, reinforcement_options, validate
from tests.variants import changed

LINE, SMALL, LARGE = "north line 1", "north 1 MV/LV transformer", "north HV/MV transformer"


@pytest.fixture(scope="module")
def costs():
    return reinforcement_costs()


def test_a_parallel_cable_is_priced_by_length(system, costs):
    option = reinforcement_options(system, [LINE], costs).sel(option=f"reinforce {LINE}")
    row = costs[(costs["kind"] == "line") & (costs["vn_max_kv"] == 20)].iloc[0]
    assert float(option.cost_eur) == pytest.approx(4.0 * row["cost_eur_per_km"])
    assert float(option.added_rating_kva) == pytest.approx(row["new_rating_kva"])


def test_a_cable_at_a_lower_voltage_adds_less(system, costs):
    at_ten = changed(system, "buses", "vn_kv", {"north busbar": 10.0})
    added = [float(reinforcement_options(s, [LINE], costs).added_rating_kva[0]) for s in (system, at_ten)]
    assert added[1] == pytest.approx(added[0] / 2)


def test_a_transformer_is_replaced_by_the_smallest_larger_one(system, costs):
    option = reinforcement_options(system, [SMALL], costs)
    larger = sorted(costs.loc[(costs["kind"] == "transformer") & (costs["new_rating_kva"] > 63) & (costs["vn_max_kv"] == 36), "new_rating_kva"])
    assert float(option.added_rating_kva[0]) == pytest.approx(larger[0] - 63.0)


def test_a_transformer_without_a_larger_one_is_doubled(system, costs):
    option = reinforcement_options(system, [LARGE], costs)
    assert float(option.added_rating_kva[0]) == pytest.approx(5000.0)


def test_options_are_valid_components_of_the_system(system, costs):
    assert validate(system.replace(options=reinforcement_options(system, [LINE, SMALL, LARGE], costs))) == []


def test_no_branches_give_no_options(system, costs):
    assert reinforcement_options(system, [], costs).sizes["option"] == 0


def test_a_branch_no_row_fits_is_named(system, costs):
    with pytest.raises(InvalidSystemError, match=rf"branch '{LINE}': rating_kva 5900 kVA at 20 kV has no fitting row"):
        reinforcement_options(system, [LINE], costs[costs["kind"] == "transformer"])


@pytest.mark.parametrize(("rate", "years"), [(0.05, 40.0), (0.0, 25.0), (0.08, 12.0)])
def test_discounted_annuities_return_the_investment(rate, years):
    annuity = Economics(discount_rate=rate).annuity(years)
    assert sum(annuity / (1 + rate) ** k for k in range(1, int(years) + 1)) == pytest.approx(1.0)


def test_medium_voltage_keeps_half_its_rating_under_load_alone():
    limits = LoadingLimits(margin=0.1)
    load, feed_in = limits.shares(np.array([20.0, 0.4]), with_margin=False)
    np.testing.assert_allclose(load, [0.5, 1.0])
    np.testing.assert_allclose(feed_in, [1.0, 1.0])
    np.testing.assert_allclose(limits.shares(np.array([20.0, 0.4]), with_margin=True)[0], [0.45, 0.9])
    np.testing.assert_allclose(LoadingLimits.full().shares(np.array([20.0, 0.4]), with_margin=True), 1.0)


def test_costs_are_a_table_with_a_source_for_every_row(costs):
    assert isinstance(costs, pd.DataFrame)
    assert (costs["source"].str.len() > 0).all()
