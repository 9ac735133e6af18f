"""``multiscale collect``: one dataset and one table of all jobs of a sweep."""

from __future__ import annotations

import contextlib
import errno
import io
import uuid
from collections.abc import Sequence
from pathlib import Path

from multiscale.files import write_atomically
from multiscale.results.run.run_result import RunFolderError
from multiscale.spreadsheets import without_formulas
from multiscale.sweep.collect.dataset import SweepDataset
from multiscale.sweep.collect.job_table import job_table, summaries
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.manifest import Manifest
from multiscale.sweep.states import JobState, job_states

DATASET, PARQUET, CSV = "sweep.nc", "summaries.parquet", "summaries.csv"


def collect(folder: Path, to: Path | None = None, variables: Sequence[str] | None = None) -> tuple[list[Path], list[JobState]]:
    """Write the dataset, and the summaries as Parquet and CSV.

    Args:
        folder: of the sweep.
        to: folder of the files; default: that of the sweep.
        variables: of the datasets of the jobs; None takes all, an empty sequence none (the summaries are in the dataset in any case).

    Returns:
        The files, the dataset last; how every job stands.

    Raises:
        SweepError: no sweep, one without any answer, or a variable that no job has.
        RunFolderError: the files cannot be written.
    """
    manifest, target = Manifest.read(folder), to or folder
    # What a job that runs will lead to is not known: run folders decide.
    states = job_states(folder, manifest, running=False)
    if not any(state.answered for state in states):
        raise SweepError(f"no job of '{folder}' has an answer, so there is nothing to collect; see multiscale status {folder}")
    dataset = SweepDataset(folder, manifest, states, variables)
    values, units = summaries(folder, states)
    table = job_table(folder, manifest, states, values, units)
    scratch = target / f".{DATASET}.{uuid.uuid4().hex[:12]}.writing"
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_atomically(target / CSV, without_formulas(table).to_csv(index=False))
        parquet = io.BytesIO()
        table.to_parquet(parquet, index=False)
        write_atomically(target / PARQUET, parquet.getvalue())
        dataset.write(scratch, values, units)
        scratch.replace(target / DATASET)
    except (FileExistsError, NotADirectoryError) as error:
        raise RunFolderError(f"'{target}' is no folder ({error.strerror}); give another one with --to") from None
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise RunFolderError(f"'{target}' cannot be written ({error.strerror}); give another folder with --to") from None
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink()
    return [target / CSV, target / PARQUET, target / DATASET], states
