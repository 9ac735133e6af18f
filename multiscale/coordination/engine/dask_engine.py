"""Work on Dask workers, wherever they come from: tasks are handed out, lost ones begun again, and answers fetched in the order of their keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from multiscale.coordination.engine.liveness import EngineUnavailableError, Liveness
from multiscale.coordination.engine.local import LocalSettings, LocalWorkers
from multiscale.coordination.engine.processes import CONNECT_SECONDS, dask_settings, workers_apart_from_current_folder
from multiscale.coordination.engine.settings import WorkerSettings
from multiscale.coordination.engine.tasks import TaskError, one_by_one, sound
from multiscale.coordination.engine.workers import Workers
from multiscale.programs.limits import SolverSettings
from multiscale.programs.limits import limits as limits_here

FETCH_SECONDS = 15
"""How long answers that are there are fetched before it is looked whether their workers still live [s]; then twice as long."""

LOOK_SECONDS = 5
"""How often a driver that waits looks whether the workers are still those that it began with [s]."""

START_LOOK_SECONDS = 1
"""How often a driver that waits for workers to come up looks whether they still can [s]."""

_Begun = tuple[Any, str, list[str]]
"""A batch of tasks under way: its future, the worker it was given to (or none), its keys."""


async def _end_process() -> None:
    os._exit(1)


class DaskEngine:
    """Dask workers, wherever they come from.

    Args:
        workers: where they come from; a number starts as many processes on this machine.
        retries: how often a task is tried again after its worker was lost.
        limits: limits of every solve within the tasks; default: those in force here.
        waits: how long is waited for workers that start, that say nothing, and for tasks.
    """

    def __init__(
        self,
        workers: Workers | int = LocalSettings().workers,
        retries: int = 2,
        *,
        limits: SolverSettings | None = None,
        waits: WorkerSettings = WorkerSettings(),
    ) -> None:
        self.waits = waits
        self._source = LocalWorkers(LocalSettings(workers=workers, start_s=waits.start_s)) if isinstance(workers, int) else workers
        self.workers, self.retries = self._source.count, retries
        self._limits = limits or limits_here()
        self._up = False

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            opened.enter_context(workers_apart_from_current_folder())
            opened.enter_context(dask_settings(CONNECT_SECONDS, self.waits.start_s))
            self._client = self._source.connect(opened)
            self._opened = opened.pop_all()
        self.workers = self._source.count
        self._liveness = Liveness(self._client, self.waits.silence_s)
        return self

    def map(
        self,
        function: Callable[..., Any],
        tasks: Mapping[str, tuple[Any, ...]],
        homes: Mapping[str, int] | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        """See ``Engine.map``."""
        self._await_workers()
        patience = self.waits.patience_s if patience is None else patience

        def begin(address: str, keys: list[str]) -> Any:
            place: dict[str, Any] = {"workers": [address], "allow_other_workers": True} if address else {}
            mine = {key: tasks[key] for key in keys}
            return self._client.submit(one_by_one, function, mine, self._limits, pure=False, retries=self.retries, **place)

        begun = [(begin(address, keys), address, keys) for address, keys in self._batches(list(tasks), self._homes(homes))]
        pause, found = FETCH_SECONDS, None
        while found is None:
            futures = {future: keys for future, _, keys in self._ended(begun, begin, patience)}
            found = self._fetched(list(futures), pause)
            pause *= 2
        for future, keys in futures.items():
            if future.status in ("error", "cancelled"):
                error = future.exception()
                raise TaskError(f"{', '.join(keys)}: {error}", keys) from error
        answers = {key: answer for part in found for key, answer in sound(*part).items()}
        return {key: answers[key] for key in tasks}

    def _fetched(self, futures: list[Any], pause: float) -> list[Any] | None:
        """All answers at once: one message to and fro for every one would cost the driver more than the answers.

        None where that takes longer than ``pause`` [s] or a worker is silent: an answer that is lost with its worker before it is fetched would be
        waited for in vain, and is begun again.
        """

        async def begin() -> asyncio.Future[list[Any]]:
            return asyncio.ensure_future(self._client.gather(futures, errors="skip", asynchronous=True))

        async def has_ended(under_way: asyncio.Future[list[Any]]) -> bool:
            return bool((await asyncio.wait({under_way}, timeout=min(LOOK_SECONDS, pause)))[0])

        async def cancel(under_way: asyncio.Future[list[Any]]) -> None:
            under_way.cancel()

        under_way, waited = self._client.sync(begin), 0.0
        while not self._client.sync(has_ended, under_way):
            waited += LOOK_SECONDS
            if self._liveness.end_silent() or waited >= pause:
                self._client.sync(cancel, under_way)
                return None
        answers: list[Any] = under_way.result()
        return answers

    def _ended(self, begun: list[_Begun], begin: Callable[[str, list[str]], Any], patience: float) -> list[_Begun]:
        """The batches when all have ended.

        What was given to a worker that died while no other was there stays where it is, even when new ones have come up: it is begun again.

        Raises:
            TaskError: a task of a batch took longer than ``patience`` [s]; its worker is started anew.
            EngineUnavailableError: all workers were lost and none came up.
        """
        from distributed import wait

        idle = 0.0
        while True:
            try:
                with self._client.as_current():
                    wait([future for future, _, _ in begun], timeout=min(LOOK_SECONDS, patience / 2))
                return begun
            except TimeoutError:
                self._liveness.end_silent()
                there = self._liveness.workers()
            idle = 0.0 if there else idle + LOOK_SECONDS
            if idle >= self.waits.start_s:
                raise EngineUnavailableError(f"all workers were lost, and none came up within {self.waits.start_s:g} s; look at their memory")
            self._source.restore({state.name for state in there.values()})
            at_work = {task: (address, seconds) for address, state in there.items() for task, seconds in state.tasks.items()}
            for future, _, keys in begun:
                address, seconds = at_work.get(future.key, ("", 0.0))
                if seconds > patience * len(keys):
                    future.cancel()
                    # Its thread cannot be stopped, its process can; its supervisor (a nanny) starts another.
                    self._client.run(_end_process, workers=[address], wait=False)
                    late = f"no answer in {patience * len(keys):g} s"
                    raise TaskError(f"{', '.join(keys)}: {late}", keys) from TimeoutError(late)
            for k, (future, address, keys) in enumerate(begun):
                waits = future.key not in at_work and future.status not in ("finished", "error", "cancelled")
                if address and there and address not in there and waits:
                    future.cancel()
                    begun[k] = begin("", keys), "", keys

    def _await_workers(self) -> None:
        """Wait until the workers that are waited for have come up once; homes must not depend on which was first.

        Raises:
            EngineUnavailableError: they did not, or cannot any more.
        """
        if self._up or not self._source.least:
            return
        until = time.monotonic() + self.waits.start_s
        while not self._up:
            self._source.waited()
            left = until - time.monotonic()
            if left <= 0:
                there = len(self._liveness.workers())
                raise EngineUnavailableError(self._source.lacking.format(there=there, seconds=self.waits.start_s))
            with contextlib.suppress(TimeoutError):
                self._client.wait_for_workers(self._source.least, timeout=min(START_LOOK_SECONDS, left))
                self._up = True

    def _batches(self, keys: list[str], at: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
        """Tasks that travel together: of one home, in their order, and small enough to leave every worker some fifty of them."""
        size = max(1, len(keys) // (50 * max(self.workers, 1)))
        by_home: dict[str, list[str]] = {}
        for key in keys:
            by_home.setdefault(at.get(key, ""), []).append(key)
        for address, mine in by_home.items():
            for start in range(0, len(mine), size):
                yield address, mine[start : start + size]

    def _homes(self, homes: Mapping[str, int] | None) -> dict[str, str]:
        """Worker of every task: by number, over the workers there are now."""
        if not homes:
            return {}
        addresses = sorted(self._liveness.workers())
        return {key: addresses[number % len(addresses)] for key, number in homes.items()} if addresses else {}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.close()
