"""The leader's variables and expressions, numbered by first appearance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import numeric_expr as expressions

from multiscale.bilevel.problem.description import BilevelError, Form
from multiscale.bilevel.problem.expression import FUNCTIONS, Tree
from multiscale.bilevel.problem.followers import DUALS, BlockFollower, ProgramFollower
from multiscale.bilevel.read.terms import read_terms

_ALLOWED = (pyo.Var, pyo.Constraint, pyo.Objective, pyo.Param, pyo.Expression, pyo.Set, pyo.RangeSet, pyo.Block, pyo.Suffix)


class LeaderReader:
    """Numbers variables by first appearance; the joint vector's order is known only at the end."""

    def __init__(self, model: Any, followers: Sequence[ProgramFollower | BlockFollower]) -> None:
        self.model = model
        self.owned: dict[int, str] = {}
        self.token: dict[int, int] = {}
        self.tokens: list[Any] = []
        self.inside: set[int] = set()
        for follower in followers:
            self._claim(follower)
        holder = model.component(DUALS)
        if holder is not None:
            self.inside.add(id(holder))
            self.owned.update({id(v): DUALS for v in holder.dual_values.values()})

    def _claim(self, follower: ProgramFollower | BlockFollower) -> None:
        variables = list(follower.block.component_data_objects(pyo.Var, descend_into=True))
        if isinstance(follower, BlockFollower):
            variables += follower.variables
        for variable in variables:
            if self.owned.setdefault(id(variable), follower.name) != follower.name:
                raise BilevelError(f"variable {variable.name} belongs to the followers {self.owned[id(variable)]!r} and {follower.name!r}")
        self.inside |= {id(b) for b in follower.block.block_data_objects(descend_into=True)}

    def owner(self, variable: Any) -> str | None:
        """Name of the follower that owns a variable; None for the leader's."""
        return self.owned.get(id(variable))

    def number(self, variable: Any) -> int:
        """Token number of a variable, new at its first appearance."""
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

    def objective(self) -> Any:
        """The leader's objective.

        Raises:
            BilevelError: none or several.
        """
        found = self.parts(pyo.Objective)
        if len(found) == 1:
            return found[0]
        text = f"the leader has {len(found)} active objectives {[o.name for o in found]} outside its followers; it needs exactly one"
        blocks = sorted({o.parent_block().name for o in found if o.parent_block() is not self.model})
        if len(found) > 1 and blocks:
            text += f". The blocks {blocks} are not listed: list followers in followers=[...], deactivate other objectives"
        raise BilevelError(text)

    def check_components(self) -> None:
        """Refuse components of the leader that have no meaning here."""
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
        """A nonlinear expression over token numbers."""
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


def _added(columns: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal columns added up, in the order of their first appearance."""
    unique, first, inverse = np.unique(columns, return_index=True, return_inverse=True)
    if unique.size == columns.size:
        return columns, coefficients
    order = np.argsort(first)
    return unique[order], np.bincount(inverse, weights=coefficients)[order]
