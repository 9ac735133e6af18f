"""Order of the joint vector, and what a follower decides of it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError, Quantity
from multiscale.bilevel.problem.followers import DUALS, ProgramFollower
from multiscale.bilevel.read.extracted import Extracted
from multiscale.bilevel.read.leader_expressions import LeaderReader


def joint_order(
    model: Any, reader: LeaderReader, followers: Sequence[Any], extracted: list[Extracted]
) -> tuple[np.ndarray, list[Any], list[Quantity], list[Any]]:
    """Order of the joint vector: leader variables first, then quantities grouped by follower and kind."""
    where = _quantity_places(model, followers, extracted, reader.token)
    leaders = [v for v in reader.tokens if id(v) not in where and reader.owner(v) is None]
    lost = [v for v in reader.tokens if id(v) not in where and reader.owner(v) is not None]
    if lost and reader.owner(lost[0]) == DUALS:
        asked = next((c.name for c, v in model.component(DUALS).by_constraint.items() if v is lost[0]), lost[0].name)
        raise BilevelError(
            f"dual_of({asked}): this is not a row of a follower of this solve with a single dual; it must be active, linear or convex quadratic "
            "(a row with a product on its larger side has a cone's multiplier instead)"
        )
    if lost:
        raise BilevelError(f"the leader uses {lost[0].name} of {reader.owner(lost[0])!r}, which is not among the followers of this solve")
    groups: dict[tuple[int, str], list[Any]] = {}
    for v in reader.tokens:
        if id(v) in where:
            f, kind, _, _ = where[id(v)]
            groups.setdefault((f, kind), []).append(v)
    place = {id(v): k for k, v in enumerate(leaders)}
    quantities: list[Quantity] = []
    variables: list[Any] = []
    for (f, kind), members in groups.items():
        rows, columns, data, constant = [], [], [], np.zeros(len(members))
        for i, v in enumerate(members):
            place[id(v)] = len(leaders) + len(variables) + i
            _, _, entries, constant[i] = where[id(v)]
            rows += [i] * len(entries)
            columns += [c for c, _ in entries]
            data += [d for _, d in entries]
        program = extracted[f].program
        width = {"primal": program.columns.size, "dual": program.rows.size, "cost": 1}[kind]
        quantities.append(Quantity(f, kind, sparse.csr_matrix((data, (rows, columns)), shape=(len(members), width)), constant))
        variables += members
    return np.array([place[id(v)] for v in reader.tokens], dtype=np.int64), leaders, quantities, variables


def _quantity_places(
    model: Any, followers: Sequence[Any], extracted: list[Extracted], used: Container[int]
) -> dict[int, tuple[int, str, list[tuple[int, float]], float]]:
    """Pyomo variable (by identity) -> follower, kind, entries of its defining row, constant; block variables only if used."""
    where: dict[int, tuple[int, str, list[tuple[int, float]], float]] = {}
    for f, (follower, read) in enumerate(zip(followers, extracted, strict=True)):
        for j, v in enumerate(read.variables):
            if id(v) in used:
                where[id(v)] = (f, "primal", [(j, 1.0)], 0.0)
        if not isinstance(follower, ProgramFollower):
            continue
        for v, (kind, name, position) in follower.quantities.items():
            if kind == "output":
                row = follower.program.outputs[name].matrix.tocsr()[position]
                where[id(v)] = (f, "primal", list(zip(row.indices.tolist(), row.data.tolist(), strict=True)), 0.0)
            elif kind == "dual":
                where[id(v)] = (f, "dual", [(follower.program.rows[name].offset + position, 1.0)], 0.0)
            else:
                where[id(v)] = (f, "cost", [(0, 1.0)], 0.0)
    holder = model.component(DUALS)
    if holder is not None:
        for constraint, v in holder.by_constraint.items():
            for f, read in enumerate(extracted):
                if id(constraint) in read.constraint_rows:
                    where[id(v)] = (f, "dual", read.constraint_rows[id(constraint)], 0.0)
    return where
