import numpy as np
import pytest
import xarray as xr

from multiscale.devices.fleet import Fleet
from multiscale.markets import Community
from multiscale.markets.reduction import reduced_fleet
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram
from multiscale.system import Economics, Growth, grow


@pytest.fixture(scope="module", params=["as it is", "grown"])
def fleet(request, system, winter, summer):
    if request.param == "as it is":
        return system.fleet("north 1", winter)
    return grow(system, Growth(heat_pump_share=0.6, ev_share=0.5, pv_share=0.6, battery_share=0.3)).fleet("south 1", summer)


def test_a_reduced_fleet_answers_every_price_as_the_fleet_does(fleet):
    reduced = reduced_fleet(fleet)
    full, small = (CompiledProgram(platform_program(f, Economics(), Community())) for f in (fleet, reduced))
    assert small.program.columns.size <= full.program.columns.size
    rng, n = np.random.default_rng(3), fleet.horizon.periods
    for spread in (0.02, 0.2, 1.0):
        for _ in range(4):
            price = rng.uniform(-0.3, 1.0, n) * spread
            signals = {"import_price": price, "export_price": price, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
            signals |= {"planned": np.zeros(n), "deviation_price": 0.0}
            assert small.solve_optimal(signals).objective == pytest.approx(full.solve_optimal(signals).objective, rel=1e-9, abs=1e-6)


def test_energy_and_power_are_kept(fleet):
    reduced = reduced_fleet(fleet)
    for name in ("demand", "pv", "ev", "heat_pump", "reactive"):
        np.testing.assert_allclose(fleet.data[name].sum("prosumer").values, reduced.data[name].sum("prosumer").values, atol=1e-9)
    for name in ("battery_energy", "battery_power", "heat_pump_power", "ev_power"):
        assert float(reduced.data[name].sum()) == pytest.approx(float(fleet.data[name].sum()))


def test_many_customers_with_devices_of_a_few_kinds_become_a_few(system, winter):
    fleet = grow(system, Growth(heat_pump_share=0.8, ev_share=0.8)).fleet("north 1", winter)
    copies = [fleet.data.assign_coords(prosumer=[f"{p} {k}" for p in fleet.data.prosumer.values]) for k in range(10)]
    scaled = [c.assign({f: c[f] * (1 + 0.1 * k) for f in ("heat_pump", "heat_pump_power", "ev", "ev_power")}) for k, c in enumerate(copies)]
    many = Fleet(fleet.node, fleet.horizon, xr.concat(scaled, dim="prosumer"))
    assert reduced_fleet(many).size <= reduced_fleet(fleet).size + 9 * int((many.data.battery_energy > 0).sum())
    assert reduced_fleet(many).size < many.size
