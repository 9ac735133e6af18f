"""Read the user's Pyomo model and followers into a BilevelProblem, and write answers back into the model."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import numeric_expr as expressions
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
    Quantity,
)
from multiscale.bilevel.problem.expression import FUNCTIONS, Tree, tree_renumbered
from multiscale.bilevel.problem.followers import DUALS, ProgramFollower
from multiscale.bilevel.read.digits import Digits
from multiscale.bilevel.read.extract import Extracted, extract_block, extract_program
from multiscale.bilevel.read.terms import read_terms
from multiscale.programs import Block, Index

_ALLOWED = (pyo.Var, pyo.Constraint, pyo.Objective, pyo.Param, pyo.Expression, pyo.Set, pyo.RangeSet, pyo.Block, pyo.Suffix)


@dataclass
class PyomoProblem:
    """A bilevel problem and the Pyomo objects its entries came from.

    Attributes:
        problem: the arrays.
        leader_variables: Pyomo variables in the order of the leader's vector.
        quantity_variables: Pyomo variables in the order of the quantities (the second part of the joint vector).
        extracted: followers with their own Pyomo variables and constraints.
        model: the user's model.
        digits: digits of integer leader variables that multiply follower variables.
    """

    problem: BilevelProblem
    leader_variables: list[Any]
    quantity_variables: list[Any]
    extracted: list[Extracted]
    model: Any
    digits: Digits

    def load(self, z: np.ndarray, primal: list[np.ndarray]) -> None:
        """Write an answer into the model's variables."""
        for variable, value, kind in zip(self.leader_variables, z, self.problem.leader.kinds, strict=False):
            variable.set_value(round(value) if kind != CONTINUOUS else float(value), skip_validation=True)
        for variable, value in zip(self.quantity_variables, z[len(self.leader_variables) :], strict=True):
            variable.set_value(float(value), skip_validation=True)
        for follower, x in zip(self.extracted, primal, strict=True):
            # A program follower has no Pyomo variables of its own.
            for variable, value in zip(follower.variables, x, strict=False):
                variable.set_value(float(value), skip_validation=True)


class _Reader:
    """Numbers variables by first appearance; the joint vector's order is known only at the end."""

    def __init__(self, model: Any, followers: Sequence[Any]) -> None:
        self.model = model
        self.owned: dict[int, str] = {}
        self.token: dict[int, int] = {}
        self.tokens: list[Any] = []
        self.inside: set[int] = set()
        for follower in followers:
            if isinstance(follower, ProgramFollower):
                self.inside.add(id(follower.block))
                self.owned.update({id(v): follower.name for v in follower.block.component_data_objects(pyo.Var)})
                continue
            self._claim(follower)
        holder = model.component(DUALS)
        if holder is not None:
            self.inside.add(id(holder))
            self.owned.update({id(v): DUALS for v in holder.dual_values.values()})

    def _claim(self, block: Any) -> None:
        if not hasattr(block, "component_data_objects"):
            raise BilevelError(f"follower {block!r} is neither a Pyomo Block nor a ProgramFollower")
        if block.is_indexed():
            raise BilevelError(f"follower {block.name!r} is an indexed block; list its members one by one")
        if not block.active:
            raise BilevelError(f"follower {block.name!r} is deactivated")
        if block.model() is not self.model:
            raise BilevelError(f"follower {block.name!r} does not belong to the model {self.model.name!r}")
        name = block.name
        for variable in block.component_data_objects(pyo.Var, descend_into=True):
            if self.owned.setdefault(id(variable), name) != name:
                raise BilevelError(f"variable {variable.name} belongs to the followers {self.owned[id(variable)]!r} and {name!r}")
        self.inside |= {id(b) for b in block.block_data_objects(descend_into=True)}

    def owner(self, variable: Any) -> str | None:
        return self.owned.get(id(variable))

    def number(self, variable: Any) -> int:
        position = self.token.setdefault(id(variable), len(self.tokens))
        if position == len(self.tokens):
            self.tokens.append(variable)
        return position

    def parts(self, kind: Any) -> list[Any]:
        """Active components of a kind that belong to the leader."""
        found = []
        for block in self.model.block_data_objects(active=True, descend_into=True):
            if id(block) not in self.inside:
                found += list(block.component_data_objects(kind, active=True, descend_into=False))
        return found

    def check_components(self) -> None:
        for block in self.model.block_data_objects(active=True, descend_into=True):
            if id(block) in self.inside:
                continue
            for part in block.component_objects(active=True, descend_into=False):
                if part.ctype not in _ALLOWED:
                    raise BilevelError(
                        f"leader component {part.name} is a {part.ctype.__name__}, which the bilevel solver cannot take; reformulate it"
                    )

    def form(self, expression: Any, name: str) -> Form:
        """An expression over token numbers."""
        terms = read_terms(expression)
        tree = None if terms.nonlinear is None else self.tree(terms.nonlinear, name)
        columns, coefficients = _added(np.array([self.number(v) for v in terms.variables], dtype=np.int64), np.array(terms.coefficients, dtype=float))
        first = np.array([self.number(a) for a in terms.first], dtype=np.int64)
        second = np.array([self.number(b) for b in terms.second], dtype=np.int64)
        return Form(float(terms.constant), columns, coefficients, first, second, np.array(terms.products, dtype=float), tree)

    def tree(self, expression: Any, name: str) -> Tree:
        if isinstance(expression, int | float | np.number):
            return ("#", float(expression))
        if not expression.is_potentially_variable():
            return ("#", float(pyo.value(expression)))
        if expression.is_variable_type():
            return ("#", float(expression.value)) if expression.fixed else ("v", self.number(expression))
        arguments = tuple(self.tree(argument, name) for argument in expression.args)
        if expression.is_named_expression_type():
            return arguments[0]
        if isinstance(expression, expressions.SumExpression):
            return ("+", arguments)
        if isinstance(expression, expressions.ProductExpression):
            return ("*", arguments)
        if isinstance(expression, expressions.NegationExpression):
            return ("*", (("#", -1.0), *arguments))
        if isinstance(expression, expressions.DivisionExpression):
            return ("/", arguments)
        if isinstance(expression, expressions.PowExpression):
            return ("^", arguments)
        function = expression.getname() if hasattr(expression, "getname") else type(expression).__name__
        if function in FUNCTIONS:
            return (function, arguments)
        raise BilevelError(f"leader component {name} uses {function!r}; SCIP takes {sorted(FUNCTIONS)}, products, quotients and powers")


