"""The supervisor of a worker process on this machine: Dask's own, which also starts a process anew that ends before it has registered."""

from __future__ import annotations

from typing import Any

from distributed import Nanny
from distributed.core import Status

ATTEMPTS = 4
"""How often in a row a worker's process is started that ends while it starts."""


class Supervisor(Nanny):
    """The supervisor (nanny) of one worker.

    Dask's own starts a process anew that ends at work, and gives up where it ends while it starts for the first time (killed, or out of memory); the
    worker is then waited for in vain.
    """

    async def instantiate(self) -> Status:
        """Start the worker's process.

        Raises:
            RuntimeError: its process ended ``ATTEMPTS`` times in a row while it started. An error that the process reports itself, such as an
                import that fails, is raised at once.
        """
        for _ in range(ATTEMPTS):
            status = await super().instantiate()
            if status is Status.running or self.status is not Status.init:
                return status
        raise RuntimeError(f"its process ended {ATTEMPTS} times in a row while it started")


def failures(cluster: Any) -> list[Exception]:
    """Why workers of a cluster on this machine have not started and are not started any more; empty while there is hope.

    Args:
        cluster: a ``distributed.LocalCluster`` of supervisors.
    """

    async def collected() -> list[Exception]:
        found = []
        for supervisor in list(cluster.workers.values()):
            if supervisor.status is Status.failed:
                try:
                    await supervisor.start()
                except Exception as error:  # a supervisor that failed answers with the reason
                    found.append(error)
        return found

    reasons: list[Exception] = cluster.sync(collected)
    return reasons
