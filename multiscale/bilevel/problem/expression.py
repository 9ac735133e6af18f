"""Nonlinear leader terms as plain nested tuples: picklable, evaluable with NumPy, translatable to SCIP."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Tree = tuple[str, Any]
"""``("#", number)``, ``("v", column)``, ``("+", trees)``, ``("*", trees)``, ``("/", (a, b))``, ``("^", (a, b))`` or ``(function, (a,))``."""

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "abs": abs,
}
"""Functions of one argument that SCIP can take."""


def tree_value(tree: Tree, z: np.ndarray) -> float:
    """Value of a tree at ``z``; not-a-number outside its domain."""
    try:
        return float(_value(tree, z))
    except (ValueError, ZeroDivisionError, OverflowError):
        return math.nan


def _value(tree: Tree, z: np.ndarray) -> float:
    kind, content = tree
    if kind == "#":
        return float(content)
    if kind == "v":
        return float(z[content])
    parts = [_value(part, z) for part in content]
    if kind == "+":
        return sum(parts)
    if kind == "*":
        return math.prod(parts)
    if kind == "/":
        return parts[0] / parts[1]
    if kind == "^":
        power = parts[0] ** parts[1]
        if isinstance(power, complex):
            raise ValueError("a negative number to a fractional power")
        return power
    return FUNCTIONS[kind](parts[0])


def tree_columns(tree: Tree) -> set[int]:
    """Columns a tree depends on."""
    kind, content = tree
    if kind == "#":
        return set()
    if kind == "v":
        return {int(content)}
    return set().union(*(tree_columns(part) for part in content))


def tree_renumbered(tree: Tree, columns: np.ndarray) -> Tree:
    """The tree with column ``k`` replaced by ``columns[k]``."""
    kind, content = tree
    if kind == "#":
        return tree
    if kind == "v":
        return ("v", int(columns[content]))
    return (kind, tuple(tree_renumbered(part, columns) for part in content))


def tree_expression(tree: Tree, variables: Any, functions: dict[str, Callable[[Any], Any]]) -> Any:
    """The tree written with a solver's variables and functions."""
    kind, content = tree
    if kind == "#":
        return content
    if kind == "v":
        return variables[content]
    parts = [tree_expression(part, variables, functions) for part in content]
    if kind == "+":
        return sum(parts[1:], parts[0])
    if kind == "*":
        product = parts[0]
        for part in parts[1:]:
            product = product * part
        return product
    if kind == "/":
        return parts[0] / parts[1]
    if kind == "^":
        return parts[0] ** parts[1]
    return functions[kind](parts[0])
