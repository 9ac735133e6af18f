"""A SingleLevel program as a PySCIPOpt model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyscipopt
from pyscipopt.scip import Expr, ExprCons, Term

from multiscale.bilevel.problem.description import CONTINUOUS, Form
from multiscale.bilevel.problem.expression import tree_expression
from multiscale.bilevel.reformulate.single_level.program import SingleLevel

_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": pyscipopt.exp,
    "log": pyscipopt.log,
    "sqrt": pyscipopt.sqrt,
    "sin": pyscipopt.sin,
    "cos": pyscipopt.cos,
    "abs": abs,
}


def build_model(single: SingleLevel, *, names: tuple[list[str], list[str]] | None = None) -> tuple[Any, list[Any]]:
    """The SCIP model and its variables in the order of the columns.

    Args:
        single: the program.
        names: names of columns and rows, for files that people read.
    """
    model = pyscipopt.Model()
    model.hideOutput()
    variables = []
    for j, (low, high, kind) in enumerate(zip(single.lower.tolist(), single.upper.tolist(), single.kinds.tolist(), strict=True)):
        name = names[0][j] if names else f"v{j}"
        low, high = (None if low == -np.inf else low), (None if high == np.inf else high)
        variables.append(model.addVar(name=name, lb=low, ub=high, vtype=kind))
    terms = [Term(v) for v in variables]
    _add_linear_rows(model, single, terms, names[1] if names else None)
    for target, first, second in single.products.tolist():
        model.addCons(variables[first] * variables[second] - variables[target] == 0, name=f"product_{target}")
    for i, row in enumerate(single.curved):
        name = f"curved_{i}" if names else row.name
        low, high = (None if np.isneginf(row.lower) else row.lower), (None if np.isposinf(row.upper) else row.upper)
        if low is None and high is None:
            continue
        expression = _expression(row.form, variables)
        if low == high:
            model.addCons(expression == low, name=name)
            continue
        if high is not None:
            model.addCons(expression <= high, name=name)
        if low is not None:
            model.addCons(expression >= low, name=f"{name}_lower" if names else name)
    for pairs in single.pairs:
        for a, b in pairs.tolist():
            model.addConsSOS1([variables[a], variables[b]], weights=[1.0, 2.0])
    for group in single.indicators:
        for binary, column in zip(group.binary.tolist(), group.column.tolist(), strict=True):
            model.addConsIndicator(variables[column] <= 0, variables[binary], activeone=group.active)
    _set_objective(model, single.objective, variables)
    # Follower columns follow from the leader's decision: branch on that first.
    for j in range(single.leader_size):
        model.chgVarBranchPriority(variables[j], 1000 if single.kinds[j] != CONTINUOUS else 100)
    return model, variables


def _add_linear_rows(model: Any, single: SingleLevel, terms: list[Any], names: list[str] | None) -> None:
    indptr, indices, data = single.rows.indptr.tolist(), single.rows.indices.tolist(), single.rows.data.tolist()
    for i, (low, high) in enumerate(zip(single.row_lower.tolist(), single.row_upper.tolist(), strict=True)):
        low, high = (None if low == -np.inf else low), (None if high == np.inf else high)
        if low is None and high is None:
            continue
        part = slice(indptr[i], indptr[i + 1])
        content = {terms[j]: a for j, a in zip(indices[part], data[part], strict=True) if a != 0}
        if not content:
            if (low is not None and low > 1e-9) or (high is not None and high < -1e-9):
                content = {terms[0]: 0.0}
            else:
                continue
        model.addCons(ExprCons(Expr(content), lhs=low, rhs=high), name=names[i] if names else f"r{i}")


def _expression(form: Form, variables: list[Any]) -> Any:
    parts = [a * variables[c] for c, a in zip(form.columns.tolist(), form.coefficients.tolist(), strict=True)]
    parts += [w * variables[a] * variables[b] for a, b, w in zip(form.first.tolist(), form.second.tolist(), form.products.tolist(), strict=True)]
    total = pyscipopt.quicksum(parts) + form.constant
    return total if form.tree is None else total + tree_expression(form.tree, variables, _FUNCTIONS)


def _set_objective(model: Any, form: Form, variables: list[Any]) -> None:
    if form.is_linear:
        model.setObjective(_expression(form, variables), "minimize")
        return
    # SCIP takes linear objectives only: the value becomes a variable above the expression.
    value = model.addVar(name="objective_value", lb=None, ub=None)
    model.addCons(value >= _expression(form, variables), name="objective_value")
    model.setObjective(value, "minimize")


def create_solution(model: Any, variables: list[Any], single: SingleLevel, v: np.ndarray, heuristic: Any = None) -> Any:
    """A SCIP solution with all columns (and the objective value's variable) set."""
    # In the original space: presolve may have aggregated variables away that cannot be set any more.
    solution = model.createOrigSol(heuristic) if heuristic is not None else model.createOrigSol()
    for variable, value in zip(variables, v.tolist(), strict=True):
        model.setSolVal(solution, variable, value)
    if not single.objective.is_linear:
        extra = [variable for variable in model.getVars(False) if variable.name == "objective_value"]
        if extra:
            model.setSolVal(solution, extra[0], single.objective.value(v))
    return solution
