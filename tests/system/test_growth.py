import numpy as np
import pytest

from multiscale.system import Growth, InvalidSystemError, grow, validate
from multiscale.system.schema import table


def owners(system, kind):
    devices = system.devices
    return set(devices.prosumer.values[(devices.kind.values == kind) & (devices.prosumer.values != "")].tolist())


@pytest.mark.parametrize("kind", ["heat_pump", "ev", "pv", "battery"])
def test_a_share_is_reached_and_no_prosumer_loses_a_device(system, kind):
    count = len(system.prosumers.prosumer)
    growth = Growth(pv_share=0.9, **({f"{kind}_share": 0.8} if kind != "pv" else {}))
    grown = grow(system, growth)
    share = 0.9 if kind == "pv" else 0.8
    assert len(owners(grown, kind)) == round(share * count)
    assert owners(system, kind) < owners(grown, kind)
    assert validate(grown) == []


def test_a_higher_share_keeps_everyone_who_had_the_device_at_a_lower_one(system):
    low, high = (owners(grow(system, Growth(ev_share=s)), "ev") for s in (0.6, 0.8))
    assert low < high


def test_the_choice_of_owners_of_one_kind_does_not_depend_on_another(system):
    assert owners(grow(system, Growth(ev_share=0.7)), "ev") == owners(grow(system, Growth(ev_share=0.7, heat_pump_share=0.7)), "ev")


def test_another_seed_chooses_others(system):
    assert owners(grow(system, Growth(ev_share=0.6, seed=1)), "ev") != owners(grow(system, Growth(ev_share=0.6, seed=2)), "ev")


def test_batteries_go_to_prosumers_with_pv_only(system):
    grown = grow(system, Growth(battery_share=1.0))
    assert owners(grown, "battery") == owners(grown, "pv")


def test_shares_below_what_exists_change_nothing_but_the_notes(system):
    grown = grow(system, Growth())
    assert grown.devices.identical(system.devices)
    assert grown.notes[-1] == "growth: no new devices, inflexible demand x 1"


def test_load_factor_scales_inflexible_demand_alone(system, winter):
    before, after = (s.fleet("north 1", winter).data for s in (system, grow(system, Growth(load_factor=1.5))))
    np.testing.assert_allclose(after.demand, 1.5 * before.demand, rtol=1e-12)
    np.testing.assert_allclose(after.reactive, 1.5 * before.reactive, rtol=1e-12)
    np.testing.assert_allclose(after.heat_pump, before.heat_pump, rtol=1e-12)


def test_a_new_vehicle_charges_the_energy_asked_for(system):
    grown = grow(system, Growth(ev_share=1.0, ev_kwh_per_year=2500.0, ev_kw=7.4))
    new = grown.devices.isel(device=[i for i, d in enumerate(grown.devices.device.values.tolist()) if d.endswith("new ev")])
    profile = grown.profiles.p.sel(profile=new.profile.values[0])
    years = len(profile) / 8760
    assert float(profile.sum()) * 7.4 / years == pytest.approx(2500.0, rel=1e-5)


def test_a_kind_without_a_profile_to_follow_is_refused(system):
    devices = system.devices.isel(device=np.flatnonzero(system.devices.kind.values != "heat_pump"))
    bare = system.replace(devices=table("device", devices.device.values, {c: devices[c].values for c in devices.data_vars}))
    with pytest.raises(InvalidSystemError, match=r"heat_pump_share 0\.5 asks for new devices, but the system has no heat_pump whose profile"):
        grow(bare, Growth(heat_pump_share=0.5))


def test_vehicles_that_never_charge_are_no_example_for_new_ones(system):
    never = system.profiles.p.where(system.profiles.profile != "vehicle", 0.0)
    with pytest.raises(InvalidSystemError, match="profile 'vehicle': p 0 1"):
        grow(system.replace(profiles=system.profiles.assign(p=never)), Growth(ev_share=1.0))
