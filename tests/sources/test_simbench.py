import logging
import time

import networkx as nx
import numpy as np
import pandapower as pp
import pandas as pd
import pytest
import xarray as xr

import multiscale.sources.simbench as source
from multiscale.sources.simbench import simbench_system
from multiscale.system.schema import LOAD_KINDS
from multiscale.system.system import System
from multiscale.system.validation import validate
from tests.further import first
from tests.sources.simbench_networks import LV, MVLV, network, system


@pytest.fixture
def kept_network(monkeypatch):
    """Conversion without parsing SimBench's files again; counts how often it is asked for."""
    calls = []

    def load(code):
        calls.append(code)
        return network(code)

    monkeypatch.setattr(source, "load_network", load)
    return calls


def test_canary_simbench_and_pandapower_still_fit_together():
    net = network(LV)
    pp.runpp(net, numba=False)
    assert net.converged
    assert net.res_bus.vm_pu.min() == pytest.approx(1.01927, abs=1e-4)


@pytest.mark.parametrize("code", first(1, [LV, MVLV]))
def test_converted_system_is_valid(code):
    assert validate(system(code)) == []


@pytest.mark.parametrize("code", [LV, MVLV])
def test_yearly_load_energy_is_that_of_the_raw_tables(code):
    net, converted = network(code), system(code)
    raw = sum(net.profiles["load"][f"{p}_pload"].sum() * power * 1e3 for p, power in net.load.groupby("profile")["p_mw"].sum().items()) / 4
    devices = converted.devices.isel(device=np.isin(converted.devices.kind.values, LOAD_KINDS))
    profile = converted.profiles.p.sum("time").to_series()
    ours = float((devices.p_kw.values * profile.loc[devices.profile.values].to_numpy()).sum()) / 4
    assert ours == pytest.approx(raw, rel=1e-5)


@pytest.mark.parametrize("code", [LV, MVLV])
def test_yearly_generation_is_that_of_the_raw_tables(code):
    net, converted = network(code), system(code)
    raw = sum(net.profiles["renewables"][p].sum() * power * 1e3 for p, power in net.sgen.groupby("profile")["p_mw"].sum().items()) / 4
    devices = converted.devices.isel(device=np.isin(converted.devices.kind.values, ("pv", "wind", "hydro", "biomass")))
    profile = converted.profiles.p.sum("time").to_series()
    ours = float((devices.p_kw.values * profile.loc[devices.profile.values].to_numpy()).sum()) / 4
    assert ours == pytest.approx(raw, rel=1e-5)


def test_buses_joined_by_closed_switches_are_one():
    net, converted = network(MVLV), system(MVLV)
    graph = nx.Graph()
    graph.add_nodes_from(net.bus.index)
    joins = net.switch[(net.switch.et == "b") & net.switch.closed]
    graph.add_edges_from(zip(joins.bus, joins.element, strict=True))
    assert converted.buses.sizes["bus"] == nx.number_connected_components(graph) == 140
    assert not any("auxiliary" in b for b in converted.buses.bus.values)


def test_lines_with_an_open_switch_stay_in_the_table_out_of_service():
    net, converted = network(MVLV), system(MVLV)
    opened = set(net.line.name[net.switch.element[(net.switch.et == "l") & ~net.switch.closed]])
    off = converted.branches.isel(branch=~converted.branches.in_service.values)
    assert set(off.branch.values) == opened
    assert set(off.charged_from.values) <= {"from_bus", "to_bus"}


def test_tree_follows_the_subnets():
    converted = system(MVLV)
    assert converted.at_level("tso") == ["grid"]
    assert converted.at_level("dso") == ["MV1.101"]
    assert converted.at_level("platform") == ["LV4.101"]
    assert converted.nodes.parent.sel(node="LV4.101") == "MV1.101"
    root = converted.boundary_bus("LV4.101")
    assert converted.buses.node.sel(bus=root) == "LV4.101"
    assert converted.buses.vn_kv.sel(bus=root) == 0.4
    assert converted.buses.vn_kv.sel(bus=converted.boundary_bus("MV1.101")) == 110


def test_transformers_belong_to_the_distribution_system_operator():
    converted = system(MVLV)
    transformers = converted.branches.isel(branch=converted.branches.kind.values == "transformer")
    assert set(transformers.node.values) == {"MV1.101"}
    set_point = transformers.v_setpoint_pu.values
    high = transformers.vn_hv_kv.values > 60
    assert (set_point[high] == 1.025).all()
    assert np.isnan(set_point[~high]).all()


def test_a_low_voltage_code_gets_a_grid_bus_and_an_operator_of_its_transformer():
    converted = system(LV)
    assert [len(converted.at_level(level)) for level in ("tso", "dso", "platform")] == [1, 1, 1]
    dso = converted.at_level("dso")[0]
    assert converted.network(dso).branches.kind.values.tolist() == ["transformer"]
    assert converted.generators.fuel.values.tolist() == ["upstream"]


def test_line_rating_is_root_three_times_voltage_times_current():
    net, converted = network(LV), system(LV)
    line = net.line.iloc[0]
    assert converted.branches.rating_kva.sel(branch=line["name"]).item() == pytest.approx(3**0.5 * 0.4 * line.max_i_ka * 1e3)


