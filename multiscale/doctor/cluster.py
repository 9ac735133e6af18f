"""Two worker processes on this machine, as ``engine=local`` starts them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from multiscale.doctor.finding import Finding

WORKERS = 2
SECONDS = 60.0
"""Time that workers may take to come up [s]."""


def check_cluster(_: Path) -> Iterator[Finding]:
    """Start them and give each something to do; and which batch systems can be used."""
    from multiscale.coordination.engine import DaskEngine, EngineUnavailableError, LocalSettings, TaskError

    what, remedy = (
        f"local Dask cluster of {WORKERS} processes",
        "use engine=serial until it works; a firewall may block 127.0.0.1",
    )
    began = time.perf_counter()
    try:
        with DaskEngine(WORKERS, waits=LocalSettings(start_s=SECONDS)) as engine:
            pids = engine.map(_process, {str(k): (k,) for k in range(2 * WORKERS)}, homes={str(k): k for k in range(2 * WORKERS)}, patience=SECONDS)
    except (EngineUnavailableError, TaskError, OSError) as error:
        yield Finding("failed", what, str(error), remedy)
    else:
        here = len({*pids.values()} - {os.getpid()})
        found = f"{here} process{'es' if here != 1 else ''} answered in {time.perf_counter() - began:.1f} s"
        yield Finding("ok", what, found) if here == WORKERS else Finding("failed", what, found, remedy)
    missing = [name for name in ("dask_jobqueue", "submitit") if find_spec(name) is None]
    text = f"{', '.join(missing)} not installed: batch systems are used through a running scheduler (engine=address)" if missing else "installed"
    yield Finding("ok", "batch systems", text)


def _process(_: int) -> int:
    return os.getpid()
