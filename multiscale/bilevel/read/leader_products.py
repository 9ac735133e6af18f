"""Products and squares of leader variables in a follower's rows: each becomes a leader variable of its own, tied to its factors by a leader row.

    p = a b        a row of the leader's problem; the follower sees p in its right-hand side only

Of a binary ``a`` and a bounded ``b`` in [L, U]: ``L a <= p <= U a``, ``b - U (1 - a) <= p <= b - L (1 - a)``, and ``p`` is binary where both are; the
square of a binary is the binary. Otherwise the row is the product itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

from multiscale.bilevel.problem.description import CurvedRow, Form
from multiscale.bilevel.read.lifting import is_binary


@dataclass(frozen=True)
class _Product:
    first: Any
    second: Any
    value: Any


class LeaderProducts:
    """Products made so far, once for every pair of leader variables."""

    def __init__(self) -> None:
        self.of: dict[frozenset[int], _Product] = {}

    def product(self, a: Any, b: Any) -> Any:
        """The leader variable equal to ``a b``."""
        if a is b and is_binary(a):
            return a
        key = frozenset((id(a), id(b)))
        if key not in self.of:
            holder = pyo.ConcreteModel()
            value = pyo.Var(domain=pyo.Binary) if is_binary(a) and is_binary(b) else pyo.Var(bounds=_range(a, b))
            holder.add_component(f"product of {a.name} and {b.name}", value)
            self.of[key] = _Product(a, b, value)
        return self.of[key].value

    def rows(self, number: Callable[[Any], int]) -> list[CurvedRow]:
        """The leader rows that tie products to their factors, over token numbers."""
        return [row for product in self.of.values() for row in _rows(product, number)]

    def values(self, known: Mapping[int, float]) -> dict[int, float]:
        """Values of products (by identity) from values of their factors (by identity)."""
        return {id(p.value): known[id(p.first)] * known[id(p.second)] for p in self.of.values() if id(p.first) in known and id(p.second) in known}


def _range(a: Any, b: Any) -> tuple[float | None, float | None]:
    """Least and largest product over the factors' bounds; None where they have none."""
    ends = [(-np.inf if v.lb is None else v.lb, np.inf if v.ub is None else v.ub) for v in (a, b)]
    if not np.isfinite(ends).all():
        return (0.0 if a is b else None), None
    corners = [x * y for x in ends[0] for y in ends[1]]
    if a is b:
        return (0.0 if ends[0][0] <= 0 <= ends[0][1] else min(corners)), max(corners)
    return min(corners), max(corners)


def _rows(product: _Product, number: Callable[[Any], int]) -> list[CurvedRow]:
    a, b = product.first, product.second
    name = f"product of {a.name} and {b.name}"
    p = number(product.value)
    if is_binary(b) and not is_binary(a):
        a, b = b, a
    if not is_binary(a) or b.lb is None or b.ub is None:
        form = Form(0.0, np.array([p]), np.array([-1.0]), np.array([number(a)]), np.array([number(b)]), np.ones(1))
        return [CurvedRow(name, form, 0.0, 0.0)]
    low, high = float(b.lb), float(b.ub)

    def row(over_p: float, over_a: float, over_b: float, most: float) -> CurvedRow:
        columns = np.array([p, number(a), number(b)])
        return CurvedRow(name, Form(0.0, columns, np.array([over_p, over_a, over_b])), -np.inf, most)

    return [row(1.0, -high, 0.0, 0.0), row(-1.0, low, 0.0, 0.0), row(1.0, -low, -1.0, -low), row(-1.0, high, 1.0, high)]
