"""``multiscale init``: a network of the user's own becomes a folder of tables that is read, validated and operated as the network itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
import xarray as xr

from multiscale import cli
from multiscale.sources import folder_system, pandapower_system
from multiscale.sources.new_case import begin_case, case_of
from multiscale.sources.spreadsheet_columns import describe_sheets
from multiscale.system import InvalidSystemError, validate
from multiscale.system.schema import TABLES
from multiscale.verification.ac import ac_power_flow, profile_injections
from tests.sources.own_network import SHEETS, write_profiles, write_spreadsheet
from tests.sources.read_networks import ONE_PERIOD

ROOT = Path(__file__).parents[2]


def _small_network() -> pp.pandapowerNet:
    net = pp.create_empty_network(name="two feeders")
    high, station = pp.create_bus(net, 20.0, name="substation"), pp.create_bus(net, 0.4, name="station")
    pp.create_ext_grid(net, high, vm_pu=1.02)
    pp.create_transformer(net, high, station, "0.25 MVA 20/0.4 kV", name="T1")
    for feeder in ("a", "b"):
        above = station
        for k in range(3):
            bus = pp.create_bus(net, 0.4, name=f"{feeder}{k}")
            pp.create_line(net, above, bus, 0.07 + 0.013 * k, "NAYY 4x150 SE", name=f"line {feeder}{k}")
            pp.create_load(net, bus, 0.0061 + 0.001 * k, 0.0017, name=f"load {feeder}{k}")
            above = bus
    pp.create_sgen(net, bus, 0.011, name="roof", type="PV")
    return net


def _flow(system) -> xr.Dataset:
    nodes = [*system.at_level("dso"), *system.at_level("platform")]
    return ac_power_flow(system, nodes, ONE_PERIOD, profile_injections(system, nodes, ONE_PERIOD))


def test_a_network_through_the_folder_is_the_network_itself(tmp_path: Path):
    """The same tables, voltages and loadings; and those are pandapower's own."""
    net = _small_network()
    pp.to_json(net, str(tmp_path / "net.json"))
    direct = pandapower_system(tmp_path / "net.json", "constant")
    through = begin_case(tmp_path / "case", str(tmp_path / "net.json"), "constant")
    for table in TABLES.values():
        one, other = (getattr(s, table).to_dataframe() for s in (direct, through))
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=1e-12)
    ours, again = _flow(direct), _flow(through)
    assert set(ours.data_vars) == set(again.data_vars)
    for name in ours.data_vars:
        if ours[name].dtype.kind == "f":
            np.testing.assert_allclose(again[name], ours[name], rtol=1e-9, atol=1e-12)
    pp.runpp(net)
    found = again["voltage"].isel({d: 0 for d in again["voltage"].dims if d != "bus"}).to_series()
    np.testing.assert_allclose(found[net.bus["name"]].to_numpy(), net.res_bus["vm_pu"].to_numpy(), atol=1e-6)


