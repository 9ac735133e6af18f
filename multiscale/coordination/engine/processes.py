"""What an engine changes in the process that uses it while it is at work, for the processes that it starts; afterwards all is as before."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker

from multiscale.machine import children_apart_from_current_folder

CONNECT_SECONDS = 15
"""How long an answer of a scheduler is waited for [s]."""

LOADED = "multiscale.operation"
"""What workers import before their first task: an import keeps a worker from sending signs of life."""


@contextlib.contextmanager
def workers_apart_from_current_folder() -> Iterator[None]:
    """``children_apart_from_current_folder`` for workers of Dask: the environment is in the end without what Dask has put there for them."""
    import dask.config
    import distributed  # noqa: F401  states what it puts into the environment

    with children_apart_from_current_folder(*dask.config.get("distributed.nanny.pre-spawn-environ", {})):
        yield


@contextlib.contextmanager
def dask_settings(connect_seconds: float, start_seconds: float) -> Iterator[None]:
    """Settings of Dask while an engine is at work.

    Args:
        connect_seconds: how long an answer of a scheduler is waited for [s].
        start_seconds: time that workers may take to come up [s].
    """
    import dask.config
    import distributed  # noqa: F401  its defaults and its log come before what is changed of them

    environment = dask.config.get("distributed.nanny.pre-spawn-environ", {})
    chosen = {
        # Dask has workers give freed memory back at once, and take every larger array from the system anew: a quarter of their time. Tasks give back
        # what they freed when they end (``give_back_memory``).
        "distributed.nanny.pre-spawn-environ": {name: value for name, value in environment.items() if name != "MALLOC_TRIM_THRESHOLD_"},
        "distributed.comm.timeouts.connect": f"{connect_seconds}s",
        # Programs travel with their tasks, so that any worker can do any of them and a lost worker costs nothing but time.
        "distributed.admin.large-graph-warning-threshold": "2GB",
        # What Dask measures of itself is not used: a sample of every worker's stack each 10 ms, of every server's loop each 20 ms.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "5s",
        # A lost worker is given up with its supervisor, which starts it anew, when half of the time is over: another may then come up in the rest.
        # By default that is after 15 s, which a busy machine may need: the new process would be ended, and what it was given counted as lost twice.
        "distributed.deploy.lost-worker-timeout": f"{start_seconds / 2}s",
        # Two workers were lost with it, one after the other: it is the cause.
        "distributed.scheduler.allowed-failures": 1,
        # Workers log a lost scheduler with a traceback; the driver reports the loss.
        "logging.distributed": "critical",
    }
    with dask.config.set(chosen):
        yield


@contextlib.contextmanager
def interrupts_kept_from_children() -> Iterator[None]:
    """Block SIGINT while processes are started: they inherit that, so that Ctrl-C reaches the driver alone, which then ends them.

    An interrupt that comes meanwhile is delivered at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Starting the tracker unblocks the signal, so it is started before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def give_back_memory() -> None:
    """Return freed memory to the operating system, where the C library can: a process that computed a large task keeps it otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # not the GNU C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)
