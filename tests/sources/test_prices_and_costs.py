import numpy as np
import pandas as pd
import pytest

from multiscale.sources import day_ahead_price, generation_costs, load_system, priced, reinforcement_costs, tiny_system
from multiscale.sources.generation_costs import marginal_costs
from multiscale.system import InvalidSystemError
from multiscale.system.cost_settings import CostsSettings
from multiscale.system.options import COST_COLUMNS, reinforcement_options


def test_day_ahead_price_of_2018_has_its_published_mean():
    price = day_ahead_price()
    assert price.sizes == {"time": 8760}
    assert price.attrs["units"] == "EUR/kWh"
    assert float(price.mean()) == pytest.approx(0.04447, abs=1e-5)
    assert float(price.min()) < 0


def test_prices_of_another_year_keep_weekday_and_time_of_day():
    stamps = pd.date_range("2016-01-01", periods=366 * 24, freq="h")
    ours = day_ahead_price(stamps).to_series()
    year = day_ahead_price()
    original = pd.Series(year.values, index=pd.DatetimeIndex(year.time.values) + pd.Timedelta(hours=1))
    weekly = (ours.groupby([ours.index.dayofweek, ours.index.hour]).mean(), original.groupby([original.index.dayofweek, original.index.hour]).mean())
    np.testing.assert_allclose(weekly[0].to_numpy(), weekly[1].to_numpy(), atol=0.0015)
    assert ours.iloc[200 * 24 + 13] in set(original.iloc[200 * 24 + 13 - 72 : 200 * 24 + 13 + 73 : 24])


def test_quarter_hours_take_the_price_of_their_hour():
    quarter = day_ahead_price(pd.date_range("2016-05-04", periods=8, freq="15min")).values
    assert len(set(quarter[:4])) == len(set(quarter[4:])) == 1


def test_merit_order_has_no_ties_and_the_usual_order():
    fuel = np.array(["nuclear", "lignite", "hard coal", "gas", "oil", "gas", "gas"])
    size = np.array([1e6, 5e5, 5e5, 4e5, 1e5, 1e5, 4e5])
    cost = marginal_costs(fuel, size, generation_costs(), 25.0)
    assert (np.diff(cost[:5]) > 0).all()
    assert len(set(cost)) == 7
    assert cost[5] > cost[3] > cost[6]


def test_carbon_price_raises_the_cost_by_content_over_efficiency():
    fuel, size = np.array(["gas"]), np.array([1e5])
    step = marginal_costs(fuel, size, generation_costs(), 35.0) - marginal_costs(fuel, size, generation_costs(), 25.0)
    assert step[0] == pytest.approx(10 * 0.201 / 0.5 / 1e3)


def test_fuel_that_the_table_does_not_have_is_named():
    with pytest.raises(KeyError, match="no row for fuel \\['alta'"):
        priced(tiny_system())


def test_reinforcement_costs_serve_every_distribution_branch():
    costs = reinforcement_costs()
    assert set(COST_COLUMNS) <= set(costs.columns)
    system = tiny_system()
    names = system.branches.branch.values[system.branches.node.values != "transmission"].tolist()
    options = reinforcement_options(system, names, costs)
    assert (options.added_rating_kva.values > 0).all()
    assert (options.cost_eur.values > 0).all()


def test_a_cost_table_with_semicolons_and_decimal_commas_is_the_same_table(tmp_path):
    ours = reinforcement_costs()
    ours.to_csv(tmp_path / "costs.csv", sep=";", decimal=",", index=False)
    found = reinforcement_costs(CostsSettings(reinforcement_table=tmp_path / "costs.csv").reinforcement_table)
    pd.testing.assert_frame_equal(found[list(COST_COLUMNS)], ours[list(COST_COLUMNS)], check_dtype=False)


def test_a_cost_table_with_more_values_than_columns_is_refused(tmp_path):
    lines = reinforcement_costs().drop(columns="source").assign(source="mine").to_csv(index=False).splitlines()
    (tmp_path / "costs.csv").write_text("\n".join([lines[0], *(line.replace(",40,", ",40,5,") for line in lines[1:])]))
    with pytest.raises(InvalidSystemError, match=r"costs.reinforcement_table cannot be read \(.*Expected 10 fields"):
        reinforcement_costs(tmp_path / "costs.csv")


def test_sources_are_chosen_by_kind():
    assert load_system("tiny").name == "tiny"
    with pytest.raises(ValueError, match="'matlab' does not exist; choose from simbench, tiny, pandapower, folder"):
        load_system("matlab")
