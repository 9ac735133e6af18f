"""What stands in the report where data are missing, something fails, or a part is not known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from multiscale.results import RunResult
from multiscale.results.report import sections
from multiscale.results.tables import operation_tables, trade_tables
from multiscale.results.tables.network_tables import year_violations_table


def _shown(blocks: list[sections.Exhibit | None]) -> list[str]:
    return [b.missing or b.table.key if b.table or b.missing else b.caption for b in blocks if b is not None]


def test_what_fails_is_named_with_its_error_and_what_is_absent_and_optional_is_not_named(finished: RunResult, undrawn: None, monkeypatch):
    monkeypatch.setattr(operation_tables, "energy_table", lambda _: 1 / 0)
    without = replace(finished, dataset=finished.dataset.drop_vars([v for v in finished.dataset if str(v).startswith(("cost_of", "conflict_"))]))
    shown = _shown(sections._operation(without).blocks)
    assert "No table of energy: an error kept it from being made (ZeroDivisionError: division by zero)." in shown
    assert "No table of mechanisms: the result does not hold the data for it." in shown
    assert not any("conflicts" in text for text in shown)


def test_a_year_s_table_shows_how_far_a_limit_is_exceeded_where_digits_do_not(finished: RunResult):
    columns = {"component": ["bus", "bus"], "identifier": ["a", "b"], "hours": [3.0, 1.0], "worst_hour": ["2016-01-20T18:00", "2016-01-20T19:00"],
               "value": [1.10000004, np.nan], "limit": [1.1, 0.9], "unit": ["pu", "pu"]}  # fmt: skip
    data = xr.Dataset({f"year_violation_{name}": ("year_violation", values) for name, values in columns.items()})
    table = year_violations_table(replace(finished, dataset=data))
    at = table.frame.columns.get_loc("beyond the limit by")
    assert [row[at][0] for row in table.cells()] == ["4.0e−8", "–"]


def test_energy_and_bills_name_the_platforms_that_are_not_in_them(finished: RunResult):
    around = replace(finished, summary=finished.summary | {"coordination.excluded_nodes": ("LV1.101, LV1.102", "")})
    note = operation_tables.energy_table(around).note
    assert note == "Without LV1.101, LV1.102, which were excluded from the operation: what they use is not known."
    assert operation_tables.energy_table(finished).note == ""


def test_a_share_of_the_available_gain_stands_next_to_what_it_is_a_share_of(finished: RunResult):
    """None where two optima differ by less than their tolerance; of a market without a program it says whose costs these are."""
    flat, dims = np.ones((2, 3)), ("node", "period")
    data = xr.Dataset(
        dict.fromkeys(("local_trade", "local_price_paid", "local_price_received"), (dims, flat))
        | {"period_hours": ("period", np.ones(3)), "market_cost": (("market_case", "node"), [[100.0, 1e4], [90.0, 1e4 - 1e-4], [60.0, 1e4 - 2e-4]])},
        coords={"node": ["a", "b"], "market_case": ["alone", "market", "integrated"]},
    )
    table = trade_tables.trade_table(replace(finished, dataset=data))
    np.testing.assert_allclose(table.frame["available gain"], [40.0, 2e-4], atol=1e-9)
    np.testing.assert_allclose(table.frame["share of the available gain"], [25.0, np.nan])
    assert "no longer pay" in table.note
    assert "whose program" not in table.note
    of_auction = finished.summary | {"market.kind": ("auction", ""), "market.program": ("community", "")}
    assert "those of market community" in trade_tables.trade_table(replace(finished, dataset=data, summary=of_auction)).note
