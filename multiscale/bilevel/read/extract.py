"""Turn followers into programs whose parameters are the leader's variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.base.component_namer import index_repr
from pyomo.core.expr.visitor import identify_variables
from pyomo.repn import generate_standard_repn
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.problem.extension import Extension
from multiscale.bilevel.problem.followers import ProgramFollower
from multiscale.bilevel.read.curved_rows import CurvedRows
from multiscale.bilevel.read.digits import Digits
from multiscale.bilevel.read.terms import general_terms, read_terms
from multiscale.programs import Block, Index, ParametricProgram

_ALLOWED = (pyo.Var, pyo.Constraint, pyo.Objective, pyo.Param, pyo.Expression, pyo.Set, pyo.RangeSet, pyo.Block, pyo.Suffix)


@dataclass
class Extracted:
    """A follower as a program over leader variables still numbered by first appearance.

    Attributes:
        program: parameters are the leader variables named by ``leaders``, in that order.
        leaders: leader variables (Pyomo), one for each parameter.
        variables: the follower's own Pyomo variables in column order (empty for a program follower), and their names.
        constraint_rows: constraint (by identity) -> (row, factor) pairs that make up its dual.
        sense: -1 for a maximising follower.
        cones: second-order cones over the program's columns.
        lifted: products of binary leader variables and columns that became columns: (leader variable, column).
    """

    name: str
    program: ParametricProgram
    leaders: list[Any]
    variables: list[Any]
    constraint_rows: dict[int, list[tuple[int, float]]]
    sense: float = 1.0
    cones: tuple[np.ndarray, ...] = ()
    lifted: tuple[tuple[int, int], ...] = ()
    column_names: list[str] = field(default_factory=list)


def _leader_index(names: list[str]) -> Index:
    return Index((Block("leader", {"variable": np.array(names, dtype=object)}, "", 0),))


def extract_program(follower: ProgramFollower, owner: Callable[[Any], str | None]) -> Extracted:
    """Replace the program's parameters ``p = p0 + P y`` by the leader's variables ``y``.

    Args:
        follower: the follower.
        owner: name of the follower that owns a variable, or None for a leader variable.

    Raises:
        BilevelError: a parameter is not affine in leader variables, or depends on another follower.
    """
    program = follower.program
    constant = np.zeros(program.parameters.size)
    leaders: list[Any] = []
    place: dict[int, int] = {}
    rows, columns, data = [], [], []
    for i, entry in enumerate(follower.parameters):
        if isinstance(entry, int | float | np.number):
            constant[i] = float(entry)
            continue
        repn = generate_standard_repn(entry, compute_values=True, quadratic=False)
        where = f"follower {follower.name!r}: parameter {program.parameters.label(i)}"
        if repn.nonlinear_expr is not None:
            raise BilevelError(f"{where} is not affine in the leader's variables; set a leader variable equal to it")
        constant[i] = float(repn.constant)
        for coefficient, variable in zip(repn.linear_coefs, repn.linear_vars, strict=True):
            if owner(variable) is not None:
                raise BilevelError(f"{where} depends on {variable.name} of follower {owner(variable)!r}; followers may share leader variables only")
            column = place.setdefault(id(variable), len(leaders))
            if column == len(leaders):
                leaders.append(variable)
            rows.append(i)
            columns.append(column)
            data.append(float(coefficient))
    if not np.isfinite(constant).all():
        i = int(np.flatnonzero(~np.isfinite(constant))[0])
        raise BilevelError(f"follower {follower.name!r}: parameter {program.parameters.label(i)} is {constant[i]}; give a finite number")
    link = sparse.csr_matrix((data, (rows, columns)), shape=(program.parameters.size, len(leaders)))
    over_leader = replace(
        program,
        parameters=_leader_index([v.name for v in leaders]),
        b0=program.rhs(constant),
        B=(program.B @ link).tocsr(),
        c0=program.costs(constant),
        C=(program.C @ link).tocsr(),
        d0=program.constant(constant),
        d=np.asarray(link.T @ program.d).ravel(),
    )
    added = Extension(program.columns.size)
    for c, cone in enumerate(follower.cones):
        # Columns of a cone have no bounds and no other cone: each gets a copy of its own.
        labels = [program.columns.label(int(j)) for j in cone]
        added.cones.append([added.defined(f"cone {c}: {label}", [(int(j), 1.0)], [], 0.0) for j, label in zip(cone, labels, strict=True)])
    return Extracted(follower.name, added.apply(over_leader), leaders, [], {}, cones=tuple(np.array(cone) for cone in added.cones))


def extract_block(block: Any, owner: Callable[[Any], str | None], digits: Digits) -> Extracted:
    """Read a Pyomo block that is a convex linear, quadratic or second-order cone program in its own variables.

    Constraints ``lb <= a'x + g'y <= ub`` become rows ``a'x <= ub - g'y`` and ``-a'x <= -lb + g'y``; variable bounds stay
    bounds. The objective may hold products of follower variables and of follower and leader variables; terms of leader variables
    alone do not move the follower and only enter its cost when they are linear. Convex quadratic rows, and products with binary or
    integer leader variables, become further columns and rows (see ``curved_rows``, ``lifting`` and ``digits``).

    Raises:
        BilevelError: integer variables, no or several objectives, rows that are not convex, coefficients that depend on leader
            variables other than integers, variables of another follower, or a component of a kind that has no convex meaning here.
    """
    name = block.name
    _check_components(block)
    labelled = [(v, label) for v, label in _labelled(block, pyo.Var) if not v.fixed]
    variables, column_names = [v for v, _ in labelled], [label for _, label in labelled]
    column = {id(v): j for j, v in enumerate(variables)}
    for v in variables:
        if v.domain is not pyo.Reals and not v.is_continuous():
            raise BilevelError(f"follower {name!r}: variable {v.name} is {v.domain.name}; a follower must be continuous (no integers) to have duals")
    objectives = list(block.component_data_objects(pyo.Objective, active=True, descend_into=True))
    if len(objectives) != 1:
        found = [o.name for o in objectives]
        raise BilevelError(f"follower {name!r} has {len(objectives)} active objectives {found}; it needs exactly one")
    leaders: list[Any] = []
    place: dict[int, int] = {}

    def leader(v: Any, where: str) -> int:
        if owner(v) is not None:
            raise BilevelError(
                f"follower {name!r}: {where} uses {v.name}, a variable of follower {owner(v)!r}; followers may share leader variables only "
                "(sharing each other's is a generalised Nash problem). Link them through a leader variable, or join them into one follower"
            )
        k = place.setdefault(id(v), len(leaders))
        if k == len(leaders):
            leaders.append(v)
        return k

    rows = _Rows()
    constraint_rows: dict[int, list[tuple[int, float]]] = {}
    labels: list[str] = []
    curved = CurvedRows(name, variables, column, leader, digits)
    for constraint, label in _labelled(block, pyo.Constraint):
        if not constraint.active:
            continue
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
    objective = objectives[0]
    sense = -1.0 if objective.sense == pyo.maximize else 1.0
    costs = _read_objective(name, objective, column, leader)
    n, m, k = len(variables), len(labels), len(leaders)
    ends = [v.bounds for v in variables]
    curvature = costs.curvature(n)
    block_of = {"columns": Block("column", {"variable": np.array(column_names, dtype=object)}, "", 0)}
    program = ParametricProgram(
        name=name,
        columns=Index((block_of["columns"],)),
        rows=Index((Block("row", {"constraint": np.array(labels, dtype=object)}, "", 0),)),
        parameters=_leader_index([v.name for v in leaders]),
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
    return Extracted(name, program, leaders, variables, duals, sense, cones, tuple(curved.lifting.pairs), column_names)


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


class _Rows:
    """Rows collected one by one, written as ``a'x (= or <=) rhs + B y``."""

    def __init__(self) -> None:
        self.own: tuple[list[int], list[int], list[float]] = ([], [], [])
        self.other: tuple[list[int], list[int], list[float]] = ([], [], [])
        self.rhs: list[float] = []
        self.equality: list[bool] = []

    def add(self, columns: list[int], coefficients: list[float], other: list[tuple[int, float]], rhs: float, sign: float, equality: bool) -> int:
        row = len(self.rhs)
        rows, places, values = self.own
        rows.extend([row] * len(columns))
        places.extend(columns)
        values.extend(coefficients if sign > 0 else [-value for value in coefficients])
        for column, value in other:
            self.other[0].append(row)
            self.other[1].append(column)
            self.other[2].append(-sign * value)
        self.rhs.append(sign * rhs)
        self.equality.append(equality)
        return row

    @staticmethod
    def matrix(entries: tuple[list[int], list[int], list[float]], shape: tuple[int, int]) -> sparse.csr_matrix:
        return _summed(entries[2], entries[0], entries[1], shape)


