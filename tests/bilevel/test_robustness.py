"""What happens when SCIP's process dies, runs out of memory or time, or the user interrupts; the same seed gives the same answer."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pyomo.environ as pyo
import pytest

from multiscale import bilevel
from multiscale.bilevel.certify.certificate import certify_follower
from multiscale.bilevel.reformulate.assemble import assemble
from multiscale.bilevel.reformulate.choose import bounds_for
from multiscale.bilevel.scip import client as scip_client
from multiscale.bilevel.scip.client import run
from multiscale.bilevel.scip.worker import Task
from tests.bilevel.feeder import feeder


@pytest.mark.parametrize("kind", [signal.SIGKILL, pytest.param(signal.SIGABRT, marks=pytest.mark.slow)])
def test_a_process_that_always_dies_leaves_the_certified_start(monkeypatch, kind):
    taken = scip_client._take

    def doomed():
        worker = taken()
        send = worker.send

        def send_and_die(task):
            send(task)
            os.kill(worker.process.pid, kind)

        monkeypatch.setattr(worker, "send", send_and_die)
        return worker

    monkeypatch.setattr(scip_client, "_take", doomed)
    case = feeder(6, 24, 1, seed=5)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-9, time_limit=30, method="strong_duality")
    assert solution.status == "feasible"
    assert solution.certificate.holds
    assert f"ended with code {-kind}" in solution.message
    assert solution.bound == -np.inf


def test_a_process_that_dies_without_a_start_is_an_error_with_its_reason(monkeypatch):
    def dead(task):
        return scip_client.Run(scip_client.ScipOutcome("aborted", None, np.nan, -np.inf, 0, 0.1), aborted="SCIP process ended with code -11")

    monkeypatch.setattr(scip_client, "_run_once", dead)
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 1))
    m.low = pyo.Block()
    m.low.y = pyo.Var(bounds=(0, 1))
    m.low.objective = pyo.Objective(expr=m.low.y)
    m.never = pyo.Constraint(expr=m.low.y + m.x >= 3)
    m.objective = pyo.Objective(expr=m.x)
    solution = bilevel.solve(m, [m.low], method="sos1", time_limit=10)
    assert solution.status == "error"
    assert "ended with code -11" in solution.message
    assert solution.certificate is None


def test_too_little_memory_leaves_a_certified_point():
    case = feeder(15, 24, 3, hard=True)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-9, time_limit=60, method="strong_duality", memory_limit=30.0)
    assert solution.status == "feasible"
    assert solution.certificate.holds
    assert "memlimit" in solution.message
    assert solution.timings["scip"] < 55


@pytest.mark.parametrize("method", ["branch_and_cut", pytest.param("sos1", marks=pytest.mark.slow)])
def test_a_time_limit_gives_a_certified_point_and_a_bound(method):
    case = feeder(15, 24, 3, hard=True)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-9, time_limit=3, method=method)
    assert solution.status == "feasible"
    assert solution.certificate.holds
    assert solution.bound <= solution.objective


def test_an_interrupt_during_the_start_keeps_what_is_known():
    case = feeder(15, 24, 3, hard=True)
    problem = bilevel.read_model(case.model, [case.follower]).problem
    from multiscale.bilevel.search.decision_search import DecisionSearch

    tried = DecisionSearch.try_decision
    calls = []

    def interrupted(self, y, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return tried(self, y, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DecisionSearch, "try_decision", interrupted)
        solution = bilevel.solve_problem(problem, bilevel.SolveOptions(method="strong_duality", gap=1e-9, time_limit=600))
    assert solution.status == "feasible"
    assert solution.certificate.holds
    assert "interrupted" in solution.message


@pytest.mark.parametrize("stage", ["assemble_lazy", "conclude"])
def test_an_interrupt_while_writing_or_certifying_keeps_what_is_known(monkeypatch, stage):
    from multiscale.bilevel import solving

    finish, calls = getattr(solving, stage), []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return finish(*arguments, **options)

    monkeypatch.setattr(solving, stage, interrupted)
    case = feeder(5, 8, 1)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-9, time_limit=30)
    assert solution.certificate is not None
    assert solution.certificate.holds
    assert np.isfinite(solution.objective)
    assert len(calls) == 2


def test_no_time_for_scip_leaves_the_certified_start():
    case = feeder(33, 24, 1)
    best = bilevel.solve(case.model, [case.follower], gap=1e-3, time_limit=120)
    case = feeder(33, 24, 1)
    hurried = bilevel.solve(case.model, [case.follower], gap=1e-3, time_limit=0.7)
    assert hurried.certificate is not None
    assert hurried.certificate.holds
    assert hurried.objective >= best.bound * (1 - 1e-9)
    assert hurried.status in ("feasible", "optimal")


@pytest.mark.slow  # of the program that is solved at once: tests of `solve`
def test_an_interrupt_inside_scip_keeps_the_incumbent_of_branch_and_cut():
    case = feeder(15, 24, 3, hard=True)
    timer = threading.Timer(6.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    solution = bilevel.solve(case.model, [case.follower], gap=1e-9, time_limit=60, method="branch_and_cut")
    timer.cancel()
    assert solution.status == "feasible"
    assert solution.certificate.holds
    assert "interrupted" in solution.message


@pytest.mark.parametrize("method", ["strong_duality", "branch_and_cut", "sos1"])
def test_the_same_seed_gives_the_same_answer(method):
    answers = []
    for _ in range(2):
        case = feeder(3, 6, 1, hard=True, seed=3)
        answers.append(bilevel.solve(case.model, [case.follower], gap=1e-4, time_limit=60, method=method, seed=7))
    first, second = answers
    assert (first.objective, first.bound, first.nodes) == (second.objective, second.bound, second.nodes)
    assert first.values == second.values
    assert np.array_equal(first.primal[case.follower.name], second.primal[case.follower.name])


@pytest.mark.parametrize("tariffs", [1, 3])
def test_the_heuristic_finds_a_follower_optimal_point_at_the_root(tariffs):
    """No start is given; after one node the point is the heuristic's, and the followers are optimal in it."""
    found = {}
    for heuristic in (True, False):
        case = feeder(6, 12, tariffs, hard=True, seed=2)
        problem = bilevel.read_model(case.model, [case.follower]).problem
        bounds = [bounds_for(problem, 0, "strong_duality", 5.0)]
        single = assemble(problem, ["strong_duality"], bounds)
        given = problem if heuristic else None
        outcome = run(Task(single, given, [], 1e-9, 20.0, 4000.0, 1e-7, 0, False, {"limits/nodes": 1})).outcome
        found[heuristic] = outcome
    v = found[True].v
    assert v is not None
    y = v[: single.leader_size]
    certificate = certify_follower(problem, 0, y, v[single.primal[0]], v[single.dual[0]])
    assert abs(certificate.gap) <= 1e-6
    assert problem.violation(problem.joint(y, [v[single.primal[0]]], [v[single.dual[0]]]))[0] <= 1e-6
    assert found[False].v is None or found[True].objective <= found[False].objective + 1e-6 * abs(found[False].objective)


def test_files_of_the_caller_do_not_take_the_place_of_the_standard_library(monkeypatch, tmp_path):
    (tmp_path / "enum.py").write_text("raise RuntimeError('not the standard library')")
    monkeypatch.syspath_prepend(tmp_path)
    scip_client._stop_idle()
    case = feeder(3, 4, 1)
    solution = bilevel.solve(case.model, [case.follower], gap=1e-3, time_limit=60, method="strong_duality")
    assert solution.status == "optimal"
    assert "safe settings" not in solution.message
