import numpy as np
import pandas as pd
import pytest

from multiscale.operation.radial import radial_tree
from multiscale.planning.conventional import conventional_need, passive_flows
from multiscale.planning.yearly_overload import yearly_flows, yearly_overload
from multiscale.system import Growth, LoadingLimits, grow
from multiscale.timeline import Horizon

DAYS = Horizon((pd.Timestamp("2016-01-27"), pd.Timestamp("2016-07-25")), (1.0, 365.0), 1.0)


@pytest.fixture(scope="module")
def grown(system):
    return grow(system, Growth(heat_pump_share=1.0, ev_share=1.0, pv_share=1.0, pv_kw=12.0))


@pytest.mark.parametrize("dso", ["north", "east"])
def test_flows_of_the_year_are_those_of_every_period_computed_device_by_device(grown, dso):
    tree = radial_tree(grown.network(dso), LoadingLimits())
    fleets = {p: grown.fleet(p, DAYS) for p in grown.children(dso)}
    wanted = passive_flows(grown, dso, DAYS, fleets, tree)
    hours = pd.date_range("2016-01-01", periods=366 * 24, freq="h").get_indexer(pd.to_datetime(DAYS.labels))
    for found, reference in zip(yearly_flows(grown, dso, tree), wanted, strict=True):
        np.testing.assert_allclose(found[:, hours], reference, atol=1e-6 * np.abs(reference).max())


def test_branches_overloaded_in_the_year_hold_those_of_every_day(grown):
    dsos = grown.at_level("dso")
    overload = yearly_overload(grown, dsos)
    assert len(overload) == 366 * 24
    assert (overload.to_numpy() >= 0).all()
    assert (overload.to_numpy() > 0).any(axis=0).all()
    branches = {name for joined in overload.columns.get_level_values("branch") for name in joined.split(", ")}
    for dso in dsos:
        fleets = {p: grown.fleet(p, DAYS) for p in grown.children(dso)}
        for branch in conventional_need(grown, dso, DAYS, fleets).overloaded:
            assert branch in branches
    assert set(overload.columns.get_level_values("direction")) <= {"load", "feed-in"}


def test_a_network_without_overload_has_no_columns(system):
    wide = LoadingLimits(mv_load=9.0, mv_feed_in=9.0, lv_load=9.0, lv_feed_in=9.0)
    assert yearly_overload(system, system.at_level("dso"), wide).shape == (366 * 24, 0)
