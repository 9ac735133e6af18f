"""Answers of an earlier search under other limits: taken over where they hold, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.planning import solve_plan
from multiscale.planning.decomposition.component import Work
from multiscale.planning.decomposition.joint_answers import JointAnswers
from multiscale.planning.decomposition.structure import structure
from tests.planning.enumeration import Enumeration
from tests.planning.transfer_problems import transfer_problem

TIGHT = 1e-5


@pytest.mark.parametrize("seed", [0, 2, 9])
def test_answers_of_an_earlier_search_are_taken_over_where_they_hold(system, seed):
    """Limits are tightened by half a per cent: the plan is that from scratch to the last digits and that of brute force, with fewer solves."""
    first = transfer_problem(system, seed)
    known = structure(first)
    program = first.program
    tightened = program.b0.copy()
    tightened[known.limits] *= 0.995
    second = replace(first, program=replace(program, b0=tightened))
    start = solve_plan(first, tolerance=TIGHT, method="decomposition").start
    anew, near = (solve_plan(second, tolerance=TIGHT, method="decomposition", start=each) for each in (None, start))
    assert near.built == anew.built
    assert near.objective == pytest.approx(anew.objective, rel=1e-12)
    assert near.objective == pytest.approx(Enumeration(second, TIGHT).best[0], rel=1e-8)
    assert near.bound <= near.objective
    assert near.solution.nodes < anew.solution.nodes


@pytest.mark.parametrize("seed", [0, 2, 9])
def test_no_answer_is_taken_over_under_looser_limits_or_by_another_component(system, seed):
    """An answer under tight limits is not optimal under looser ones; a cost that differs by a single bit makes another component."""
    first = transfer_problem(system, seed)
    start = solve_plan(first, tolerance=TIGHT, method="decomposition").start
    known, program = structure(first), first.program
    search = JointAnswers(known, Work(1e4), first.required, start)
    component = next(c for c in search.split.components if c.earlier is not None)
    choice = next(c for c in component.earlier._at)
    assert component.earlier(choice) is not None
    looser, dearer = program.b0.copy(), program.c0.copy()
    looser[component.rows[component.raised]] += 1e-6
    dearer[component.columns[0]] = np.nextafter(dearer[component.columns[0]], np.inf)
    for other in (replace(program, b0=looser), replace(program, c0=dearer)):
        again = JointAnswers(structure(replace(first, program=other)), Work(1e4), first.required, start).split
        same = next(c for c in again.components if np.array_equal(c.columns, component.columns))
        assert same.earlier is None or same.earlier(choice) is None


def test_an_answer_that_is_taken_over_costs_what_the_component_costs_solved_anew(system):
    problem = transfer_problem(system, 2)
    start = solve_plan(problem, tolerance=TIGHT, method="decomposition").start
    known, taken = structure(problem), 0
    near, anew = (JointAnswers(known, Work(1e4), problem.required, each) for each in (start, replace(start, answers=())))
    for component, other in zip(near.split.components, anew.split.components, strict=True):
        for earlier in start.answers if component.earlier is not None else ():
            for built, (charge, scale) in zip(earlier.built, earlier.prices, strict=True):
                answer = component.earlier((built.tobytes(), charge, scale))
                if answer is not None:
                    solved = other.solve(built, charge, near.network.spread, Work(1e4), scale=scale)
                    assert answer.cost == pytest.approx(solved.cost, rel=1e-9)
                    assert answer.bound <= solved.cost + 1e-9 * (1.0 + abs(solved.cost))
                    taken += 1
    assert taken
