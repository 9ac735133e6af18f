"""Bad input, end to end through the commands: what is wrong and what to do about it, exit code 2, and nothing that looks like a result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from multiscale import cli
from multiscale.coordination.engine import address as running_workers
from multiscale.coordination.engine import dask_engine
from multiscale.sources import prices, tiny_system, write_folder

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The tiny system as a folder of tables, four days long."""
    system = tiny_system()
    write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 96))), tmp_path / "system")
    return tmp_path / "system"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Run a command on bad input; returns what it says, after the checks that hold for any bad input."""

    def run(*overrides: str, command: str = "validate", code: int = 2) -> str:
        # The folder of the runs comes first, so that a case may name another.
        assert cli.main([command, "study=tiny", f"output.folder={tmp_path / 'runs'}", *overrides]) == code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert captured.out == ""
        assert not [p for p in (tmp_path / "runs").glob("*") if not p.name.endswith(".incomplete") and p.name != ".stages"]
        return captured.err

    return run


def _change(folder: Path, name: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    file = folder / f"{name}.csv"
    edit(pd.read_csv(file, dtype=str, keep_default_na=False)).to_csv(file, index=False)


def _put(row: int, column: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[row, column] = value
        return frame

    return edit


def _with_tie(frame: pd.DataFrame) -> pd.DataFrame:
    tie = frame[frame["branch"] == "north line 2"].assign(branch="north tie", from_bus="north bus 2", to_bus="north bus 4")
    return pd.concat([frame, tie])


FOLDERS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "a missing column": (
        "branches",
        lambda f: f.drop(columns="rating [kVA]"),
        "file 'branches.csv': rating [kVA] column is missing; add it: apparent power it may carry continuously",
    ),
    "a negative rating": (
        "branches",
        _put(8, "rating [kVA]", "-5900"),
        "branch 'north line 2': rating_kva -5900 kVA is not above zero; give a rating or set in_service to false",
    ),
    "no rating": ("branches", _put(8, "rating [kVA]", ""), "branch 'north line 2': rating_kva is missing; give a number in kVA"),
    "no reactance": ("branches", _put(0, "x [ohm]", "0"), "branch 'line A-B': x_ohm 0 ohm is zero, and flows of the transmission level"),
    "an island": (
        "branches",
        _put(8, "in_service", "False"),
        "node 'north': island 'north bus 2', 'north 1 busbar' is 2 buses without a connection to its boundary bus; close a branch",
    ),
    "a loop where something else is wrong": (
        "branches",
        lambda f: _put(8, "rating [kVA]", "-5900")(_with_tie(f)),
        "node 'north': loop 'north tie', 'north line 2', ",
    ),
    "a gap in a profile": (
        "profiles",
        _put(10, "pv p [1]", ""),
        "profile 'pv': p in row 11 of profiles.csv (2016-01-01 10:00:00) has no value; fill the gaps, or leave the column out",
    ),
    "a text in a profile": (
        "profiles",
        _put(10, "pv p [1]", "sun"),
        "profile 'pv': p 'sun' in row 11 of profiles.csv (2016-01-01 10:00:00) is not a number",
    ),
    "half a day": ("profiles", lambda f: f.iloc[:12], "time 12 time stamps do not make a day at 60 min; give at least one whole day"),
    "time that runs backwards": ("profiles", lambda f: f.iloc[::-1], "row 2: '2016-01-04 22:00:00' is not after the time stamp above it"),
    "an unknown profile": (
        "devices",
        _put(5, "profile", "househld A"),
        "device 'north 1 prosumer 1 load': profile 'househld A' is no profile of the system (close: 'household A', 'household B')",
    ),
    "kW under a header in MW": (
        "devices",
        lambda f: f.rename(columns={"p [kW]": "p [MW]"}),
        "device 'north town': p_kw 900000 kW is out of proportion to the 11800 kVA of the branches at bus 'north bus 1'; is it in kW?",
    ),
    "two lines of one name": (
        "branches",
        _put(9, "branch", "north line 2"),
        "branch 'north line 2': branch 'north line 2' occurs more than once; give every one a name of its own",
    ),
    "demand below zero": ("devices", _put(5, "p [kW]", "-3"), "p_kw -3 kW is below 0 kW; give a value of at least 0"),
    "no generator": ("generators", lambda f: f.iloc[:0], "generator is missing; a study needs at least one, e.g. the grid above"),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_a_folder_with_a_fault_names_component_field_value_unit_and_remedy(folder: Path, refused: Callable[..., str], case: str):
    table, edit, message = FOLDERS[case]
    _change(folder, table, edit)
    assert message in refused("system=folder", f"system.path={folder}")


def test_a_run_stops_at_a_fault_before_any_solve_and_leaves_a_folder_that_says_so(folder: Path, refused: Callable[..., str], tmp_path: Path):
    _change(folder, *FOLDERS["an island"][:2])
    said = refused("system=folder", f"system.path={folder}", command="run")
    assert FOLDERS["an island"][2] in said
    (left,) = (p for p in (tmp_path / "runs").iterdir() if p.name != ".stages")
    assert left.name.endswith(".incomplete")
    assert not (left / "result.nc").exists()
    assert '"status": "error"' in (left / "status.json").read_text()


def test_a_system_without_distribution_is_no_study(refused: Callable[..., str], tmp_path: Path):
    system = tiny_system().cut(["transmission"])
    write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 96))), tmp_path / "bare")
    assert "dso is missing; a study needs at least one node of that level" in refused("system=folder", f"system.path={tmp_path / 'bare'}")


def test_a_distribution_system_without_platforms_cannot_be_planned_for(refused: Callable[..., str], tmp_path: Path):
    system = tiny_system().cut(["north"])
    write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 96))), tmp_path / "bare")
    said = refused("system=folder", f"system.path={tmp_path / 'bare'}")
    assert "dso 'north': planning.kind 'dso' has no platform below whose answer could be planned for; use planning=none" in said


def test_a_system_without_a_transmission_network_cannot_be_planned_there(refused: Callable[..., str], tmp_path: Path):
    system = tiny_system().cut(["north 1", "north 2"])
    below = system.branches.isel(branch=(system.branches.node.values != "transmission").nonzero()[0])
    kept = {"bus B"}
    buses = system.buses.isel(bus=[b in kept or n != "transmission" for b, n in zip(system.buses.bus.values, system.buses.node.values, strict=True)])
    inside = [b in set(buses.bus.values.tolist()) for b in system.devices.bus.values.tolist()]
    units = system.generators.assign(bus=("generator", ["bus B"] * system.generators.sizes["generator"]))
    bare = system.replace(branches=below, buses=buses, devices=system.devices.isel(device=inside), generators=units)
    write_folder(bare.replace(profiles=system.profiles.isel(time=slice(0, 96))), tmp_path / "bare")
    said = refused("system=folder", f"system.path={tmp_path / 'bare'}", "planning=tso")
    assert "tso 'transmission': planning.kind 'tso' has no line or transformer that could be reinforced" in said


def test_all_unknown_names_come_in_one_list_with_those_there_are(refused: Callable[..., str]):
    said = refused("system.dsos=[nort,nowhere]")
    assert "1. dso 'nort': system.dsos 'nort' does not exist in 'tiny' (close: 'north'); choose from north, east, south" in said
    assert "2. dso 'nowhere'" in said
    assert "platform 'north 9': system.platforms 'north 9' does not exist" in refused("system.platforms=[north 1,north 9]")


def test_an_unknown_simbench_code_is_answered_with_close_ones(refused: Callable[..., str]):
    said = refused("system=small", "system.code=1-MVLV-rurl-all-0-sw")
    assert "SimBench case '1-MVLV-rurl-all-0-sw': system.code '1-MVLV-rurl-all-0-sw' does not exist; close: 1-MVLV-rural-all-0-sw" in said


def test_growth_with_devices_whose_profile_does_not_exist(folder: Path, refused: Callable[..., str]):
    _change(folder, "devices", lambda f: f[f["kind"] != "heat_pump"])
    said = refused("system=folder", f"system.path={folder}", "system.growth.heat_pump_share=0.5")
    assert "system.growth.heat_pump_share 0.5 asks for new devices, but the system has no heat_pump whose profile" in said


def test_a_tariff_below_zero(refused: Callable[..., str]):
    assert "tariff.levy.price = -0.1 EUR/kWh: is outside its range; it must be at least 0" in refused("tariff.levy=-0.1")


def test_a_cost_table_with_faults(refused: Callable[..., str], tmp_path: Path):
    table = prices.reinforcement_costs()
    table["cost_eur"] = table["cost_eur"].astype(object)
    table.loc[5, "cost_eur"], table.loc[6, "lifetime_years"] = "a lot", 0
    table.to_csv(tmp_path / "costs.csv", index=False)
    said = refused(f"costs.reinforcement_table={tmp_path / 'costs.csv'}")
    assert "reinforcement cost 'row 6': cost_eur a lot EUR is not a number of at least zero; give one in EUR" in said
    assert "reinforcement cost 'row 7': lifetime_years 0" in said


def test_faults_of_all_tables_come_in_one_list(folder: Path, refused: Callable[..., str], tmp_path: Path):
    table = prices.reinforcement_costs()
    table.loc[6, "lifetime_years"] = 0
    table.to_csv(tmp_path / "costs.csv", index=False)
    _change(folder, *FOLDERS["a negative rating"][:2])
    _change(folder, *FOLDERS["a text in a profile"][:2])
    said = refused("system=folder", f"system.path={folder}", f"costs.reinforcement_table={tmp_path / 'costs.csv'}")
    assert "the system has 3 problems" in said
    for part in ("'row 7': lifetime_years 0 a is not", FOLDERS["a negative rating"][2], FOLDERS["a text in a profile"][2]):
        assert part in said


def test_an_unwritable_folder(refused: Callable[..., str], tmp_path: Path):
    (tmp_path / "file").write_text("")
    said = refused(f"output.folder={tmp_path / 'file'}", command="run")
    assert f"output.folder '{tmp_path / 'file'}' cannot be written (File exists); give another one" in said


@pytest.mark.parametrize(
    ("name", "content"), [("other.json", '{"a": 1}'), ("text.json", "text"), ("text.xlsx", "text"), ("text.m", "text"), ("text.txt", "text")]
)
def test_a_file_that_is_no_pandapower_network(refused: Callable[..., str], tmp_path: Path, name: str, content: str):
    (tmp_path / name).write_text(content)
    said = refused("system=pandapower", f"system.path={tmp_path / name}")
    assert f"file '{tmp_path / name}': " in said
    assert ("is a statement that is not read" if name == "text.m" else "pandapower network") in said


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://127.0.0.1:9", "no Dask scheduler answers at engine.address 'tcp://127.0.0.1:9': start one (dask scheduler) or choose engine=local"),
        ("carrier://pigeon", "no Dask scheduler answers at engine.address 'carrier://pigeon'"),
    ],
)
def test_a_scheduler_that_does_not_answer(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, address: str, message: str):
    monkeypatch.setattr(dask_engine, "CONNECT_SECONDS", 1)
    monkeypatch.setattr(running_workers, "CONNECT_SECONDS", 1)
    assert message in refused("engine=address", f"engine.address={address}", "planning=none", command="run")


def test_a_task_that_fails_names_its_node(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    from multiscale.coordination.common import prepared

    def fails(programs: object, signals: object, starts: object) -> None:
        raise ArithmeticError("no optimum")

    monkeypatch.setattr(prepared, "answer_days", fails)
    said = refused("planning=none", "horizon=one_day", "system.dsos=[north]", command="run", code=1)
    assert "error: north 1, day 1: no optimum; details are in " in said
    Path(said.strip().rsplit(" ", 1)[1]).unlink()


def test_what_a_task_finds_wrong_with_the_data_is_bad_input(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch):
    from multiscale.coordination.common import prepared
    from multiscale.system.rooted import MeshedNetworkError

    def fails(programs: object, signals: object, starts: object) -> None:
        raise MeshedNetworkError("network of 'north 1' has a loop")

    monkeypatch.setattr(prepared, "answer_days", fails)
    said = refused("planning=none", "horizon=one_day", "system.dsos=[north]", command="run")
    assert "error: north 1, day 1: network of 'north 1' has a loop" in said


def test_a_method_that_does_not_take_the_plan_is_refused(refused: Callable[..., str]):
    said = refused("planning.method=big_m", "planning.adoption=false", "horizon=one_day", "system.dsos=[north]", command="run")
    assert "big_m needs a proven bound of the multiplier" in said


def test_a_charge_that_cannot_recover_the_cost_is_infeasible(refused: Callable[..., str]):
    said = refused("tariff.network_charge.price_max=0.001", "system.dsos=[north]", command="run", code=3)
    assert "takes a price of network_charge of at least 0.04" in said
    assert "allow a higher one" in said


@pytest.mark.parametrize(
    ("stage", "more"),
    [
        pytest.param("plan", ["planning.time_limit_s=60"], marks=pytest.mark.slow),
        ("operate", ["planning=none", "system.dsos=[north]", "horizon=one_day", "engine=local", "engine.workers=1"]),
    ],
)
def test_an_interrupted_run_ends_quietly_and_leaves_no_result(tmp_path: Path, stage: str, more: list[str]):
    command = [sys.executable, "-m", "multiscale.cli", "run", "study=tiny", f"output.folder={tmp_path / 'runs'}", *more]
    # As from a terminal: the signal reaches the whole group, workers and solver processes included.
    run = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    try:
        until = time.monotonic() + 40
        while time.monotonic() < until and not any(f'"stage": "{stage}"' in _text(f) for f in (tmp_path / "runs").glob(".*/status.json")):
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.02)
        time.sleep(0.5)
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=30)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 130, err
    assert "interrupted; the run has no result; the same command begins again" in err
    assert "Traceback" not in err
    assert out == ""
    (left,) = (p for p in (tmp_path / "runs").iterdir() if p.name != ".stages")
    assert left.name.endswith(".incomplete")
    assert '"status": "interrupted"' in (left / "status.json").read_text()
    assert not (left / "result.nc").exists()


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # just being replaced
        return ""
