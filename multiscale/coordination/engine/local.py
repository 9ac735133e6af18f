"""``engine=local``: Dask workers that are processes on this machine."""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Literal

from multiscale.coordination.engine.liveness import EngineUnavailableError
from multiscale.coordination.engine.processes import LOADED, interrupts_kept_from_children
from multiscale.coordination.engine.settings import StartedSettings
from multiscale.settings import count


class LocalSettings(StartedSettings):
    """Dask workers on this machine."""

    kind: Literal["local"] = "local"
    workers: int = count(2, "number of worker processes", 1, 4096)
    threads_per_worker: int = count(1, "tasks that each worker process does at the same time", 1, 256)


class LocalWorkers:
    """Processes on this machine, started when the engine is opened.

    Args:
        settings: how many, and how they are reached.
    """

    def __init__(self, settings: LocalSettings = LocalSettings()) -> None:
        self._settings = settings
        self.count = self.least = settings.workers
        self.lacking = (
            f"of {self.count} workers on this machine not all started within {{seconds:g}} s (engine.start_s); "
            "choose fewer (engine.workers), or wait longer"
        )

    def connect(self, opened: contextlib.ExitStack) -> Any:
        """See ``Workers.connect``."""
        from distributed import Client, LocalCluster

        from multiscale.coordination.engine.supervisor import Supervisor

        security = self._settings.security()
        with interrupts_kept_from_children():
            # No dashboard, and its HTTP server at a free port: several studies may run on one machine.
            self._cluster = LocalCluster(
                n_workers=0,
                # One by default: the solvers are single-threaded and hold the interpreter lock while models are built.
                threads_per_worker=self._settings.threads_per_worker,
                worker_class=Supervisor,
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                memory_limit=0,
                preload=[LOADED],
                silence_logs=logging.CRITICAL,
                # Reached from this machine only, and with certificates only by who has one.
                host="127.0.0.1",
                protocol="tcp" if security is None else "tls",
                security=security,
            )
            opened.callback(self._cluster.close)
            # Workers come up while the driver goes on, and are waited for when there is work; a client waits for those it finds.
            client = Client(self._cluster, set_as_default=False, security=security)
            opened.callback(client.close)
            self._cluster.scale(self.count)
        return client

    def restore(self, there: set[str]) -> None:
        """See ``Workers.restore``."""
        if len(there) < self.count:
            self._refuse_failed(self.count)
            # In the place of a worker that was given up with its supervisor, since it was long in starting anew, another is started.
            self._cluster.scale(self.count)

    def waited(self) -> None:
        """See ``Workers.waited``."""
        self._refuse_failed(1)

    def _refuse_failed(self, least: int) -> None:
        """Refuse to wait where that many can no longer start, with the reason of the first of them."""
        from multiscale.coordination.engine.supervisor import failures

        reasons = failures(self._cluster)
        if len(reasons) >= least:
            message = f"{len(reasons)} of {self.count} workers on this machine cannot start: {reasons[0]}"
            remedy = f"look at the free memory and at the installation (python -c 'import {LOADED}'), or choose fewer (engine.workers)"
            raise EngineUnavailableError(f"{message}; {remedy}") from reasons[0]
