import numpy as np
import pytest

from multiscale.markets import Community
from multiscale.operation import Design, distribution_program, dso_branch_program, operating_tree
from multiscale.operation import distribution as distribution_module
from multiscale.operation import platform as platform_module
from multiscale.operation.radial import radial_tree
from multiscale.operation.reduced_network import ReducedTree
from multiscale.operation.tree import connection_limits, dso_reference, exchange_bounds
from multiscale.programs import CompiledProgram, solve
from multiscale.system import LoadingLimits
from multiscale.system.rooted import MeshedNetworkError
from multiscale.system.schema import table
from tests.variants import changed, with_options

TRANSFORMER = "north 1 MV/LV transformer"
USABLE = 1.0 - LoadingLimits().margin


@pytest.fixture(scope="module")
def tight(system):
    """A transformer of 30 kVA before a platform that draws about 50 kW, and the choice to add as much again."""
    return with_options(changed(system, "branches", "rating_kva", {TRANSFORMER: 30.0}), {TRANSFORMER: (40.0, 8000.0)})


def north(system, winter, economics, fleets, **more):
    children = system.children("north")
    bounds = {c: exchange_bounds(fleets[c]) for c in children}
    reactive = {c: fleets[c].data.reactive.values.sum(axis=0) for c in children}
    low, high = ({c: b[k] for c, b in bounds.items()} for k in (0, 1))
    return distribution_program(system, "north", winter, economics, low, high, reactive, **more)


@pytest.fixture(scope="module")
def dso(tight, winter, economics, fleets):
    return north(tight, winter, economics, fleets)


def drawn(fleets, share):
    """A share of what each platform can draw at most (or, below zero, feed in at most) [kW]."""
    return np.array([share * exchange_bounds(fleets[c])[1] if share > 0 else share * -exchange_bounds(fleets[c])[0] for c in ("north 1", "north 2")])


def usable(fleets, rating):
    return np.sqrt(np.maximum((USABLE * rating) ** 2 - fleets["north 1"].data.reactive.values.sum(axis=0) ** 2, 0.0))


def given(fleets, share=0.9, built=0.0, price=0.08):
    return {"energy_price": price, "exchange": drawn(fleets, share), "built": built}


def nodal_price(dso, solution, winter):
    program = dso.program
    return program.sensitivity(solution.x, solution.y)[program.parameters["exchange"].positions] / winter.hours_per_year


def test_congestion_raises_the_price_behind_the_branch_only(dso, winter, economics, fleets):
    price = nodal_price(dso, solve(dso.program, given(fleets)), winter)
    congested = drawn(fleets, 0.9)[0] > usable(fleets, 30.0)
    assert 3 < congested.sum() < winter.periods
    np.testing.assert_allclose(price[0], np.where(congested, economics.value_of_lost_load, 0.08), rtol=1e-9)
    np.testing.assert_allclose(price[1], 0.08, rtol=1e-9)


def test_what_is_shed_is_what_the_branch_cannot_carry(dso, fleets):
    shed = solve(dso.program, given(fleets)).primal("shed").sel(platform="north 1").values
    np.testing.assert_allclose(shed, np.maximum(drawn(fleets, 0.9)[0] - usable(fleets, 30.0), 0.0), rtol=1e-7, atol=1e-9)


def test_building_the_option_relieves_the_branch(dso, winter, economics, fleets):
    without, with_it = (solve(dso.program, given(fleets, built=b)) for b in (0.0, 1.0))
    np.testing.assert_allclose(nodal_price(dso, with_it, winter), 0.08, rtol=1e-9)
    assert float(with_it.primal("shed").sum()) == pytest.approx(0.0, abs=1e-9)
    saved = without.objective - with_it.objective
    shed = float((without.primal("shed").sum("platform") * winter.hours_per_year).sum())
    assert saved == pytest.approx(shed * (economics.value_of_lost_load - 0.08), rel=1e-9)


def test_half_an_option_is_worth_no_more_than_half_of_it_in_rating(dso, fleets):
    cost = [solve(dso.program, given(fleets, share=1.0, built=b)).objective for b in (0.0, 0.5, 1.0)]
    assert cost[0] > cost[1] > cost[2]
    assert cost[1] <= (cost[0] + cost[2]) / 2 + 1e-6


