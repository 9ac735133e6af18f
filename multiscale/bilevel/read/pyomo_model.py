"""Read the user's Pyomo model and followers into a BilevelProblem, and write answers back into the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from scipy import sparse

from multiscale.bilevel.problem.description import (
    BINARY,
    CONTINUOUS,
    INTEGER,
    BilevelError,
    BilevelProblem,
    CurvedRow,
    Follower,
    Form,
    Leader,
)
from multiscale.bilevel.problem.expression import tree_renumbered
from multiscale.bilevel.problem.followers import BlockFollower, ProgramFollower
from multiscale.bilevel.read.auxiliary import Auxiliary
from multiscale.bilevel.read.extract_block import extract_block
from multiscale.bilevel.read.extract_program import extract_program
from multiscale.bilevel.read.extracted import Extracted
from multiscale.bilevel.read.joint_order import joint_order
from multiscale.bilevel.read.leader_expressions import LeaderReader
from multiscale.bilevel.read.stated import stated_followers
from multiscale.programs import Block, Index


@dataclass
class PyomoProblem:
    """A bilevel problem and the Pyomo objects its entries came from.

    Attributes:
        problem: the arrays.
        leader_variables: Pyomo variables in the order of the leader's vector.
        quantity_variables: Pyomo variables in the order of the quantities (the second part of the joint vector).
        followers: the followers as stated, one entry for each.
        extracted: followers with their own Pyomo variables and constraints.
        model: the user's model.
        auxiliary: leader variables made in reading followers.
    """

    problem: BilevelProblem
    leader_variables: list[Any]
    quantity_variables: list[Any]
    followers: list[ProgramFollower | BlockFollower]
    extracted: list[Extracted]
    model: Any
    auxiliary: Auxiliary

    def answers(self, z: np.ndarray, primal: list[np.ndarray]) -> list[tuple[Any, float]]:
        """Pyomo variables with their values of an answer."""
        found = [
            (variable, float(round(value)) if kind != CONTINUOUS else float(value))
            for variable, value, kind in zip(self.leader_variables, z, self.problem.leader.kinds, strict=False)
        ]
        found += [(variable, float(value)) for variable, value in zip(self.quantity_variables, z[len(self.leader_variables) :], strict=True)]
        for follower, x in zip(self.extracted, primal, strict=True):
            # A program follower has no Pyomo variables of its own.
            found += [(variable, float(value)) for variable, value in zip(follower.variables, x, strict=False)]
        return found


def read_model(model: Any, followers: Any, keep: Sequence[Any] = ()) -> PyomoProblem:
    """Read a Pyomo model and its followers (see ``stated_followers`` for how they may be listed).

    Args:
        model: the leader's model.
        followers: its followers.
        keep: leader variables that belong to the problem even where nothing uses them.

    Raises:
        BilevelError: anything the reformulations cannot represent exactly, with the component's name.
    """
    stated = stated_followers(model, followers)
    reader = LeaderReader(model, stated)
    auxiliary = Auxiliary()
    extracted = [extract_program(f, reader.owner) if isinstance(f, ProgramFollower) else extract_block(f, reader.owner, auxiliary) for f in stated]
    names = [e.name for e in extracted]
    if len(set(names)) != len(names):
        raise BilevelError(f"two followers share a name: {sorted(names)}; give each its own")
    reader.check_components()
    stated_objective = reader.objective()
    for follower in extracted:
        for variable in follower.leaders:
            reader.number(variable)
    for variable in keep:
        reader.number(variable)
    sense = -1.0 if stated_objective.sense == pyo.maximize else 1.0
    objective = reader.form(stated_objective.expr, stated_objective.name).scaled(sense)
    rows = []
    for constraint in reader.parts(pyo.Constraint):
        lower, upper = pyo.value(constraint.lower, exception=False), pyo.value(constraint.upper, exception=False)
        bounds = (-np.inf if lower is None else float(lower), np.inf if upper is None else float(upper))
        rows.append(CurvedRow(constraint.name, reader.form(constraint.body, constraint.name), *bounds))
    rows += auxiliary.rows(reader.number)
    return _assemble(model, reader, stated, extracted, objective, rows, sense, auxiliary)


def _assemble(
    model: Any,
    reader: LeaderReader,
    followers: Sequence[ProgramFollower | BlockFollower],
    extracted: list[Extracted],
    objective: Form,
    rows: list[CurvedRow],
    sense: float,
    auxiliary: Auxiliary,
) -> PyomoProblem:
    order, leaders, quantities, quantity_variables = joint_order(model, reader, followers, extracted)
    n = len(leaders)
    place = {id(v): k for k, v in enumerate(leaders)}
    over_leader = []
    for follower in extracted:
        chosen = np.array([place[id(v)] for v in follower.leaders], dtype=np.int64)
        spread = sparse.csr_matrix((np.ones(chosen.size), (np.arange(chosen.size), chosen)), shape=(chosen.size, n))
        program = follower.program
        index = Index((Block("leader", {"variable": np.array([v.name for v in leaders], dtype=object)}, "", 0),))
        program = replace(
            program,
            parameters=index,
            B=(program.B @ spread).tocsr(),
            C=(program.C @ spread).tocsr(),
            d=np.asarray(spread.T @ program.d).ravel(),
        )
        over_leader.append(Follower(follower.name, program, follower.sense, follower.cones))
    renumbered = [replace(row, form=_renumbered(row.form, order)) for row in rows]
    flat = [row for row in renumbered if row.form.is_linear]
    matrix, row_lower, row_upper = _linear_rows(flat, n + len(quantity_variables))
    leader = Leader(
        names=tuple(v.name for v in leaders),
        lower=np.array([-np.inf if v.lb is None else v.lb for v in leaders], dtype=float),
        upper=np.array([np.inf if v.ub is None else v.ub for v in leaders], dtype=float),
        kinds=np.array([BINARY if v.is_binary() else INTEGER if v.is_integer() else CONTINUOUS for v in leaders], dtype="U1"),
        quantities=tuple(quantities),
        quantity_names=tuple(_names(quantity_variables, extracted)),
        quantity_lower=np.array([-np.inf if v.lb is None else v.lb for v in quantity_variables], dtype=float),
        quantity_upper=np.array([np.inf if v.ub is None else v.ub for v in quantity_variables], dtype=float),
        matrix=matrix,
        row_lower=row_lower,
        row_upper=row_upper,
        row_names=tuple(row.name for row in flat),
        curved=tuple(row for row in renumbered if not row.form.is_linear),
        objective=_renumbered(objective, order),
        sense=sense,
    )
    for v in leaders:
        if not (v.is_continuous() or v.is_integer() or v.is_binary()):
            raise BilevelError(f"leader variable {v.name} has domain {v.domain.name}; use reals, integers or binaries")
    return PyomoProblem(BilevelProblem(leader, tuple(over_leader)), leaders, quantity_variables, list(followers), extracted, model, auxiliary)


def _names(variables: list[Any], extracted: list[Extracted]) -> list[str]:
    """Names of variables; those of blocks were made when the block was read."""
    known = {id(v): name for e in extracted for v, name in zip(e.variables, e.column_names, strict=True)}
    return [known.get(id(v)) or v.name for v in variables]


def _renumbered(form: Form, order: np.ndarray) -> Form:
    tree = None if form.tree is None else tree_renumbered(form.tree, order)
    return replace(form, columns=order[form.columns], first=order[form.first], second=order[form.second], tree=tree)


def _linear_rows(rows: list[CurvedRow], width: int) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Linear rows as a matrix; constants moved to the bounds."""
    sizes = [row.form.columns.size for row in rows]
    columns = np.concatenate([row.form.columns for row in rows]) if rows else np.zeros(0, dtype=np.int64)
    data = np.concatenate([row.form.coefficients for row in rows]) if rows else np.zeros(0)
    matrix = sparse.csr_matrix((data, (np.repeat(np.arange(len(rows)), sizes), columns)), shape=(len(rows), width))
    constants = np.array([row.form.constant for row in rows])
    return matrix, np.array([row.lower for row in rows]) - constants, np.array([row.upper for row in rows]) - constants
