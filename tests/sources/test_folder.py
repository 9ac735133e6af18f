import pandas as pd
import pytest
import xarray as xr

from multiscale.sources.folder import folder_system, write_folder
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.sources.tiny import tiny_system
from multiscale.system.problem import InvalidSystemError
from multiscale.system.validation import validate
from multiscale.units import UnitError, conversion_factor
from tests.sources.small_networks import SMALL

TABLES = ("nodes", "buses", "branches", "prosumers", "devices", "generators", "options")


@pytest.fixture
def folder(tmp_path):
    system = tiny_system()
    write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 48))), tmp_path)
    return tmp_path


def change(folder, name, edit):
    frame = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    edit(frame).to_csv(folder / f"{name}.csv", index=False)


def problems_of(folder):
    with pytest.raises(InvalidSystemError) as caught:
        folder_system(folder)
    return [str(p) for p in caught.value.problems]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_what_is_written_is_read_again(tmp_path, kind):
    system = tiny_system()
    system = system.replace(profiles=system.profiles.isel(time=slice(0, 48)))
    write_folder(system, tmp_path / "case", kind)
    again = folder_system(tmp_path / "case")
    for name in TABLES:
        xr.testing.assert_allclose(getattr(system, name), getattr(again, name), rtol=1e-12)
    xr.testing.assert_allclose(system.profiles, again.profiles, rtol=1e-6)
    assert (again.name, again.notes) == (system.name, system.notes)
    assert validate(again) == []


def test_headers_state_units(folder):
    header = (folder / "branches.csv").read_text().splitlines()[0].split(",")
    assert header[0] == "branch"
    assert {"rating [kVA]", "r [ohm]", "length [km]", "vn_hv [kV]"} <= set(header)


def test_megawatts_become_kilowatts_with_a_notice(folder):
    before = folder_system(folder)

    def edit(frame):
        frame["p [MW]"] = (frame.pop("p [kW]").astype(float) / 1e3).astype(str)
        return frame

    change(folder, "devices", edit)
    after = folder_system(folder)
    xr.testing.assert_allclose(before.devices.p_kw, after.devices.p_kw)
    assert after.notes[-1] == "devices.csv: column p_kw is in MW, converted to kW (x 1000)"


def test_everything_that_is_wrong_comes_in_one_error(folder):
    change(folder, "branches", lambda f: f.rename(columns={"rating [kVA]": "rating [kWh]", "r [ohm]": "r", "x [ohm]": "reactance [ohm]"}))
    change(folder, "buses", lambda f: f.drop(columns="vn [kV]"))

    def spoil(frame):
        frame.loc[2, "p [kW]"] = "a lot"
        return frame

    change(folder, "devices", spoil)
    (folder / "generators.csv").unlink()
    messages = problems_of(folder)
    assert messages == [
        "file 'buses.csv': vn [kV] column is missing; add it: nominal voltage",
        "file 'branches.csv': rating_kva column is in [kWh], which does not convert to kVA; write its header as 'rating [kVA]'",
        "file 'branches.csv': r_ohm column states no unit; write its header as 'r [ohm]'",
        next(m for m in messages if m.startswith("file 'branches.csv': reactance is no column of this table; its columns are branch, node, ")),
        "file 'branches.csv': x [ohm] column is missing; add it: series reactance, on the side of to_bus",
        "device 'city D': p_kw 'a lot' is not a number; give it in kW".replace("give it", "give a number"),
        "file 'generators.csv': is missing; add it (or the same as .parquet)",
    ]


def test_error_lists_all_problems_numbered(folder):
    (folder / "buses.csv").unlink()
    (folder / "nodes.csv").unlink()
    with pytest.raises(InvalidSystemError) as caught:
        folder_system(folder)
    assert str(caught.value).splitlines()[0] == "the system has 2 problems:"
    assert str(caught.value).splitlines()[2].startswith("  2. file 'buses.csv': is missing")


def test_profiles_without_time_or_unit_are_refused(folder):
    change(folder, "profiles", lambda f: f.rename(columns={"pv p [1]": "pv p [kW]"}))
    assert problems_of(folder) == ["file 'profiles.csv': pv p [kW] column states no share as its unit; write its header as 'pv p [1]' or 'pv p [%]'"]
    change(folder, "profiles", lambda f: f.drop(columns="time"))
    assert any("time column is missing" in m for m in problems_of(folder))


def test_folder_that_does_not_exist(tmp_path):
    assert problems_of(tmp_path / "nowhere") == [
        f"folder {str(tmp_path / 'nowhere')!r}: does not exist; "
        "give the path of a folder with nodes, buses, branches, prosumers, devices, generators, options"
    ]


def test_flags_are_true_or_false(folder):
    def spoil(frame):
        frame.loc[0, "in_service"] = "maybe"
        return frame

    change(folder, "branches", spoil)
    assert problems_of(folder) == ["branch 'line A-B': in_service 'maybe' is neither true nor false; write true or false"]


@pytest.mark.parametrize(
    ("given", "unit", "factor"),
    [("MW", "kW", 1e3), ("ct/kWh", "EUR/kWh", 0.01), ("%", "1", 0.01), ("MVA", "kVA", 1e3), ("m", "km", 1e-3), ("pu", "pu", 1)],
)
def test_units_convert(given, unit, factor):
    assert conversion_factor(given, unit) == pytest.approx(factor)


@pytest.mark.parametrize(("given", "unit"), [("kWh", "kW"), ("kvar", "kW"), ("EUR", "EUR/kWh"), ("bananas", "kW"), ("kW", "1")])
def test_units_of_another_kind_are_refused(given, unit):
    with pytest.raises(UnitError):
        conversion_factor(given, unit)


def test_a_closed_ring_is_opened_as_in_a_network_file(tmp_path):
    """The folder of a network whose ring the reader opened, with the ring closed again, gives the same system."""
    net = SMALL["ring"][0]()
    system = pandapower_system(net)
    (ring,) = [a for a in system.approximations if a.field == "ring"]
    write_folder(system.replace(approximations=()), tmp_path)
    change(tmp_path, "branches", lambda f: f.assign(in_service="true", charged_from=""))
    read = folder_system(tmp_path)
    assert [str(a) for a in read.approximations] == [str(ring)]
    xr.testing.assert_allclose(read.branches, system.branches)
    assert validate(read) == []


def test_a_ring_is_named_where_other_things_are_wrong(tmp_path):
    write_folder(pandapower_system(SMALL["ring"][0]()), tmp_path)
    change(tmp_path, "branches", lambda f: f.assign(in_service="true", charged_from=""))
    change(tmp_path, "buses", lambda f: f.assign(**{"v_min [pu]": 1.4}))
    fields = {p.field for p in validate(folder_system(tmp_path))}
    assert fields == {"loop", "v_min_pu"}


def test_a_folder_without_a_top_node_says_so(folder):
    file = folder / "nodes.csv"
    nodes = pd.read_csv(file, keep_default_na=False)
    nodes[nodes["parent"] != ""].to_csv(file, index=False)
    problems = validate(folder_system(folder))
    assert any("marks 0 top nodes" in p.message for p in problems)