def test_every_low_voltage_bus_with_a_device_is_one_prosumer():
    converted = system(MVLV)
    on_platform = converted.devices.isel(device=converted.devices.prosumer.values != "")
    assert sorted(set(on_platform.bus.values)) == sorted(converted.prosumers.bus.values)
    assert (on_platform.prosumer.values == on_platform.bus.values).all()
    assert {"household", "business"} <= set(converted.prosumers.category.values)


def test_kinds_follow_the_profiles():
    kinds = system(MVLV).devices.to_dataframe().groupby("kind")["profile"].unique()
    assert all(p.startswith(("Air", "Soil")) for p in kinds["heat_pump"])
    assert all(p.startswith(("HLS", "APLS")) for p in kinds.get("ev", []))
    assert all(p.startswith(("PV", "lv_", "mv_urban")) for p in kinds["pv"])


def test_profiles_are_even_quarter_hours_of_2016():
    stamps = pd.DatetimeIndex(system(LV).profiles.time.values)
    assert len(stamps) == 35136
    assert (np.diff(stamps) == np.timedelta64(15, "m")).all()
    assert stamps[0] == pd.Timestamp("2016-01-01")


def test_reload_equals_the_conversion_and_takes_less_than_a_second(tmp_path, kept_network):
    first = simbench_system(MVLV, cache=tmp_path)
    start = time.perf_counter()
    second = simbench_system(MVLV, cache=tmp_path)
    assert time.perf_counter() - start < 1.0
    assert kept_network == [MVLV]
    for name in ("nodes", "buses", "branches", "prosumers", "devices", "generators", "options", "profiles"):
        xr.testing.assert_identical(getattr(first, name), getattr(second, name))
    assert (first.name, first.notes) == (second.name, second.notes)


def test_cache_folder_is_taken_from_the_environment(tmp_path, monkeypatch, kept_network):
    monkeypatch.setenv("MULTISCALE_CACHE", str(tmp_path / "elsewhere"))
    simbench_system(LV)
    assert [p.name.startswith(f"simbench-{LV}") for p in (tmp_path / "elsewhere").iterdir()] == [True]


@pytest.mark.parametrize("damage", ["cut", "missing", "changed", "manifest"])
def test_damaged_cache_is_noticed_and_built_anew(tmp_path, kept_network, caplog, damage):
    first = simbench_system(LV, cache=tmp_path)
    entry = next(tmp_path.iterdir())
    if damage == "cut":
        file = entry / "devices.parquet"
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "missing":
        (entry / "profiles_p.npy").unlink()
    elif damage == "manifest":
        (entry / "manifest.json").write_text("{")
    else:
        file = entry / "profiles_q.npy"
        content = bytearray(file.read_bytes())
        content[-1] ^= 255
        file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        again = simbench_system(LV, cache=tmp_path)
    assert "is damaged" in caplog.text
    assert kept_network == [LV, LV]
    xr.testing.assert_identical(first.devices, again.devices)
    simbench_system(LV, cache=tmp_path)
    assert kept_network == [LV, LV]


def test_interrupted_conversion_leaves_nothing_that_looks_whole(tmp_path, kept_network, monkeypatch):
    def interrupted(self, folder):
        folder.mkdir(parents=True)
        (folder / "nodes.parquet").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(System, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simbench_system(LV, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_cache_that_cannot_be_written_costs_time_but_not_the_run(tmp_path, kept_network, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        converted = simbench_system(LV, cache=tmp_path / "file")
    assert converted.prosumers.sizes["prosumer"] == 13
    assert "cannot be kept" in caplog.text
    assert "MULTISCALE_CACHE" in caplog.text


def test_unknown_code_is_refused_with_the_close_ones(tmp_path):
    with pytest.raises(ValueError, match=r"'1-LV-rural1--0-SW' does not exist; close: .*1-LV-rural1--0-sw"):
        simbench_system("1-LV-rural1--0-SW", cache=tmp_path)


@pytest.mark.slow
def test_four_level_case_is_the_whole_tree(tmp_path):
    code = "1-EHVHVMVLV-mixed-all-2-sw"
    start = time.perf_counter()
    converted = simbench_system(code, cache=tmp_path)
    built = time.perf_counter() - start
    start = time.perf_counter()
    converted = simbench_system(code, cache=tmp_path)
    loaded = time.perf_counter() - start
    assert [len(converted.at_level(level)) for level in ("tso", "dso", "platform")] == [1, 28, 412]
    assert [len(converted.children(n)) for n in ("MV1.101", "MV2.101", "MV3.101", "MV4.101")] == [90, 110, 133, 79]
    sizes = [getattr(converted, n).sizes[d] for n, d in (("buses", "bus"), ("branches", "branch"), ("prosumers", "prosumer"), ("devices", "device"))]
    assert sizes == [34658, 35452, 28847, 58692]
    assert converted.generators.sizes["generator"] == 345
    costs = converted.generators.cost_eur_per_kwh.values[converted.generators.fuel.values == "gas"]
    assert len(set(costs)) == len(costs)
    assert validate(converted) == []
    assert built <= 60
    assert loaded <= 1
    customers = simbench_system(code, cache=tmp_path, prosumers="customers")
    plain = (converted.devices.kind.values == "load") & (converted.devices.prosumer.values != "")
    assert customers.prosumers.sizes["prosumer"] == plain.sum() == 32511
    assert validate(customers) == []
