"""A network with nothing above its distribution: surplus is fed into the external grid at the price of supply, not curtailed."""

import numpy as np
import pandapower as pp
import pytest

from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.markets import Community
from multiscale.operation import Transmission, operating_tree
from multiscale.representative_days import representative_days
from multiscale.sources import pandapower_system
from multiscale.system import Economics, InvalidSystemError, reinforcement_options, validate
from multiscale.system.yearly import yearly_profiles
from tests.made_once import empty_network
from tests.variants import charged


@pytest.fixture
def sunny_feeder():
    """A 20 kV busbar, a 400 kVA transformer, one customer with 5 kW of demand and 60 kW of constant generation."""
    net = empty_network()
    high, low, end = (pp.create_bus(net, vn_kv=v, name=n) for v, n in ((20.0, "busbar"), (0.4, "station"), (0.4, "farm")))
    pp.create_ext_grid(net, high)
    pp.create_transformer(net, high, low, "0.4 MVA 20/0.4 kV")
    pp.create_line(net, low, end, 0.1, "NAYY 4x150 SE")
    pp.create_load(net, end, 0.005, 0.001, name="farm load")
    pp.create_sgen(net, end, 0.060, name="farm roof", type="PV")
    return pandapower_system(net)


def test_the_external_grid_takes_what_it_may_supply(sunny_feeder):
    unit = sunny_feeder.generators
    np.testing.assert_allclose(unit.p_min_kw, -unit.p_max_kw)
    assert validate(sunny_feeder) == []


def test_a_feeder_with_surplus_exports_it_and_curtails_nothing(sunny_feeder):
    system, economics = sunny_feeder, Economics()
    horizon = representative_days(yearly_profiles(system, system.at_level("dso")), 1, 1.0).horizon
    fleets = {p: system.fleet(p, horizon) for p in system.at_level("platform")}
    price = float(system.generators.cost_eur_per_kwh[0])

    fed_in = np.full((1, horizon.periods), -55.0)
    dispatch = Transmission(system, horizon, economics).dispatch(fed_in)
    np.testing.assert_allclose(dispatch.price, price)
    np.testing.assert_allclose(dispatch.generation, fed_in)
    np.testing.assert_allclose(dispatch.cost, -55.0 * price * horizon.hours_per_year)

    dso = system.at_level("dso")[0]
    tree = operating_tree(system, horizon, economics, fleets, charged([dso], 0.04), Community())
    outcome = integrated_optimum(tree)
    (platform,) = tree.platforms
    columns = tree.platforms[platform].columns
    np.testing.assert_allclose(columns.array("pv", outcome.platform_x[platform]).values, 60.0, rtol=1e-6)
    np.testing.assert_allclose(outcome.exchange[platform], -55.0, rtol=1e-6)


def test_a_unit_cannot_take_more_than_it_may_supply(sunny_feeder):
    unit = sunny_feeder.generators
    worse = sunny_feeder.replace(generators=unit.assign(p_min_kw=2.0 * unit.p_min_kw))
    (problem,) = validate(worse)
    assert "is below minus its p_max_kw" in str(problem)


@pytest.mark.parametrize(
    ("rating", "added", "measure"),
    [(400.0, 230.0, "larger"), (1600.0, 900.0, "larger"), (2500.0, 2500.0, "parallel"), (4000.0, 4000.0, "parallel")],
)
def test_one_more_of_the_same_comes_after_all_larger_single_units(sunny_feeder, rating, added, measure):
    from multiscale.sources import reinforcement_costs

    branches = sunny_feeder.branches
    unit = str(branches.branch.values[branches.kind.values == "transformer"][0])
    system = sunny_feeder.replace(branches=branches.assign(rating_kva=branches.rating_kva.where(branches.branch != unit, rating)))
    option = reinforcement_options(system, [unit], reinforcement_costs())
    assert float(option.added_rating_kva[0]) == added
    assert str(option.measure.values[0]).startswith(measure)


def test_a_branch_without_a_row_in_the_cost_table_is_named(sunny_feeder):
    from multiscale.sources import reinforcement_costs

    costs = reinforcement_costs()
    with pytest.raises(InvalidSystemError, match=r"rating_kva .* kVA at 20 kV has no fitting row in the reinforcement cost table"):
        reinforcement_options(sunny_feeder, [str(sunny_feeder.branches.branch.values[-1])], costs[costs["kind"] == "line"])
