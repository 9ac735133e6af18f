"""Usable ratings are settings, and they are named where they cut demand off."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.assessment.served import unserved_words
from multiscale.config import load_config
from multiscale.pipeline.case import case_of
from multiscale.planning import conventional_need
from multiscale.system import LoadingLimits
from tests.assessment.operated_studies import operated_study


def test_the_shares_are_settings_of_the_study():
    config = load_config(["study=tiny", "system.limits.mv_load=0.8", "system.limits.margin=2 %", "horizon=one_day", "horizon.step_hours=6 h"])
    case = case_of(config)
    assert (case.limits.mv_load, case.limits.margin) == (0.8, 0.02)
    # A share that is 1.6 times as large leaves 1/1.6 of the loading, of what margins keep.
    usual = conventional_need(case.system, "north", case.horizon, {p: case.fleets[p] for p in case.system.children("north")}, LoadingLimits())
    loading, line = case.need["north"].loading, "north line 1"
    assert loading[line] == pytest.approx(usual.loading[line] * (0.5 * 0.93) / (0.8 * 0.98), rel=1e-9)


def test_shares_apply_by_voltage_and_direction():
    limits = LoadingLimits(mv_load=0.6, mv_feed_in=0.9, lv_load=0.8, lv_feed_in=0.7, margin=0.1)
    load, feed_in = limits.shares(np.array([20.0, 0.4]), with_margin=True)
    np.testing.assert_allclose(load, [0.54, 0.72])
    np.testing.assert_allclose(feed_in, [0.81, 0.63])
    load, feed_in = LoadingLimits.full().shares(np.array([20.0, 0.4]), with_margin=True)
    np.testing.assert_allclose([load, feed_in], 1.0)


def test_without_a_plan_the_study_says_what_is_cut_off_where_and_by_which_limits():
    one = operated_study("planning=none", "system.limits.lv_load=0.1")
    places = one.plan.operation.unserved
    voll = one.case.economics.value_of_lost_load
    assert sum(places.values()) * voll == pytest.approx(one.plan.ledger.arrays().real_cost.sel(cost="unserved demand").sum().item(), rel=1e-9)
    assert sum(places.values()) > 10.0
    words = unserved_words(one.plan.operation.unserved, one.case.limits, planned=False)
    limits = ("46.5 % of a rating at medium voltage", "9.3 % at low voltage", "system.limits")
    for part in ("kWh/a of demand are not served", next(iter(places)), *limits, "planning=dso"):
        assert part in words
