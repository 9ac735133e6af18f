"""A study that ends as it is asked to, in the place of the real one: workers of a sweep import this instead of the solvers.

``FAKE_STUDY`` names a folder: ``<seed>`` in it says how the job with that seed ends, once for each line; what was computed is listed in ``computed``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

from multiscale.sweep.worker import Task

FOLDER = "FAKE_STUDY"


def answer(place: Path, value: float) -> None:
    """A whole run folder, with the least there may be in it."""
    from multiscale.results.run.provenance import sealed

    scratch = place.with_name(f".{place.name}.partial")
    scratch.mkdir(parents=True)
    (scratch / "status.json").write_text(json.dumps({"status": "optimal", "study": "tiny", "stages": {"plan": 1.5}}))
    (scratch / "summary.json").write_text(json.dumps({"plan.objective": {"value": value, "unit": "EUR/a"}}))
    (scratch / "provenance.json").write_text(json.dumps(sealed({"config": {}}, scratch)))
    scratch.rename(place)


def compute(task: Task) -> tuple[str, str, bool]:
    """Do what the file of the job's seed says, one line at every attempt; without a line, find an answer."""
    found = re.search(r"solver\.seed=(\d+)", " ".join(task.overrides))
    assert found
    seed, folder = found[1], Path(os.environ[FOLDER])
    with (folder / "computed").open("a") as stream:
        stream.write(f"{seed}\n")
    print(f"computing seed {seed}", flush=True)
    file = folder / seed
    lines = file.read_text().splitlines() if file.exists() else []
    file.write_text("\n".join(lines[1:]))
    behaviour = lines[0] if lines else "answer"
    if behaviour == "fail":
        raise RuntimeError("solver lost\nin the night")
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "infeasible":
        return "infeasible", "line 'a' is short of 3 kW at 18:00", True
    if behaviour == "wait":
        until = time.monotonic() + 120
        while not (folder / "go").exists() and time.monotonic() < until:
            time.sleep(0.1)
    if behaviour == "interrupt the sweep":
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    answer(task.place, float(seed))
    return "optimal", "", True
