import numpy as np
import pytest

from multiscale.measures import AddedRating, Need
from multiscale.operation.tree import reference_exchange
from multiscale.planning import conventional_need
from multiscale.system import LoadingLimits
from tests.variants import changed, with_options

TRANSFORMER = "north 1 MV/LV transformer"


def test_loading_is_apparent_power_over_the_usable_rating(system, winter, fleets):
    limits = LoadingLimits()
    need = conventional_need(system, "north", winter, fleets, limits)
    data = fleets["north 1"].data
    p, q = reference_exchange(fleets["north 1"]), data.reactive.sum("prosumer").values
    assert (p > 0).all()
    assert need.loading[TRANSFORMER] == pytest.approx(100 * (np.hypot(p, q) / ((1 - limits.margin) * 63.0)).max(), rel=1e-9)


def test_half_the_rating_is_twice_the_loading(system, winter, fleets):
    need = conventional_need(changed(system, "branches", "rating_kva", {TRANSFORMER: 31.5}), "north", winter, fleets)
    assert need.loading[TRANSFORMER] == pytest.approx(2 * conventional_need(system, "north", winter, fleets).loading[TRANSFORMER])
    assert need.overloaded[0] == TRANSFORMER


def test_investment_is_that_of_the_overloaded_branches(system, winter, fleets):
    small = changed(system, "branches", "rating_kva", {TRANSFORMER: 31.5})
    options = with_options(small, {TRANSFORMER: (40.0, 7000.0), "north 2 MV/LV transformer": (40.0, 900.0)}).options
    assert conventional_need(small, "north", winter, fleets).investment(options) == 7000.0


def test_candidates_are_the_most_loaded_branches(system, winter, fleets):
    need = conventional_need(system, "north", winter, fleets)
    wanted = Need(need.loading, need.outside)
    first = AddedRating(least_loading=0.0).sites(wanted, 2)
    assert len(first) == 2
    assert min(need.loading[b] for b in first) >= max(v for b, v in need.loading.items() if b not in first)
    assert AddedRating(least_loading=1e6).sites(wanted, 20) == []
