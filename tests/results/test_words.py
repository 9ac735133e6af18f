"""Numbers in sentences say no more than what holds."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.results.data.dataset import year_total
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table
from multiscale.results.words.answer import Built, value_reached
from multiscale.results.words.numbers import THIN, reached_percent


def test_what_is_reached_at_least_is_not_rounded_up():
    assert reached_percent(0.99891) == f"99.8{THIN}%"
    assert reached_percent(1.0) == f"100{THIN}%"
    assert reached_percent(0.5) == f"50{THIN}%"
    assert reached_percent(-0.0301) == f"−3.1{THIN}%"


def test_a_voltage_beyond_its_limit_is_not_shown_as_the_limit():
    frame = pd.DataFrame({"where": ["bus", "line"], "worst value": [1.1004, 101.23], "limit": [1.1, 100.0], "unit": ["pu", "%"]})
    cells = [[text for text, _ in row] for row in Table("violations", "", frame).cells()]
    assert cells == [["bus", "1.1004", "1.1", "pu"], ["line", "101.2", "100", "%"]]


def test_all_is_reached_where_less_than_a_cent_is_missing():
    def reached(share: float, worth: float) -> float | None:
        return value_reached(RunResult(Path(), None, {"coordination.value_reached": (share, "1"), "coordination.value": (worth, "EUR/a")}, "optimal"))

    assert reached(1 - 5e-9, 2500.0) == 1.0
    assert reached(1 - 5e-9, 2.5e7) < 1.0
    assert reached(0.5, 0.001) == 1.0
    assert value_reached(RunResult(Path(), None, {}, "optimal")) is None


def test_the_energy_of_a_year_with_a_missing_period_is_not_known():
    power = xr.DataArray([[1.0, 2.0], [1.0, np.nan]], dims=("scenario", "period"))
    np.testing.assert_array_equal(year_total(power, xr.DataArray([10.0, 100.0], dims="period")), [210.0, np.nan])


def test_a_line_that_is_built_below_its_limit_is_built_for_others():
    """A higher limit that does not bind changes no dispatch under DC power flow; a lower impedance does."""
    one = Built("line", "parallel line", 1e5, 1e5, np.nan, np.nan, above=(8.26, 5.17))
    assert one.loading.startswith("saves more in dispatch than it costs; takes flow off lines whose limits bind; loaded up to 8.26 %")
    at_limit = Built("line", "parallel line", 1e5, 1e5, np.nan, np.nan, above=(100.0, 80.0))
    assert "takes flow off" not in at_limit.loading
