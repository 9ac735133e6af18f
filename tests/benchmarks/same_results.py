"""The same study on one, two and four workers, without any, and with two seeds of Python's hashes: are results the same, to the last bit?

    python -m tests.benchmarks.same_results
    python -m tests.benchmarks.same_results study=tiny coordination=bidirectional

Every run is a process with an output folder of its own, so that no stage is read from another one. Compared are the dataset (every variable at every
label) and the summary (but for times and memory), with those of the first run. What differs is printed with how far; exit code 1 where anything does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from multiscale.reproduction.differences import Tolerance, differences
from multiscale.results import RunResult

ROOT = Path(__file__).parents[2]
ENGINES = (
    ("engine=serial",),
    *(("engine=local", f"engine.workers={workers}", "engine.threads_per_worker=1", "engine.start_s=600") for workers in (1, 2, 4)),
)
SEEDS = ("0", "12345")


def run(roof: Path, number: int, seed: str, arguments: list[str]) -> RunResult:
    """The result of a run in a process of its own."""
    output = roof / f"{number}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "multiscale", "run", *arguments, f"output.folder={output}", "output.report=false"]
    ended = subprocess.run(command, cwd=roof, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}: {ended.stderr[-500:]}")
    (folder,) = (path for path in output.iterdir() if not path.name.startswith("."))
    return RunResult.load(folder)


def main() -> int:
    """Run, compare, print; returns 1 where results differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=["study=tiny"])
    given = parser.parse_args()
    ways = [(seed, engine) for seed in SEEDS for engine in ENGINES]
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        first: RunResult | None = None
        for number, (seed, engine) in enumerate(ways):
            found = run(Path(temporary), number, seed, [*given.overrides, *engine])
            what = f"hash seed {seed}, {' '.join(engine)}"
            if first is None:
                first = found
                print(f"{what}: the reference", flush=True)
                continue
            apart, compared = differences(first, found, Tolerance(0.0, 0.0))
            wrong += bool(apart)
            print(f"{what}: {len(apart)} of {compared} variables and values differ", flush=True)
            for one in apart[:10]:
                print(f"  {one}", flush=True)
    print(f"{len(ways)} runs, {wrong} with other results than the first")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
