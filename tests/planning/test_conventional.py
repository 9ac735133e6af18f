import numpy as np
import pytest

from multiscale.measures import MEASURES, AddedRating, Need
from multiscale.operation.tree import reference_exchange
from multiscale.planning import conventional_need
from multiscale.planning.candidates import candidate_options
from multiscale.sources import reinforcement_costs
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


@pytest.mark.parametrize("kind", ["line", "transformer"])
def test_a_measure_is_proposed_on_the_branches_that_it_is_for(system, winter, fleets, kind):
    class OfOneKind(AddedRating):
        branch_kinds = (kind,)

    measures = {"added_rating": AddedRating(least_loading=0.0)}
    needs = {"north": conventional_need(system, "north", winter, fleets)}
    every = candidate_options(system, needs, 50, reinforcement_costs(), measures).branch.values.tolist()
    of_kind = {b for b in every if system.branches.kind.sel(branch=b) == kind}
    measure = OfOneKind(least_loading=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MEASURES, "added_rating", OfOneKind)
        found = candidate_options(system, needs, 50, reinforcement_costs(), {"added_rating": measure}).branch.values.tolist()
    assert set(found) == of_kind < set(every)
