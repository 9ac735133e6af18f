"""Leader variables that reading a follower made, with the leader rows that define them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multiscale.bilevel.problem.description import CurvedRow, Form
from multiscale.bilevel.read.digits import Digits
from multiscale.bilevel.read.leader_products import LeaderProducts


@dataclass
class Auxiliary:
    """Digits of integers that multiply follower variables, and products of leader variables in followers' rows."""

    digits: Digits = field(default_factory=Digits)
    products: LeaderProducts = field(default_factory=LeaderProducts)

    def rows(self, number: Callable[[Any], int]) -> list[CurvedRow]:
        """The leader rows that define them, over token numbers."""
        found = []
        for variable, least, pairs in self.digits.of.values():
            places = np.array([number(variable), *(number(digit) for _, digit in pairs)])
            form = Form(0.0, places, np.array([1.0, *(-float(weight) for weight, _ in pairs)]))
            found.append(CurvedRow(f"digits of {variable.name}", form, float(least), float(least)))
        return found + self.products.rows(number)

    def values(self, known: Mapping[int, float]) -> dict[int, float]:
        """Their values (by identity) from values of leader variables (by identity)."""
        return self.digits.values(known) | self.products.values(known)
