import time

import numpy as np
import pytest

from multiscale.sources.tiny import tiny_system
from multiscale.system.problem import InvalidSystemError
from multiscale.system.schema import table
from multiscale.system.validation import validate

COMPONENT_OF = {
    "nodes": "node",
    "buses": "bus",
    "branches": "branch",
    "prosumers": "prosumer",
    "devices": "device",
    "generators": "generator",
}


def changed(system, name, identifier, **values):
    component = COMPONENT_OF[name]
    old = getattr(system, name)
    data = {str(c): old[c].values.astype(object) for c in old.data_vars}
    for column, value in values.items():
        data[column][old[component].values == identifier] = value
    return system.replace(**{name: table(component, old[component].values, data)})


def messages(system):
    return [str(p) for p in validate(system)]


def test_a_sound_system_has_no_problems():
    assert validate(tiny_system()) == []


@pytest.mark.parametrize(
    ("name", "identifier", "values", "message"),
    [
        (
            "branches",
            "north line 1",
            {"rating_kva": -5.0},
            "branch 'north line 1': rating_kva -5 kVA is not above zero; give a rating or set in_service to false",
        ),
        (
            "branches",
            "north line 1",
            {"r_ohm": -0.1},
            "branch 'north line 1': r_ohm -0.1 ohm is below zero, which below the top only a leg of a three-winding transformer may have; ",
        ),
        ("branches", "north line 1", {"rating_kva": np.nan}, "branch 'north line 1': rating_kva nan kVA is missing; give a number"),
        ("branches", "north line 1", {"kind": "cable"}, "branch 'north line 1': kind 'cable' is not known; choose from line, transformer"),
        (
            "branches",
            "north line 1",
            {"to_bus": "north bus1"},
            "branch 'north line 1': to_bus 'north bus1' is no bus of the system (close: 'north bus 1', ",
        ),
        (
            "branches",
            "north line 1",
            {"to_bus": "north busbar"},
            "branch 'north line 1': to_bus 'north busbar' is also its from_bus; connect two different buses",
        ),
        (
            "branches",
            "north line 1",
            {"r_ohm": 0.0, "x_ohm": 0.0},
            "branch 'north line 1': x_ohm 0 ohm and r_ohm 0 ohm are both zero; give an impedance, or fuse the two buses",
        ),
        (
            "branches",
            "north 1 MV/LV transformer",
            {"vn_lv_kv": 400.0},
            "branch 'north 1 MV/LV transformer': vn_lv_kv 400 kV does not fit the 0.4 kV of its bus; give the rated voltage",
        ),
        ("buses", "north bus 1", {"v_min_pu": 1.2}, "bus 'north bus 1': v_min_pu 1.2 pu is above its v_max_pu 1.055 pu; exchange or correct them"),
        (
            "devices",
            "north town",
            {"profile": "citty"},
            "device 'north town': profile 'citty' is no profile of the system (close: 'city'); name one that exists, or add it",
        ),
        ("devices", "north town", {"p_kw": -3.0}, "device 'north town': p_kw -3 kW is below 0 kW; give a value of at least 0"),
        (
            "devices",
            "north 1 prosumer 1 PV",
            {"bus": "north 1 bus 2"},
            "device 'north 1 prosumer 1 PV': bus 'north 1 bus 2' is not the connection point 'north 1 bus 1' of its prosumer 'north 1 prosumer 1'; "
            "move one of them",
        ),
        (
            "prosumers",
            "north 1 prosumer 1",
            {"node": "north"},
            "prosumer 'north 1 prosumer 1': node 'north' is a dso; a prosumer trades on a platform",
        ),
        ("generators", "alta", {"cost_eur_per_kwh": 18.0}, "generator 'alta': cost_eur_per_kwh 18 EUR/kWh is above 10 EUR/kWh; "),
        ("generators", "alta", {"p_min_kw": 5e3}, "generator 'alta': p_min_kw 5000 kW is above its p_max_kw 4000 kW; lower it"),
        ("nodes", "north 1", {"parent": "south 1"}, "node 'north 1': parent 'south 1' is a platform, which cannot be above a platform; "),
        ("nodes", "north 1", {"parent": "noth"}, "node 'north 1': parent 'noth' is no node of the system (close: 'north'"),
        ("nodes", "north", {"parent": ""}, "node 'transmission, north': parent '' marks 2 top nodes; exactly one node has no parent"),
    ],
)
def test_every_mistake_is_named_with_component_field_value_unit_and_remedy(name, identifier, values, message):
    found = messages(changed(tiny_system(), name, identifier, **values))
    assert any(text.startswith(message) for text in found), found


def test_a_line_does_not_join_two_voltages():
    found = messages(changed(tiny_system(), "branches", "north 1 line 1", from_bus="north bus 2"))
    assert any("differs from the 20 kV at its other end" in text for text in found)


def test_an_island_names_its_buses():
    found = messages(changed(tiny_system(), "branches", "north 1 line 3", in_service=False))
    assert found == [
        "node 'north 1': island 'north 1 bus 3', 'north 1 bus 4' is 2 buses without a connection to its boundary bus; "
        "close a branch that leads there, or remove them"
    ]


def test_a_platform_that_its_parent_does_not_supply_is_an_island():
    """Also where the branch that supplied it is not in the data at all, so that no bus of the parent is left alone."""
    system = tiny_system()
    lost = system.branches.branch.values.astype(str) == "north 1 MV/LV transformer"
    found = messages(system.replace(branches=system.branches.isel(branch=~lost)))
    assert "node 'north': island 'north 1 busbar' is 1 bus without a connection to its boundary bus; close a branch that leads there" in found[0]


