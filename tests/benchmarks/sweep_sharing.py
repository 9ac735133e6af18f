"""CPU time of a sweep whose jobs differ in coordination only, as a share of that of separate runs; and what a job of a sweep costs beyond its study.

    python -m tests.benchmarks.sweep_sharing --jobs 20 --separate 3 [study=tiny ...]

Jobs of the sweep share what does not depend on coordination (build, plan, operation without response). Of the separate runs a few are measured, each
in a process and an output folder of its own; their mean stands for all.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multiscale.results import RunResult
from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.states import job_states

ROOT = Path(__file__).parents[2]
STEP = 0.001


def cpu(roof: Path, *arguments: str) -> float:
    """CPU seconds of a command with all processes it starts."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "multiscale.cli", *arguments], cwd=roof, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@dataclass(frozen=True)
class Sharing:
    """What a sweep costs beside separate runs.

    Attributes:
        alone: a separate run, mean [CPU s].
        together: the whole sweep [CPU s].
        share: of the sweep in as many separate runs [1].
        beyond: a job beyond its study, median and largest of wall times [s].
    """

    alone: float
    together: float
    share: float
    beyond: tuple[float, float]


def sharing(overrides: Sequence[str], jobs: int, separate: int) -> Sharing:
    """Run some jobs on their own, and all of them as a sweep.

    Args:
        overrides: of the study.
        jobs: of the sweep; they differ in the gap between import and export prices.
        separate: how many are run on their own.
    """
    gaps = [round(0.01 + STEP * number, 6) for number in range(jobs)]
    with tempfile.TemporaryDirectory() as temporary:
        roof = Path(temporary)
        alone = [cpu(roof, "run", *overrides, f"output.folder=alone-{gap}", f"coordination.import_export_gap={gap}") for gap in gaps[:separate]]
        swept = f"coordination.import_export_gap={','.join(map(str, gaps))}"
        together = cpu(roof, "run", "-m", "--jobs", "1", *overrides, "output.folder=together", swept)
        (sweep,) = (roof / "together").glob("sweep-*")
        states = job_states(sweep, Manifest.read(sweep))
        beyond = sorted(state.seconds - RunResult.load(run_folder(sweep, state.job)).value("time.total") for state in states)
    mean = sum(alone) / len(alone)
    return Sharing(mean, together, together / (jobs * mean), (beyond[len(beyond) // 2], beyond[-1]))


def main() -> int:
    """Measure, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--separate", type=int, default=3, help="separate runs that are measured")
    parser.add_argument("overrides", nargs="*", default=["study=tiny"])
    given = parser.parse_args()
    found = sharing(given.overrides, given.jobs, given.separate)
    print(f"{' '.join(given.overrides)}: one separate run {found.alone:.1f} CPU s (mean of {given.separate})")
    print(f"sweep of {given.jobs}: {found.together:.1f} CPU s, {found.share:.2f} of {given.jobs} separate runs")
    print(f"a job beyond its study: {found.beyond[0]:.2f} s (median of wall times), at most {found.beyond[1]:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
