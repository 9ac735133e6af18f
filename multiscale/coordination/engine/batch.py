"""Workers that a batch system starts: every batch job holds some of them, and is submitted again when it has ended before the work has."""

from __future__ import annotations

import contextlib
import getpass
import logging
import shutil
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from multiscale.coordination.engine.liveness import EngineUnavailableError
from multiscale.coordination.engine.processes import LOADED
from multiscale.coordination.engine.settings import StartedSettings
from multiscale.files import folder_of_process
from multiscale.settings import ONE_WORD, count, quantity

logger = logging.getLogger(__name__)

QUEUE_SECONDS = 10.0
"""How often the batch system is asked for the jobs it has [s]."""

SAY_SECONDS = 300.0
"""How often it is said that workers are waited for [s]."""

ATTEMPTS = 3
"""Batch jobs that may end in a row before their workers came up; then none is submitted any more."""

CERTIFICATES = ".certificate-"
"""Beginning of the name of the folder in which the certificate of a run stands, with its key."""

ASK_SECONDS = 60
"""Time that the batch system may take to list its jobs [s]."""


class BatchSettings(StartedSettings):
    """Dask workers that a batch system starts."""

    tools: ClassVar[tuple[str, ...]] = ()
    """Commands of the batch system that are used: submit, list, cancel."""

    jobs: int = count(1, "batch jobs that are submitted", 1, 10000)
    workers: int = count(4, "worker processes in each batch job", 1, 1024)
    threads_per_worker: int = count(1, "tasks that each worker process does at the same time", 1, 256)
    memory_gb: float = quantity(8.0, "GB", "memory of each batch job", above=0.1, upper=100000.0)
    walltime_min: float = quantity(
        60.0, "min", "time that a batch job is granted; its workers end in order before, and another is submitted", lower=5.0, upper=100000.0
    )
    queue: str = Field("", pattern=ONE_WORD, description="queue (PBS) or partition (Slurm); empty: that of the site")
    account: str = Field("", pattern=ONE_WORD, description="account that is charged; empty: that of the user")
    directives: tuple[str, ...] = Field((), description="further directives of the job script, e.g. ['--qos=long']")
    prologue: tuple[str, ...] = Field((), description="lines of the job script before the workers start, e.g. ['module load gcc']")
    interface: str = Field("", description="network interface that scheduler and workers use, e.g. ib0; empty: that of the host name")
    log_folder: Path = Field(Path("runs/.batch"), description="folder for what batch jobs print, on a disk that all nodes see")
    start_s: float = quantity(86400.0, "s", "time that workers may take to come up, waiting in the queue included", above=0.0, upper=604800.0)

    @abstractmethod
    def cluster(self) -> tuple[type[Any], Mapping[str, Any]]:
        """Class of dask-jobqueue, and what it is given of these settings beyond what all are."""

    @abstractmethod
    def listed(self, user: str) -> list[str]:
        """The command that prints the numbers of the user's batch jobs, one a line."""


