"""Cone side check: a quadratic row with one negative direction is convex only if the follower stays on one side of its double cone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError, Follower
from multiscale.bilevel.problem.extension import Extension
from multiscale.bilevel.solvers.conic_program import ConicProgram
from multiscale.programs import Block, Index, ParametricProgram, Termination

Affine = tuple[list[tuple[int, float]], float]
"""Entries and constant of an affine function of the follower's columns."""


@dataclass(frozen=True)
class ConeSide:
    """The convex side ``||tails(x)|| <= head(x)`` of a row ``||tails(x)||^2 <= head(x)^2``.

    Attributes:
        where: follower and constraint, for messages.
        head, tails: affine functions.
        names: variables of the head.
    """

    where: str
    head: Affine
    tails: list[Affine]
    names: list[str]


def check_cone_side(side: ConeSide, program: ParametricProgram, low: np.ndarray, high: np.ndarray) -> None:
    """Refuse a row if the follower's linear rows admit points of the opposite side ``||tails|| <= -head`` at any leader decision.

    The largest ``-head`` over that side, the linear rows and the box of leader variables must be zero: then it holds only the apex,
    which belongs to both sides.

    Args:
        side: the row.
        program: the follower with all its rows and without its cones.
        low, high: bounds of the leader variables.

    Raises:
        BilevelError: the row is not convex, with the constraint's name.
    """
    n, m, k = program.columns.size, program.rows.size, program.parameters.size
    opposite = Extension(n + k)
    (own, constant), tails = side.head, side.tails
    columns = [opposite.defined("head", [(j, -a) for j, a in own], [], -constant)]
    columns += [opposite.defined(f"tail {i}", terms, [], shift) for i, (terms, shift) in enumerate(tails)]
    joined = ParametricProgram(
        name="opposite side",
        columns=_numbered(n + k),
        rows=_numbered(m),
        parameters=Index(()),
        A=sparse.hstack([program.A, -program.B], format="csr"),
        b0=program.b0,
        B=sparse.csr_matrix((m, 0)),
        equality=program.equality,
        c0=np.zeros(n + k),
        C=sparse.csr_matrix((n + k, 0)),
        lower=np.concatenate([program.lower, low]),
        upper=np.concatenate([program.upper, high]),
    )
    whole = opposite.apply(joined)
    costs, upper = whole.c0.copy(), whole.upper.copy()
    costs[columns[0]], upper[columns[0]] = -1.0, 1.0
    found = ConicProgram(Follower("opposite side", replace(whole, c0=costs, upper=upper), cones=(np.array(columns),))).solve(np.zeros(0))
    if found.termination is Termination.INFEASIBLE or (found.termination is Termination.OPTIMAL and -found.objective <= 1e-6):
        return
    text = " + ".join(f"{a:g} {name}" for (_, a), name in zip(own, side.names, strict=True)) + (f" + {constant:g}" if constant else "")
    raise BilevelError(
        f"{side.where} is not convex: it also allows {text} < 0. Give {', '.join(side.names)} bounds that keep it above zero "
        "(as in x_1 x_2 >= ... with x_1, x_2 >= 0), or a row that says so"
    )


def _numbered(size: int) -> Index:
    return Index((Block("entry", {"position": np.arange(size)}, "", 0),))
