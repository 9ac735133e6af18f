"""OpenDSS models: a balanced one has OpenDSS' own voltages and losses; what is unbalanced, unknown, elsewhere or would run is refused by name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from multiscale import cli
from multiscale.sources import pandapower_system
from multiscale.system import InvalidSystemError

pytestmark = pytest.mark.skipif(find_spec("dss") is None, reason="the extra 'readers' (dss-python) is not installed")

MASTER = """
clear
! two feeders below a station
new circuit.village basekv=20 pu=1.02 phases=3 mvasc3=1e9 mvasc1=1e9
new linecode.cable nphases=3 r1=0.206 x1=0.08 r0=0.8 x0=0.3 c1=260 c0=200 units=km normamps=270
new transformer.T1 phases=3 windings=2 buses=(sourcebus, station) conns=(delta, wye) kvs=(20, 0.4) kvas=(250, 250) xhl=4
~ %rs=(0.5, 0.6) %noloadloss=0.2 %imag=0.5
redirect feeders/lines.dss
new load.school bus1=b2 phases=3 kv=0.4 kw=31 pf=0.95 model=1 vminpu=0.5
new load.farm bus1=a1 phases=3 kv=0.4 kw=24 kvar=7 model=1 vminpu=0.5
new capacitor.c bus1=b1 phases=3 kv=0.4 kvar=6
new generator.roof bus1=b2 phases=3 kv=0.4 kw=12 kvar=0 model=1 vminpu=0.5
set voltagebases=[20 0.4]
calcvoltagebases
set mode=daily number=24
solve
show voltages
"""
LINES = """
new line.a1 bus1=station bus2=a1 linecode=cable length=210 units=m
new line.b1 bus1=station bus2=b1 linecode=cable length=0.17
new line.b2 bus1=b1 bus2=b2 linecode=cable length=0.13 units=km
edit line.b2 length=0.14
"""


def model(folder: Path, more: str = "", lines: str = LINES) -> Path:
    (folder / "feeders").mkdir(exist_ok=True)
    (folder / "feeders" / "lines.dss").write_text(lines)
    (folder / "Master.dss").write_text(MASTER + more)
    return folder / "Master.dss"


def solved_by_opendss(master: Path) -> tuple[Any, dict[str, float]]:
    """The circuit of a model with ``LINES``, executed as it stands and solved, and the voltage of every bus [pu]."""
    from multiscale.sources.opendss_network import loaded

    engine = loaded()[0].NewContext()
    for line in [*master.read_text().replace("redirect feeders/lines.dss", LINES).splitlines(), "set mode=snapshot", "calcvoltagebases", "solve"]:
        if line and not line.startswith("show"):
            engine.Text.Command = line
    circuit, found = engine.ActiveCircuit, {}
    for name in circuit.AllBusNames:
        circuit.SetActiveBus(name)
        found[name] = float(np.mean(np.asarray(circuit.ActiveBus.puVmagAngle)[0::2]))
    return circuit, found


@pytest.mark.parametrize("magnetised", [False, True])
def test_a_balanced_model_has_the_voltages_and_losses_of_opendss(tmp_path: Path, magnetised: bool):
    from multiscale.sources.opendss_network import opendss_network

    if not magnetised:
        ideal = model(tmp_path)
        ideal.write_text(ideal.read_text().replace(" %noloadloss=0.2 %imag=0.5", ""))
    net, approximated = opendss_network(tmp_path / "Master.dss" if not magnetised else model(tmp_path))
    pp.runpp(net, trafo_model="pi", calculate_voltage_angles=False, numba=False)
    circuit, theirs = solved_by_opendss(tmp_path / "Master.dss")
    ours = dict(zip(net.bus.name, net.res_bus.vm_pu, strict=True))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        # All of the magnetising current flows through the leakage in OpenDSS, half of it here: 0.5 x 0.5 % x 4 %.
        assert ours[name] == pytest.approx(value, abs=1.2e-4 if magnetised else 2e-6), name
    losses = float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()) * 1e6
    assert losses == pytest.approx(float(circuit.Losses[0]), rel=2e-3)
    assert {a.field for a in approximated} == {"impedance", "power", *(["magnetising current"] * magnetised)}


def test_a_model_becomes_a_case_and_a_system(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    master = model(tmp_path, "new load.flat bus1=b1.2 phases=1 kv=0.23094 kw=3 pf=0.97 model=2\n")
    system = pandapower_system(master)
    assert any("unbalance of voltages is not seen" in str(a) for a in system.approximations)
    assert any("taken as constant power" in str(a) for a in system.approximations)
    assert cli.main(["init", str(tmp_path / "case"), "--from", str(tmp_path)]) == 0
    assert "unbalance of voltages is not seen" in capsys.readouterr().out
    assert cli.main(["validate", "system=pandapower", f"system.path={master}", "engine=serial"]) == 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("new line.c1 bus1=b1.1 bus2=c1.1 phases=1 r1=0.2 x1=0.1 length=0.1", r"Line\.c1.*1 phase\(s\).*positive sequence"),
        ("new reactor.r bus1=b1 phases=3 kv=0.4 kvar=3", r"Reactor\.r.*class reactor are not read"),
        ("new generator.g bus1=b1 kv=0.4 kw=1 usermodel=./planted.so", r"Master\.dss:\d+.*names a library"),
        ("new generator.g bus1=b1 kv=0.4 kw=1 us=./planted.so", "names a library"),
        ("new generator.g bus1=b1 kv=0.4 kw=1\n~ d=1 ./planted.so", "names a library"),
        ("generator.roof.u=planted.so", "names a library"),
        ("new capcontrol.c u=planted.so", "names a library"),
        ("new loadshape.s npts=3 csvfile=/etc/passwd", "outside the folder"),
        ("new loadshape.s npts=3 mult=(file=/etc/passwd)", "outside the folder"),
        ("edit load.school kw=900 vminpu=0.01", "does not converge"),
        ("redirect ../outside.dss", "outside the folder"),
        ("redirect Master.dss", "read each other"),
        ("redirect nothing.dss", "cannot be read"),
        ("shell rm -rf x", "'?shell'?.*is no statement of a network"),
        ("new load.l bus1=b1 kw=much", "OpenDSS says"),
        ("new transformer.T3 phases=3 windings=3 buses=(sourcebus, x, y) kvs=(20, 0.4, 0.4) kvas=(100,100,100)", "3 windings"),
    ],
)
def test_what_is_not_read_is_refused_by_name(tmp_path: Path, more: str, said: str):
    with pytest.raises(InvalidSystemError, match=said):
        pandapower_system(model(tmp_path, more + "\n"))


@pytest.mark.parametrize(
    "more",
    [
        "new load.fixed bus1=a1 kv=0.4 kw=20 pf=1 status=fixed vminpu=0.5\nnew load.exempt bus1=a1 kv=0.4 kw=20 pf=1 status=exempt vminpu=0.5\n"
        "set mode=daily loadmult=0.5\n",
        "edit vsource.source basekv=19.6\n",
        "new line.mm bus1=a1 bus2=far r1=2e-7 x1=1e-7 units=mm length=200000\nnew load.far bus1=far kv=0.4 kw=20 vminpu=0.5\n",
        "new transformer.T2 phases=3 windings=2 buses=(sourcebus, station) conns=(delta, wye) kvs=(20, 0.4) kvas=(250, 250)\n"
        "open transformer.T2 1\nnew load.off bus1=a1 kv=0.4 kw=90 vminpu=0.5\nopen load.off 1\n",
        "set controlmode=off\nnew regcontrol.r transformer=T1 winding=2 vreg=120 band=1 ptratio=1.8\n",
    ],
)
def test_what_changes_the_voltages_of_opendss_changes_ours(tmp_path: Path, more: str):
    from multiscale.sources.opendss_network import opendss_network

    master = model(tmp_path, more)
    master.write_text(master.read_text().replace(" %noloadloss=0.2 %imag=0.5", ""))
    net, _ = opendss_network(master)
    pp.runpp(net, trafo_model="pi", calculate_voltage_angles=False, numba=False)
    assert dict(zip(net.bus.name, net.res_bus.vm_pu, strict=True)) == pytest.approx(solved_by_opendss(master)[1], abs=2e-6)


def test_a_model_without_voltage_bases_is_refused(tmp_path: Path):
    master = model(tmp_path)
    master.write_text(master.read_text().replace("set voltagebases=[20 0.4]", ""))
    with pytest.raises(InvalidSystemError, match="sets no voltage bases"):
        pandapower_system(master)


def test_endings_in_capitals_and_numbers_in_files_are_read(tmp_path: Path):
    from multiscale.sources.pandapower_net import PandapowerSettings

    master = model(tmp_path, lines=LINES + "new loadshape.s npts=3 csvfile=shape.csv\n").rename(tmp_path / "Master.DSS")
    (tmp_path / "feeders" / "shape.csv").write_text("1\n2\n3\n")
    assert pandapower_system(master).nodes
    assert {file.name for file in PandapowerSettings(path=master).files} == {"Master.DSS", "lines.dss", "shape.csv"}


def test_all_files_of_a_model_are_inputs_of_a_study(tmp_path: Path):
    from multiscale.sources.pandapower_net import PandapowerSettings

    settings = PandapowerSettings(path=model(tmp_path))
    assert {file.name for file in settings.files} == {"Master.dss", "lines.dss"}
