"""A binary leader variable times a follower variable in a row: a column of its own, exact because the follower sees the binary as given.

    w = z x  with z in {0, 1}, L <= x <= U:     L z <= w <= U z,     x - U (1 - z) <= w <= x - L (1 - z)

Leader variables stand in right-hand sides only. ``L`` and ``U`` are the variable's own bounds, or proven by linear programs over the
follower's linear rows and the leader's box and then widened, so that these rows never carry a multiplier of the true ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.problem.extension import Extension
from multiscale.bilevel.solvers.linear_program import LinearProgram
from multiscale.programs import ParametricProgram


class Lifting:
    """Columns ``w = z x`` of one follower.

    Args:
        name: the follower's name, for messages.
        variables: its variables in column order.
        added: where columns and rows go.
    """

    def __init__(self, name: str, variables: list[Any], added: Extension) -> None:
        self.name, self.variables, self.added = name, variables, added
        self._made: dict[tuple[int, int], tuple[int, str, Any]] = {}

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(leader variable, column) of every product."""
        return list(self._made)

    def product(self, binary: Any, k: int, j: int, label: str) -> int:
        """The column equal to the binary leader variable ``k`` times column ``j``."""
        if (k, j) not in self._made:
            column = self.added.column(f"{binary.name} * {self.variables[j].name}")
            self._made[k, j] = (column, label, binary)
        return self._made[k, j][0]

    def finish(self, program: ParametricProgram, leaders: list[Any]) -> None:
        """Add the rows of all products.

        Args:
            program: the follower's linear part.
            leaders: its leader variables.

        Raises:
            BilevelError: a variable has no bounds and none are implied by the linear rows.
        """
        known = {j: (float(program.lower[j]), float(program.upper[j])) for _, j in self._made}
        for (k, j), (w, _, binary) in self._made.items():
            self._rows(k, j, w, f"{binary.name} * {self.variables[j].name}", *known[j])
        relaxation: LinearProgram | None = None
        for (k, j), (w, label, binary) in self._made.items():
            low, high = known[j]
            if np.isfinite(low) and np.isfinite(high):
                continue
            relaxation = relaxation or _relaxation(self.added.apply(program), leaders)
            new_low, new_high = _implied(relaxation, j, low, high)
            if not (np.isfinite(new_low) and np.isfinite(new_high)):
                raise BilevelError(
                    f"follower {self.name!r}: constraint {label} multiplies {self.variables[j].name} by the binary leader variable {binary.name}, "
                    f"and only [{new_low:g}, {new_high:g}] is known of {self.variables[j].name}; give it both bounds"
                )
            missing = (new_low if np.isinf(low) else -np.inf), (new_high if np.isinf(high) else np.inf)
            self._rows(k, j, w, f"{binary.name} * {self.variables[j].name}", *missing)

    def _rows(self, k: int, j: int, w: int, name: str, low: float, high: float) -> None:
        """The rows of one product that a bound gives; none for an infinite one."""
        if np.isfinite(low):
            self.added.row(f"{name} (lower if 1)", [(w, -1.0)], [(k, -low)], 0.0, equality=False)
            self.added.row(f"{name} (upper if 0)", [(w, 1.0), (j, -1.0)], [(k, low)], -low, equality=False)
        if np.isfinite(high):
            self.added.row(f"{name} (upper if 1)", [(w, 1.0)], [(k, high)], 0.0, equality=False)
            self.added.row(f"{name} (lower if 0)", [(w, -1.0), (j, 1.0)], [(k, -high)], high, equality=False)


def is_binary(v: Any) -> bool:
    """Whether a Pyomo variable takes only the values 0 and 1."""
    low, high = v.bounds
    return bool(v.is_binary() or (v.is_integer() and low is not None and high is not None and low >= 0 and high <= 1))


def _relaxation(program: ParametricProgram, leaders: list[Any]) -> LinearProgram:
    """The follower's linear rows with the leader's variables free in their box."""
    low = np.array([-np.inf if v.lb is None else v.lb for v in leaders], dtype=float)
    high = np.array([np.inf if v.ub is None else v.ub for v in leaders], dtype=float)
    matrix = sparse.hstack([program.A, -program.B], format="csr")
    rows = np.where(program.equality, program.b0, -np.inf), program.b0
    return LinearProgram(matrix, *rows, np.concatenate([program.lower, low]), np.concatenate([program.upper, high]))


def _implied(relaxation: LinearProgram, j: int, low: float, high: float) -> tuple[float, float]:
    """Bounds of a column over the relaxation, widened; a bound of its own stays."""
    ends = [low, high]
    for side, sign in ((0, 1.0), (1, -1.0)):
        if np.isfinite(ends[side]):
            continue
        costs = np.zeros(relaxation.columns)
        costs[j] = sign
        answer = relaxation.solve(costs)
        if answer.status == "optimal":
            value = sign * answer.value
            ends[side] = value - sign * (1.0 + 0.01 * abs(value))
    return ends[0], ends[1]
