import numpy as np

from multiscale.sources.tiny import tiny_system
from multiscale.system.schema import table


def with_branches(system, **columns):
    data = {str(c): system.branches[c].values.copy() for c in system.branches.data_vars}
    for name, changes in columns.items():
        for branch, value in changes.items():
            data[name][system.branches.branch.values == branch] = value
    return system.replace(branches=table("branch", system.branches.branch.values, data))


def test_a_radial_network_has_neither_islands_nor_loops():
    system = tiny_system()
    for node in system.at_level("dso") + system.at_level("platform"):
        network = system.network(node)
        assert network.islands() == []
        assert network.loops() == []
        assert network.active.sizes["branch"] == network.buses.sizes["bus"] - 1


def test_number_of_loops_of_the_transmission_level_is_branches_minus_buses_plus_one():
    network = tiny_system().network("transmission")
    assert len(network.loops()) == network.active.sizes["branch"] - network.buses.sizes["bus"] + 1 == 2


def test_a_loop_is_named_by_branches_that_close_it():
    network = tiny_system().network("transmission")
    ends = {
        b: {s, e} for b, s, e in zip(network.branches.branch.values, network.branches.from_bus.values, network.branches.to_bus.values, strict=True)
    }
    for loop in network.loops():
        buses = [bus for branch in loop for bus in ends[branch]]
        assert all(buses.count(bus) == 2 for bus in buses)


def test_an_opened_branch_leaves_everything_behind_it_as_an_island():
    system = with_branches(tiny_system(), in_service={"north 1 line 2": False})
    assert system.network("north 1").islands() == [["north 1 bus 2", "north 1 bus 3", "north 1 bus 4"]]


def test_parallel_branches_are_no_loop():
    system = tiny_system()
    data = {str(c): np.append(system.branches[c].values, system.branches[c].sel(branch="north 1 line 2").item()) for c in system.branches.data_vars}
    doubled = system.replace(branches=table("branch", np.append(system.branches.branch.values, "twin"), data))
    assert doubled.network("north 1").loops() == []