def read_model(model: Any, followers: Sequence[Any]) -> PyomoProblem:
    """Read a Pyomo model and its followers.

    Raises:
        BilevelError: anything the reformulations cannot represent exactly, with the component's name.
    """
    if not followers:
        raise BilevelError("bilevel.solve needs at least one follower; a problem without followers is a single-level problem")
    reader = _Reader(model, followers)
    digits = Digits()
    extracted = [extract_program(f, reader.owner) if isinstance(f, ProgramFollower) else extract_block(f, reader.owner, digits) for f in followers]
    names = [e.name for e in extracted]
    if len(set(names)) != len(names):
        raise BilevelError(f"two followers share a name: {sorted(names)}; give each its own")
    reader.check_components()
    objectives = reader.parts(pyo.Objective)
    if len(objectives) != 1:
        raise BilevelError(
            f"the leader has {len(objectives)} active objectives {[o.name for o in objectives]} outside its followers; it needs exactly one"
        )
    for follower in extracted:
        for variable in follower.leaders:
            reader.number(variable)
    sense = -1.0 if objectives[0].sense == pyo.maximize else 1.0
    objective = reader.form(objectives[0].expr, objectives[0].name).scaled(sense)
    rows = []
    for constraint in reader.parts(pyo.Constraint):
        lower, upper = pyo.value(constraint.lower, exception=False), pyo.value(constraint.upper, exception=False)
        bounds = (-np.inf if lower is None else float(lower), np.inf if upper is None else float(upper))
        rows.append(CurvedRow(constraint.name, reader.form(constraint.body, constraint.name), *bounds))
    for variable, least, pairs in digits.of.values():
        places = np.array([reader.number(variable), *(reader.number(digit) for _, digit in pairs)])
        form = Form(0.0, places, np.array([1.0, *(-float(weight) for weight, _ in pairs)]))
        rows.append(CurvedRow(f"digits of {variable.name}", form, float(least), float(least)))
    return _assemble(model, reader, followers, extracted, objective, rows, sense, digits)


def _assemble(
    model: Any,
    reader: _Reader,
    followers: Sequence[Any],
    extracted: list[Extracted],
    objective: Form,
    rows: list[CurvedRow],
    sense: float,
    digits: Digits,
) -> PyomoProblem:
    order, leaders, quantities, quantity_variables = _joint_order(model, reader, followers, extracted)
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
    return PyomoProblem(BilevelProblem(leader, tuple(over_leader)), leaders, quantity_variables, extracted, model, digits)


def _joint_order(
    model: Any, reader: _Reader, followers: Sequence[Any], extracted: list[Extracted]
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


def _names(variables: list[Any], extracted: list[Extracted]) -> list[str]:
    """Names of variables; those of blocks were made when the block was read."""
    known = {id(v): name for e in extracted for v, name in zip(e.variables, e.column_names, strict=True)}
    return [known.get(id(v)) or v.name for v in variables]


def _added(columns: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal columns added up, in the order of their first appearance."""
    unique, first, inverse = np.unique(columns, return_index=True, return_inverse=True)
    if unique.size == columns.size:
        return columns, coefficients
    order = np.argsort(first)
    return unique[order], np.bincount(inverse, weights=coefficients)[order]


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
