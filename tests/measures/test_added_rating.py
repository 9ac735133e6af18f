"""Facts of added rating; what it does to operation and plans is in tests/operation and tests/planning."""

from __future__ import annotations

import pytest

from multiscale.measures import AddedRating, Need, NoFittingCostError, Site
from multiscale.sources import reinforcement_costs

EXAMPLE = {"branch": "north 1 MV/LV transformer", "added_rating_kva": 40.0, "cost_eur": 10000.0, "measure": "larger MV/LV transformer"}

LINE = {"r_ohm": 2.0, "x_ohm": 1.0, "c_nf": 30.0, "pfe_kw": 0.0, "rating_kva": 100.0}


def test_twice_the_rating_is_half_the_impedance_and_twice_the_capacitance():
    doubled = AddedRating.apply(LINE, {"added_rating_kva": 100.0}, 20.0, "end")
    assert doubled == {"r_ohm": 1.0, "x_ohm": 0.5, "c_nf": 60.0, "pfe_kw": 0.0, "rating_kva": 200.0}


def test_two_options_on_one_branch_add_up():
    once = AddedRating.apply(LINE, {"added_rating_kva": 150.0}, 20.0, "end")
    twice = AddedRating.apply(AddedRating.apply(LINE, {"added_rating_kva": 50.0}, 20.0, "end"), {"added_rating_kva": 100.0}, 20.0, "end")
    assert twice == pytest.approx(once, rel=1e-12)


def test_the_most_loaded_branches_come_first():
    need = Need({"a": 60.0, "b": 120.0, "c": 40.0}, {})
    assert AddedRating().sites(need, 5) == ["b", "a"]
    assert AddedRating(least_loading=30.0).sites(need, 2) == ["b", "a"]


def test_a_branch_that_no_row_fits_is_refused():
    with pytest.raises(NoFittingCostError, match="at 900 kV has no fitting row"):
        AddedRating().propose(Site("l", "line", 900.0, 1.0, 1.0), reinforcement_costs())
