"""The representative days of the main study: facts of SimBench's year."""

import pandas as pd
import pytest

from multiscale.config import load_config
from multiscale.pipeline.case import case_of

pytestmark = pytest.mark.slow  # the four-level case is read first


@pytest.fixture(scope="module")
def aggregation():
    return case_of(load_config(["horizon=eight_days"])).aggregation


def test_the_year_overloads_ten_branches_by_load_and_fourteen_by_feed_in(aggregation):
    direction = aggregation.overload.direction.values.tolist()
    assert (direction.count("load"), direction.count("feed-in")) == (10, 14)


def test_eight_days_hold_the_extremes_at_weight_one_and_give_every_overload_to_twenty_percent(aggregation):
    horizon = aggregation.horizon
    assert horizon.days[:2] == (pd.Timestamp("2016-01-27"), pd.Timestamp("2016-07-25"))
    assert horizon.names[:2] == ("peak demand", "peak feed-in")
    assert horizon.weights[:2] == (1.0, 1.0)
    assert sum(horizon.weights) == pytest.approx(366, rel=1e-15)
    assert aggregation.unseen == ()
    assert abs(aggregation.worst_overload_error[1]) <= 20
    assert abs(aggregation.overload_error) <= 3
    for feature in ("demand", "pv", "wind", "net load"):
        assert abs(float(aggregation.error.energy.sel(feature=feature))) <= 3
    assert aggregation.peak_demand_error == aggregation.peak_feed_in_error == 0
