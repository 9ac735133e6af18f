import numpy as np
import pandapower as pp
import pandapower.networks
import pandas as pd
import pytest

from multiscale.sources import load_system
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.sources.profile_files import read_profiles
from multiscale.sources.standard_profiles import CLASSES, known_profiles, on_axis, standard_series
from multiscale.sources.text_tables import TableError, read_text_table
from multiscale.system.problem import InvalidSystemError
from multiscale.system.validation import validate
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_power_flow, profile_injections
from tests.made_once import made_once
from tests.sources.small_networks import house

HOURS = pd.date_range("2016-01-01", periods=96, freq="h")
COURSE = np.round(0.5 + 0.4 * np.sin(np.arange(96)), 4)


def _table(tmp_path, columns, name="profiles.csv", **more):
    file = tmp_path / name
    frame = pd.DataFrame(columns, index=pd.Index(HOURS.astype(str), name="time"))
    if file.suffix == ".parquet":
        frame.reset_index().to_parquet(file)
    else:
        frame.to_csv(file, **more)
    return file


@pytest.mark.parametrize(
    ("header", "factor", "unit"),
    [("home", 1, "1"), ("home [1]", 1, "1"), ("home [%]", 0.01, "1"), ("home [kW]", 1, "kW"), ("home p [W]", 1e-3, "kW"), ("home [MWh]", 1e3, "kW")],
)
def test_units_are_those_of_the_header(tmp_path, header, factor, unit):
    series = read_profiles(_table(tmp_path, {header: COURSE})).series["home", "p"]
    assert series.unit == unit
    np.testing.assert_allclose(series.values, COURSE * factor)


def test_energy_of_a_quarter_hour_is_four_times_its_power(tmp_path):
    file = tmp_path / "p.csv"
    time = pd.date_range("2016-01-01", periods=96, freq="15min").astype(str)
    pd.DataFrame({"time": time, "home [kWh]": COURSE}).to_csv(file, index=False)
    np.testing.assert_allclose(read_profiles(file).series["home", "p"].values, 4 * COURSE)


def test_formats_of_tables_hold_the_same(tmp_path):
    columns = {"home [kW]": COURSE, "home q [kvar]": COURSE / 3, "shop": COURSE}
    plain = read_profiles(_table(tmp_path, columns))
    for name, more in {"b.csv": {"sep": ";", "decimal": ","}, "c.csv": {"sep": ";"}, "d.csv": {"sep": "\t"}, "e.parquet": {}}.items():
        other = read_profiles(_table(tmp_path, columns, name, **more))
        assert other.series.keys() == plain.series.keys()
        for key, series in plain.series.items():
            np.testing.assert_allclose(other.series[key].values, series.values, rtol=1e-14)


def test_a_file_with_a_byte_of_zero_is_refused(tmp_path):
    (tmp_path / "p.csv").write_bytes(b"time,home [1]\n2016-01-01 00:00:00,0\x005\n")
    with pytest.raises(InvalidSystemError, match=r"is damaged \(byte 35 is zero\); save it as CSV in UTF-8"):
        read_profiles(tmp_path / "p.csv")


def test_commas_and_points_in_one_file_are_refused(tmp_path):
    file = tmp_path / "mixed.csv"
    file.write_text("a;b\n1,5;1.234\n")
    with pytest.raises(TableError, match=r"decimal commas \(column 'a'\) and decimal points \(column 'b'\)"):
        read_text_table(file, lambda _: True)


@pytest.mark.parametrize(
    ("header", "values", "words"),
    [
        ("home", [*COURSE[:-1], 3500.0], "profile 'home': p 3500 in row 96"),
        ("home", COURSE * 30, "states no unit"),
        ("home [1]", COURSE * 3500, "is no share of a rating"),
        ("home [kW]", [-2.0, *COURSE[1:]], "p -2 kW in row 1 of profiles.csv (2016-01-01 00:00:00) is below zero"),
        ("home [kW]", [*COURSE[:5], np.nan, *COURSE[6:]], "in row 6 of profiles.csv (2016-01-01 05:00:00) has no value"),
        ("home [kW]", [*COURSE[:5], "about 3", *COURSE[6:]], "'about 3' in row 6"),
        ("home [kW]", [*COURSE[:5], "inf", *COURSE[6:]], "'inf' in row 6"),
        ("home [degC]", COURSE, "is in [degC], which is none of the units of a profile"),
        ("home []", COURSE, "is in [], which is none of the units of a profile"),
        ("home q [kvar]", COURSE, "add 'home p [kW]'"),
    ],
)
def test_values_that_cannot_be_are_refused_with_their_first_place(tmp_path, header, values, words):
    with pytest.raises(InvalidSystemError) as caught:
        read_profiles(_table(tmp_path, {header: values}))
    assert words in str(caught.value)


