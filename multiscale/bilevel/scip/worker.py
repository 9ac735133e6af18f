"""The process that runs SCIP: reads tasks from its standard input, writes incumbents and answers to its standard output.

It is started by ``client`` and stays for further tasks. Nothing that happens in SCIP (abort, memory limit) affects the
process that asked.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from pyscipopt import SCIP_EVENTTYPE, SCIP_HEURTIMING, SCIP_PARAMSETTING, Eventhdlr

from multiscale.bilevel.problem.description import BilevelProblem
from multiscale.bilevel.reformulate.conditions.primal_dual import REDUNDANT
from multiscale.bilevel.reformulate.lazy_data import LazyData
from multiscale.bilevel.reformulate.single_level.program import SingleLevel
from multiscale.bilevel.scip.heuristic import FollowerHeuristic
from multiscale.bilevel.scip.lazy_handler import LazyFollowers
from multiscale.bilevel.scip.model import build_model, create_solution
from multiscale.bilevel.scip.progress import Progress
from multiscale.bilevel.search.decision_search import DecisionSearch
from multiscale.bilevel.search.response import Response


@dataclass(frozen=True)
class Task:
    """One SCIP run.

    Attributes:
        single: what to solve.
        problem: the bilevel problem, for the heuristic (None: no heuristic).
        starts: full vectors to try before the root node.
        gap, time_limit, memory_limit: relative gap, seconds, megabytes.
        absolute_gap: gap in the unit of the objective; whichever is reached first.
        tolerance: SCIP's feasibility tolerance.
        seed: SCIP's random seed shift.
        safe: settings for the retry after an abort.
        parameters: further SCIP parameters.
        lazy: for branch and cut over the leader's integers.
        known: a bilevel-feasible point to begin with (branch and cut).
        decision: a leader decision to begin with (branch and cut).
        patience: work without progress after which SCIP is stopped with the status ``stalled`` (see ``Progress``); None for never.
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
    lazy: LazyData | None = None
    known: Response | None = None
    decision: np.ndarray | None = None
    patience: float | None = None
    absolute_gap: float = 0.0


@dataclass(frozen=True)
class ScipOutcome:
    """The outcome of a SCIP run: status, best vector (None: none), bound on the minimum, nodes, seconds.

    ``solver`` names what found it where that was not SCIP (see ``multiscale.bilevel.relaxed``).
    """

    status: str
    v: np.ndarray | None
    objective: float
    bound: float
    nodes: int
    seconds: float
    note: str = ""
    solver: str = "SCIP"


class _Stream(Eventhdlr):
    """Sends every new incumbent out, and ends this process when the one that asked is gone: no answer is waited for any longer."""

    def __init__(self, variables: list[Any], send: Any, parent: int, progress: Progress | None) -> None:
        self.variables, self.send, self.parent, self.progress = variables, send, parent, progress
        self.lazy: LazyFollowers | None = None
        self.last = time.perf_counter()

    def eventinit(self) -> None:
        self.model.catchEvent(SCIP_EVENTTYPE.BESTSOLFOUND, self)
        self.model.catchEvent(SCIP_EVENTTYPE.NODESOLVED, self)

    def eventexit(self) -> None:
        self.model.dropEvent(SCIP_EVENTTYPE.BESTSOLFOUND, self)
        self.model.dropEvent(SCIP_EVENTTYPE.NODESOLVED, self)

    def eventexec(self, event: Any) -> None:
        if os.getppid() != self.parent:
            os._exit(1)
        if self.progress is not None and self.progress.stalled(self.model, self.bound(), self.lazy):
            self.model.interruptSolve()
        now = time.perf_counter()
        if now > self.last + 1.0:
            self.last = now
            self.send(("bound", self.bound()))
        if event.getType() == SCIP_EVENTTYPE.BESTSOLFOUND:
            best = self.model.getBestSol()
            self.send(("incumbent", np.array([best[v] for v in self.variables]), self.bound()))

    def bound(self) -> float:
        """The proven bound, excluded points of branch and cut included."""
        return min(float(self.model.getDualbound()), np.inf if self.lazy is None else self.lazy.floor)


