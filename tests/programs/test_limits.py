"""Limits of a single solve hold: in the driver, in tasks of every engine, and in SCIP's process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from multiscale import bilevel
from multiscale.bilevel import BilevelSolution, Status
from multiscale.config import load_config
from multiscale.coordination.engine import LocalSettings, SerialSettings, TaskError, make_engine
from multiscale.markets import Community
from multiscale.operation import Design, operating_tree
from multiscale.programs import CompiledProgram, SolverSettings, SolverTimeLimitError, limits_in_force, solve
from multiscale.programs.limits import limits
from multiscale.results import NoAnswerError
from multiscale.study import run_study

SHORT = SolverSettings(time_limit_s=1e-6)


def _limit_in_force(_: int) -> float:
    return limits().time_limit_s


@pytest.fixture(scope="module")
def program(system, winter, economics, fleets):
    return operating_tree(system, winter, economics, fleets, Design(), Community()).distribution["north"].program


def _at_limit(program, parameters: np.ndarray) -> float:
    return CompiledProgram(program).solve_optimal(parameters).objective


def test_a_program_that_reaches_its_limit_is_named_with_the_remedy(program):
    parameters = np.zeros(program.parameters.size)
    with limits_in_force(SHORT), pytest.raises(SolverTimeLimitError) as caught:
        solve(program, parameters)
    assert program.name in str(caught.value)
    assert "was not solved within 1e-06 s; raise solver.time_limit_s" in str(caught.value)
    assert limits() == SolverSettings()


@pytest.mark.parametrize("engine", [SerialSettings(), LocalSettings(workers=1)])
def test_limits_hold_in_the_tasks_of_every_engine(engine, program):
    with make_engine(engine, SHORT) as workers:
        assert workers.map(_limit_in_force, {"a": (0,)}) == {"a": 1e-6}
        with pytest.raises(TaskError, match=r"north: program .* was not solved within") as caught:
            workers.map(_at_limit, {"north": (program, np.zeros(program.parameters.size))})
    assert isinstance(caught.value.__cause__, SolverTimeLimitError)


def test_the_memory_limit_of_a_study_is_that_of_its_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What SCIP does at its limit: ``tests/bilevel/test_robustness.py``; here: it is given the limit, and the message names the setting."""
    given = []

    def full(*_, **options) -> BilevelSolution:
        given.append(options["memory_limit"])
        return BilevelSolution(Status.ERROR, np.nan, -np.inf, np.inf, {}, {}, {}, None, {}, {}, "SCIP: memlimit", 0)

    monkeypatch.setattr(bilevel, "solve", full)
    overrides = ["study=tiny", "planning.method=sos1", "system.dsos=[north]", "horizon=one_day", "horizon.step_hours=6", "solver.memory_limit_mb=512"]
    with pytest.raises(NoAnswerError, match=r"or raise solver\.memory_limit_mb"):
        run_study(load_config([*overrides, f"output.folder={tmp_path}"]))
    assert given == [512.0]


def test_a_study_ends_with_the_status_of_the_limit(tmp_path: Path):
    short = ["study=tiny", "planning=none", "system.dsos=[north]", "horizon=one_day", "horizon.step_hours=6", "solver.time_limit_s=1e-6"]
    with pytest.raises(NoAnswerError, match=r"raise solver\.time_limit_s") as caught:
        run_study(load_config([*short, f"output.folder={tmp_path}"]))
    assert caught.value.status == "time_limit"
