"""What workers do in tests of the engine; importable wherever the tests are."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from multiscale.coordination.negotiation.children.platform_child import PlatformSource


def spectrum(seed: int) -> np.ndarray:
    """Numbers that differ in the last bit if anything is done in another order."""
    matrix = np.random.default_rng(seed).normal(size=(30, 30))
    return np.linalg.eigvalsh(matrix @ matrix.T)


def fails_for(name: str, bad: str) -> str:
    """The name, unless it is the bad one."""
    if name == bad:
        raise ValueError(f"no schedule of {name} exists")
    return name


def dies_once(marker: str, seed: int) -> np.ndarray:
    """Kill the worker it runs on the first time; answer the second time."""
    if marker and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return spectrum(seed)


def kills_its_worker(marker: str) -> str:
    """Kill the worker it runs on the first time; the next worker answers."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker


def stops_its_worker(marker: str, seed: int) -> np.ndarray:
    """Stop the process it runs in the first time, without an end; answer the second time."""
    if marker and not Path(marker).exists():
        Path(marker).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    return spectrum(seed)


def process_of(name: str) -> int:
    """Number of the process that does it; it takes a moment, so that every worker has one to do."""
    del name
    time.sleep(0.2)
    return os.getpid()


class KillsItsWorker(PlatformSource):
    """A platform whose program cannot be made without the end of the process."""

    def reduced(self):
        os.kill(os.getpid(), signal.SIGKILL)


class NeverEnds(PlatformSource):
    """A platform whose program is never finished."""

    def reduced(self):
        time.sleep(3600)
