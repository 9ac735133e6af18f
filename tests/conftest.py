"""The tiny case over one winter day, made once."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile

import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from multiscale.devices.fleet import Fleet
from multiscale.markets import Community
from multiscale.operation import OperatingTree, operating_tree
from multiscale.sources import tiny_system
from multiscale.system import Economics, System
from multiscale.timeline import Horizon
from tests.kept_for_all import FOLDER
from tests.variants import charged


@pytest.fixture(scope="session")
def system() -> System:
    return tiny_system()


def pytest_configure(config: pytest.Config) -> None:
    """A run started in the background of a shell ignores interrupts, and so would all that the tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # The processes among which the tests are divided inherit the folder from the one that divides them.
    if FOLDER not in os.environ:
        folder = tempfile.mkdtemp(prefix="multiscale-tests-")
        os.environ[FOLDER] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        config.add_cleanup(lambda: os.environ.pop(FOLDER))
    # Several processes share the cores: each does linear algebra in one thread, and so do those that it starts.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    threadpool_limits(1)
    # Modules and tests stay until the end: looking for garbage among them takes a fourth of the time of collecting them.
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def winter() -> Horizon:
    """A cold day in twelve steps of two hours that stands for the whole year."""
    return Horizon((pd.Timestamp("2016-01-20"),), (366.0,), 2.0, ("winter",))


@pytest.fixture(scope="session")
def summer() -> Horizon:
    return Horizon((pd.Timestamp("2016-06-15"),), (366.0,), 2.0, ("summer",))


@pytest.fixture(scope="session")
def economics() -> Economics:
    return Economics()


@pytest.fixture(scope="session")
def fleets(system: System, winter: Horizon) -> dict[str, Fleet]:
    return {p: system.fleet(p, winter) for p in system.at_level("platform")}


@pytest.fixture(scope="session")
def tree(system: System, winter: Horizon, economics: Economics, fleets: dict[str, Fleet]) -> OperatingTree:
    """Every node's program, with a network charge of 5 ct/kWh."""
    return operating_tree(system, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community())
