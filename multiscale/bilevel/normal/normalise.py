"""Bring a problem into normal form, and answers back from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.bilevel.normal.columns import define_columns, fix_columns, merge_columns, press_rows
from multiscale.bilevel.normal.contract import contract
from multiscale.bilevel.normal.forms import gather
from multiscale.bilevel.normal.leader_steps import substitute_copies, substitute_totals
from multiscale.bilevel.normal.rows import drop_implied_bounds, merge_rows, rows_to_bounds, scale_rows
from multiscale.bilevel.normal.work import Back, Body, Work
from multiscale.bilevel.problem.description import BilevelProblem, Follower

_PASSES = 30
"""Rounds of presolve; chains of definitions take one round for each halving."""


@dataclass(frozen=True)
class NormalForm:
    """A problem in normal form.

    Attributes:
        problem: the same decisions, objective and optima; leader variables keep their positions.
        back: ways back, in the order of the steps.
    """

    problem: BilevelProblem
    back: tuple[Back, ...]

    def describe(self, problem: BilevelProblem) -> str:
        """How much is left of the problem as it was read."""
        before, after = ([f.program for f in p.followers] for p in (problem, self.problem))
        columns, rows = ([sum(getattr(p, what).size for p in programs) for programs in (before, after)] for what in ("columns", "rows"))
        quantities = [len(p.leader.quantity_names) for p in (problem, self.problem)]
        return (
            f"normal form with {columns[1]:,} of {columns[0]:,} columns and {rows[1]:,} of {rows[0]:,} rows of followers, "
            f"{quantities[1]:,} instead of {quantities[0]:,} quantities"
        )

    def restored(self, y: np.ndarray, primal: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Decision and followers' columns of the problem as it was read. Variables that only the leader sees may still be free to choose."""
        y, primal = y.copy(), list(primal)
        for step in reversed(self.back):
            step.apply(y, primal)
        return y, primal


def normalise(problem: BilevelProblem) -> NormalForm | None:
    """The normal form; None where it does not apply.

    It applies to linear followers and a leader whose objective and rows are polynomials of degree two without products of two follower
    quantities, without nonlinear functions and without duals.
    """
    if not all(follower.is_linear for follower in problem.followers):
        return None
    forms = gather(problem)
    if forms is None:
        return None
    leader = problem.leader
    work = Work(problem, leader.lower.copy(), leader.upper.copy(), leader.kinds.copy(), forms, [_body(f) for f in problem.followers])
    for _ in range(_PASSES):
        if not (substitute_copies(work) or substitute_totals(work)):
            break
    for f in range(len(work.bodies)):
        for _ in range(_PASSES):
            steps = [step(work, f) for step in (merge_rows, rows_to_bounds, fix_columns, merge_columns, press_rows, define_columns)]
            if not any(steps):
                break
        drop_implied_bounds(work, f)
        scale_rows(work, f)
    # A follower of which nothing is left to decide, or whose bounds contradict each other, is taken as it was written.
    if any(not body.c0.size or (body.lower > body.upper).any() for body in work.bodies):
        return None
    return NormalForm(contract(work), tuple(work.back))


def _body(follower: Follower) -> Body:
    program = follower.program
    return Body(
        program.A.tocsr().copy(),
        program.b0.copy(),
        program.B.tocsr().copy(),
        program.equality.copy(),
        program.c0.copy(),
        program.C.tocsr().copy(),
        program.lower.copy(),
        program.upper.copy(),
        program.d0,
        program.d.copy(),
        np.arange(program.rows.size),
        np.arange(program.columns.size),
    )