def test_feed_in_beyond_the_rating_is_spilled_and_worthless_behind_the_branch(system, winter, economics, fleets):
    dso = north(changed(system, "branches", "rating_kva", {TRANSFORMER: 9.5}), winter, economics, fleets)
    solution = solve(dso.program, given(fleets, share=-0.9))
    price = nodal_price(dso, solution, winter)
    over = -drawn(fleets, -0.9)[0] - usable(fleets, 9.5)
    assert (over > 0).any()
    np.testing.assert_allclose(price[0], np.where(over > 0, -system.curtailment_cost, 0.08), atol=1e-9)
    np.testing.assert_allclose(price[1], 0.08, rtol=1e-9)
    np.testing.assert_allclose(solution.primal("spilled").sel(platform="north 1").values, np.maximum(over, 0.0), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("built", [0.0, 0.3, 1.0])
def test_derivatives_are_finite_differences_of_the_optimum(dso, winter, fleets, built):
    compiled, program = CompiledProgram(dso.program), dso.program
    rng = np.random.default_rng(1)
    share = rng.uniform(0.3, 1.0, (2, winter.periods))
    values = given(fleets, built=built) | {"exchange": share * drawn(fleets, 1.0), "energy_price": rng.uniform(0.03, 0.2, winter.periods)}
    p = program.parameters.vector(values)
    solution = compiled.solve_optimal(p)
    slope = program.sensitivity(solution.x, solution.y)
    step = 1e-4
    for k in [*rng.choice(program.parameters.size, 12, replace=False).tolist(), program.parameters["built"].offset]:
        up, down = p.copy(), p.copy()
        up[k] += step
        down[k] -= step
        if built in (0.0, 1.0) and k == program.parameters["built"].offset:
            continue
        measured = (compiled.solve_optimal(up).objective - compiled.solve_optimal(down).objective) / (2 * step)
        assert measured == pytest.approx(slope[k], rel=1e-5, abs=1e-3), program.parameters.label(k)


def test_any_exchange_can_be_served_shed_or_spilled(dso, fleets):
    low, high = (np.array([exchange_bounds(fleets[c])[k] for c in dso.children]) for k in (0, 1))
    compiled = CompiledProgram(dso.program)
    for exchange in (low, high, (low + high) / 2):
        solution = compiled.solve_optimal({"energy_price": 0.08, "exchange": exchange, "built": 0.0})
        assert np.isfinite(solution.bound)
        assert solution.gap == pytest.approx(0.0, abs=1e-9)


def everything_kept(tree, low, high, reactive, decided, moved=0.0, removed=0.0):
    """A reduction that reduces nothing: every branch rated and every voltage watched in every period."""
    n, periods = low.shape
    rated = np.ones((2, n, periods), dtype=bool)
    rated[:, 0] = False
    return ReducedTree(tree, np.arange(1, n), np.arange(n), rated, np.flatnonzero(~tree.reference), tree.below(low), tree.below(high))


@pytest.mark.parametrize("change", ["none", "ratings", "voltage"])
@pytest.mark.parametrize("share", [0.95, -0.95])
def test_the_reduced_network_costs_what_the_full_one_costs(system, winter, economics, fleets, monkeypatch, change, share):
    here = system
    if change == "ratings":
        here = changed(system, "branches", "rating_kva", {TRANSFORMER: 9.0, "north line 3": 500.0, "north line 1": 1500.0})
    if change == "voltage":
        here = changed(system, "buses", "v_min_pu", {"north 1 busbar": 0.999, "north bus 1": 0.999})
    values = given(fleets, share)
    reduced = north(here, winter, economics, fleets)
    with monkeypatch.context() as patch:
        patch.setattr(distribution_module, "reduce_tree", everything_kept)
        full = north(here, winter, economics, fleets)
    assert full.program.columns.size > reduced.program.columns.size
    costs = [solve(d.program, values).objective for d in (reduced, full)]
    assert costs[0] == pytest.approx(costs[1], rel=1e-9)


def test_the_reduced_platform_costs_what_the_full_one_costs(variant, winter, economics, fleets, prices, monkeypatch):
    reduced = platform_module.platform_program(fleets["north 1"], economics, Community(), network=variant.network("north 1"))
    monkeypatch.setattr(platform_module, "reduce_tree", everything_kept)
    full = platform_module.platform_program(fleets["north 1"], economics, Community(), network=variant.network("north 1"))
    assert full.rows.size > reduced.rows.size
    assert solve(reduced, prices).objective == pytest.approx(solve(full, prices).objective, rel=1e-9)


def test_a_sound_network_is_reduced_to_one_zone(tree):
    assert all(len(own.reduced.kept) == 0 for own in tree.distribution.values())


def test_exchange_is_the_sum_of_all_draws_below(dso, winter, tight, fleets):
    solution = solve(dso.program, given(fleets, built=1.0))
    passive = tight.passive("north", winter)
    wanted = drawn(fleets, 0.9).sum(axis=0) + (passive.demand - passive.generation).sum("bus").values
    np.testing.assert_allclose(solution.output("exchange").values, wanted, rtol=1e-9)


def test_platforms_answer_congestion_before_any_customer_is_cut_off(tight, winter, economics, fleets):
    """In one program, batteries and vehicles shift: the price behind the branch rises, but not to the value of lost load in every hour."""
    fleets = {p: f for p, f in fleets.items() if p.startswith("north")}
    alone = tight.cut(["north 1", "north 2"])
    tree = operating_tree(alone, winter, economics, fleets, Design(), Community())
    branch = dso_branch_program(tree, "north")
    free = dso_branch_program(tree.under(Design({f"reinforce {TRANSFORMER}": True})), "north")
    values = {"energy_price": np.full(winter.periods, 0.08)}
    held, relieved = solve(branch, values), solve(free, values)
    assert held.objective > relieved.objective + 1.0
    price = held.dual("balance").values / winter.hours_per_year
    kept = held.program.rows["balance"].coords["zone"].tolist()
    behind, before = price[kept.index("north 1 busbar")], price[0]
    np.testing.assert_allclose(before, 0.08, rtol=1e-7)
    assert behind.max() > 0.08 + 1e-3
    assert (behind <= economics.value_of_lost_load + 1e-9).all()


def test_connection_limits_are_the_usable_rating_with_what_is_built(tight, winter, economics, fleets):
    tree = operating_tree(tight, winter, economics, fleets, Design(), Community())
    reactive = fleets["north 1"].data.reactive.values.sum(axis=0)
    for design, rating in ((Design(), 30.0), (Design({f"reinforce {TRANSFORMER}": True}), 70.0)):
        limits = connection_limits(tree.under(design), "north")
        np.testing.assert_allclose(limits["north 1"][0], np.sqrt((USABLE * rating) ** 2 - reactive**2), rtol=1e-9)


def test_flows_below_a_branch_add_up(system, winter, fleets):
    tree = radial_tree(system.network("north"), LoadingLimits())
    values = np.zeros(len(tree.buses))
    where = {b: i for i, b in enumerate(tree.buses.tolist())}
    values[where["north 1 busbar"]], values[where["north bus 1"]], values[where["north 2 busbar"]] = 1.0, 2.0, 4.0
    below = tree.below(values)
    assert below[where["north bus 2"]] == 1.0
    assert below[where["north bus 1"]] == 3.0
    assert below[where["north busbar"]] == 7.0
    assert float(dso_reference(system, "north", winter, fleets).sum()) > 0


def test_parallel_branches_act_as_one_of_half_the_impedance(system):
    old = system.branches
    data = {str(c): np.append(old[c].values, old[c].sel(branch="north line 2").item()) for c in old.data_vars}
    twin = system.replace(branches=table("branch", np.append(old.branch.values, "twin"), data))
    one, two = (radial_tree(s.network("north"), LoadingLimits()) for s in (system, twin))
    i = one.buses.tolist().index("north bus 2")
    j = two.buses.tolist().index("north bus 2")
    assert two.rating[j] == 2 * one.rating[i]
    assert two.resistance[j] == pytest.approx(one.resistance[i] / 2)
    assert two.reactance[j] == pytest.approx(one.reactance[i] / 2)
    assert set(two.members[j]) == {"north line 2", "twin"}


def test_a_meshed_dso_is_refused_with_the_loop_named(system, winter, economics, fleets):
    old = system.branches
    data = {str(c): np.append(old[c].values, old[c].sel(branch="north line 4").item()) for c in old.data_vars}
    data["from_bus"][-1], data["to_bus"][-1] = "north bus 2", "north bus 4"
    meshed = system.replace(branches=table("branch", np.append(old.branch.values, "north ring"), data))
    with pytest.raises(MeshedNetworkError, match="network of 'north' is meshed: loop through north ring"):
        north(meshed, winter, economics, fleets)


def test_an_island_of_a_dso_is_refused_with_the_bus_named(system, winter, economics, fleets):
    cut = changed(system, "branches", "in_service", {"north line 2": False})
    with pytest.raises(MeshedNetworkError, match=r"'north bus 2', 'north 1 busbar'\] have no connection to 'bus B'"):
        north(cut, winter, economics, fleets)
