"""Time and memory that collecting a large sweep takes: many copies of the run folder of one study, some of them missing.

python -m tests.benchmarks.sweep_collect --jobs 1000 [--run runs/tiny-0123456789]
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import xarray as xr

from multiscale.config import load_config
from multiscale.study import run_study
from multiscale.sweep.collect.collected import collect
from multiscale.sweep.manifest import run_folder
from multiscale.sweep.planned import planned


def main() -> int:
    """Make the folders, collect them, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--run", type=Path, help="run folder to copy; default: that of study=tiny, which is computed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        roof = Path(temporary)
        run = given.run or run_study(load_config(["study=tiny", f"output.folder={roof / 'one'}", "output.report=false"])).folder
        began = time.process_time()
        rows = max(given.jobs // 10, 1)
        overrides = ["study=tiny", f"output.folder={roof}", f"solver.seed=range({rows})", "coordination.import_export_gap=range(0,0.1,0.0105)"]
        manifest = replace(planned(overrides, None, "sweep").manifest)
        print(f"{len(manifest.jobs)} jobs checked in {time.process_time() - began:.1f} CPU s")
        folder = roof / "sweep"
        folder.mkdir()
        manifest.write(folder)
        for job in manifest.jobs:
            if job.number % 50:
                shutil.copytree(run, run_folder(folder, job))
        began, wall = time.process_time(), time.perf_counter()
        files, states = collect(folder)
        cpu, wall = time.process_time() - began, time.perf_counter() - wall
        with xr.open_dataset(files[-1], engine="h5netcdf") as found:
            variables, missing = len(found.data_vars), int((found["job_state"] == "queued").sum())
        size = sum(file.stat().st_size for file in files) / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        what = f"{len(states)} jobs ({missing} missing), {variables} variables"
        print(f"{what}: {cpu:.1f} CPU s, {wall:.1f} s, {size:.0f} MB, at most {peak:.0f} MB memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
