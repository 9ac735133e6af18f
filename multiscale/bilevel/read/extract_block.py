"""Turn a Pyomo block into a program whose parameters are the leader's variables."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.base.component_namer import index_repr
from pyomo.repn import generate_standard_repn

from multiscale.bilevel.problem.description import BilevelError, BilevelWarning
from multiscale.bilevel.problem.followers import BlockFollower
from multiscale.bilevel.read.auxiliary import Auxiliary
from multiscale.bilevel.read.collected import Rows, read_objective
from multiscale.bilevel.read.curved_rows import CurvedRows
from multiscale.bilevel.read.extracted import Extracted, leader_index
from multiscale.bilevel.read.terms import general_terms, read_terms
from multiscale.programs import Block, Index, ParametricProgram

_ALLOWED = (pyo.Var, pyo.Constraint, pyo.Objective, pyo.Param, pyo.Expression, pyo.Set, pyo.RangeSet, pyo.Block, pyo.Suffix)


def extract_block(follower: BlockFollower, owner: Callable[[Any], str | None], auxiliary: Auxiliary) -> Extracted:
    """Read a Pyomo block that is a convex linear, quadratic or second-order cone program in its own variables.

    Constraints ``lb <= a'x + g'y <= ub`` become rows ``a'x <= ub - g'y`` and ``-a'x <= -lb + g'y``; variable bounds stay
    bounds. The objective may hold products of follower variables and of follower and leader variables; terms of leader variables
    alone do not move the follower, only enter its cost when they are linear, and are warned of. Convex quadratic rows, and products with binary or
    integer leader variables, become further columns and rows (see ``curved_rows``, ``lifting`` and ``digits``). Products of leader variables in
    rows become leader variables (see ``leader_products``).

    Raises:
        BilevelError: no variables of its own, integer variables, no or several objectives, rows that are not convex, coefficients that depend
            on leader variables other than integers, variables of another follower, or a component of a kind that has no convex meaning here.
    """
    name, block = follower.name, follower.block
    _check_components(block)
    owned = _labelled(block, pyo.Var) + [(v, v.name) for v in follower.variables if not _inside(v, block)]
    if not owned:
        raise BilevelError(
            f"follower {name!r} has no variables of its own: all that it names belong to the leader; move what the follower decides into the block, "
            "or state it with bilevel.BlockFollower(block, variables=[...])"
        )
    labelled = [(v, label) for v, label in owned if not v.fixed]
    variables, column_names = [v for v, _ in labelled], [label for _, label in labelled]
    column = {id(v): j for j, v in enumerate(variables)}
    for v in variables:
        if v.domain is not pyo.Reals and not v.is_continuous():
            raise BilevelError(f"follower {name!r}: variable {v.name} is {v.domain.name}; a follower must be continuous (no integers) to have duals")
    objective = _objective(name, block)
    leaders: list[Any] = []
    place: dict[int, int] = {}

    def leader(v: Any, where: str) -> int:
        if owner(v) is not None:
            what = "a Nash equilibrium of followers" if where == objective.name else "a generalised Nash problem"
            raise BilevelError(
                f"follower {name!r}: {where} uses {v.name}, a variable of follower {owner(v)!r}; followers may share leader variables only "
                f"(this is {what}). Link them through a leader variable, or join them into one follower"
            )
        k = place.setdefault(id(v), len(leaders))
        if k == len(leaders):
            leaders.append(v)
        return k

    rows = Rows()
    constraint_rows: dict[int, list[tuple[int, float]]] = {}
    labels: list[str] = []
    curved = CurvedRows(name, variables, column, leader, auxiliary)
    constraints = [(c, label) for c, label in _labelled(block, pyo.Constraint) if c.active]
    for constraint, label in constraints:
        lower, body, upper = constraint.to_bounded_expression(True)
        terms = read_terms(body)
        if terms.nonlinear is not None or terms.products:
            repn = generate_standard_repn(body, compute_values=True, quadratic=True)
            if repn.nonlinear_expr is not None or repn.quadratic_vars:
                curved.add(constraint, label, repn)
                continue
            # Products that cancel leave a linear row.
            terms = general_terms(body)
        columns: list[int] = []
        coefficients: list[float] = []
        other: list[tuple[int, float]] = []
        for coefficient, v in zip(terms.coefficients, terms.variables, strict=True):
            j = column.get(id(v))
            if j is None:
                other.append((leader(v, label), coefficient))
            else:
                columns.append(j)
                coefficients.append(coefficient)
        parts = constraint_rows[id(constraint)] = []
        if lower is not None and lower == upper:
            parts.append((rows.add(columns, coefficients, other, upper - terms.constant, 1.0, True), 1.0))
            labels.append(label)
            continue
        if upper is not None and upper < np.inf:
            parts.append((rows.add(columns, coefficients, other, upper - terms.constant, 1.0, False), 1.0))
            labels.append(label)
        if lower is not None and lower > -np.inf:
            parts.append((rows.add(columns, coefficients, other, lower - terms.constant, -1.0, False), -1.0))
            labels.append(label if len(parts) == 1 else f"{label} (lower)")
    sense = -1.0 if objective.sense == pyo.maximize else 1.0
    costs = read_objective(name, objective, column, leader)
    n, m, k = len(variables), len(labels), len(leaders)
    _warn_of_leader_terms(name, objective.name, [leaders[j].name for j, value in costs.leader if value] + costs.ignored, rows.without_columns(labels))
    ends = [v.bounds for v in variables]
    curvature = costs.curvature(n)
    block_of = {"columns": Block("column", {"variable": np.array(column_names, dtype=object)}, "", 0)}
    program = ParametricProgram(
        name=name,
        columns=Index((block_of["columns"],)),
        rows=Index((Block("row", {"constraint": np.array(labels, dtype=object)}, "", 0),)),
        parameters=leader_index([v.name for v in leaders]),
        A=rows.matrix(rows.own, (m, n)),
        b0=np.array(rows.rhs, dtype=float),
        B=rows.matrix(rows.other, (m, k)),
        equality=np.array(rows.equality, dtype=bool),
        c0=sense * costs.linear(n),
        C=sense * costs.matrix((n, k)),
        lower=np.array([-np.inf if low is None else low for low, _ in ends], dtype=float),
        upper=np.array([np.inf if high is None else high for _, high in ends], dtype=float),
        Q=sense * curvature if curvature.nnz else None,
        d0=sense * costs.constant,
        d=sense * costs.leader_linear(k),
    )
    program, curved_parts = curved.finish(program, leaders)
    duals = {key: [(r, sense * s) for r, s in parts] for key, parts in (constraint_rows | curved_parts).items() if parts}
    cones = tuple(np.array(cone) for cone in curved.added.cones)
    stated = [c for c, _ in constraints if id(c) in duals]
    return Extracted(name, program, leaders, variables, duals, sense, cones, tuple(curved.lifting.pairs), column_names, stated)


def _objective(name: str, block: Any) -> Any:
    """The follower's objective.

    Raises:
        BilevelError: none or several.
    """
    found = list(block.component_data_objects(pyo.Objective, active=True, descend_into=True))
    if len(found) == 1:
        return found[0]
    text = f"follower {name!r} has {len(found)} active objectives {[o.name for o in found]}; it needs exactly one"
    inner = next((o.parent_block().name for o in found if o.parent_block() is not block), None)
    if len(found) > 1 and inner is not None:
        text += f". If {inner!r} is a follower of this follower, the problem is trilevel, which is not supported"
    raise BilevelError(text)


def _inside(variable: Any, block: Any) -> bool:
    parent = variable.parent_block()
    while parent is not None and parent is not block:
        parent = parent.parent_block()
    return parent is block


def _warn_of_leader_terms(name: str, objective: str, alone: list[str], rows: list[str]) -> None:
    """Say what of a follower only the leader decides: it moves no answer of the follower, which is seldom what its author meant."""
    remedy = "if the follower is to decide them, state bilevel.BlockFollower(block, variables=[...])"
    if alone:
        names = ", ".join(sorted(set(alone))[:5])
        text = f"follower {name!r}: terms of {objective} hold leader variables only ({names}), so they do not move the follower's answer; {remedy}"
        warnings.warn(text, BilevelWarning, stacklevel=2)
    if rows:
        text = f"follower {name!r}: {rows[0]} holds leader variables only and binds the leader instead (decisions that violate it are infeasible)"
        warnings.warn(f"{text}; {remedy}", BilevelWarning, stacklevel=2)


def _labelled(block: Any, kind: Any) -> list[tuple[Any, str]]:
    """Entries of the active components of a kind with their names (asking each entry for its name takes most of the time)."""
    found: list[tuple[Any, str]] = []
    for component in block.component_objects(kind, active=True, descend_into=True):
        base = component.name
        if not component.is_indexed():
            found.append((component, base))
            continue
        for index, entry in component.items():
            found.append((entry, base + index_repr(index)))
    return found


def _check_components(block: Any) -> None:
    for part in block.component_objects(active=True, descend_into=True):
        if part.ctype not in _ALLOWED:
            raise BilevelError(f"follower {block.name!r}: {part.name} is a {part.ctype.__name__}, which a follower cannot hold")
