"""Work on a Dask cluster: processes on this machine, or the workers of a scheduler at an address."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from multiscale.coordination.engine.liveness import EngineUnavailableError, Liveness
from multiscale.coordination.engine.processes import dask_settings, interrupts_kept_from_children, workers_apart_from_current_folder
from multiscale.coordination.engine.settings import LocalSettings, WorkerSettings
from multiscale.coordination.engine.tasks import TaskError, one_by_one, sound
from multiscale.programs.limits import SolverSettings
from multiscale.programs.limits import limits as limits_here

CONNECT_SECONDS = 15
"""How long an answer of a scheduler is waited for [s]."""

LOADED = "multiscale.coordination.engine.worker_start"
"""What workers import before their first task: an import keeps a worker from sending signs of life."""

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
    """A Dask cluster: processes on this machine, or the workers of a scheduler at an address.

    Args:
        workers: processes to start on this machine (ignored with an address).
        address: of a running scheduler, e.g. ``tcp://host:8786``; empty starts a local cluster.
        retries: how often a task is tried again after its worker was lost.
        threads_per_worker: tasks that each process on this machine does at the same time.
        limits: limits of every solve within the tasks; default: those in force here.
        waits: how long is waited for workers that start, that say nothing, and for tasks.
    """

    def __init__(
        self,
        workers: int = LocalSettings().workers,
        address: str = "",
        retries: int = 2,
        *,
        threads_per_worker: int = LocalSettings().threads_per_worker,
        limits: SolverSettings | None = None,
        waits: WorkerSettings = WorkerSettings(),
    ) -> None:
        self.waits = waits
        self.workers, self.address, self.retries, self.threads_per_worker = workers, address, retries, threads_per_worker
        self._limits = limits or limits_here()
        self._up = False

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            opened.enter_context(workers_apart_from_current_folder())
            opened.enter_context(dask_settings(CONNECT_SECONDS, self.waits.start_s))
            self._connect(opened)
            self._opened = opened.pop_all()
        self._liveness = Liveness(self._client, self.waits.silence_s)
        return self

    def _connect(self, opened: contextlib.ExitStack) -> None:
        """Open client and cluster; they are closed with ``opened``, after an interrupt as well."""
        from distributed import Client, LocalCluster

        from multiscale.coordination.engine.supervisor import Supervisor

        security = _security(self.waits)
        if self.address:
            try:
                self._client = Client(self.address, timeout=f"{CONNECT_SECONDS}s", set_as_default=False, security=security)
            except (OSError, ValueError) as error:
                message = f"no Dask scheduler answers at engine.address {self.address!r}: start one (dask scheduler) or choose engine=local"
                trusted = "" if security is None else "; or it does not trust engine.tls_certificate, or is not trusted by engine.tls_ca"
                raise EngineUnavailableError(message + trusted) from error
            opened.callback(self._client.close)
            self._cluster = None
            try:
                self._client.wait_for_workers(1, timeout=self.waits.start_s)
            except TimeoutError as error:
                message = f"the Dask scheduler at {self.address!r} has no workers: start some (dask worker {self.address})"
                raise EngineUnavailableError(f"{message}; none came within {self.waits.start_s:g} s (engine.start_s)") from error
            self.workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
            with contextlib.suppress(TimeoutError):  # a worker that is stopped is found when there is work
                self._client.sync(self._loaded, callback_timeout=self.waits.start_s)
        else:
            with interrupts_kept_from_children():
                # No dashboard, and its HTTP server at a free port: several studies may run on one machine.
                self._cluster = LocalCluster(
                    n_workers=0,
                    # One by default: the solvers are single-threaded and hold the interpreter lock while models are built.
                    threads_per_worker=self.threads_per_worker,
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
                self._client = Client(self._cluster, set_as_default=False, security=security)
                opened.callback(self._client.close)
                self._cluster.scale(self.workers)

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

    async def _loaded(self) -> None:
        """Every worker that is there has imported what tasks need."""
        await self._client.run(importlib.import_module, LOADED)

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
            if self._cluster is not None and len(there) < self.workers:
                self._refuse_failed(self.workers)
                # In the place of a worker that was given up with its supervisor, since it was long in starting anew, another is started.
                self._cluster.scale(self.workers)
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
        """Wait until the workers of this machine have come up once; homes must not depend on which was first."""
        if self._up or self._cluster is None:
            return
        until = time.monotonic() + self.waits.start_s
        while not self._up:
            self._refuse_failed(1)
            left = until - time.monotonic()
            if left <= 0:
                message = f"of {self.workers} workers on this machine not all started within {self.waits.start_s:g} s (engine.start_s)"
                raise EngineUnavailableError(f"{message}; choose fewer (engine.workers), or wait longer")
            with contextlib.suppress(TimeoutError):
                self._client.wait_for_workers(self.workers, timeout=min(START_LOOK_SECONDS, left))
                self._up = True

    def _refuse_failed(self, least: int) -> None:
        """Refuse to wait where that many workers on this machine can no longer start.

        Raises:
            EngineUnavailableError: with the reason of the first of them.
        """
        from multiscale.coordination.engine.supervisor import failures

        reasons = failures(self._cluster)
        if len(reasons) >= least:
            message = f"{len(reasons)} of {self.workers} workers on this machine cannot start: {reasons[0]}"
            remedy = f"look at the free memory and at the installation (python -c 'import {LOADED}'), or choose fewer (engine.workers)"
            raise EngineUnavailableError(f"{message}; {remedy}") from reasons[0]

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


def _security(settings: WorkerSettings) -> Any:
    """Certificates of both sides, for Dask; None without: nothing is encrypted, and any process that connects may run code."""
    if settings.tls_ca is None:
        return None
    from distributed.security import Security

    mine = {"cert": str(settings.tls_certificate), "key": str(settings.tls_key)}
    roles = {f"tls_{role}_{part}": file for role in ("client", "scheduler", "worker") for part, file in mine.items()}
    return Security(tls_ca_file=str(settings.tls_ca), require_encryption=True, **roles)
