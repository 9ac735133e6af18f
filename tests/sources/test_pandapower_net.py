import numpy as np
import pandapower as pp
import pandapower.networks
import pandas as pd
import pytest
import xarray as xr
from pandapower.io_utils import to_dict_of_dfs

from multiscale.sources.pandapower_net import pandapower_system
from multiscale.system.problem import InvalidSystemError
from multiscale.system.validation import validate
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_power_flow, profile_injections
from tests.made_once import made_once

case33bw, mv_oberrhein, create_kerber_dorfnetz = map(
    made_once, (pandapower.networks.case33bw, pandapower.networks.mv_oberrhein, pandapower.networks.create_kerber_dorfnetz)
)
HOUR = Horizon((pd.Timestamp("2016-03-01"),), (366.0,), 24.0)


def test_single_voltage_feeder_is_one_operator_with_a_platform_per_load_bus():
    system = pandapower_system(case33bw())
    assert [len(system.at_level(level)) for level in ("tso", "dso", "platform")] == [1, 1, 32]
    assert validate(system) == []
    assert float(system.devices.p_kw.sum()) == pytest.approx(3715.0)
    assert int((~system.branches.in_service).sum()) == 5
    assert set(system.branches.node.values) == {"DSO 1"}


def test_case33bw_has_its_published_losses_and_lowest_voltage():
    """Baran and Wu (1989): 202.7 kW, 0.9131 pu at bus 18 before reconfiguration."""
    system = pandapower_system(case33bw())
    nodes = ["DSO 1", *system.children("DSO 1")]
    result = ac_power_flow(system, nodes, HOUR, profile_injections(system, nodes, HOUR))
    assert float(result.losses[0]) == pytest.approx(202.7, abs=0.1)
    assert float(result.voltage.min()) == pytest.approx(0.9131, abs=1e-4)


def test_hierarchy_follows_the_voltage():
    system = pandapower_system(pandapower.networks.create_cigre_network_lv())
    assert [len(system.at_level(level)) for level in ("tso", "dso", "platform")] == [1, 3, 3]
    assert validate(system) == []
    transformers = system.branches.isel(branch=system.branches.kind.values == "transformer")
    assert set(transformers.node.values) == set(system.at_level("dso"))


def test_ring_is_opened_at_its_open_switches_and_has_the_voltages_of_pandapower():
    net = mv_oberrhein()
    system = pandapower_system(net)
    assert validate(system) == []
    assert any("are one grid" in note for note in system.notes)
    pp.runpp(net, calculate_voltage_angles=True, init="dc", numba=False)
    nodes = [*system.at_level("dso"), *system.at_level("platform")]
    result = ac_power_flow(system, nodes, HOUR, profile_injections(system, nodes, HOUR))
    reference = pd.Series(net.res_bus.vm_pu.to_numpy(), index=net.bus.name.to_numpy())
    ours = result.voltage.isel(period=0).to_series()
    np.testing.assert_allclose(ours.to_numpy(), reference[ours.index].to_numpy(), atol=1e-6)


def test_a_closed_ring_is_opened_where_it_carries_least():
    """pandapower's own flow of the closed network says where that is."""
    net = case33bw()
    net.line.loc[net.line.index[-1], "in_service"] = True
    system = pandapower_system(net)
    assert validate(system) == []
    (ring,) = [a for a in system.approximations if a.field == "ring"]
    opened = ring.component.removeprefix("branch ").strip("'")
    branches = system.branches
    closed = system.replace(branches=branches.assign(in_service=branches.in_service | (branches.branch == opened)))
    (loop,) = closed.network("DSO 1").loops()
    pp.runpp(net, numba=False)
    current = pd.Series(net.res_line.i_ka.to_numpy(), index=[f"line {k}" for k in net.line.index])
    assert opened == current[loop].idxmin()
    nodes = ["DSO 1", *system.children("DSO 1")]
    before, after = (float(ac_power_flow(s, nodes, HOUR, profile_injections(s, nodes, HOUR)).losses[0]) for s in (closed, system))
    assert before < after < 1.1 * before


@pytest.mark.parametrize("ending", ["json", "xlsx"])
def test_files_give_the_same_system_as_the_network(tmp_path, ending):
    net = create_kerber_dorfnetz()
    file = tmp_path / f"village.{ending}"
    if ending == "json":
        pp.to_json(net, str(file))
    else:
        with pd.ExcelWriter(file, engine="openpyxl") as writer:
            for sheet, frame in to_dict_of_dfs(net).items():
                frame.to_excel(writer, sheet_name=sheet)
    direct, read = pandapower_system(net), pandapower_system(file)
    xr.testing.assert_allclose(direct.buses, read.buses)
    xr.testing.assert_allclose(direct.branches, read.branches)
    xr.testing.assert_allclose(direct.devices, read.devices)


def test_matpower_case(tmp_path):
    file = tmp_path / "three.m"
    file.write_text(
        "function mpc = three\nmpc.version = '2';\nmpc.baseMVA = 100;\n"
        "mpc.bus = [\n1 3 0 0 0 0 1 1 0 230 1 1.1 0.9;\n2 1 50 10 0 0 1 1 0 230 1 1.1 0.9;\n3 2 70 20 0 0 1 1 0 230 1 1.1 0.9;\n];\n"
        "mpc.gen = [\n1 120 0 100 -100 1 100 1 200 0 0 0 0 0 0 0 0 0 0 0 0;\n3 0 0 50 -50 1 100 1 80 0 0 0 0 0 0 0 0 0 0 0 0;\n];\n"
        "mpc.branch = [\n1 2 0.01 0.1 0.02 100 100 100 0 0 1 -360 360;\n2 3 0.01 0.1 0.02 100 100 100 0 0 1 -360 360;\n"
        "1 3 0.01 0.1 0.02 100 100 100 0 0 1 -360 360;\n];\n"
        "mpc.gencost = [\n2 0 0 2 20 0;\n2 0 0 2 40 0;\n];\n"
    )
    system = pandapower_system(file)
    assert validate(system) == []
    assert float(system.devices.p_kw.sum()) == pytest.approx(120e3)
    assert sorted(system.generators.cost_eur_per_kwh.values.tolist()) == pytest.approx([0.02, 0.04])


def test_profiles_follow_names_and_unknown_ones_are_reported():
    net = create_kerber_dorfnetz()
    net.load["profile"] = "house"
    hours = pd.date_range("2016-01-01", periods=48, freq="h")
    series = pd.DataFrame({"home": np.linspace(0, 1, 48)}, index=hours)
    problems = validate(pandapower_system(net, profiles=series))
    assert len(problems) == len(net.load)
    assert "profile 'house' is no profile of the system (close: 'home')" in str(problems[0])
    assert validate(pandapower_system(net, profiles=series.rename(columns={"home": "house"}))) == []


def test_three_windings_are_three_transformers_around_a_bus():
    system = pandapower_system(pandapower.networks.example_multivoltage())
    legs = [str(name) for name in system.branches.branch.values if str(name).startswith("HV-MV-MV-Trafo")]
    assert legs == [f"HV-MV-MV-Trafo ({side})" for side in ("hv", "mv", "lv")]
    assert {system.boundary_bus(dso) for dso in system.at_level("dso")} >= {"star point of HV-MV-MV-Trafo"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.json", None, "does not exist"),
        ("net.txt", "text", "has the ending '.txt'"),
        ("net.json", "{", "cannot be read as a pandapower network"),
        ("net.m", "nothing", "line 1: 'nothing' is a statement that is not read"),
    ],
)
def test_files_that_are_no_network(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InvalidSystemError, match=message):
        pandapower_system(tmp_path / name)
