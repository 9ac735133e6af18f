import numpy as np
import pytest

from multiscale.coordination.common.conflicts import conflicts, dso_answer, refused_by_distribution, refused_by_transmission
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.markets import Community
from multiscale.operation import operating_tree
from multiscale.operation.clearing import BEYOND_DEVICES
from multiscale.operation.tree import BEYOND
from multiscale.programs import CompiledProgram
from tests.variants import changed, charged


@pytest.fixture(scope="module")
def tree(system, winter, economics, fleets):
    """North alone; after reserve and margin its HV/MV transformer carries little more than the evening's load."""
    narrow = changed(system.cut(["north 1", "north 2"]), "branches", "rating_kva", {"north HV/MV transformer": 2100.0})
    mine = {p: fleets[p] for p in ("north 1", "north 2")}
    return operating_tree(narrow, winter, economics, mine, charged(["north"], 0.05), Community())


@pytest.fixture(scope="module")
def optimum(tree):
    return integrated_optimum(tree)


def nothing_asked(tree):
    return np.full(tree.horizon.periods, np.nan)


def _usable(tree):
    """What the HV/MV transformer carries at period 9 in addition to the reactive power of everything below [kW]."""
    reduced = tree.distribution["north"].reduced.tree
    fed = next(i for i, members in enumerate(reduced.members) if "north HV/MV transformer" in members)
    passive = tree.system.passive("north", tree.horizon)
    reactive = passive.reactive.values.sum(axis=0) + sum(f.data.reactive.values.sum(axis=0) for f in tree.fleets.values())
    reactive = reactive - reduced.below(reduced.charging)[fed]
    return float(np.sqrt(((1 - tree.limits.margin) * 0.5 * 2100.0) ** 2 - reactive[9] ** 2))


def test_a_request_the_network_cannot_carry_is_refused_by_name(tree, optimum):
    request = nothing_asked(tree)
    request[9] = 5000.0
    granted, found = dso_answer(tree, "north", request, optimum.energy_price["north"], 1.0)
    assert len(found) == 1
    conflict = found[0]
    assert (conflict.asking, conflict.limiting, conflict.period) == ("transmission", "north", str(tree.horizon.labels[9]))
    assert conflict.granted == pytest.approx(granted[9])
    assert conflict.refused == pytest.approx(5000.0 - granted[9])
    assert conflict.price == pytest.approx(1.0, rel=1e-6)
    assert conflict.refused > 1000
    assert conflict.limits == ("north HV/MV transformer",)
    assert granted[9] == pytest.approx(_usable(tree), rel=1e-4)
    assert "transmission asks for 5000 kW, north grants" in str(conflict)


def test_a_feasible_request_is_granted_without_a_conflict(tree, optimum):
    usual = optimum.exchange["north"]
    request = nothing_asked(tree)
    request[4] = usual[4] + 5.0
    granted, found = dso_answer(tree, "north", request, optimum.energy_price["north"], 1.0)
    assert found == []
    assert granted[4] == pytest.approx(usual[4] + 5.0, abs=1e-4)


def test_what_is_not_worth_its_cost_is_refused_without_a_limit(tree, optimum):
    request = nothing_asked(tree)
    request[4] = optimum.exchange["north"][4] - 20.0
    _, found = dso_answer(tree, "north", request, optimum.energy_price["north"], 1e-6)
    assert len(found) == 1
    assert found[0].limits == ()
    assert "its flexibility is used up or costs more than is offered" in str(found[0])


def test_no_customer_is_cut_off_for_a_request(tree, optimum):
    _, found = dso_answer(tree, "north", optimum.exchange["north"] - 500.0, optimum.energy_price["north"], 4.0)
    assert len(found) == tree.horizon.periods
    demand = tree.system.passive("north", tree.horizon).demand.values.sum(axis=0)
    for t, conflict in enumerate(found):
        assert conflict.granted > 0.6 * demand[t]  # the town, which has no flexibility, is served


def test_an_offer_at_which_customers_would_be_cut_off_is_refused(tree, optimum):
    with pytest.raises(ValueError, match=r"offer 5 EUR/kWh is not below the value of lost load 5 EUR/kWh"):
        dso_answer(tree, "north", nothing_asked(tree), optimum.energy_price["north"], 5.0)


def test_what_the_tso_cannot_serve_is_refused_at_the_boundary(tree, optimum):
    usual = optimum.exchange["north"]
    assert refused_by_transmission(tree, {"north": usual}) == []
    asked = usual.copy()
    asked[6] = 200_000.0
    found = refused_by_transmission(tree, {"north": asked})
    assert [(c.asking, c.limiting, c.period) for c in found] == [("north", "transmission", str(tree.horizon.labels[6]))]
    assert 0 < found[0].granted < 200_000.0
    assert found[0].price == pytest.approx(tree.economics.value_of_lost_load, rel=1e-6)


def test_what_a_dso_cannot_carry_for_a_platform_is_refused(system, winter, economics, fleets):
    narrow = changed(system.cut(["north 1", "north 2"]), "branches", "rating_kva", {"north 1 MV/LV transformer": 20.0})
    mine = {p: fleets[p] for p in ("north 1", "north 2")}
    tree = operating_tree(narrow, winter, economics, mine, charged(["north"], 0.05), Community())
    drawn = {c: np.full(winter.periods, 5.0) for c in mine}
    assert refused_by_distribution(tree, "north", drawn) == []
    drawn["north 1"][5] = 30.0
    found = refused_by_distribution(tree, "north", drawn)
    assert [(c.asking, c.limiting, c.period) for c in found] == [("north 1", "north", str(winter.labels[5]))]
    assert found[0].limits == ("north 1 MV/LV transformer",)
    assert 0 < found[0].granted <= (1 - tree.limits.margin) * 20.0
    assert found[0].price == pytest.approx(economics.value_of_lost_load, rel=1e-6)


def test_a_platform_at_a_price_beyond_the_value_of_lost_load_leaves_its_band_by_no_more_than_its_program_may(tree):
    """It sells what is not served: no request of it is outside what is declared, and one kW more is."""
    name, own = "north 2", tree.distribution["north"]
    program, size = tree.platforms[name], tree.fleets[name].size
    dear = np.full(tree.horizon.periods, 2.0 * tree.economics.value_of_lost_load)
    free = {"import_limit": BEYOND, "export_limit": BEYOND, "planned": 0.0, "deviation_price": 0.0} | dict(tree.prices("north"))
    solution = CompiledProgram(program).solve_optimal({"import_price": dear, "export_price": dear} | free)
    sold = -(program.outputs["exchange"].matrix @ solution.x)
    beyond = sold + own.low[name]
    assert beyond.max() > 1.0
    assert (beyond <= size * BEYOND_DEVICES + 1e-6).all()
    others = {c: np.zeros(tree.horizon.periods) for c in own.children}
    refused_by_distribution(tree, "north", others | {name: -sold})
    further = own.low[name] - size * BEYOND_DEVICES - 1.0
    with pytest.raises(ValueError, match="is outside what it declared"):
        refused_by_distribution(tree, "north", others | {name: further})


def test_a_platform_that_asks_for_more_than_it_can_draw_is_named(tree):
    drawn = {c: np.full(tree.horizon.periods, 5.0) for c in tree.platforms} | {"north 2": np.full(tree.horizon.periods, 3000.0)}
    with pytest.raises(ValueError, match=r"platform 'north 2': exchange 3000 kW in 2016-01-20T00:00 is outside what it declared"):
        refused_by_distribution(tree, "north", drawn)


def test_the_optimum_has_no_conflict(tree, optimum):
    assert conflicts(tree, optimum) == []
