"""The process that runs SCIP: reads tasks from its standard input, writes incumbents and answers to its standard output.

It is started by ``scip_client`` and stays for further tasks. Nothing that happens in SCIP (abort, memory limit) reaches the
process that asked.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import time
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from pyscipopt import SCIP_EVENTTYPE, SCIP_HEURTIMING, Eventhdlr

from multiscale.bilevel.description import BilevelProblem
from multiscale.bilevel.heuristic import FollowerHeuristic
from multiscale.bilevel.scip_model import build_model, create_solution
from multiscale.bilevel.single_level import SingleLevel


@dataclass(frozen=True)
class Task:
    """One SCIP run.

    Attributes:
        single: what to solve.
        problem: the bilevel problem, for the heuristic (None: no heuristic).
        starts: full vectors to try before the root node.
        gap, time_limit, memory_limit: relative gap, seconds, megabytes.
        tolerance: SCIP's feasibility tolerance.
        seed: SCIP's random seed shift.
        safe: settings for the retry after an abort.
        parameters: further SCIP parameters.
    """

    single: SingleLevel
    problem: BilevelProblem | None
    starts: list[np.ndarray]
    gap: float
    time_limit: float
    memory_limit: float
    tolerance: float
    seed: int
    safe: bool
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What SCIP said: its status, best vector (None: none), bound on the minimum, nodes, seconds."""

    status: str
    v: np.ndarray | None
    objective: float
    bound: float
    nodes: int
    seconds: float


class _Stream(Eventhdlr):
    """Sends every new incumbent out, and stops SCIP when the process that asked is gone."""

    def __init__(self, variables: list[Any], send: Any, parent: int) -> None:
        self.variables, self.send, self.parent = variables, send, parent

    def eventinit(self) -> None:
        self.model.catchEvent(SCIP_EVENTTYPE.BESTSOLFOUND, self)
        self.model.catchEvent(SCIP_EVENTTYPE.NODESOLVED, self)

    def eventexit(self) -> None:
        self.model.dropEvent(SCIP_EVENTTYPE.BESTSOLFOUND, self)
        self.model.dropEvent(SCIP_EVENTTYPE.NODESOLVED, self)

    def eventexec(self, event: Any) -> None:
        if os.getppid() != self.parent:
            self.model.interruptSolve()
        if event.getType() == SCIP_EVENTTYPE.BESTSOLFOUND:
            best = self.model.getBestSol()
            self.send(("incumbent", np.array([best[v] for v in self.variables]), self.model.getDualbound()))


def run_task(task: Task, send: Any) -> Outcome:
    """Solve one task in this process."""
    started = time.perf_counter()
    single = task.single
    model, variables = build_model(single)
    curved = bool(len(single.products) or single.curved or not single.objective.is_linear)
    parameters: dict[str, Any] = {
        "limits/time": max(0.1, task.time_limit - (time.perf_counter() - started)),
        "limits/memory": task.memory_limit,
        "limits/gap": task.gap,
        "numerics/feastol": task.tolerance,
        "randomization/randomseedshift": task.seed,
        "parallel/maxnthreads": 1,
        "misc/catchctrlc": False,
    }
    if curved:
        # Ipopt inside the wheels aborts the process on products of a price and a quantity.
        parameters["nlp/disable"] = True
    if task.safe:
        parameters |= {"nlp/disable": True, "presolving/maxrounds": 3, "heuristics/undercover/freq": -1, "misc/usesymmetry": 0}
    for key, value in (parameters | task.parameters).items():
        model.setParam(key, value)
    model.includeEventhdlr(_Stream(variables, send, os.getppid()), "stream", "sends incumbents out")
    if task.problem is not None:
        heuristic = FollowerHeuristic(task.problem, single, variables)
        timing = SCIP_HEURTIMING.AFTERLPNODE
        model.includeHeur(heuristic, "followers", "solves the followers at rounded leader decisions", "F", priority=100000, freq=1, timingmask=timing)
    for v in task.starts:
        model.addSol(create_solution(model, variables, single, v), free=True)
    model.optimize()
    best = model.getBestSol() if model.getNSols() else None
    return Outcome(
        status=model.getStatus(),
        v=None if best is None else np.array([best[v] for v in variables]),
        objective=model.getObjVal() if best is not None else np.nan,
        bound=model.getDualbound(),
        nodes=model.getNTotalNodes(),
        seconds=time.perf_counter() - started,
    )


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer tasks until the source is closed."""

    def send(message: object) -> None:
        data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        target.write(struct.pack("<Q", len(data)))
        target.write(data)
        target.flush()

    while True:
        head = source.read(8)
        if len(head) < 8:
            return
        task: Task = pickle.loads(source.read(struct.unpack("<Q", head)[0]))
        try:
            send(("outcome", run_task(task, send)))
        except Exception as error:
            send(("error", f"{type(error).__name__}: {error}"))


def main() -> None:
    """Serve on the standard streams; SCIP's own printing goes to standard error."""
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, target)


if __name__ == "__main__":
    main()
