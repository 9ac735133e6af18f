"""A worker that is stopped, not dead, costs seconds; nothing is waited for without an end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from distributed import Client

from multiscale.coordination.engine import AddressSettings, DaskEngine, EngineUnavailableError, LocalSettings, make_engine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from tests.coordination.engine.test_engine import ROOT, _address
from tests.coordination.tasks import process_of, spectrum, stops_its_worker

QUICK = LocalSettings(silence_s=10.0, start_s=60.0)
"""Waits that a test can wait for; the default silence is 30 s."""
MOST = 45.0
"""Most that a stopped worker may cost on a busy machine [s]: silence, a look every 5 s, and the end of its process."""


@pytest.mark.slow
def test_a_worker_stopped_in_the_middle_of_a_task_costs_seconds(tmp_path):
    with DaskEngine(2, waits=QUICK) as engine:
        engine.map(spectrum, {"warm": (0,)})
        marker, started = tmp_path / "stopped", time.monotonic()
        answers = engine.map(stops_its_worker, {f"node {k}": (str(marker) if k == 2 else "", k) for k in range(6)})
        taken = time.monotonic() - started
        closing = time.monotonic()
    assert marker.exists()
    assert all((answers[f"node {k}"] == spectrum(k)).all() for k in range(6))
    assert taken < MOST
    assert time.monotonic() - closing < MOST
    print(f"{taken:.1f} s, and {time.monotonic() - closing:.1f} s to close")


@pytest.mark.slow
def test_a_worker_stopped_while_it_has_nothing_to_do_costs_seconds():
    with DaskEngine(2, waits=QUICK) as engine:
        processes = set(engine.map(process_of, {f"a {k}": (f"a {k}",) for k in range(6)}, {f"a {k}": k for k in range(6)}).values())
        assert len(processes) == 2
        os.kill(min(processes), signal.SIGSTOP)
        started = time.monotonic()
        answers = engine.map(spectrum, {f"node {k}": (k,) for k in range(6)}, {f"node {k}": k for k in range(6)})
        taken = time.monotonic() - started
    assert all((answers[f"node {k}"] == spectrum(k)).all() for k in range(6))
    assert taken < MOST
    print(f"{taken:.1f} s")


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.05, 0.5])
def test_a_worker_stopped_while_answers_are_fetched_or_computed_costs_seconds(after):
    """Answers that are in its memory are computed again."""
    with DaskEngine(2, waits=QUICK) as engine:
        homes = {f"a {k}": k for k in range(6)}
        process = min(engine.map(process_of, {k: (k,) for k in homes}, homes).values())
        timer = threading.Timer(after, os.kill, (process, signal.SIGSTOP))
        started = time.monotonic()
        timer.start()
        answers = engine.map(process_of, {k: (k,) for k in homes}, homes)
        taken = time.monotonic() - started
        timer.join()
    assert set(answers) == set(homes)
    assert taken < MOST
    print(f"{taken:.1f} s")


@pytest.mark.slow
def test_a_worker_stopped_in_a_negotiation_changes_nothing_but_seconds(tree):
    options = NegotiationOptions(gap=1e-6, rounds=10)
    with DaskEngine(2, waits=QUICK) as engine:
        first = negotiation_of(tree, engine, options)
        expected = outcome_of(first, first.run())
        homes = {f"a {k}": k for k in range(6)}
        process = min(engine.map(process_of, {k: (k,) for k in homes}, homes).values())
        second, started = negotiation_of(tree, engine, options), time.monotonic()
        os.kill(process, signal.SIGSTOP)
        found = outcome_of(second, second.run())
        taken = time.monotonic() - started
    assert (found.cost, found.bound) == (expected.cost, expected.bound)
    assert not found.excluded
    assert taken < MOST
    print(f"{taken:.1f} s")


def scheduler(folder, processes):
    """A scheduler started from the command line; its address, and how to start a worker of it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": folder}
    where = Path(folder) / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    processes.append(subprocess.Popen([*command, "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(where)], **quiet))
    address = _address(where, processes[0])

    def start_worker():
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        processes.append(subprocess.Popen(worker, **quiet))
        return processes[-1]

    return address, start_worker


@pytest.fixture
def started(tmp_path):
    processes = []
    yield scheduler(tmp_path, processes)
    for process in reversed(processes):
        process.kill()
        process.wait(timeout=20)


def test_a_scheduler_without_workers_is_waited_for_within_a_limit(started):
    address, start_worker = started
    begun = time.monotonic()
    none = pytest.raises(EngineUnavailableError, match=r"has no workers: start some .*none came within 1 s \(engine\.start_s\)")
    with none, make_engine(AddressSettings(address=address, start_s=1.0)):
        pass
    assert time.monotonic() - begun < 20
    timer = threading.Timer(1.0, start_worker)
    timer.start()
    with make_engine(AddressSettings(address=address, start_s=60.0)) as engine:
        assert engine.workers == 1
        assert (engine.map(spectrum, {"node": (1,)})["node"] == spectrum(1)).all()
    timer.join()


@pytest.mark.slow
def test_a_worker_without_anybody_to_restart_it_that_is_stopped_leaves_its_work_to_the_others(started, tmp_path):
    address, start_worker = started
    for _ in range(2):
        start_worker()
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    with make_engine(AddressSettings(address=address, silence_s=10.0)) as engine:
        marker, begun = tmp_path / "stopped", time.monotonic()
        answers = engine.map(stops_its_worker, {f"node {k}": (str(marker) if k == 2 else "", k) for k in range(6)})
        taken = time.monotonic() - begun
    assert all((answers[f"node {k}"] == spectrum(k)).all() for k in range(6))
    assert taken < MOST
    print(f"{taken:.1f} s")


@pytest.mark.slow
def test_a_scheduler_that_is_stopped_ends_the_run_with_its_address(started, monkeypatch):
    monkeypatch.setattr("multiscale.coordination.engine.liveness.ANSWER_SECONDS", 3)
    address, start_worker = started
    start_worker()
    with make_engine(AddressSettings(address=address, silence_s=10.0)) as engine:
        engine.map(spectrum, {"node": (1,)})
        pid = engine._client.run_on_scheduler(os.getpid)
        os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        try:
            with pytest.raises(EngineUnavailableError, match=r"scheduler at .* gave no answer in 3 s; look at its host"):
                engine.map(spectrum, {"node": (1,)}, {"node": 0})
            assert time.monotonic() - begun < MOST
        finally:
            os.kill(pid, signal.SIGCONT)