@made_once
def _village():
    net = pandapower.networks.create_kerber_dorfnetz()
    net.load["name"] = [f"load {k}" for k in net.load.index]
    return net


def test_an_element_follows_its_own_column_and_draws_what_it_says(tmp_path):
    net = _village()
    file = _table(tmp_path, {"load 3 [kW]": 8 * COURSE, "household [1]": COURSE})
    system = pandapower_system(net, file)
    assert validate(system) == []
    devices = system.devices.to_dataframe()
    own = devices.loc["load 3"]
    series = system.profiles.p.sel(profile=own["profile"]).to_numpy()
    np.testing.assert_allclose(own["p_kw"] * series, 8 * COURSE, rtol=1e-6)
    stated = net.load.set_index("name").loc["load 3"]
    assert own["q_kvar"] / own["p_kw"] == pytest.approx(stated["q_mvar"] / stated["p_mw"])
    assert set(devices.loc[devices.index != "load 3", "profile"]) == {"household"}


def test_reactive_power_in_kvar_is_what_the_column_says(tmp_path):
    system = pandapower_system(_village(), _table(tmp_path, {"load 3 p [kW]": 8 * COURSE, "load 3 q [kvar]": 2 * COURSE[::-1]}))
    device = system.devices.sel(device="load 3")
    np.testing.assert_allclose(float(device.q_kvar) * system.profiles.q.sel(profile="load 3").to_numpy(), 2 * COURSE[::-1], rtol=1e-6)


def test_without_a_file_loads_follow_the_profiles_of_their_class_up_to_the_stated_power():
    net = _village()
    net.load["customer_class"] = "commercial"
    net.load.loc[net.load.index[:10], "customer_class"] = "farm"
    system = pandapower_system(net, "standard")
    assert validate(system) == []
    devices = system.devices.to_dataframe()
    assert devices["profile"].value_counts()["standard L0-A"] == 4
    assert set(devices["profile"]) == {f"standard {name}" for name in (*CLASSES["agriculture"], *CLASSES["business"])}
    np.testing.assert_allclose(system.profiles.p.max("time").to_numpy(), 1.0)
    assert float(system.profiles.p.min()) < 0.2
    assert any("10 devices of class agriculture follow L0-A, L1-A, L2-A of SimBench" in note for note in system.notes)


def test_what_a_file_leaves_open_follows_standard_profiles_and_is_noted(tmp_path):
    system = pandapower_system(_village(), _table(tmp_path, {"load 3 [kW]": COURSE, "nobody [1]": COURSE}))
    assert any("of class household follow" in note for note in system.notes)
    assert any("no device follows the columns 'nobody'" in note for note in system.notes)
    assert system.profiles.sizes["time"] == 96


def test_a_constant_series_is_stated_and_named():
    system = pandapower_system(_village())
    assert any(note.startswith("constant: every load") for note in system.notes)


def test_every_class_has_profiles_and_standard_time_is_kept_on_other_axes():
    names = sorted({name for group in CLASSES.values() for name in group})
    assert set(names) <= known_profiles()
    frame = standard_series(["H0-A", "PV5"])
    hours = pd.date_range("2019-05-01", periods=48, freq="h")
    there = on_axis(frame, hours, pd.Timedelta(hours=1))
    expected = frame.loc["2016-05-01":"2016-05-02"].to_numpy().reshape(48, 4, 2).mean(axis=1)
    np.testing.assert_allclose(there.to_numpy(), expected, atol=1e-6)
    finer = on_axis(frame, pd.date_range("2016-12-31", periods=288, freq="5min"), pd.Timedelta(minutes=5))
    np.testing.assert_allclose(finer.to_numpy(), np.repeat(frame.loc["2016-12-31"].to_numpy(), 3, axis=0), atol=1e-6)


def test_settings_name_the_file_and_its_zone(tmp_path):
    import pandapower as pp

    pp.to_json(_village(), str(tmp_path / "net.json"))
    time = HOURS.tz_localize("Etc/GMT-1").tz_convert("Europe/Berlin").strftime("%Y-%m-%dT%H:%M:%S%z")
    pd.DataFrame({"time": time, "household": COURSE}).to_csv(tmp_path / "p.csv", index=False)
    system = load_system("pandapower", path=tmp_path / "net.json", profiles=tmp_path / "p.csv", time_zone="Europe/Berlin")
    assert system.profiles.time.values[0] == np.datetime64("2016-01-01")
    with pytest.raises(ValueError, match="is no time zone"):
        load_system("pandapower", path=tmp_path / "net.json", time_zone="Middle/Earth")
    with pytest.raises(ValueError, match="is no file; give standard, constant"):
        load_system("pandapower", path=tmp_path / "net.json", profiles=tmp_path / "missing.csv")


