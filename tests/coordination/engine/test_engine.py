import copy
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import dask
import numpy as np
import pytest
from distributed import Client

from multiscale.config import ConfigError, load_config
from multiscale.coordination.engine import AddressSettings, DaskEngine, LocalSettings, SerialEngine, TaskError, make_engine
from multiscale.markets import Community
from tests.coordination.tasks import dies_once, fails_for, spectrum
from tests.operated import coordinate_days
from tests.variants import charged

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def operate(system, winter, economics, fleets):
    """One day of one DSO under every mechanism, as flat arrays."""
    alone = system.cut(["north 1", "north 2"])
    mine = {p: fleets[p] for p in ("north 1", "north 2")}

    def run(engine):
        day = coordinate_days(alone, winter, economics, mine, charged(["north"], 0.05), Community(), engine)[0]
        arrays = {}
        for name, outcome in day.outcomes.items():
            arrays[f"{name} cost"] = np.array([outcome.cost, outcome.bound])
            for node in outcome.exchange:
                arrays[f"{name} exchange {node}"] = outcome.exchange[node]
            for platform in outcome.platform_x:
                arrays[f"{name} x {platform}"], arrays[f"{name} y {platform}"] = outcome.platform_x[platform], outcome.platform_y[platform]
        return arrays

    return run


@pytest.fixture(scope="module")
def serial(operate):
    return operate(SerialEngine())


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert (one[name] == other[name]).all(), name


def test_a_second_serial_run_is_the_same_to_the_last_bit(operate, serial):
    assert_same(operate(SerialEngine()), serial)


def test_two_workers_give_what_one_process_gives(operate, serial, two_workers):
    assert_same(operate(two_workers), serial)


@pytest.mark.slow  # two workers: the test above
@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_gives_what_one_process_gives(operate, serial, workers):
    with DaskEngine(workers) as engine:
        assert_same(operate(engine), serial)


def test_a_scheduler_started_from_the_command_line_gives_the_same(operate, serial, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__DASHBOARD__LINK": "", "OMP_NUM_THREADS": "1"}
    where = tmp_path / "scheduler.json"
    # Ports the system chooses: several test runs may share a machine.
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    scheduler += ["--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(where)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": tmp_path}
    processes = [subprocess.Popen(scheduler, **quiet)]
    try:
        address = _address(where, processes[0])
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        nobody = AddressSettings(address=address, start_s=1.0)
        with pytest.raises(ConnectionError, match=r"has no workers: start some \(dask worker"), make_engine(nobody):
            pass
        processes.append(subprocess.Popen(worker, **quiet))
        _await_worker(address)
        with make_engine(AddressSettings(address=address)) as engine:
            assert engine.workers == 1
            assert_same(operate(engine), serial)
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait(timeout=20)


def _address(where: Path, process: subprocess.Popen) -> str:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert process.poll() is None, "the scheduler ended"
        try:
            return str(json.loads(where.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.1)
    raise TimeoutError("no scheduler")


def _await_worker(address: str) -> None:
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=30)


def test_an_address_without_a_server_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr("multiscale.coordination.engine.address.CONNECT_SECONDS", 1)
    with (
        pytest.raises(ConnectionError, match=r"no Dask scheduler answers at .*'tcp://127.0.0.1:9': start one \(dask scheduler\)"),
        make_engine(AddressSettings(address="tcp://127.0.0.1:9")),
    ):
        pass


def test_answers_come_in_the_order_of_the_tasks(two_workers):
    tasks = {f"node {k}": (k,) for k in (5, 3, 9, 1)}
    answers, here = two_workers.map(spectrum, tasks), SerialEngine().map(spectrum, tasks)
    assert list(answers) == list(tasks) == list(here)
    assert all((answers[k] == here[k]).all() for k in tasks)


def test_a_task_that_fails_names_its_node(two_workers):
    tasks = {name: (name, "south 1") for name in ("north 1", "south 1")}
    for engine in (SerialEngine(), two_workers):
        with pytest.raises(TaskError, match="south 1: no schedule of south 1 exists") as caught:
            engine.map(fails_for, tasks)
        assert type(caught.value.__cause__) is ValueError


def test_very_many_tasks_come_back_whole_and_in_order(two_workers):
    tasks = {f"node {k}": (f"answer {k}", "") for k in range(1000)}
    homes = {name: k % 7 for k, name in enumerate(tasks)}
    assert list(two_workers.map(fails_for, tasks, homes).items()) == [(name, given) for name, (given, _) in tasks.items()]
    with pytest.raises(TaskError, match="node 777: no schedule of answer 777 exists"):
        two_workers.map(fails_for, tasks | {"node 777": ("answer 777", "answer 777")}, homes)


def test_a_killed_worker_changes_nothing(two_workers, tmp_path):
    marker = tmp_path / "killed"
    answers = two_workers.map(dies_once, {f"node {k}": (str(marker) if k == 2 else "", k) for k in range(5)})
    assert marker.exists()
    assert all((answers[f"node {k}"] == spectrum(k)).all() for k in range(5))


@pytest.mark.slow  # one of two: the test above
def test_the_only_worker_may_be_lost(tmp_path):
    """Its tasks were given to it by name, and its successor has another: they are begun again."""
    with DaskEngine(1) as engine:
        marker = tmp_path / "killed"
        tasks = {f"node {k}": (str(marker) if k == 2 else "", k) for k in range(5)}
        answers = engine.map(dies_once, tasks, dict.fromkeys(tasks, 0))
    assert marker.exists()
    assert all((answers[f"node {k}"] == spectrum(k)).all() for k in range(5))


def test_an_unknown_engine_is_refused():
    known = "local, address, pbs, scheduler_file, serial, slurm"
    with pytest.raises(ConfigError, match=f"engine = quantum: no such choice; group engine has {known}") as caught:
        load_config(["engine=quantum"])
    assert len(caught.value.problems) == 1
    with pytest.raises(ConfigError, match=r"engine\.kind = 'quantum': is not a valid value; use serial, local, address, scheduler_file, slurm, pbs"):
        load_config(["engine.kind=quantum"])


def test_workers_have_the_threads_that_were_asked_for_and_the_process_of_their_user_is_left_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('imported from the current folder')\n")
    monkeypatch.chdir(tmp_path)
    environment, settings = dict(os.environ), copy.deepcopy(dask.config.config)
    with make_engine(LocalSettings(workers=1, threads_per_worker=2)) as engine:
        assert engine.map(os.getenv, {"safe": ("PYTHONSAFEPATH",)}) == {"safe": "1"}
        assert list(engine._client.nthreads().values()) == [2]
    assert dict(os.environ) == environment
    assert dask.config.config == settings
