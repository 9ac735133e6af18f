"""How long the tool itself takes, against the limits that are set for it: one table, and exit code 1 where a limit is exceeded.

    python -m tests.benchmarks.tool_times
    python -m tests.benchmarks.tool_times --run runs/main-0123456789     # the report of this run, instead of that of study=tiny

CPU seconds of all processes of a command are counted, with one thread for linear algebra: on a shared machine the clock measures the others.
The sweep of study=tiny is measured twice: with the headline scenario alone, without the year and the report, where build and plan are most of a job;
and with everything that a study does by default, most of which depends on coordination.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.sweep_collect import collected
from tests.benchmarks.sweep_sharing import cpu, sharing

LEAN = ("results.operated=[]", "output.report=false", "verification.year=false")
"""Without what depends on coordination but the operation of the plan."""


@dataclass(frozen=True)
class Figure:
    """A measured figure.

    Attributes:
        what: is measured.
        value: of it.
        unit: of the value.
        limit: that it may not exceed; None where it is only stated.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or self.value <= self.limit

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"{self.limit:g} {self.unit}"
        return f"| {self.what} | {self.value:.3g} {self.unit} | {limit} | {'' if self.limit is None else 'yes' if self.kept else 'no'} |"


def measured(jobs: int, separate: int, to_collect: int, run: Path | None) -> Iterator[Figure]:
    """All figures, one after the other.

    Args:
        jobs: of the sweeps.
        separate: runs that are measured on their own.
        to_collect: jobs of the sweep that is collected.
        run: run folder whose report is written again; None for that of study=tiny.
    """
    with tempfile.TemporaryDirectory() as temporary:
        roof = Path(temporary)
        cpu(roof, "--help")  # compiled once
        yield Figure("`--help`", cpu(roof, "--help"), "CPU s", 1.0)
        cpu(roof, "validate")
        yield Figure("`validate` of the default study", cpu(roof, "validate"), "CPU s", 5.0)
        if run is None:
            cpu(roof, "run", "study=tiny", f"output.folder={roof / 'one'}")
            (run,) = (roof / "one").glob("tiny-*")
        copy = roof / "copy" / run.name
        shutil.copytree(run, copy)
        yield Figure(f"report of `{run.name.rpartition('-')[0]}`, written again", cpu(roof, "report", str(copy)), "CPU s", 10.0)
        yield Figure("its size", (copy / "report.html").stat().st_size / 1e6, "MB", 8.0)
    found = collected(to_collect, None)
    yield Figure(f"`collect` of {found.jobs} jobs, {found.missing} missing, {found.variables} variables", found.cpu, "CPU s", 60.0)
    yield Figure("its memory", found.peak, "MB")
    for words, overrides, limit in (("lean", LEAN, 0.4), ("in full", (), None)):
        shared = sharing(["study=tiny", *overrides], jobs, separate)
        yield Figure(f"sweep of {jobs} jobs that differ in coordination, {words}: share of as many separate runs", shared.share, "", limit)
        yield Figure(f"one separate run, {words}", shared.alone, "CPU s")
        yield Figure(f"the sweep, {words}", shared.together, "CPU s")
        yield Figure(f"a job beyond its study, {words}, median by the clock", shared.beyond[0], "s", 2.0)
        yield Figure(f"the longest of them, {words}: the first of its process", shared.beyond[1], "s")


def main() -> int:
    """Measure, print the table; returns 1 where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20, help="of the sweeps")
    parser.add_argument("--separate", type=int, default=3, help="runs measured on their own")
    parser.add_argument("--collect", type=int, default=1000, help="jobs of the sweep that is collected")
    parser.add_argument("--run", type=Path, help="run folder whose report is written again; default: that of study=tiny")
    given = parser.parse_args()
    print("| what | figure | limit | kept |\n|---|---|---|---|")
    kept = True
    for figure in measured(given.jobs, given.separate, given.collect, given.run):
        print(figure, flush=True)
        kept &= figure.kept
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