def test_what_stands_for_a_constant_draw_is_constant_and_a_class_survives_the_sum_of_phases():
    import pandapower as pp

    net = _village()
    bus = int(net.load.bus.iloc[0])
    pp.create_ward(net, bus, 0.01, 0.0, 0.0, 0.0, name="pump")
    pp.create_storage(net, bus, 0.002, float("nan"), name="tank")
    pp.create_asymmetric_load(net, bus, 0.002, 0.002, 0.001, 0.0, 0.0, 0.0, name="stable")
    net.asymmetric_load["customer_class"] = "farm"
    profile = pandapower_system(net, "standard").devices.profile.to_series()
    assert profile[["ward pump", "storage tank"]].tolist() == ["", ""]
    assert profile["stable"] == "standard L0-A"


def test_reactive_power_in_kvar_is_drawn_by_loads_and_fed_in_by_generation():
    """As active power, and as pandapower's own columns of loads and of static generators are signed: its power flow says so."""
    net = house()
    pp.create_sgen(net, 3, 0.0, 0.0, type="PV", name="roof")
    columns = {"home p [kW]": 30 + COURSE, "home q [kvar]": 12 * COURSE, "roof p [kW]": 5 * COURSE, "roof q [kvar]": 20 * COURSE - 9}
    given = pd.DataFrame(columns, index=pd.date_range("2016-01-01", periods=96, freq="15min"))
    system = pandapower_system(net, given)
    nodes = [n for n in system.nodes.node.values.tolist() if n != system.top]
    day = Horizon((pd.Timestamp("2016-01-01"),), (366.0,), 0.25)
    volts = ac_power_flow(system, nodes, day, profile_injections(system, nodes, day)).voltage.sel(bus="house").to_numpy()
    for k in (3, 40, 77):
        for table, name, at in ((net.load, "home", 0), (net.sgen, "roof", 0)):
            table.loc[at, ["p_mw", "q_mvar"]] = [columns[f"{name} p [kW]"][k] / 1e3, columns[f"{name} q [kvar]"][k] / 1e3]
        pp.runpp(net, numba=False, calculate_voltage_angles=True)
        assert volts[k] == pytest.approx(net.res_bus.vm_pu.iloc[-1], abs=1e-6)
    net.sgen.loc[0, "q_mvar"] *= -1
    pp.runpp(net, numba=False, calculate_voltage_angles=True)
    assert abs(volts[77] - net.res_bus.vm_pu.iloc[-1]) > 1e-3


def test_names_keep_their_commas(tmp_path):
    (tmp_path / "t.csv").write_text("bus;node;vn [kV];note\n1,5;a,b;0,4;2,5\n1,50;c;20;3\n")
    frame = read_text_table(tmp_path / "t.csv", lambda header: "[" in header)
    assert frame["bus"].tolist() == ["1,5", "1,50"]
    assert frame["note"].tolist() == ["2,5", "3"]
    assert frame["vn [kV]"].tolist() == ["0.4", "20"]
    (tmp_path / "t.csv").write_text("bus;vn [kV]\n1.5;0,4\n")
    assert read_text_table(tmp_path / "t.csv", lambda header: "[" in header).iloc[0].tolist() == ["1.5", "0.4"]


@pytest.mark.parametrize(("year", "noted"), [(2016, False), (2019, True)])
def test_standard_profiles_of_another_year_are_noted_to_have_other_weekdays(tmp_path, year, noted):
    time = pd.date_range(f"{year}-03-01", periods=24, freq="h")
    pd.DataFrame({"time": time, "home": COURSE[:24]}).to_csv(tmp_path / "p.csv", index=False)
    net = house()
    pp.create_load(net, 3, 0.01, 0.0, name="other", customer_class="business")
    said = [note for note in pandapower_system(net, tmp_path / "p.csv").notes if "weekday" in note]
    assert bool(said) == noted


def test_how_voltages_become_levels_is_noted():
    (said,) = [note for note in pandapower_system(house()).notes if note.startswith("levels by nominal voltage")]
    assert "nothing from 60 kV on, so the bus of the external grid is the top" in said
