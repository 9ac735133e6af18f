"""A heat pump with a thermal model: heat balance by hand, what a comfort band is worth, and a study from a folder of tables."""

import numpy as np
import pandas as pd
import pytest

from multiscale.config import load_config
from multiscale.devices import device_settings
from multiscale.devices.thermal_heat_pump import ThermalHeatPump
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve
from multiscale.sources.folder import folder_system, write_folder
from multiscale.study import run_study
from multiscale.system import InvalidSystemError, validate
from multiscale.timeline import Horizon
from tests.devices.conftest import system_with, with_temperature

HOUSE = {"heat_capacity": 8.0, "heat_loss": 0.2, "set_point": 20.0, "outdoor_profile": "outdoor temperature"}
EXAMPLE = {"kind": "thermal_heat_pump", "p_kw": 4.0} | HOUSE


def answer(fleet, economics, price):
    signals = {"import_price": price, "export_price": 0.0, "network_charge": 0.0}
    return solve(platform_program(fleet, economics, Community(), agreements=False), signals)


def settings(**changes):
    return device_settings(thermal_heat_pump=changes)


def test_coefficient_of_performance_is_a_share_of_carnots_up_to_its_largest():
    pump = ThermalHeatPump(carnot_share=0.4, flow_temperature=40.0, largest_cop=5.0)
    found = pump.cop(np.array([-10.0, 0.0, 35.0, 45.0]))
    np.testing.assert_allclose(found, [0.4 * 313.15 / 50.0, 0.4 * 313.15 / 40.0, 5.0, 5.0], rtol=1e-12)


def test_heat_balance_of_one_period_by_hand(fleet_of, economics):
    """One period a day, cyclic: the room stays at the lower end of its band, so COP * P = U (S - band - O)."""
    day = Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 24.0)
    fleet = fleet_of("thermal_heat_pump", day, sizes=(1.0,), settings=settings(band=1.5))
    outdoor = 20.0 - float(fleet.data.heat_need.max()) / 0.2
    cop = 0.45 * (40.0 + 273.15) / (40.0 - outdoor)
    solution = answer(fleet, economics, 0.2)
    assert float(solution.primal("thermal_heat_pump")[0, 0]) == pytest.approx(0.2 * (20.0 - 1.5 - outdoor) / cop, rel=1e-6)
    assert float(solution.primal("heat_within")[0, 0]) == pytest.approx(-8.0 * 1.5, rel=1e-9)
    assert float(solution.primal("heat_missing")[0, 0]) == pytest.approx(0.0, abs=1e-9)


def test_without_a_band_the_consumption_is_that_of_the_steady_state(fleet_of, winter, economics):
    fleet = fleet_of("thermal_heat_pump", winter, settings=settings(band=0.0))
    price = 0.2 + 0.15 * np.sin(np.arange(winter.periods))
    steady = (fleet.data.heat_need / fleet.data.heat_cop).values[:3]
    assert steady.min() > 0
    np.testing.assert_allclose(answer(fleet, economics, price).primal("thermal_heat_pump").values, steady, atol=1e-7)
    np.testing.assert_allclose(fleet.reference_demand[:3], steady, rtol=1e-12)


def test_the_heat_balance_holds_in_every_period_and_the_temperature_stays_in_the_band(fleet_of, winter, economics):
    fleet = fleet_of("thermal_heat_pump", winter, sizes=(1.0,))
    price = 0.2 + 0.15 * np.sin(np.arange(winter.periods))
    solution = answer(fleet, economics, price)
    power = solution.primal("thermal_heat_pump").values[0]
    room = 20.0 + (solution.primal("heat_within") - solution.primal("heat_missing")).values[0] / 8.0
    outdoor = 20.0 - fleet.data.heat_need.values[0] / 0.2
    gained = winter.step_hours * (fleet.data.heat_cop.values[0] * power - 0.2 * (room - outdoor))
    np.testing.assert_allclose(8.0 * (room - np.roll(room, 1)), gained, atol=1e-6)
    assert np.abs(room - 20.0).max() <= 1.0 + 1e-9
    assert np.ptp(room) > 1.0


def test_a_wider_band_is_cheaper(fleet_of, winter, economics):
    price = 0.2 + 0.15 * np.sin(np.arange(winter.periods))
    costs = [answer(fleet_of("thermal_heat_pump", winter, settings=settings(band=b)), economics, price).objective for b in (0.0, 0.5, 1.0, 2.0)]
    assert (np.diff(costs) < -1.0).all()


