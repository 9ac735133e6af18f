"""Binary digits of integer leader variables that multiply follower variables: ``z = low + sum_k 2^k b_k``, each ``b_k x`` exact by lifting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyomo.environ as pyo

from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.read.lifting import is_binary

_LARGEST = 2**20
"""Widest range that is taken apart: beyond it the last digit drowns in the solver's tolerance."""


class Digits:
    """Digits made so far, once for every leader variable.

    Attributes:
        of: leader variable (by identity) -> the variable, its least value, and (weight, binary variable) pairs.
    """

    def __init__(self) -> None:
        self.of: dict[int, tuple[Any, int, list[tuple[int, Any]]]] = {}

    def terms(self, leader: Any, where: str) -> list[tuple[float, Any | None]]:
        """Weights and binary variables whose sum the leader variable is; None stands for the constant 1.

        Raises:
            BilevelError: it is neither binary nor a bounded integer.
        """
        if is_binary(leader):
            return [(1.0, leader)]
        if not leader.is_integer():
            raise BilevelError(
                f"{where} by the leader variable {leader.name}, which is not an integer; coefficients must be numbers, binary or integer "
                "leader variables. Linearise the product, or let the leader variable enter the right-hand side"
            )
        low, high = leader.bounds
        if low is None or high is None or high - low > _LARGEST:
            raise BilevelError(f"{where} by the integer leader variable {leader.name} in [{low}, {high}]; give it both bounds, within {_LARGEST:,}")
        if id(leader) not in self.of:
            count = int(high - low).bit_length()
            holder = pyo.ConcreteModel()
            digits = pyo.Var(range(count), domain=pyo.Binary)
            holder.add_component(f"digit of {leader.name}", digits)
            self.of[id(leader)] = (leader, int(low), [(2**k, digits[k]) for k in range(count)])
        _, least, pairs = self.of[id(leader)]
        constant: list[tuple[float, Any | None]] = [(float(least), None)] if least else []
        return constant + [(float(weight), digit) for weight, digit in pairs]

    def values(self, known: Mapping[int, float]) -> dict[int, float]:
        """Values of digits (by identity) from values of their variables (by identity)."""
        found = {}
        for key, (_, least, pairs) in self.of.items():
            if key in known:
                whole = round(known[key]) - least
                found.update({id(digit): float((whole // weight) % 2) for weight, digit in pairs})
        return found
