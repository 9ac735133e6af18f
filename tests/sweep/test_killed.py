"""A sweep whose process group is killed at its seventh job: the rest is run, nothing twice, and the results are those of one that was not killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from multiscale.reproduction.differences import Tolerance, differences
from multiscale.results import RunResult
from multiscale.sources import tiny_system, write_folder
from multiscale.sweep.manifest import Manifest, is_sweep, run_folder
from multiscale.sweep.states import job_states

ROOT = Path(__file__).parents[2]
JOBS = 20
STUDY = (
    "study=tiny", "system=folder", "system.dsos=[north]", "horizon=one_day", "horizon.days=1", "planning=none", "verification.year=false",
    "results.operated=[]", "output.report=false",
)  # fmt: skip
PATIENCE = 20.0
"""Time within which the processes of a killed sweep have to be gone [s]."""


def _begun(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "multiscale.cli", *arguments], cwd=tmp_path, env=environment, start_new_session=True)


def _run(output: str) -> list[str]:
    swept = f"coordination.import_export_gap=range(0,{JOBS * 0.002 - 0.001},0.002)"
    return ["run", "-m", "--jobs", "2", "--oversubscribe", *STUDY, "system.path=system", f"output.folder={output}", swept]


@pytest.mark.slow
def test_what_a_killed_sweep_lacks_is_run_and_nothing_twice(tmp_path: Path):
    system = tiny_system()
    write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 48))), tmp_path / "system")
    killed = _begun(tmp_path, *_run("killed"))
    sweep = None
    until = time.monotonic() + 900
    while time.monotonic() < until and killed.poll() is None:
        sweep = next((folder for folder in (tmp_path / "killed").glob("sweep-*") if is_sweep(folder)), None)
        if sweep is not None and sum(state.answered for state in job_states(sweep, Manifest.read(sweep), running=True)) >= 7:
            break
        time.sleep(0.05)
    assert killed.poll() is None
    assert sweep is not None
    family = psutil.Process(killed.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert psutil.wait_procs(family, timeout=PATIENCE)[1] == [], "processes are left"

    manifest = Manifest.read(sweep)
    assert len(manifest.jobs) == JOBS
    before = {state.job.number: (run_folder(sweep, state.job) / "result.nc").stat() for state in job_states(sweep, manifest) if state.answered}
    assert 7 <= len(before) < JOBS
    events = len((sweep / "journal.jsonl").read_text().splitlines())
    assert _begun(tmp_path, "resume", str(sweep), "--jobs", "2", "--oversubscribe").wait(900) == 0
    lines = (sweep / "journal.jsonl").read_text().splitlines()[events:]
    assert sum('"state": "running"' in line for line in lines) == JOBS - len(before), "exactly what was missing is run"
    for number, stat in before.items():
        now = (run_folder(sweep, manifest.jobs[number - 1]) / "result.nc").stat()
        assert (now.st_ino, now.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns), f"job {number} was run again"

    assert _begun(tmp_path, *_run("whole")).wait(900) == 0
    (whole,) = (tmp_path / "whole").glob("sweep-*")
    for one, other in zip(manifest.jobs, Manifest.read(whole).jobs, strict=True):
        results = RunResult.load(run_folder(sweep, one)), RunResult.load(run_folder(whole, other))
        assert differences(*results, Tolerance())[0] == [], f"job {one.number}"