class BatchWorkers:
    """Workers in batch jobs.

    Work begins when the first of them are there; the others join. A batch job that the batch system no longer has is submitted again.

    Args:
        settings: of the batch system.
    """

    least = 1

    def __init__(self, settings: BatchSettings) -> None:
        self.settings = settings
        self.count = settings.jobs * settings.workers
        _, listing, _ = settings.tools
        self.lacking = f"no worker came up within {{seconds:g}} s (engine.start_s); look at the queue ({listing}) and into {settings.log_folder}"
        self._refused: list[str] = []
        self._seen: set[str] = set()
        self._ended_early = self._again = 0
        self._asked = self._said = 0.0

    def made(self, private: Path | None = None) -> Any:
        """The cluster of dask-jobqueue, without any job.

        Args:
            private: folder for the certificate that is made for the run; None where none is made.

        Raises:
            EngineUnavailableError: dask-jobqueue is not installed, or makes none of these settings.
        """
        s = self.settings
        kind = s.kind  # type: ignore[attr-defined]
        try:
            cluster_class, further = s.cluster()
        except ImportError:
            message = f"engine={kind} takes the package dask-jobqueue, which is not installed"
            raise EngineUnavailableError(f"{message}; python -m pip install 'multiscale[cluster]', or choose engine=local") from None
        margin = max(1.0, 0.05 * s.walltime_min)
        folder = s.log_folder.absolute()
        # Workers end in order, one after the other, before the batch system ends their job: what they do is then begun elsewhere.
        lifetime = ["--lifetime", f"{60 * (s.walltime_min - 1.5 * margin):.0f}s", "--lifetime-stagger", f"{30 * margin:.0f}s"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cluster_class(
                job_cls=_telling(cluster_class.job_cls, self._refused),
                cores=s.workers * s.threads_per_worker,
                processes=s.workers,
                memory=f"{s.memory_gb:g}GB",
                walltime=_clock(s.walltime_min),
                queue=s.queue or None,
                account=s.account or None,
                job_extra_directives=list(s.directives),
                job_script_prologue=list(s.prologue),
                interface=s.interface or None,
                log_directory=str(folder),
                shared_temp_directory=str(private or folder),
                job_name="multiscale",
                python=sys.executable,
                worker_extra_args=["--no-dashboard", "--preload", LOADED, *lifetime],
                security=s.security(),
                scheduler_options={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
                **further,
            )
        except (OSError, ValueError) as error:
            raise EngineUnavailableError(f"engine={kind} cannot be set up: {error}; correct engine.interface or engine.log_folder") from error

    def connect(self, opened: contextlib.ExitStack) -> Any:
        """See ``Workers.connect``."""
        from distributed import Client

        lacking = [tool for tool in self.settings.tools if shutil.which(tool) is None]
        if lacking:
            message = f"engine={self.settings.kind} needs {', '.join(lacking)}, and the PATH has none"  # type: ignore[attr-defined]
            raise EngineUnavailableError(f"{message}; start the run where batch jobs are submitted (a login node), or choose engine=local")
        private = None
        if self.settings.tls:
            try:
                private = opened.enter_context(folder_of_process(self.settings.log_folder.absolute(), CERTIFICATES))
            except OSError as error:
                kind = self.settings.kind  # type: ignore[attr-defined]
                raise EngineUnavailableError(f"engine={kind} cannot be set up: {error}; correct engine.log_folder") from error
        self._cluster = self.made(private)
        opened.callback(_discard_certificate, self._cluster)
        opened.callback(self._cluster.close)
        self._client = Client(self._cluster, set_as_default=False, security=self._cluster.security)
        opened.callback(self._client.close)
        self._cluster.scale(jobs=self.settings.jobs)
        return self._client

    def waited(self) -> None:
        """See ``Workers.waited``."""
        self.restore({str(worker["name"]) for worker in self._client.scheduler_info(n_workers=-1)["workers"].values()})
        if time.monotonic() - self._said > SAY_SECONDS:
            self._said = time.monotonic()
            logger.info("waiting for the workers of %d batch jobs (%s)", self.settings.jobs, " ".join(self.settings.listed(getpass.getuser())))

    def restore(self, there: set[str]) -> None:
        """See ``Workers.restore``."""
        if self._refused:
            message = f"{self.settings.tools[0]} refused a batch job: {self._refused[0]}"
            raise EngineUnavailableError(f"{message}; correct engine.queue, engine.account, engine.directives, or what it asks for")
        if time.monotonic() - self._asked < QUEUE_SECONDS:
            return
        self._asked = time.monotonic()
        jobs = {name: str(job.job_id or "") for name, job in self._cluster.workers.items()}
        holds = {name for name in jobs if any(worker == name or worker.startswith(f"{name}-") for worker in there)}
        if holds - self._seen:
            self._ended_early = 0
        self._seen |= holds
        queued = self._queued()
        if queued is None:
            return
        gone = [name for name, number in jobs.items() if number and number not in queued and name not in holds]
        for name in gone:
            if name not in self._seen:
                self._ended_early += 1
                logger.warning("batch job %s ended before its workers came up; %s says why", jobs[name], self.settings.log_folder)
            else:
                logger.info("batch job %s has ended; another one is submitted", jobs[name])
            self._cluster.worker_spec.pop(name, None)
            # Under a name of its own: one that is known still would not be submitted.
            self._again += 1
            self._cluster.worker_spec[f"again-{self._again}"] = self._cluster.new_spec
        if self._ended_early >= ATTEMPTS:
            message = f"{self._ended_early} batch jobs in a row ended before their workers came up"
            raise EngineUnavailableError(f"{message}; what they printed in {self.settings.log_folder} says why; correct engine.prologue or memory")
        if gone:
            self._cluster.scale(jobs=self.settings.jobs)

    def _queued(self) -> set[str] | None:
        """Numbers of the user's batch jobs that wait or run; None where the batch system does not say."""
        command = self.settings.listed(getpass.getuser())
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=True).stdout
        except (OSError, subprocess.SubprocessError) as error:
            logger.warning("%s gave no answer (%s); it is asked again", " ".join(command), error)
            return None
        return {line.strip().split(".")[0] for line in said.splitlines() if line.strip()}


def _discard_certificate(cluster: Any) -> None:
    """Remove the files in which a certificate made for the run stood for its batch jobs: dask-jobqueue leaves them to the garbage collector."""
    for part in ("cert", "key", "ca_file"):
        file = getattr(cluster, f"_job_{part}", None)
        if file is not None:
            file.close()


def _clock(minutes: float) -> str:
    """Hours, minutes and seconds, as batch systems take them."""
    seconds = round(60 * minutes)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _telling(job_class: type[Any], refused: list[str]) -> type[Any]:
    """The class of a batch job that tells the driver where it could not be submitted: raised in the background, the driver would not learn of it."""
    from distributed.core import Status
    from distributed.deploy.spec import ProcessInterface

    class Telling(job_class):  # type: ignore[misc]
        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, OSError, ValueError) as error:
                stated = [line for line in str(error).strip().splitlines() if line and not line.endswith(":")]
                refused.append(stated[-1] if stated else type(error).__name__)
                await ProcessInterface.start(self)

        async def close(self) -> None:
            await super().close()
            # Its own class leaves it as running, with which a cluster that still knows it cannot be closed.
            self.status = Status.closed

    return Telling
