"""Constraints of a follower that are not linear as written: products with binary leader variables, and convex quadratic rows as cones.

A convex quadratic row with ``x'Px = ||F x||^2`` becomes one second-order cone, for any scale ``s > 0``:

    ||F x||^2 <= t(x, y)      <=>      || (F x, (t/s - s)/2) ||  <=  (t/s + s)/2

and its multiplier is linear in the multipliers of the two rows that define the last entries. A row with one negative direction,

    x'Px + a'x + c = ||F (x,1)||^2 - (h'(x,1))^2  <=  0      (rotated cone ``x_1 x_2 >= ...``, norm cone ``||..||^2 <= x_h^2``)

is the cone ``||F (x,1)|| <= h'(x,1)`` if the follower cannot be on its opposite side, where ``h'(x,1) < 0`` (see ``cone_side``). Everything
else is not convex and refused.

A row ``||F x||^2 <= sum_k U_k z_k`` with binary leader variables admits one point only where all are zero, and there it has no multiplier.
The rows ``|F_i x| <= 2 sum_k sqrt(U_k) z_k``, which it implies, hold ``x`` there in its place; the 2 keeps them off its own boundary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.problem.extension import Entries, Extension
from multiscale.bilevel.read.auxiliary import Auxiliary
from multiscale.bilevel.read.cone_side import ConeSide, check_cone_side
from multiscale.bilevel.read.lifting import Lifting, is_binary
from multiscale.programs import ParametricProgram

_ZERO = 1e-10
"""Eigenvalues below this, relative to the largest, count as zero."""


@dataclass(frozen=True)
class _Body:
    """``x'Px + own'x + leader'y + constant <= 0`` with ``P`` over the columns ``support``."""

    name: str
    support: np.ndarray
    curvature: np.ndarray
    own: list[tuple[int, float]]
    leader: list[tuple[int, float]]
    constant: float


