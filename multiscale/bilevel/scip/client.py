"""Run SCIP in a process of its own: an abort, a memory limit or a hang there becomes a status here."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from multiscale.bilevel.scip.worker import ScipOutcome, Task

_GRACE = 15.0
"""Seconds beyond its time limit after which a silent SCIP process is stopped."""

_idle: list[_Worker] = []
_lock = threading.Lock()


@dataclass(frozen=True)
class Run:
    """An outcome and how the process behaved.

    Attributes:
        outcome: SCIP's answer; after an abort, the last incumbent sent before it.
        aborted: the process died or had to be stopped, with the reason.
        retried: a second run under safe settings was needed.
        interrupted: stopped by the user's interrupt.
    """

    outcome: ScipOutcome
    aborted: str = ""
    retried: bool = False
    interrupted: bool = False


class _Worker:
    """One SCIP process and a thread that reads its messages."""

    def __init__(self) -> None:
        # The standard library comes first and nothing is imported from the current folder (-P): a file of the caller may have the name of a module.
        package_root = str(Path(__file__).resolve().parents[3])
        here = os.path.realpath(os.curdir)
        known = [p for p in sys.path if Path(p).is_absolute() and os.path.realpath(p) != here]
        begin = f"import sys; sys.path += {[package_root, *known]!r}; import site; site.main()"
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = "1"
        self.log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-S", "-c", f"{begin}; from multiscale.bilevel.scip.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
            start_new_session=True,
        )
        self.messages: queue.Queue[Any] = queue.Queue()
        self.tasks = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            head = stream.read(8)
            if len(head) < 8:
                self.messages.put(None)
                return
            content = stream.read(struct.unpack("<Q", head)[0])
            try:
                self.messages.put(pickle.loads(content))
            except (pickle.UnpicklingError, EOFError):
                self.messages.put(None)
                return

    def send(self, task: Task) -> None:
        self.tasks += 1
        data = pickle.dumps(task, protocol=pickle.HIGHEST_PROTOCOL)
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(struct.pack("<Q", len(data)))
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def reason(self) -> str:
        """Why the process ended."""
        code = self.process.wait()
        self.log.seek(0)
        output = self.log.read()[-300:].decode(errors="replace").strip()
        return f"SCIP process ended with code {code}" + (f": {output}" if output else "")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _take() -> _Worker:
    with _lock:
        while _idle:
            worker = _idle.pop()
            if worker.process.poll() is None:
                return worker
            worker.stop()
    return _Worker()


def start_early() -> None:
    """Start a SCIP process, if none is idle: it gets ready while the problem is read."""
    with _lock:
        if not any(worker.process.poll() is None for worker in _idle):
            _idle.append(_Worker())


def _give_back(worker: _Worker, task: Task) -> None:
    # A process that held a large problem is not kept: its memory may not come back otherwise.
    if worker.tasks < 200 and task.single.rows.nnz < 200_000:
        with _lock:
            if not _idle:
                _idle.append(worker)
                return
    worker.stop()


@atexit.register
def _stop_idle() -> None:
    with _lock:
        while _idle:
            _idle.pop().stop()


def run(task: Task) -> Run:
    """Solve a task; once more under safe settings if the process dies."""
    first = _run_once(task)
    if not first.aborted or first.interrupted:
        return first
    left = task.time_limit - first.outcome.seconds
    if left < 1.0:
        return first
    starts = list(task.starts) + ([first.outcome.v] if first.outcome.v is not None else [])
    decision = None if first.outcome.v is None else first.outcome.v[: task.single.leader_size]
    second = _run_once(replace(task, safe=True, starts=starts, decision=decision, time_limit=left))
    outcome = second.outcome
    if first.outcome.v is not None and (outcome.v is None or first.outcome.objective < outcome.objective):
        outcome = replace(outcome, v=first.outcome.v, objective=first.outcome.objective)
    # Both bounds are proven; the first run's is the last one it sent.
    note = "; ".join(filter(None, [f"first run: {first.aborted}", outcome.note]))
    return replace(second, outcome=replace(outcome, bound=max(outcome.bound, first.outcome.bound), note=note), retried=True)


def _run_once(task: Task) -> Run:
    started = time.perf_counter()
    worker = _take()
    best: tuple[np.ndarray | None, float] = (None, -np.inf)
    deadline = started + task.time_limit + max(_GRACE, 0.1 * task.time_limit)

    def partial(status: str) -> ScipOutcome:
        value = task.single.objective.value(best[0]) if best[0] is not None else np.nan
        return ScipOutcome(status, best[0], value, best[1], 0, time.perf_counter() - started)

    try:
        worker.send(task)
        while True:
            try:
                message = worker.messages.get(timeout=max(0.01, deadline - time.perf_counter()))
            except queue.Empty:
                worker.stop()
                return Run(partial("timelimit"), aborted="SCIP did not stop at its time limit and was ended")
            if message is None:
                reason = worker.reason()
                worker.stop()
                return Run(partial("aborted"), aborted=reason)
            if message[0] == "incumbent":
                best = (message[1], max(best[1], message[2]))
            elif message[0] == "bound":
                best = (best[0], max(best[1], message[1]))
            elif message[0] == "error":
                _give_back(worker, task)
                return Run(partial("error"), aborted=message[1])
            else:
                _give_back(worker, task)
                return Run(message[1])
    except KeyboardInterrupt:
        worker.stop()
        return Run(partial("userinterrupt"), aborted="interrupted", interrupted=True)
