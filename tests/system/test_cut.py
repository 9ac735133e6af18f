import numpy as np
import pytest

from multiscale.operation.tree import dso_reference
from multiscale.system import validate
from multiscale.system.yearly import yearly_profiles


def test_a_cut_keeps_the_named_nodes_and_their_ancestors(system):
    cut = system.cut(["north 1"])
    assert cut.nodes.node.values.tolist() == ["transmission", "north", "north 1"]
    assert validate(cut) == []
    assert set(cut.prosumers.node.values.tolist()) == {"north 1"}


def test_a_cut_keeps_demand_and_generation_of_all(system, winter):
    """What is dropped is still drawn, as passive demand: the exchange of the DSO without flexibility is the same."""
    cut = system.cut(["north 1"])
    whole = dso_reference(system, "north", winter, {p: system.fleet(p, winter) for p in ("north 1", "north 2")})
    part = dso_reference(cut, "north", winter, {"north 1": cut.fleet("north 1", winter)})
    np.testing.assert_allclose(part, whole, rtol=1e-9)


def test_a_dropped_dso_is_passive_at_its_transmission_bus(system, winter):
    cut = system.cut(["north"])
    before, after = (s.passive("transmission", winter).sel(bus="bus C") for s in (system, cut))
    below = dso_reference(system, "east", winter, {p: system.fleet(p, winter) for p in ("east 1", "east 2")})
    gained = (after.demand - before.demand - after.generation + before.generation).values
    np.testing.assert_allclose(gained, below, rtol=1e-9)
    assert "east HV/MV transformer" not in cut.branches.branch.values


def test_a_transformer_that_feeds_only_a_dropped_platform_goes_with_it(system):
    cut = system.cut(["north 1", "north"])
    assert "north 2 MV/LV transformer" not in cut.branches.branch.values
    assert "north 1 MV/LV transformer" in cut.branches.branch.values
    assert cut.network("north").islands() == []


def test_yearly_profiles_survive_a_cut(system):
    before, after = (yearly_profiles(s, ["north"]) for s in (system, system.cut(["north 2"])))
    np.testing.assert_allclose(after["net load"], before["net load"], rtol=1e-6, atol=1e-3)


def test_a_cut_to_everything_changes_nothing(system):
    cut = system.cut(system.nodes.node.values.tolist())
    assert cut.branches.identical(system.branches)
    assert cut.buses.equals(system.buses)
    assert cut.notes == system.notes


def test_an_unknown_node_is_named(system):
    with pytest.raises(KeyError, match=r"system 'tiny' has no node \['nord'\]"):
        system.cut(["nord"])
