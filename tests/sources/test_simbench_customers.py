"""Every plain load a prosumer: the same devices and energies, more owners."""

import numpy as np
import pandas as pd
import pytest

import multiscale.sources.simbench as source
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.markets import Community
from multiscale.markets.reduction import reduced_fleet
from multiscale.operation import operating_tree
from multiscale.operation.platform import platform_program
from multiscale.programs import solve
from multiscale.sources import SimbenchSettings
from multiscale.sources.selection import study_system
from multiscale.sources.simbench import convert, simbench_system
from multiscale.sources.simbench_devices import device_owner
from multiscale.system import Economics, Growth, grow, validate
from multiscale.system.problem import InvalidSystemError
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_verify
from multiscale.verification.injections import bus_injections
from tests.sources.simbench_networks import MVLV, network, system
from tests.variants import charged, priced

SUNNY = Horizon((pd.Timestamp("2016-05-08"),), (366.0,), 2.0)


@pytest.fixture(scope="module")
def points():
    return system(MVLV)


@pytest.fixture(scope="module")
def customers():
    return convert(network(MVLV), MVLV, "customers")


def operated(system, economics):
    """Integrated optimum of a sunny day, its program and the day's system."""
    day = system.restricted(SUNNY)
    fleets = {p: day.fleet(p, SUNNY) for p in day.at_level("platform")}
    tree = operating_tree(day, SUNNY, economics, fleets, charged(day.at_level("dso"), 0.05), Community())
    return day, tree, integrated_optimum(tree, tolerance=1e-9)


def test_devices_and_their_energies_are_the_same_and_each_has_one_owner(points, customers):
    assert validate(customers) == []
    before, after = points.devices.to_dataframe(), customers.devices.to_dataframe()
    pd.testing.assert_frame_equal(before.drop(columns="prosumer"), after.drop(columns="prosumer"))
    assert ((before["prosumer"] == "") == (after["prosumer"] == "")).all()
    assert set(after["prosumer"]) - {""} == set(customers.prosumers.prosumer.values)
    platform = points.at_level("platform")[0]
    one, other = (s.fleet(platform, SUNNY).data for s in (points, customers))
    for name in ("demand", "reactive", "pv", "ev", "heat_pump", "pv_rating", "battery_energy", "battery_power"):
        np.testing.assert_allclose(one[name].sum("prosumer"), other[name].sum("prosumer"), rtol=1e-12, err_msg=name)


def test_every_plain_load_of_a_platform_is_one_prosumer_and_some_share_a_bus(points, customers):
    after = customers.devices.to_dataframe()
    plain = after[(after["kind"] == "load") & (after["prosumer"] != "")]
    assert (plain["prosumer"] == plain.index).all()
    assert customers.prosumers.sizes["prosumer"] == 41 > points.prosumers.sizes["prosumer"] == 39
    assert set(customers.prosumers.bus.values) == set(points.prosumers.bus.values)
    assert any("41 customers at 39 connection points" in note for note in customers.notes)


def test_devices_are_dealt_out_kind_by_kind_the_largest_to_the_largest():
    devices = pd.DataFrame(
        [("a", "load", 2.0), ("a", "load", 5.0), ("a", "pv", 3.0), ("a", "pv", 9.0), ("a", "pv", 1.0), ("a", "battery", 4.0), ("b", "ev", 11.0)],
        index=["small", "large", "pv 3", "pv 9", "pv 1", "store", "car"],
        columns=["bus", "kind", "p_kw"],
    )
    owner = {"small": "small", "large": "large", "pv 9": "large", "pv 3": "small", "pv 1": "large", "store": "large", "car": "b"}
    assert device_owner(devices, "customers").to_dict() == owner
    assert set(device_owner(devices, "connection_points")) == {"a", "b"}


def test_trading_within_a_house_costs_the_fee_and_nothing_else(points, customers):
    """At most one flexible device of a kind stands at each bus of this case, so without a fee who owns what changes nothing."""
    free, fee = Economics(tariff=priced(trading_fee=0.0)), Economics(tariff=priced(trading_fee=0.03))
    costs = {k: [operated(s, e)[2].cost for s in (points, customers)] for k, e in (("free", free), ("fee", fee))}
    assert costs["free"][1] == pytest.approx(costs["free"][0], rel=1e-9)
    assert costs["fee"][1] >= costs["fee"][0] * (1 + 1e-9)


def test_several_prosumers_at_one_bus_inject_their_sum_and_keep_the_power_flow(customers):
    day, tree, outcome = operated(customers, Economics())
    dso = day.at_level("dso")[0]
    injections = bus_injections(tree, outcome, [dso])
    program, fleet = tree.platforms["LV4.101"], tree.fleets["LV4.101"].data
    buses, count = np.unique(fleet.bus.values, return_counts=True)
    shared = buses[count > 1][0]
    x = outcome.platform_x["LV4.101"]
    net = (program.columns.array("buy", x).values - program.columns.array("sell", x).values)[fleet.bus.values == shared]
    assert len(net) > 1
    np.testing.assert_allclose(injections.p.sel(bus=shared), net.sum(axis=0), atol=1e-9)
    verification = ac_verify(day, [dso, "LV4.101"], SUNNY, injections)
    assert verification.result.converged.values.all()


def test_the_reduced_fleet_answers_as_all_customers_do(customers):
    fleet = customers.fleet("LV4.101", SUNNY)
    price = np.linspace(0.02, 0.2, SUNNY.periods)
    signals = {"import_price": price, "export_price": price, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
    signals |= {"planned": 0.0, "deviation_price": 0.0}
    whole, fewer = (solve(platform_program(f, Economics(), Community()), signals).objective for f in (fleet, reduced_fleet(fleet)))
    assert fewer == pytest.approx(whole, rel=1e-9)


def test_growth_reaches_customers_one_by_one(customers):
    grown = grow(customers, Growth(heat_pump_share=1.0, pv_share=0.5))
    assert validate(grown) == []
    devices = grown.devices.to_dataframe()
    assert set(devices.loc[devices["kind"] == "heat_pump", "prosumer"]) >= set(grown.prosumers.prosumer.values)


def test_both_choices_are_kept_side_by_side_and_reached_by_a_study(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "load_network", network)
    monkeypatch.setenv("MULTISCALE_CACHE", str(tmp_path))
    sizes = [study_system(SimbenchSettings(code=MVLV, prosumers=p)).prosumers.sizes["prosumer"] for p in ("customers", "connection_points") * 2]
    assert sizes == [41, 39, 41, 39]
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(InvalidSystemError, match=r"prosumers 'houses' is unknown; choose from connection_points, customers"):
        simbench_system(MVLV, prosumers="houses")
