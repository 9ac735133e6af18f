"""Time and memory that collecting a large sweep takes: many copies of the run folder of one study, each sealed as its own job, some of them missing.

python -m tests.benchmarks.sweep_collect --jobs 1000 [--run runs/tiny-0123456789]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from multiscale.config import load_config
from multiscale.results.run.provenance import SEAL, sealed
from multiscale.study import run_study
from multiscale.sweep.collect.collected import collect
from multiscale.sweep.manifest import run_folder
from multiscale.sweep.planned import planned


@dataclass(frozen=True)
class Collected:
    """What collecting a sweep took.

    Attributes:
        jobs, missing: jobs, and those of them without a run folder.
        variables: of the dataset.
        cpu, wall: time [CPU s], [s].
        size: of the files [MB].
        peak: memory of the process [MB].
    """

    jobs: int
    missing: int
    variables: int
    cpu: float
    wall: float
    size: float
    peak: float


def collected(jobs: int, run: Path | None) -> Collected:
    """Make a sweep with the folders of its jobs, and collect it.

    Args:
        jobs: how many, a multiple of 10; every fiftieth has no run folder.
        run: run folder that is copied; None computes that of ``study=tiny``.
    """
    with tempfile.TemporaryDirectory() as temporary:
        roof = Path(temporary)
        run = run or run_study(load_config(["study=tiny", f"output.folder={roof / 'one'}", "output.report=false"])).folder
        swept = [f"solver.seed=range({max(jobs // 10, 1)})", "coordination.import_export_gap=range(0,0.1,0.0105)"]
        overrides = ["study=tiny", f"output.folder={roof}", *swept]
        manifest = planned(overrides, None, "sweep").manifest
        folder = roof / "sweep"
        folder.mkdir()
        manifest.write(folder)
        record = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
        del record[SEAL]
        for job in manifest.jobs:
            if job.number % 50:
                place = run_folder(folder, job)
                shutil.copytree(run, place)
                own = record | {"overrides": list(job.overrides), "config_sha256": job.config_sha256}
                (place / "provenance.json").write_text(json.dumps(sealed(own, place)), encoding="utf-8")
        began, wall = time.process_time(), time.perf_counter()
        files, states = collect(folder)
        cpu, wall = time.process_time() - began, time.perf_counter() - wall
        with xr.open_dataset(files[-1], engine="h5netcdf") as found:
            variables, missing = len(found.data_vars), int((found["job_state"] == "queued").sum())
        size = sum(file.stat().st_size for file in files) / 1e6
        return Collected(len(states), missing, variables, cpu, wall, size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def main() -> int:
    """Make the folders, collect them, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--run", type=Path, help="run folder to copy; default: that of study=tiny, which is computed")
    given = parser.parse_args()
    found = collected(given.jobs, given.run)
    what = f"{found.jobs} jobs ({found.missing} missing), {found.variables} variables"
    print(f"{what}: {found.cpu:.1f} CPU s, {found.wall:.1f} s, {found.size:.0f} MB, at most {found.peak:.0f} MB memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
