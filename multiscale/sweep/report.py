"""The report of a sweep against one of its jobs, or against a run from elsewhere."""

from __future__ import annotations

from pathlib import Path

from multiscale.results.report.comparison import Lacking, compared_run, write_comparison
from multiscale.results.run.run_result import EXIT_CODES
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.states import job_states

NAME = "report.html"


def write_sweep_report(folder: Path, baseline: str | None = None, to: Path | None = None) -> Path:
    """Write the report of a sweep.

    Args:
        folder: of the sweep.
        baseline: number of the job that the others are compared with, or a run folder; default: the first job that has an answer.
        to: the page; default: ``report.html`` in the folder of the sweep.

    Raises:
        SweepError: no job has an answer, or the baseline has none.
        RunFolderError: the baseline is no run.
    """
    manifest = Manifest.read(folder)
    states = job_states(folder, manifest)
    answered = [state for state in states if state.answered]
    if not answered:
        raise SweepError(f"'{folder}': no job has an answer, so there is nothing to report; 'multiscale status {folder}' says why")
    runs = [compared_run(run_folder(folder, state.job), str(state.job.number), manifest.own(state.job)) for state in answered]
    lacking = [Lacking(f"{s.job.number}: {manifest.own(s.job)}", s.state, s.message) for s in states if not s.answered]
    place = 0
    if baseline is not None and baseline.isdecimal():
        numbers = [state.job.number for state in answered]
        if int(baseline) not in numbers:
            raise SweepError(f"--baseline {baseline}: no job of this number has an answer; there are {', '.join(map(str, numbers))}")
        place = numbers.index(int(baseline))
    elif baseline is not None:
        chosen = compared_run(Path(baseline), "baseline")
        if EXIT_CODES.get(chosen.result.status, 1):
            raise SweepError(f"--baseline {baseline}: its status is {chosen.result.status}; give a run that has an answer")
        runs = [chosen, *runs]
    swept = ", ".join(dimension.key for dimension in manifest.dimensions)
    return write_comparison(f"Sweep over {swept}: {len(manifest.jobs)} jobs", runs, to or folder / NAME, place, lacking, folder.resolve().name)
