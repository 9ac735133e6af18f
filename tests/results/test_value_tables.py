"""Tables of value, of what is not built and of customers: what stands in them is what the dataset holds, and no gap reads as zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.results import RunResult
from multiscale.results.tables.customer_tables import bills_table, burden_table, evenness_table, participation_table
from multiscale.results.tables.regulation_tables import regulation_table
from multiscale.results.tables.table import settled
from multiscale.results.tables.value_tables import appraisal_table, deferral_table, value_table


def with_data(finished: RunResult, data: xr.Dataset, **summary) -> RunResult:
    data = data.assign_attrs(baseline="conventional", headline="plan")
    return replace(finished, dataset=data, summary=finished.summary | summary)


@pytest.fixture
def options() -> xr.Dataset:
    """Conventional planning builds the first two of three options, the plan the first; voltage alone calls for the third."""
    return xr.Dataset(
        {
            "built": (("scenario", "option"), [[1, 1, 1], [1, 0, 0]]),
            "option_branch": ("option", ["a", "b", "c"]),
            "option_measure": ("option", ["cable", "cable", "regulator"]),
            "option_cost": ("option", [100.0, 200.0, 1000.0]),
            "option_annuity": ("option", [6.0, 12.0, 60.0]),
            "option_relieved": ("option", [10.0, 60.0, 0.0]),
            "option_break_even": ("option", [0.6, 0.2, np.nan]),
        },
        coords={"scenario": ["conventional", "plan"], "appraisal_years": [5, 45]},
    )


def test_what_is_not_built_has_its_deferral_value_and_its_break_even_price(finished: RunResult, options: xr.Dataset):
    table = deferral_table(with_data(finished, options))
    frame = table.frame.set_index("branch")
    assert frame.index.tolist() == ["c", "b", "total"]
    assert frame.loc["b", "break-even price"] == pytest.approx(0.2)
    assert np.isnan(frame.loc["c", "break-even price"])
    assert frame.loc["total", "investment"] == pytest.approx(1200.0)
    # At 5 %/a, five years later costs 1.05^-5 = 78.353 % of it.
    assert frame.loc["b", "deferral by 5 a"] == pytest.approx(200.0 * (1 - 0.783526), abs=1e-3)
    assert frame.loc["total", "deferral by 45 a"] == pytest.approx(frame["deferral by 45 a"].iloc[:-1].sum())
    unserved = with_data(finished, options, **{"assess.unserved_demand_plan": (30.0, "EUR/a")})
    assert "demand worth 30" in deferral_table(unserved).note
    kept = options.assign(built=(("scenario", "option"), [[1, 0, 0], [1, 0, 0]]))
    assert deferral_table(with_data(finished, kept)) is None


def test_rounding_is_zero_and_what_has_no_value_stays_without_one():
    frame = settled(pd.DataFrame({"a": [1e-9, np.nan, -2.0], "b": ["x", "y", "z"]}))
    assert frame["a"].iloc[0] == 0.0
    assert np.isnan(frame["a"].iloc[1])
    assert frame["a"].iloc[2] == -2.0


def test_a_run_without_these_values_has_no_such_tables(finished: RunResult):
    for table in (value_table, appraisal_table, deferral_table, participation_table, evenness_table, burden_table):
        assert table(finished) is None


def test_bills_have_their_quantiles_by_kind_of_customer(finished: RunResult):
    frame = bills_table(finished).frame.set_index("category")
    data = finished.dataset
    households = data.bill.sel(scenario="plan").values[data.prosumer_category.values == "household"]
    for name, share in (("p10", 0.1), ("median", 0.5), ("p90", 0.9)):
        assert frame.loc["household", f"{name} with plan"] == pytest.approx(np.quantile(households, share))


def test_an_index_that_is_not_defined_says_why(finished: RunResult):
    bill = xr.DataArray([[100.0, 100.0], [-50.0, 50.0]], dims=("scenario", "prosumer"))
    names = ("gini_of_bills", "jain_of_bills", "gini_of_gains", "jain_of_gains")
    values = dict(zip(names, ([0.0, 0.5], [1.0, np.nan], [np.nan, 0.25], [np.nan, 0.8]), strict=True))
    data = xr.Dataset({"bill": bill} | {k: ("scenario", v) for k, v in values.items()}, coords={"scenario": ["conventional", "plan"]})
    table = evenness_table(with_data(finished, data))
    assert table.frame["below zero"].tolist() == [0, 1, 0]
    assert np.isnan(table.frame["Jain index"].iloc[1])
    assert "1 of 2 bills are below zero" in table.note
    assert table.frame["Jain index"].iloc[2] == pytest.approx(0.8)


def test_burdens_are_shown_by_income_without_households_of_unknown_income(finished: RunResult):
    data = xr.Dataset(
        {
            "energy_burden": (("scenario", "prosumer"), [[20.0, 5.0, np.nan], [8.0, 4.0, np.nan]]),
            "prosumer_income": ("prosumer", [1e4, 5e4, np.nan]),
            "income_group": ("prosumer", [0, 1, -1]),
            "burden_limit": ((), 10.0),
        },
        coords={"scenario": ["conventional", "plan"]},
    )
    table = burden_table(with_data(finished, data))
    assert table.frame["households"].tolist() == [1, 1]
    assert table.frame["high before"].tolist() == [100.0, 0.0]
    assert table.frame["high with plan"].tolist() == [0.0, 0.0]
    assert table.frame["median gain"].tolist() == pytest.approx([1200.0, 500.0])
    assert "1 prosumer without a known income" in table.note


def test_customers_without_devices_pay_what_is_shifted_to_them(finished: RunResult):
    groups = ["members with devices", "members without devices", "passive customers"]
    data = xr.Dataset(
        {
            "group_payment": (("scenario", "customer_group"), [[100.0, 0.0, 1000.0], [40.0, 0.0, 1030.0]]),
            "group_tariff": (("scenario", "customer_group"), [[60.0, 0.0, 700.0], [20.0, 0.0, 730.0]]),
            "prosumer_group": ("prosumer", ["members with devices"] * 3),
            "bill": (("scenario", "prosumer"), [[60.0, 40.0, 20.0], [30.0, 10.0, np.nan]]),
        },
        coords={"scenario": ["conventional", "plan"], "customer_group": groups},
    )
    more = {"assess.cost_shift": (30.0, "EUR/a"), "coordination.excluded_nodes": ("LV1.102", "")}
    table = participation_table(with_data(finished, data, **more))
    frame = table.frame.set_index("group")
    assert frame.index.tolist() == [groups[0], groups[2]]
    assert frame.loc[groups[0], ["change", "under the tariff", "share"]].tolist() == pytest.approx([-60.0, -40.0, -60.0])
    assert frame.loc[groups[2], ["change", "under the tariff"]].tolist() == pytest.approx([30.0, 30.0])
    assert "pay 30 EUR/a more" in table.note
    # Who was excluded is in no sum, so in no count either, and is named.
    assert frame.loc[groups[0], "customers"] == 2
    assert table.note.startswith("Without the prosumers of LV1.102")


def test_the_stranded_share_is_a_row_of_the_account(finished: RunResult):
    found = with_data(finished, xr.Dataset(), **{"regulation.operated.stranded_share": (0.4, "1")})
    [row] = regulation_table(found).frame.to_dict("records")
    assert row["operated"] == pytest.approx(40.0)
    assert np.isnan(row["planned"])