def run_task(task: Task, send: Any, parent: int) -> ScipOutcome:
    """Solve one task in this process, for the process ``parent``."""
    started = time.perf_counter()
    single = task.single.without(REDUNDANT) if task.safe else task.single
    model, variables = build_model(single)
    curved = bool(len(single.products) or single.curved or not single.objective.is_linear)
    parameters: dict[str, Any] = {
        "limits/time": max(0.1, task.time_limit - (time.perf_counter() - started)),
        "limits/memory": task.memory_limit,
        "limits/gap": task.gap,
        "limits/absgap": task.absolute_gap,
        "numerics/feastol": task.tolerance,
        "randomization/randomseedshift": task.seed,
        "parallel/maxnthreads": 1,
        "misc/catchctrlc": False,
    }
    if curved:
        # Ipopt inside the wheels aborts the process on products of a price and a quantity.
        parameters["nlp/disable"] = True
    if curved or single.pairs or single.indicators:
        # SCIP's strong dual reductions cut off optima where columns hang on indicators or products (seen with SCIP 10 on small instances).
        parameters |= {"misc/allowstrongdualreds": False, "constraints/linear/dualpresolving": False, "constraints/indicator/dualreductions": False}
    if single.pairs:
        # SCIP 10 derives rows from implications between pairs that cut off optima (tests/bilevel/test_methods.py).
        parameters["constraints/SOS1/implcutsfreq"] = -1
    if single.curved or single.indicators:
        # So did its probing, where a side of a product or indicator is open.
        parameters["propagating/probing/maxprerounds"] = 0
    if single.indicators:
        # Else SCIP prefers to split a price whose product is loose, and pairs stay open below it.
        parameters["constraints/indicator/branchindicators"] = True
    if task.safe:
        parameters |= {
            "numerics/feastol": 1e-6,
            "nlp/disable": True,
            "presolving/maxrounds": 3,
            "heuristics/undercover/freq": -1,
            "misc/usesymmetry": 0,
        }
    for key, value in (parameters | task.parameters).items():
        model.setParam(key, value)
    progress = None if task.patience is None else Progress(task.patience, single.rows.nnz)
    stream = _Stream(variables, send, parent, progress)
    model.includeEventhdlr(stream, "stream", "sends incumbents and bounds out")
    lazy = None
    if task.lazy is not None and task.problem is not None:
        lazy = stream.lazy = _include_lazy(task, model, variables, started)
    if task.problem is not None:
        heuristic = FollowerHeuristic(task.problem, single, variables, lazy)
        timing = SCIP_HEURTIMING.AFTERLPNODE
        model.includeHeur(heuristic, "followers", "solves the followers at rounded leader decisions", "F", priority=100000, freq=1, timingmask=timing)
    for v in task.starts:
        model.addSol(create_solution(model, variables, single, v), free=True)
    model.optimize()
    if lazy is not None:
        outcome = _lazy_outcome(lazy, model, single, started)
        return replace(outcome, status="stalled") if outcome.status == "userinterrupt" and progress is not None and progress.ended else outcome
    best = model.getBestSol() if model.getNSols() else None
    return ScipOutcome(
        status="stalled" if progress is not None and progress.ended else model.getStatus(),
        v=None if best is None else np.array([best[v] for v in variables]),
        objective=model.getObjVal() if best is not None else np.nan,
        bound=model.getDualbound(),
        nodes=model.getNTotalNodes(),
        seconds=time.perf_counter() - started,
    )


def _include_lazy(task: Task, model: Any, variables: list[Any], started: float) -> LazyFollowers:
    """The handler of branch and cut, with the known decision solved exactly beforehand."""
    assert task.problem is not None
    assert task.lazy is not None
    search = DecisionSearch(task.problem, gap=0.1 * task.lazy.gap, time_limit=max(60.0, 0.2 * task.time_limit))
    search.best = task.known
    handler = LazyFollowers(task.problem, task.single, variables, task.lazy, search, started + task.time_limit)
    model.includeConshdlr(
        handler,
        "followers",
        "solves the followers exactly at integer leader points",
        enfopriority=1,
        chckpriority=-9000000,
        sepapriority=-1,
        sepafreq=1,
        propfreq=-1,
        eagerfreq=-1,
        needscons=False,
    )
    # Reductions that keep only one optimum of the relaxation are wrong once points of it are excluded.
    settings = {
        # On large relaxations the primal simplex solves the root in half the time, and nodes are warm anyway.
        "lp/initalgorithm": "p",
        "misc/allowstrongdualreds": False,
        "misc/allowweakdualreds": False,
        "misc/usesymmetry": 0,
        "presolving/maxrestarts": 0,
        "constraints/components/maxprerounds": 0,
        "constraints/components/propfreq": -1,
    }
    # SCIP's own heuristics look for points of the relaxation, which hardly ever have an optimal follower.
    model.setHeuristics(SCIP_PARAMSETTING.OFF)
    for key, value in settings.items():
        model.setParam(key, value)
    if task.decision is not None:
        search.try_decision(task.decision, budget=10)
        handler.best = search.best
    return handler


def _lazy_outcome(handler: LazyFollowers, model: Any, single: SingleLevel, started: float) -> ScipOutcome:
    """The best point; the bound is the smaller of SCIP's and of what excluded points were solved to."""
    status, best = model.getStatus(), handler.best
    if model.getNSols() and (best is None or model.getObjVal() < best.objective):
        # A point SCIP found by itself and the handler let pass; the caller solves the followers again.
        found = model.getBestSol()
        v = np.array([found[variable] for variable in handler.variables])
        again = handler.search.responder.respond(handler.search.clipped(v[: single.leader_size]), thorough=True)
        # Where ties cannot be broken in the leader's favour by a linear program, SCIP's own point may be the better one.
        good = again is not None and again.violation[0] <= handler.search.tolerance
        if again is not None and good and again.objective <= model.getObjVal() + handler.data.gap * abs(model.getObjVal()) + 1e-6:
            best = again if again.better_than(best, handler.search.tolerance) else best
        else:
            return ScipOutcome(
                status, v, model.getObjVal(), min(float(model.getDualbound()), handler.floor), model.getNTotalNodes(), time.perf_counter() - started
            )
    bound = min(float(model.getDualbound()), handler.floor)
    if handler.points.unbounded_remainder:
        # At some integers the rest has no finite optimum: the caller decides whether the problem is unbounded.
        status = "inforunbd"
    if status in ("optimal", "infeasible", "gaplimit"):
        status = "infeasible" if best is None and bound > 1e19 else "optimal"
    return ScipOutcome(
        status=status,
        v=None if best is None else single.complete(best.y, best.primal, best.dual),
        objective=np.nan if best is None else best.objective,
        bound=bound,
        nodes=model.getNTotalNodes(),
        seconds=time.perf_counter() - started,
        note=f"{len(handler.visited)} integer points solved exactly in {handler.sub_seconds:.1f} s",
    )


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer tasks until the source is closed."""
    # Read before the first task: who dies while its problem is built has another number then.
    parent = os.getppid()

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
            send(("outcome", run_task(task, send, parent)))
        except Exception as error:
            send(("error", f"{type(error).__name__}: {error}"))


def main() -> None:
    """Serve on the standard streams; SCIP's own printing goes to standard error."""
    target = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, target)


if __name__ == "__main__":
    main()
