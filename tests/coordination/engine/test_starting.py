"""A worker whose process ends while it starts is started anew, and the engine says soon where that cannot succeed."""

import asyncio
import contextlib
import threading
import time

import psutil
import pytest

from multiscale.coordination.engine import DaskEngine, EngineUnavailableError
from multiscale.coordination.engine.supervisor import ATTEMPTS, Supervisor
from tests.coordination.tasks import process_of, spectrum

MOST = 30.0
"""Most that a worker's end may cost on a busy machine [s], of the 120 s that workers have to start."""


@contextlib.contextmanager
def killed_while_starting(times):
    """Kill that many processes of workers as they appear; what is killed so far."""
    before, killed, end = set(psutil.Process().children()), [], threading.Event()

    def watch():
        while len(killed) < times and not end.wait(0.005):
            for process in set(psutil.Process().children()) - before - set(killed):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if "spawn_main" in " ".join(process.cmdline()):
                        process.kill()
                        killed.append(process)
                        break

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield killed
    finally:
        end.set()
        watching.join()


def test_a_worker_killed_while_it_starts_is_started_anew():
    begun = time.monotonic()
    with killed_while_starting(1) as killed, DaskEngine(1) as engine:
        answers = engine.map(spectrum, {"node": (1,)})
    assert len(killed) == 1
    assert (answers["node"] == spectrum(1)).all()
    assert time.monotonic() - begun < MOST


def test_a_worker_that_ends_whenever_it_starts_is_reported_soon_with_what_to_look_at():
    begun = time.monotonic()
    reason = rf"1 of 1 workers on this machine cannot start: its process ended {ATTEMPTS} times in a row while it started; look at the free memory"
    with killed_while_starting(ATTEMPTS) as killed, DaskEngine(1) as engine, pytest.raises(EngineUnavailableError, match=reason):
        engine.map(spectrum, {"node": (1,)})
    assert len(killed) == ATTEMPTS
    assert time.monotonic() - begun < MOST


def test_a_worker_that_cannot_import_the_package_is_reported_soon_with_the_error(monkeypatch):
    monkeypatch.setattr("multiscale.coordination.engine.local.LOADED", "multiscale.missing")
    begun = time.monotonic()
    with DaskEngine(1) as engine, pytest.raises(EngineUnavailableError, match=r"cannot start: No module named 'multiscale\.missing'; look at"):
        engine.map(spectrum, {"node": (1,)})
    assert time.monotonic() - begun < MOST


@pytest.mark.slow
def test_a_worker_that_is_long_in_starting_anew_is_waited_for(monkeypatch):
    """Dask gives up after 15 s by default, and ends the process that has just come up, with what was given to it."""
    at_once, late = Supervisor.instantiate, 20.0

    async def instantiate(self):
        await asyncio.sleep(late)
        return await at_once(self)

    with DaskEngine(1) as engine:
        (first,) = engine.map(process_of, {"node": ("node",)}).values()
        supervisors = dict(engine._cluster.workers)
        monkeypatch.setattr(Supervisor, "instantiate", instantiate)
        psutil.Process(first).kill()
        begun = time.monotonic()
        (second,) = engine.map(process_of, {"node": ("node",)}).values()
        assert time.monotonic() - begun >= late - 5.0
        assert engine._cluster.workers == supervisors
        assert second != first
