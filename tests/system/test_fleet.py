import numpy as np
import pandas as pd
import pytest

from multiscale.devices import Offer
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve
from multiscale.system.schema import table
from multiscale.timeline import Horizon


@pytest.fixture(scope="module")
def fleet(system, winter):
    return system.fleet("north 1", winter)


def test_power_of_a_prosumer_is_rating_times_profile(system, winter, fleet):
    device = system.devices.sel(device="north 1 prosumer 2 vehicle")
    profile, _ = winter.sample(system.profiles, np.array([device.profile.item()]))
    np.testing.assert_allclose(fleet.data.ev.sel(prosumer="north 1 prosumer 2"), float(device.p_kw) * profile[0])
    assert float(fleet.data.ev_power.sel(prosumer="north 1 prosumer 2")) == float(device.p_kw)


def test_devices_of_one_kind_behind_one_meter_add_up(system, winter):
    devices = system.devices.to_dataframe()
    twin = devices.loc[["north 1 prosumer 1 battery"]].rename(index={"north 1 prosumer 1 battery": "second"})
    twin["e_kwh"], twin["efficiency"] = 18.0, 0.85
    both = pd.concat([devices, twin])
    data = system.replace(devices=table("device", both.index, {c: both[c].to_numpy() for c in both.columns})).fleet("north 1", winter).data
    mine = data.sel(prosumer="north 1 prosumer 1")
    assert float(mine.battery_energy) == 6.0 + 18.0
    assert float(mine.battery_power) == 6.0
    assert float(mine.battery_efficiency) == pytest.approx((6.0 * 0.95 + 18.0 * 0.85) / 24.0)


def test_a_fleet_of_several_days_is_its_days_one_after_the_other(system):
    days = (pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15"))
    both = Horizon(days, (100.0, 266.0), 2.0)
    fleet = system.fleet("south 2", both)
    for k in range(2):
        alone = system.fleet("south 2", Horizon(days[k : k + 1], both.weights[k : k + 1], 2.0))
        assert fleet.day(k).data.identical(alone.data)
        assert fleet.day(k).horizon == alone.horizon


def test_aggregation_keeps_power_and_energy(fleet):
    one = fleet.aggregate(np.full(fleet.size, "all"))
    assert one.size == 1
    for name in ("demand", "reactive", "pv", "ev", "heat_pump", "pv_rating", "ev_power", "heat_pump_power", "battery_power", "battery_energy"):
        np.testing.assert_allclose(one.data[name].isel(prosumer=0), fleet.data[name].sum("prosumer"), rtol=1e-12)
    energy = fleet.data.battery_energy
    assert float(one.data.battery_efficiency[0]) == pytest.approx(float((energy * fleet.data.battery_efficiency).sum() / energy.sum()))


def test_a_fleet_seen_as_one_participant_costs_no_more(fleet, economics):
    """The aggregate can do whatever its members can do, without the fee of trading: its cost is a lower bound."""
    hours = fleet.horizon
    prices = {"import_price": 0.1 + 0.05 * np.sin(np.arange(hours.periods)), "network_charge": 0.04}
    prices["export_price"] = prices["import_price"] - 0.02
    members = solve(platform_program(fleet, economics, Community(), agreements=False), prices)
    one = solve(platform_program(fleet.aggregate(np.full(fleet.size, "all")), economics, Community(), agreements=False), prices)
    assert one.objective <= members.objective + 1e-6
    assert one.objective >= 0.9 * members.objective


def offer(profile):
    return {"photovoltaics": Offer(np.full(4, 12.0), profile), "battery": Offer(np.full(4, 20.0), 0 * profile)}


def test_bought_capacity_is_shared_out_completely(fleet):
    yielded = np.linspace(0, 1, fleet.horizon.periods)
    more = fleet.with_more({"photovoltaics": 12.0, "battery": 20.0}, offer(yielded)).data
    before = fleet.data
    assert float((more.pv_rating - before.pv_rating).sum()) == pytest.approx(12.0)
    assert float((more.battery_energy - before.battery_energy).sum()) == pytest.approx(20.0)
    assert float((more.battery_power - before.battery_power).sum()) == pytest.approx(10.0)
    np.testing.assert_allclose((more.pv - before.pv).sum("prosumer"), 12.0 * yielded)
    assert ((more.battery_efficiency >= 0.95 - 1e-12) & (more.battery_efficiency <= 1)).all()


def test_with_more_leaves_the_original_alone(fleet):
    before = fleet.data.copy(deep=True)
    fleet.with_more({"photovoltaics": 5.0, "battery": 5.0}, offer(np.ones(fleet.horizon.periods)))
    assert before.identical(fleet.data)