class CurvedRows:
    """Collects such constraints of one follower.

    Args:
        name: the follower's name, for messages.
        variables: its variables in column order.
        column: variable (by identity) -> column.
        leader: number of a leader variable; refuses variables of other followers.
        auxiliary: where digits of integer leader variables and products of leader variables are made.
    """

    def __init__(self, name: str, variables: list[Any], column: dict[int, int], leader: Callable[[Any, str], int], auxiliary: Auxiliary) -> None:
        self.name, self.variables, self.column, self.leader, self.auxiliary = name, variables, column, leader, auxiliary
        self.added = Extension(len(variables))
        self.lifting = Lifting(name, variables, self.added)
        self._cone_sides: list[ConeSide] = []
        self._leaders: dict[int, Any] = {}
        self._rows: dict[int, list[tuple[int, float]]] = {}

    def add(self, constraint: Any, label: str, repn: Any) -> None:
        """Take a constraint whose standard form has quadratic or nonlinear terms.

        Raises:
            BilevelError: it is not convex in the follower's variables, or not of a form that is exact here.
        """
        where = f"follower {self.name!r}: constraint {label}"
        if repn.nonlinear_expr is not None:
            raise BilevelError(
                f"{where} is neither linear nor quadratic in the follower's variables; "
                "a norm ||v|| <= t is written v_1**2 + v_2**2 <= t**2 with t >= 0"
            )
        own, leader = [], []
        for coefficient, v in zip(repn.linear_coefs, repn.linear_vars, strict=True):
            if id(v) in self.column:
                own.append((self.column[id(v)], float(coefficient)))
            else:
                leader.append((self.leader(v, label), float(coefficient)))
                self._leaders[leader[-1][0]] = v
        squares: dict[tuple[int, int], float] = {}
        for coefficient, (a, b) in zip(repn.quadratic_coefs, repn.quadratic_vars, strict=True):
            inside = id(a) in self.column, id(b) in self.column
            if all(inside):
                i, j = self.column[id(a)], self.column[id(b)]
                pair = min(i, j), max(i, j)
                squares[pair] = squares.get(pair, 0.0) + float(coefficient)
            elif any(inside):
                mine, other = (a, b) if inside[0] else (b, a)
                own += self._product(mine, other, float(coefficient), label)
            else:
                # The follower sees the product as a number: a leader variable of its own.
                value = self.auxiliary.products.product(a, b)
                leader.append((self.leader(value, label), float(coefficient)))
                self._leaders[leader[-1][0]] = value
        lower, upper = pyo.value(constraint.lower, exception=False), pyo.value(constraint.upper, exception=False)
        lower = None if lower is None or np.isneginf(lower) else float(lower)
        upper = None if upper is None or np.isposinf(upper) else float(upper)
        squares = {pair: value for pair, value in squares.items() if value != 0}
        parts = self._rows.setdefault(id(constraint), [])
        constant = float(repn.constant)
        if not squares:
            parts += self._linear(label, own, leader, constant, lower, upper)
            return
        if lower is not None and upper is not None:
            what = "an equation" if lower == upper else "bounded on both sides"
            raise BilevelError(f"{where} is quadratic and {what}, so it is not convex; keep one side, or state the follower without it")
        sign, rhs = (1.0, upper) if upper is not None else (-1.0, lower)
        if rhs is None:
            return
        support = np.array(sorted({j for pair in squares for j in pair}), dtype=np.int64)
        place = {int(j): i for i, j in enumerate(support)}
        curvature = np.zeros((support.size, support.size))
        for (i, j), value in squares.items():
            curvature[place[i], place[j]] += 0.5 * sign * value
            curvature[place[j], place[i]] += 0.5 * sign * value
        body = _Body(label, support, curvature, [(j, sign * a) for j, a in own], [(k, sign * a) for k, a in leader], sign * (constant - rhs))
        parts += [(row, sign * factor) for row, factor in self._cone(body, where)]

    def _product(self, mine: Any, other: Any, coefficient: float, label: str) -> list[tuple[int, float]]:
        """A follower variable times a leader variable as columns and weights."""
        # A variable of another follower is refused before its kind is looked at.
        self.leader(other, label)
        j = self.column[id(mine)]
        terms = self.auxiliary.digits.terms(other, f"follower {self.name!r}: constraint {label} multiplies its variable {mine.name}")
        return [
            (j if digit is None else self.lifting.product(digit, self.leader(digit, label), j, label), coefficient * weight)
            for weight, digit in terms
        ]

    def _linear(
        self, label: str, own: Entries, leader: Entries, constant: float, lower: float | None, upper: float | None
    ) -> list[tuple[int, float]]:
        def row(rhs: float, sign: float, name: str, equality: bool) -> int:
            mine, others = [(j, sign * a) for j, a in own], [(k, -sign * a) for k, a in leader]
            return self.added.row(name, mine, others, sign * (rhs - constant), equality=equality)

        if lower is not None and lower == upper:
            return [(row(lower, 1.0, label, True), 1.0)]
        parts = []
        if upper is not None:
            parts.append((row(upper, 1.0, label, False), 1.0))
        if lower is not None:
            parts.append((row(lower, -1.0, f"{label} (lower)" if parts else label, False), -1.0))
        return parts

    def _cone(self, body: _Body, where: str) -> list[tuple[int, float]]:
        """State the row as a cone; returns the rows and factors of its multiplier (none for one with a negative direction)."""
        values, factors = _factors(body.curvature)
        negative = np.flatnonzero(values < 0)
        if not negative.size:
            return self._quadratic(body, factors)
        if negative.size > 1:
            raise BilevelError(f"{where} is not convex: {self._direction(body, factors[negative[1]])} and another direction have the wrong curvature")
        if body.leader:
            raise BilevelError(
                f"{where} has a product or square on its larger side and leader variables next to it; "
                "let a variable of the follower equal the leader's term and use that one"
            )
        self._norm(body, where)
        return []

    def _quadratic(self, body: _Body, factors: np.ndarray) -> list[tuple[int, float]]:
        scale = np.sqrt(abs(body.constant)) if body.constant != 0 else 1.0
        name = body.name
        support = body.support.tolist()
        tail = [
            self.added.defined(f"{name} factor {i}", list(zip(support, row.tolist(), strict=True)), [], 0.0) for i, row in enumerate(_sparse(factors))
        ]
        own = [(j, -a / (2 * scale)) for j, a in body.own]
        leader = [(k, -a / (2 * scale)) for k, a in body.leader]
        parts = []
        ends = []
        for what, shift in (("head", 0.5 * scale), ("tail", -0.5 * scale)):
            ends.append(self.added.defined(f"{name} {what}", own, leader, -body.constant / (2 * scale) + shift))
            parts.append((len(self.added.rows) - 1, 1.0 / (2 * scale)))
        self.added.cones.append([ends[0], *tail, ends[1]])
        self._add_implied_rows(body, tail)
        return parts

    def _add_implied_rows(self, body: _Body, tail: list[int]) -> None:
        """Linear rows that hold the row's terms at zero where binaries take all its room."""
        if body.own or not body.leader or not all(is_binary(self._leaders[k]) for k, _ in body.leader):
            return
        # Room -constant - leader'z = least + sum of |a| z (or of |a| (1 - z) where a > 0).
        least = -body.constant - sum(max(a, 0.0) for _, a in body.leader)
        if abs(least) > 1e-12 * max(abs(a) for _, a in body.leader):
            return
        room = [(k, -2.0 * np.sqrt(abs(a)) * np.sign(a)) for k, a in body.leader]
        constant = sum(2.0 * np.sqrt(a) for _, a in body.leader if a > 0)
        for i, j in enumerate(tail):
            for sign, what in ((1.0, "upper"), (-1.0, "lower")):
                self.added.row(f"{body.name} factor {i} ({what}, where closed)", [(j, sign)], room, constant, equality=False)

    def _norm(self, body: _Body, where: str) -> None:
        """``||F (x,1)|| <= h'(x,1)`` from the homogeneous form of the row."""
        extra = sorted({j for j, _ in body.own} - set(body.support.tolist()))
        columns = [*body.support.tolist(), *extra]
        place = {j: i for i, j in enumerate(columns)}
        size = len(columns)
        matrix = np.zeros((size + 1, size + 1))
        matrix[: body.support.size, : body.support.size] = body.curvature
        for j, a in body.own:
            matrix[place[j], size] += 0.5 * a
            matrix[size, place[j]] += 0.5 * a
        matrix[size, size] = body.constant
        values, factors = _factors(matrix)
        negative = np.flatnonzero(values < 0)
        if negative.size != 1:
            raise BilevelError(f"{where} is not convex: with its linear terms it is not a second-order cone")

        def entries(row: np.ndarray) -> tuple[list[tuple[int, float]], float]:
            return [(j, float(a)) for j, a in zip(columns, row[:size], strict=True) if a != 0], float(row[size])

        head = factors[negative[0]]
        bounds = [(self._bounds(j)) for j in columns]
        sign = self._sign(head[:size], float(head[size]), bounds)
        own, constant = entries(sign * head)
        tails = [entries(row) for row in np.delete(factors, negative, axis=0)]
        if not self._surely_positive(own, constant):
            self._cone_sides.append(ConeSide(where, (own, constant), tails, [self._label(j) for j, _ in own]))
        columns_of = [self.added.defined(f"{body.name} head", own, [], constant)]
        columns_of += [self.added.defined(f"{body.name} tail {i}", terms, [], shift) for i, (terms, shift) in enumerate(tails)]
        self.added.cones.append(columns_of)

    def _sign(self, head: np.ndarray, constant: float, bounds: list[tuple[float, float]]) -> float:
        """The direction in which the head can be large: towards infinite upper ends, or the wider side."""
        middle = constant
        for a, (low, high) in zip(head, bounds, strict=True):
            if np.isfinite(low):
                middle += a * (0.5 * (low + high) if np.isfinite(high) else low + 1.0)
            elif np.isfinite(high):
                middle += a * (high - 1.0)
        if middle == 0.0:
            middle = float(head[np.abs(head).argmax()])
        return 1.0 if middle > 0 else -1.0

    def _surely_positive(self, own: Entries, constant: float) -> bool:
        least = constant
        for j, a in own:
            low, high = self._bounds(j)
            least += a * (low if a > 0 else high)
        return bool(least >= 0)

    def _bounds(self, j: int) -> tuple[float, float]:
        if j >= len(self.variables):
            return self.added.columns[j - len(self.variables)][1:]
        v = self.variables[j]
        return (-np.inf if v.lb is None else float(v.lb)), (np.inf if v.ub is None else float(v.ub))

    def _label(self, j: int) -> str:
        return self.variables[j].name if j < len(self.variables) else self.added.columns[j - len(self.variables)][0]

    def _direction(self, body: _Body, factor: np.ndarray) -> str:
        return self._label(int(body.support[np.abs(factor).argmax()]))

    def finish(self, program: ParametricProgram, leaders: list[Any]) -> tuple[ParametricProgram, dict[int, list[tuple[int, float]]]]:
        """The program with everything added, and constraint (by identity) -> rows and factors that make up its dual.

        Raises:
            BilevelError: a product's variable has no bounds, or the follower can be on the opposite side of a cone.
        """
        self.lifting.finish(program, leaders)
        bounds = np.array([-np.inf if v.lb is None else v.lb for v in leaders]), np.array([np.inf if v.ub is None else v.ub for v in leaders])
        first = program.rows.size
        whole = self.added.apply(program)
        for side in self._cone_sides:
            check_cone_side(side, whole, *bounds)
        return whole, {key: [(first + row, factor) for row, factor in parts] for key, parts in self._rows.items()}


def _factors(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues that are not zero, and rows ``sqrt(|value|) vector``, component by component (which keeps them sparse)."""
    count, label = connected_components(sparse.csr_matrix(matrix), directed=False)
    values, rows = [], []
    scale = np.abs(matrix).max()
    for k in range(count):
        members = np.flatnonzero(label == k)
        part_values, vectors = np.linalg.eigh(matrix[np.ix_(members, members)])
        for value, vector in zip(part_values, vectors.T, strict=True):
            if abs(value) > _ZERO * scale:
                row = np.zeros(matrix.shape[0])
                row[members] = np.sqrt(abs(value)) * vector
                values.append(value)
                rows.append(row)
    return np.array(values), np.array(rows).reshape(-1, matrix.shape[0])


def _sparse(factors: np.ndarray) -> np.ndarray:
    """The rows with rounding errors set to zero."""
    return np.where(np.abs(factors) > 1e-14 * np.abs(factors).max(initial=1.0), factors, 0.0)
