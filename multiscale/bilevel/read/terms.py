"""Read a Pyomo expression into a constant, linear terms and products by a direct walk; what is neither goes to Pyomo's general reader.

Most of the time of reading a large follower goes into its constraints: sums of numbers times variables are taken apart here with one
visit of each term, and no object is made for a term.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pyomo.common.numeric_types import native_numeric_types
from pyomo.core.base.var import ScalarVar, VarData
from pyomo.core.expr import numeric_expr as expressions
from pyomo.repn import generate_standard_repn

_VARIABLES = frozenset({VarData, ScalarVar})
_SUMS = frozenset({expressions.LinearExpression, expressions.SumExpression})
_FURTHER = frozenset({expressions.ProductExpression, expressions.NegationExpression, expressions.DivisionExpression, expressions.PowExpression})


class _OtherFormError(Exception):
    """The expression is not a polynomial of degree two, or is written in a form the walk does not support."""


@dataclass
class Terms:
    """``constant + sum coefficients_k variables_k + sum products_k first_k second_k + nonlinear`` (None: no such part)."""

    constant: float = 0.0
    coefficients: list[float] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)
    products: list[float] = field(default_factory=list)
    first: list[Any] = field(default_factory=list)
    second: list[Any] = field(default_factory=list)
    nonlinear: Any = None


def read_terms(expression: Any) -> Terms:
    """Terms of an expression; fixed variables count as numbers. A variable may appear in several linear terms."""
    terms = Terms()
    try:
        _collect(expression, 1.0, terms)
    except _OtherFormError:
        return general_terms(expression)
    return terms


def general_terms(expression: Any) -> Terms:
    """The same by Pyomo's general reader, with equal terms added up."""
    repn = generate_standard_repn(expression, compute_values=True, quadratic=True)
    pairs = list(repn.quadratic_vars or [])
    return Terms(
        float(repn.constant),
        [float(c) for c in repn.linear_coefs],
        list(repn.linear_vars),
        [float(c) for c in repn.quadratic_coefs or []],
        [a for a, _ in pairs],
        [b for _, b in pairs],
        repn.nonlinear_expr,
    )


def _collect(expression: Any, factor: float, terms: Terms) -> None:
    kind = expression.__class__
    if kind in _SUMS:
        coefficients, variables = terms.coefficients, terms.variables
        for part in expression.args:
            inner = part.__class__
            if inner is expressions.MonomialTermExpression:
                number, variable = part.args
                if number.__class__ not in native_numeric_types:
                    number = number()
                if variable.fixed:
                    terms.constant += factor * number * _value(variable)
                else:
                    coefficients.append(factor * number)
                    variables.append(variable)
            elif inner in _VARIABLES:
                if part.fixed:
                    terms.constant += factor * _value(part)
                else:
                    coefficients.append(factor)
                    variables.append(part)
            else:
                _collect(part, factor, terms)
    elif kind in native_numeric_types:
        terms.constant += factor * expression
    elif kind in _VARIABLES:
        if expression.fixed:
            terms.constant += factor * _value(expression)
        else:
            terms.coefficients.append(factor)
            terms.variables.append(expression)
    elif kind is expressions.MonomialTermExpression:
        number, variable = expression.args
        _collect(variable, factor * (number if number.__class__ in native_numeric_types else number()), terms)
    elif kind in _FURTHER:
        _collect_further(kind, expression.args, factor, terms)
    elif not expression.is_potentially_variable():
        terms.constant += factor * expression()
    elif expression.is_named_expression_type():
        _collect(expression.expr, factor, terms)
    else:
        raise _OtherFormError


def _collect_further(kind: Any, arguments: Any, factor: float, terms: Terms) -> None:
    if kind is expressions.NegationExpression:
        _collect(arguments[0], -factor, terms)
        return
    left, right = arguments
    if kind is expressions.DivisionExpression:
        divisor = _number(right)
        if divisor is None or divisor == 0:
            raise _OtherFormError
        _collect(left, factor / divisor, terms)
        return
    if kind is expressions.PowExpression:
        if _number(right) != 2:
            raise _OtherFormError
        right = left
    for number, other in ((_number(left), right), (_number(right), left)):
        if number is not None:
            _collect(other, factor * number, terms)
            return
    a, b = Terms(), Terms()
    _collect(left, 1.0, a)
    _collect(right, factor, b)
    if a.products or b.products:
        raise _OtherFormError
    terms.constant += a.constant * b.constant
    for one, other in ((a, b), (b, a)):
        if one.constant:
            terms.coefficients += [one.constant * c for c in other.coefficients]
            terms.variables += other.variables
    for c, v in zip(a.coefficients, a.variables, strict=True):
        for d, w in zip(b.coefficients, b.variables, strict=True):
            terms.products.append(c * d)
            terms.first.append(v)
            terms.second.append(w)


def _number(expression: Any) -> float | None:
    if expression.__class__ in native_numeric_types:
        return float(expression)
    return None if expression.is_potentially_variable() else float(expression())


def _value(variable: Any) -> float:
    if variable.value is None:
        raise _OtherFormError
    return float(variable.value)
