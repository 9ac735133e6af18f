"""Which jobs a batch system still has, and how those that it has no longer have ended."""

from __future__ import annotations

import getpass
import logging
import signal
import subprocess
from collections.abc import Iterable
from typing import Any, Protocol

ASK_SECONDS = 60
"""Time that the batch system may take to list its jobs [s]."""

LAST_SECONDS = 10
"""Time that the process of a job that has ended has to end by itself [s]."""

logger = logging.getLogger(__name__)


class Queue(Protocol):
    """The jobs of one sweep that a batch system has.

    Attributes:
        look_seconds: how often it may be asked [s].
        patience: time after which a job that it has no longer, and that has not said how it ended, is counted as lost [s]: a shared disk may be late.
    """

    look_seconds: float
    patience: float

    def states(self, jobs: Iterable[Any]) -> dict[str, str] | None:
        """Number of each job that waits or runs -> its state in the words of Slurm; None where the batch system gives no answer."""
        ...

    def why(self, job: Any) -> str:
        """How a job that it has no longer has ended, in words."""
        ...

    def cancel(self, jobs: Iterable[Any]) -> None:
        """End jobs in order."""
        ...

    def left(self, job: Any) -> None:
        """Wait until nothing is left of a job that has ended, where that is ours to look after."""
        ...


class SlurmQueue:
    """Slurm: asked with squeue and scontrol, which every Slurm has; sacct needs a data base."""

    look_seconds, patience = 5.0, 30.0

    def states(self, jobs: Iterable[Any]) -> dict[str, str] | None:  # noqa: ARG002  all of the user come in one answer
        """See ``Queue.states``."""
        said = _said(["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--format", "%i %T"])
        return None if said is None else dict(line.split(maxsplit=1) for line in said.splitlines() if " " in line.strip())

    def why(self, job: Any) -> str:
        """See ``Queue.why``."""
        said = _said(["scontrol", "show", "job", "--oneliner", job.job_id]) or ""
        facts = dict(part.split("=", 1) for part in said.split() if "=" in part)
        reason = f", {facts['Reason']}" if facts.get("Reason", "None") != "None" else ""
        return f"batch job {job.job_id} ended as {facts.get('JobState', 'unknown')}{reason}; {job.paths.stderr} says more"

    def cancel(self, jobs: Iterable[Any]) -> None:
        """See ``Queue.cancel``."""
        numbers = [job.job_id for job in jobs]
        if numbers:
            _said(["scancel", *numbers])

    def left(self, job: Any) -> None:
        """Slurm looks after that."""


class LocalQueue:
    """The processes that submitit started on this machine."""

    look_seconds, patience = 0.2, 2.0

    def states(self, jobs: Iterable[Any]) -> dict[str, str] | None:
        """See ``Queue.states``."""
        return {job.job_id: "RUNNING" for job in jobs if not job.done()}

    def why(self, job: Any) -> str:
        """See ``Queue.why``."""
        return f"its process {job.job_id} ended; {job.paths.stderr} says more"

    def cancel(self, jobs: Iterable[Any]) -> None:
        """See ``Queue.cancel``."""
        for job in jobs:
            if job._process is not None and job._process.poll() is None:
                job._process.send_signal(signal.SIGTERM)

    def left(self, job: Any) -> None:
        """See ``Queue.left``."""
        if job._process is None:
            return
        try:
            job._process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            job._process.kill()
            job._process.wait()


def _said(command: list[str]) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("%s gave no answer (%s); it is asked again", command[0], error)
        return None