def test_a_heat_pump_that_is_too_small_leaves_heat_missing_at_its_price(fleet_of, winter, economics):
    fleet = fleet_of("thermal_heat_pump", winter, sizes=(1.0,), p_kw=0.5)
    solution = answer(fleet, economics, 0.2)
    missing = float((solution.primal("heat_missing").values * winter.hours_per_year).sum())
    np.testing.assert_allclose(solution.primal("thermal_heat_pump").values, 0.5, atol=1e-7)
    assert missing > 0
    energy = 0.5 * 24 * 366 * (0.2 + economics.tariff.components["levy"].price)
    assert solution.objective == pytest.approx(energy + ThermalHeatPump().discomfort * missing, rel=1e-9)


def test_a_passive_one_counts_in_the_profile_of_the_year(system):
    from multiscale.system.yearly import yearly_profiles

    here = system_with(system, {"house": EXAMPLE | {"prosumer": "", "bus": "north 1 bus 2"}})
    profile = yearly_profiles(here, ["north"])["thermal_heat_pump"]
    outdoor = here.profiles.p.sel(profile="outdoor temperature").values
    expected = np.maximum(20.0 - outdoor, 0.0) * 0.2 / ThermalHeatPump().cop(outdoor)
    np.testing.assert_allclose(profile.values, expected, rtol=1e-6)


def heated(system):
    """The tiny case whose heat pumps have a thermal model."""
    devices = system.devices
    chosen = devices.kind.values == "heat_pump"
    new = {"kind": "thermal_heat_pump", "profile": "", **HOUSE}
    return with_temperature(system).replace(
        devices=devices.assign({c: ("device", np.where(chosen, np.asarray(v), devices[c].values), devices[c].attrs) for c, v in new.items()})
    )


def test_a_study_from_a_folder_of_tables_heats_with_a_thermal_model(system, tmp_path):
    write_folder(heated(system), tmp_path / "tables")
    assert "outdoor temperature [degC]" in (tmp_path / "tables" / "profiles.csv").read_text(encoding="utf-8").split("\n", 1)[0].split(",")
    small = ["horizon=one_day", "horizon.step_hours=6 h", "system.dsos=[north]", "engine=serial", "planning=none"]
    small += ["output.report=false", "verification.year=false", "results.operated=[]"]
    rolling = ["coordination=predictive", "coordination.history_days=2", "coordination.forecast_error=0.1"]
    folder = ["system=folder", f"system.path={tmp_path / 'tables'}", f"output.folder={tmp_path}", "study.name=heated"]
    costs = {}
    for band in (0.0, 2.0):
        result = run_study(load_config([*folder, *small, *rolling, f"devices.thermal_heat_pump.band={band}"]))
        assert result.summary["ledger.energy_residual"][0] < 1e-9
        assert result.summary["ledger.money_residual"][0] < 1e-9
        costs[band] = result.summary["coordination.bound"][0]
    assert costs[2.0] < costs[0.0]


def test_a_house_without_its_parameters_is_refused(system):
    here = heated(system)
    name = str(here.devices.device.values[here.devices.kind.values == "thermal_heat_pump"][0])
    at = here.devices.device.values == name
    bare = here.devices.assign(
        heat_loss=("device", np.where(at, 0.0, here.devices.heat_loss.values)),
        outdoor_profile=("device", np.where(at, "", here.devices.outdoor_profile.values)),
    )
    found = [str(p) for p in validate(here.replace(devices=bare))]
    assert len(found) == 2
    assert any(f"device '{name}': heat_loss 0 kW/K is not enough for a thermal_heat_pump" in text for text in found)
    assert any(f"device '{name}': outdoor_profile ''" in text for text in found)


def test_a_profile_in_another_unit_is_refused(system, tmp_path):
    write_folder(heated(system), tmp_path)
    file = tmp_path / "profiles.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("outdoor temperature [degC]", "outdoor temperature [1]"), encoding="utf-8")
    with pytest.raises(InvalidSystemError, match=r"outdoor_profile 'outdoor temperature' is a profile in \[1\], and .* is in \[degC\]"):
        folder_system(tmp_path)