@pytest.mark.parametrize("origin", ["tiny", "spreadsheet", pytest.param("folder of csv", marks=pytest.mark.slow)])
def test_a_new_case_is_valid_as_it_is(origin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    more = []
    if origin != "tiny":
        more = ["--profiles", str(write_profiles(tmp_path / "measured.csv")), "--time-zone", "Europe/Berlin", "--from"]
        source = tmp_path / "network"
        if origin == "spreadsheet":
            more.append(str(write_spreadsheet(source.with_suffix(".xlsx"))))
        else:
            source.mkdir()
            for sheet, rows in SHEETS.items():
                pd.DataFrame(rows).to_csv(source / f"{sheet}.csv", index=False)
            more.append(str(source))
    case = tmp_path / "case"
    assert cli.main(["init", str(case), *more]) == 0
    said = capsys.readouterr().out
    assert "60 min steps" in said
    assert said.splitlines()[-1] == str(case)
    assert validate(folder_system(case)) == []
    assert cli.main(["validate", "system=folder", f"system.path={case}", "engine=serial"]) == 0
    assert "is valid" in capsys.readouterr().out
    assert "rating [kVA]" in (case / "README.md").read_text()
    assert cli.main(["init", str(case)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_units_of_a_spreadsheet_are_converted_and_local_time_is_read(tmp_path: Path):
    system = case_of(str(write_spreadsheet(tmp_path / "n.xlsx")), str(write_profiles(tmp_path / "p.csv")), "Europe/Berlin")
    line = system.branches.sel(branch="cable 2")
    assert float(line.length_km) == pytest.approx(0.09)
    assert float(line.r_ohm) == pytest.approx(0.206 * 0.09)
    assert float(line.rating_kva) == pytest.approx(np.sqrt(3) * 0.4 * 270.0)
    assert float(system.branches.sel(branch="T1").rating_kva) == 250.0
    assert float(system.buses.v_root_pu.sel(bus="substation")) == 1.02
    assert float(system.devices.p_kw.where(system.devices.kind == "pv").sum()) == pytest.approx(24.0)
    household = system.profiles.p.sel(profile="household").to_series()
    # The evening peak of 19:00 is at 18:00 standard time in summer: one hour is missing in March, one is there twice in October.
    assert household["2023-01-10"].idxmax().hour == 19
    assert household["2023-07-10"].idxmax().hour == 18
    assert len(household) == 8760


def test_everything_that_is_wrong_with_a_spreadsheet_comes_at_once(tmp_path: Path):
    sheets = {name: pd.DataFrame(rows) for name, rows in SHEETS.items()}
    sheets["lines"] = sheets["lines"].rename(columns={"length [m]": "length", "r [ohm/km]": "r [kW]"})
    sheets["lines"].loc[1, "to_bus"] = "piller 2"
    sheets["lines"]["i_max [A]"] = sheets["lines"]["i_max [A]"].astype(object)
    sheets["lines"].loc[2, "i_max [A]"] = "much"
    sheets["customers"].loc[0, "power_factor [1]"] = 97.0
    sheets["customers"].loc[3, "customer"] = "customer 3"
    sheets["transformers"] = sheets["transformers"].drop(columns="vk [%]").assign(**{"vector group": "Dyn5"})
    with pd.ExcelWriter(tmp_path / "n.xlsx", engine="openpyxl") as writer:
        for name, frame in sheets.items():
            if name != "grid":
                frame.to_excel(writer, sheet_name=name, index=False)
    with pytest.raises(InvalidSystemError) as caught:
        begin_case(tmp_path / "case", str(tmp_path / "n.xlsx"))
    said = str(caught.value)
    parts = ("sheet 'grid': is missing", "column states no unit; write its header as 'length [km]'", "is in [kW], which does not convert",
                 "to_bus 'piller 2' is no bus of sheet 'buses' (close: 'pillar 2'", "i_max 'much' is not a number", "power_factor 97 1 is outside",
                 "'customer 3': customer occurs twice", "vk [%] column is missing", "vector group is no column")  # fmt: skip
    assert [part for part in parts if part not in said] == []
    assert len(caught.value.problems) == 9
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda t: t.drop(index=100), "time"),
        (lambda t: t.assign(**{"household [1]": t["household [1]"].where(t.index != 7)}), "has no value; fill the gaps"),
        (lambda t: t.assign(**{"household [1]": t["household [1]"].mask(t.index == 9, -0.5)}), "household"),
    ],
)
def test_gaps_of_profiles_are_refused_with_their_place(damage, said: str, tmp_path: Path):
    file = write_profiles(tmp_path / "p.csv")
    damage(pd.read_csv(file)).to_csv(file, index=False)
    with pytest.raises(InvalidSystemError, match=said):
        begin_case(tmp_path / "case", str(write_spreadsheet(tmp_path / "n.xlsx")), str(file), "Europe/Berlin")
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("pandapower:create_cigre_netwrok_lv", "is no network of the package pandapower (close: 'create_cigre_network_lv'"),
        ("pandapower:os.system", "is no network of the package pandapower"),
        ("nowhere.xlsx", "does not exist; give tiny, pandapower:NAME"),
    ],
)
def test_what_is_no_network_is_refused(origin: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["init", str(tmp_path / "case"), "--from", origin]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize("word", ["--profiles", "--from", "--time-zone"])
def test_an_option_without_a_value_is_said(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["init", str(tmp_path / "case"), f"{word}=--"]) == 2
    assert f"{word} has no value" in capsys.readouterr().err
    assert not (tmp_path / "case").exists()


def test_the_sheets_are_documented():
    assert describe_sheets() in (ROOT / "docs" / "tutorial-own-network.md").read_text(encoding="utf-8")
