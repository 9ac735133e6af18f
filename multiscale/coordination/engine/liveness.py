"""Which workers of a Dask scheduler are alive, what they are doing, and the end of those that give no sign of life.

A process that is stopped rather than dead (a suspended machine, a host that swaps, a signal) keeps its connections open: Dask waits for what it
was given, and for what it has in memory, for minutes. Every worker sends a heartbeat at least every few seconds, also while a solver runs in it,
so silence is a sign. A worker that has been silent too long is removed: its tasks begin elsewhere at once, and the supervisor of its process
(a nanny) ends it and starts another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 30
"""How long a scheduler may take to say what its workers do [s]."""


class EngineUnavailableError(ConnectionError):
    """The workers that were asked for cannot be had; the message says what to start or choose instead."""


@dataclass(frozen=True)
class WorkerState:
    """What is known of a worker.

    Attributes:
        name: as its scheduler has it.
        silent: time since it was heard [s].
        tasks: task it has -> how long it has been at it [s], zero where it has not begun.
    """

    name: str
    silent: float
    tasks: Mapping[str, float]


class Liveness:
    """The workers of a client's scheduler.

    Args:
        client: a ``distributed.Client``.
        silence: time without a sign of life after which a worker is removed [s].
    """

    def __init__(self, client: Any, silence: float) -> None:
        self.client, self.silence = client, silence

    def workers(self) -> dict[str, WorkerState]:
        """Address -> state of every worker.

        Raises:
            EngineUnavailableError: the scheduler does not answer.
        """

        # Taken to the scheduler as they are: it need not have this package.
        def looked_up(dask_scheduler: Any) -> dict[str, tuple[str, float, dict[str, float]]]:
            import time

            now, found = time.time(), {}
            for address, worker in dask_scheduler.workers.items():
                tasks = {task.key: worker.executing.get(task, 0.0) for task in worker.processing}
                found[address] = str(worker.name), now - worker.last_seen, tasks
            return found

        return {address: WorkerState(*state) for address, state in self._on_scheduler(looked_up).items()}

    def end_silent(self) -> list[str]:
        """Remove the workers that have been silent too long; their addresses."""
        silent = {address: state.silent for address, state in self.workers().items() if state.silent > self.silence}
        for address, seconds in silent.items():
            logger.warning("worker %s has given no sign of life for %.0f s (engine.silence_s); its tasks begin elsewhere", address, seconds)
        if silent:
            self._remove(list(silent))
        return list(silent)

    def _remove(self, addresses: Sequence[str]) -> None:
        async def removed(dask_scheduler: Any) -> dict[str, str]:
            import asyncio
            import time

            from distributed.core import rpc

            nannies = {a: dask_scheduler.workers[a].nanny for a in addresses if a in dask_scheduler.workers}
            for address, nanny in nannies.items():
                await dask_scheduler.remove_worker(address, stimulus_id=f"silent-{time.time()}", close=not nanny)

            async def end(nanny: str) -> None:
                async with rpc(nanny, connection_args=dask_scheduler.connection_args) as watching:
                    await asyncio.wait_for(watching.kill(reason="no sign of life"), 15)

            watched = {address: nanny for address, nanny in nannies.items() if nanny}
            ended = await asyncio.gather(*(end(nanny) for nanny in watched.values()), return_exceptions=True)
            return {address: f"{type(found).__name__}: {found}" for address, found in zip(watched, ended, strict=True) if found is not None}

        for address, why in self._on_scheduler(removed).items():
            logger.warning("the process of worker %s could not be ended (%s); nothing is given to it any more", address, why)

    def _on_scheduler(self, function: Callable[..., Any]) -> Any:
        async def asked() -> Any:
            return await self.client.run_on_scheduler(function)

        try:
            return self.client.sync(asked, callback_timeout=ANSWER_SECONDS)
        except TimeoutError as error:
            message = (
                f"the Dask scheduler at {self.client.scheduler.address!r} gave no answer in {ANSWER_SECONDS} s; look at its host and start it anew"
            )
            raise EngineUnavailableError(message) from error