def _summed(data: list[float], rows: list[int], columns: list[int], shape: tuple[int, int]) -> sparse.csr_matrix:
    """Matrix with equal entries added up, and without those that cancel."""
    where = (np.array(rows, dtype=np.int32), np.array(columns, dtype=np.int32))
    matrix = sparse.csr_matrix((np.array(data, dtype=float), where), shape=shape)
    matrix.eliminate_zeros()
    return matrix


class _Costs:
    """The follower's objective split by what multiplies what."""

    def __init__(self) -> None:
        self.constant = 0.0
        self.own: list[tuple[int, float]] = []
        self.leader: list[tuple[int, float]] = []
        self.mixed: list[tuple[int, int, float]] = []
        self.square: list[tuple[int, int, float]] = []

    def linear(self, n: int) -> np.ndarray:
        costs = np.zeros(n)
        for j, value in self.own:
            costs[j] += value
        return costs

    def leader_linear(self, k: int) -> np.ndarray:
        costs = np.zeros(k)
        for j, value in self.leader:
            costs[j] += value
        return costs

    def matrix(self, shape: tuple[int, int]) -> sparse.csr_matrix:
        return _summed([c for _, _, c in self.mixed], [a for a, _, _ in self.mixed], [b for _, b, _ in self.mixed], shape)

    def curvature(self, n: int) -> sparse.csr_matrix:
        half = _summed([c for _, _, c in self.square], [a for a, _, _ in self.square], [b for _, b, _ in self.square], (n, n))
        return (half + half.T).tocsr()


def _read_objective(name: str, objective: Any, column: dict[int, int], leader: Callable[[Any, str], int]) -> _Costs:
    terms = read_terms(objective.expr)
    costs = _Costs()
    if terms.nonlinear is not None:
        own = [v.name for v in identify_variables(terms.nonlinear, include_fixed=False) if id(v) in column]
        if own:
            raise BilevelError(f"follower {name!r}: objective {objective.name} is neither linear nor quadratic in {own[0]}")
    costs.constant = float(terms.constant)
    for coefficient, v in zip(terms.coefficients, terms.variables, strict=True):
        j = column.get(id(v))
        if j is not None:
            costs.own.append((j, coefficient))
        else:
            costs.leader.append((leader(v, objective.name), coefficient))
    for coefficient, a, b in zip(terms.products, terms.first, terms.second, strict=True):
        i, j = column.get(id(a)), column.get(id(b))
        if i is not None and j is not None:
            costs.square.append((i, j, coefficient))
        elif i is not None:
            costs.mixed.append((i, leader(b, objective.name), coefficient))
        elif j is not None:
            costs.mixed.append((j, leader(a, objective.name), coefficient))
    return costs