def test_an_island_of_the_transmission_level_is_found():
    system = changed(tiny_system(), "branches", "line A-E", in_service=False)
    found = messages(changed(system, "branches", "line D-E", in_service=False))
    assert found == [
        "node 'transmission': island 'bus E' is 1 bus without a connection to its network; close a branch that leads there, or remove them"
    ]


def test_a_loop_below_the_top_names_its_branches():
    system = tiny_system()
    extra = {
        str(c): np.append(system.branches[c].values.astype(object), system.branches[c].sel(branch="north line 2").item())
        for c in system.branches.data_vars
    }
    extra["from_bus"][-1], extra["to_bus"][-1] = "north bus 2", "north bus 4"
    closed = system.replace(branches=table("branch", np.append(system.branches.branch.values, "north tie"), extra))
    problems = validate(closed)
    assert [(p.component, p.identifier, p.field) for p in problems] == [("node", "north", "loop")]
    assert set(problems[0].value.replace("'", "").split(", ")) == {"north tie", "north line 1", "north line 2", "north line 3", "north line 4"}
    assert validate(changed(closed, "branches", "north tie", in_service=False)) == []


def test_a_gap_in_a_profile_is_named_with_its_first_time_stamp():
    system = tiny_system()
    profiles = system.profiles.copy(deep=True)
    column = profiles.profile.values.tolist().index("pv")
    profiles.p.values[100:104, column] = np.nan
    assert messages(system.replace(profiles=profiles)) == [
        "profile 'pv': p nan at 2016-01-05 04:00:00 is the first of 4 gaps; fill them or leave the profile out"
    ]


def test_uneven_time_stamps_are_named():
    system = tiny_system()
    shifted = system.profiles.isel(time=np.delete(np.arange(len(system.profiles.time)), 50))
    found = messages(system.replace(profiles=shifted))
    assert found == ["profile 'time': step 120 min after 2016-01-03 01:00:00 differs from the first; give evenly spaced, increasing time stamps"]


def test_power_in_kw_where_mw_is_declared_is_suspected():
    """A 3 kW load read as 3 MW: 3000 kW behind cables of 98 kVA."""
    found = messages(changed(tiny_system(), "devices", "north 1 prosumer 2 load", p_kw=4000.0))
    assert found == [
        "device 'north 1 prosumer 2 load': p_kw 4000 kW is out of proportion to the 196.8 kVA of the branches at bus 'north 1 bus 2'; is it in kW?"
    ]


def test_all_loads_a_thousandfold_are_suspected_once_per_bus():
    system = tiny_system()
    data = {str(c): system.devices[c].values for c in system.devices.data_vars}
    data["p_kw"] = data["p_kw"] * np.where(np.char.startswith(system.devices.device.values, "north 1"), 1e3, 1.0)
    problems = validate(system.replace(devices=table("device", system.devices.device.values, data)))
    assert {p.component for p in problems} == {"device"}
    assert all("is it in kW?" in p.message for p in problems)


def test_duplicate_names_are_found():
    system = tiny_system()
    names = system.buses.bus.values.copy()
    names[1] = names[0]
    doubled = table("bus", names, {str(c): system.buses[c].values for c in system.buses.data_vars})
    assert "bus 'bus A': bus 'bus A' occurs more than once; give every one a name of its own" in messages(system.replace(buses=doubled))


def test_the_error_lists_all_problems_numbered():
    system = changed(tiny_system(), "branches", "north line 1", rating_kva=0.0)
    system = changed(system, "devices", "north town", p_kw=-1.0, profile="x")
    error = InvalidSystemError(validate(system))
    lines = str(error).splitlines()
    assert lines[0] == "the system has 3 problems:"
    assert [line[:5] for line in lines[1:]] == ["  1. ", "  2. ", "  3. "]
    assert len(error.problems) == 3


def test_validation_takes_a_fraction_of_a_second():
    system = tiny_system()
    start = time.perf_counter()
    validate(system)
    assert time.perf_counter() - start < 1.0


def transmission_options(**columns):
    """The built-in system with options on branches of its transmission network."""
    system = tiny_system()
    count = len(columns["branch"])
    return system.replace(options=table("option", [f"option {k}" for k in range(count)], {"cost_eur": [1e5] * count, **columns}))


def test_options_on_transmission_that_cannot_be_are_named():
    good = transmission_options(branch=["line A-E", "line D-E"], added_rating_kva=[1e4, 1e4])
    assert messages(good) == []
    twice = transmission_options(branch=["line A-E", "line A-E"], added_rating_kva=[1e4, 2e4])
    assert messages(twice) == [
        "option 'option 1': branch 'line A-E' has another option already, and a branch of the transmission network may have one; keep one of them"
    ]
    tap = transmission_options(branch=["line A-E"], kind=["voltage_regulator"], voltage_band_percent=[10.0])
    assert messages(tap) == [
        "option 'option 0': branch 'line A-E' is a branch of the transmission network, whose DC power flow knows ratings and reactances alone; "
        "choose another kind"
    ]
    nowhere = transmission_options(branch=["line A-Z"], added_rating_kva=[1e4])
    assert len(messages(nowhere)) == 1
    assert messages(nowhere)[0].startswith("option 'option 0': branch 'line A-Z' is no branch of the system")


def test_a_transmission_network_without_limits_is_named():
    unlimited = changed(tiny_system(), "branches", "line D-E", rating_kva=np.inf)
    assert "branch 'line D-E': rating_kva inf kVA is infinite; give a number" in messages(unlimited)
