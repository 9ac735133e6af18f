"""A convex program whose costs and limits depend on parameters that others decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from multiscale.programs.index import Index

_ROUNDING = 1e-9
"""Share of the amounts a reduced cost is the sum of, up to which it may point along an infinite bound by tolerance of a solver [1]."""


@dataclass(frozen=True)
class Output:
    """A linear quantity of a program that others see, such as its exchange with the parent: ``matrix @ x``.

    Attributes:
        index: labels of the entries (one block).
        matrix: sparse, entries x columns.
    """

    index: Index
    matrix: sparse.csr_matrix


@dataclass(frozen=True)
class ParametricProgram:
    r"""A convex linear or quadratic program in ``x`` with parameters ``p``, written once and used everywhere.

        minimise_x   1/2 x'Qx + (c0 + C p)'x + d0 + d'p
        subject to   A_i x  = b0_i + B_i p    for rows with equality[i]        dual y_i free
                     A_i x <= b0_i + B_i p    for the other rows               dual y_i <= 0
                     lower <= x <= upper                                       dual (reduced cost) r

    Duals are sensitivities, ``y = d optimum / d right-hand side`` (cost per unit of the row), so the multiplier ``mu >= 0`` of a
    row ``<=`` is ``-y``, and a balance row written *supply = demand* has its price as dual. Stationarity reads
    ``Q x + c0 + C p - A'y - r = 0``; ``r >= 0`` at a lower bound and ``r <= 0`` at an upper one.

    Attributes:
        name: what the program is, used in messages.
        columns, rows, parameters: labels with units.
        A: sparse, rows x columns.
        b0: right-hand sides [unit of the row], without parameters.
        B: sparse, rows x parameters.
        equality: True where the row is an equation.
        c0: costs [EUR per unit of the column], without parameters.
        C: sparse, columns x parameters.
        lower, upper: bounds of the columns, may be infinite.
        Q: sparse symmetric positive semidefinite, or None for a linear program.
        d0, d: constant cost and its dependence on the parameters [EUR].
        outputs: quantities others see, by name.
    """

    name: str
    columns: Index
    rows: Index
    parameters: Index
    A: sparse.csr_matrix
    b0: np.ndarray
    B: sparse.csr_matrix
    equality: np.ndarray
    c0: np.ndarray
    C: sparse.csr_matrix
    lower: np.ndarray
    upper: np.ndarray
    Q: sparse.csr_matrix | None = None
    d0: float = 0.0
    d: np.ndarray = field(default_factory=lambda: np.zeros(0))
    outputs: Mapping[str, Output] = field(default_factory=dict)

    def __post_init__(self) -> None:
        m, n, k = self.rows.size, self.columns.size, self.parameters.size
        if self.d.size == 0 and k:
            object.__setattr__(self, "d", np.zeros(k))
        shapes = {
            "A": (self.A.shape, (m, n)),
            "b0": (self.b0.shape, (m,)),
            "B": (self.B.shape, (m, k)),
            "equality": (self.equality.shape, (m,)),
            "c0": (self.c0.shape, (n,)),
            "C": (self.C.shape, (n, k)),
            "lower": (self.lower.shape, (n,)),
            "upper": (self.upper.shape, (n,)),
            "d": (self.d.shape, (k,)),
        }
        for what, (found, needed) in shapes.items():
            if found != needed:
                raise ValueError(f"program {self.name!r}: {what} has shape {found}, it must be {needed}")
        for what, values in (("b0", self.b0), ("c0", self.c0), ("A", self.A.data), ("B", self.B.data), ("C", self.C.data)):
            if not np.isfinite(values).all():
                raise ValueError(f"program {self.name!r}: {what} holds a value that is not a finite number")
        crossed = np.flatnonzero(self.lower > self.upper)
        if crossed.size:
            j = int(crossed[0])
            raise ValueError(
                f"program {self.name!r}: column {self.columns.label(j)} has lower bound {self.lower[j]:g} above upper bound {self.upper[j]:g}"
            )

    def rhs(self, p: np.ndarray) -> np.ndarray:
        """Right-hand sides ``b0 + B p``."""
        return self.b0 + self.B @ p

    def costs(self, p: np.ndarray) -> np.ndarray:
        """Linear costs ``c0 + C p``."""
        return self.c0 + self.C @ p

    def constant(self, p: np.ndarray) -> float:
        """Constant cost ``d0 + d'p`` [EUR]."""
        return float(self.d0 + self.d @ p)

    def objective(self, x: np.ndarray, p: np.ndarray) -> float:
        """Objective [EUR] of any point ``x`` at parameters ``p``."""
        quadratic = 0.5 * float(x @ (self.Q @ x)) if self.Q is not None else 0.0
        return quadratic + float(self.costs(p) @ x) + self.constant(p)

    def reach(self, output: str) -> tuple[np.ndarray, np.ndarray]:
        """Interval of every entry of an output by the bounds of the columns alone, in its unit: none that satisfies the rows lies outside."""
        matrix = self.outputs[output].matrix
        up, down = matrix.maximum(0.0), matrix.minimum(0.0)
        return up @ self.lower + down @ self.upper, up @ self.upper + down @ self.lower

    def violation(self, x: np.ndarray, p: np.ndarray) -> float:
        """Largest violation of a row or bound by ``x``, in the row's own unit (zero for a feasible point); NaN where ``x`` holds one."""
        return float(np.concatenate(self._violations(x, p)).max(initial=0.0))

    def dual_bound(self, y: np.ndarray, p: np.ndarray, x: np.ndarray | None = None) -> float:
        """A lower bound [EUR] on the optimum that is valid for *any* ``y``; no optimality is needed.

            y'(b0 + B p) + sum_j min over [lower_j, upper_j] of r_j x_j  (- 1/2 x'Qx, r = c + Qx - A'y at the given x)  + constant

        with the duals of ``proper_duals``. However small, a reduced cost of the wrong sign counts with the whole range of its column: at the size of
        a transmission network the tolerance of a solver is worth euros. It is ``-inf`` where a reduced cost points along an infinite bound by more
        than rounding (1e-9 of the column's cost scale).

        Source: Neumaier and Shcherbina, Mathematical Programming 99 (2004) 283-296.
        """
        y = self.proper_duals(y, p, x)
        reduced = self._reduced(y, p, x)
        bound = float(y @ self.rhs(p)) + self.constant(p)
        if self.Q is not None:
            assert x is not None
            bound -= 0.5 * float(x @ (self.Q @ x))
        bounds = np.where(reduced > 0, self.lower, self.upper)
        open_end = np.isinf(bounds)
        if (np.abs(reduced[open_end]) > _ROUNDING * self._amounts(y, p, x, open_end)).any():
            return -np.inf
        return bound + float(reduced[~open_end] @ bounds[~open_end])

    def proper_duals(self, y: np.ndarray, p: np.ndarray, x: np.ndarray | None = None) -> np.ndarray:
        """Duals near ``y`` that prove something: of the right sign, and with reduced costs that do not point along an infinite bound.

        A reduced cost ``r_j = c_j - A_j'y`` that points along an infinite bound within tolerance is corrected by a smaller ``y``, which makes it
        ``c_j - theta A_j'y``: it vanishes for ``theta = c_j / (c_j - r_j)`` where cost and reduced cost have different signs.
        """
        y = np.where(self.equality, y, np.minimum(y, 0.0))
        reduced = self._reduced(y, p, x)
        wrong = np.isinf(np.where(reduced > 0, self.lower, self.upper))
        scale, size = self._amounts(y, p, x, wrong), np.abs(reduced[wrong])
        wrong[wrong] = (size <= _ROUNDING * scale) & (size > 1e-15 * scale)
        if not wrong.any():
            return y
        cost = self._linear_costs(p, x)[wrong]
        apart = cost * reduced[wrong] < 0
        return y * float(np.min(cost[apart] / (cost[apart] - reduced[wrong][apart]), initial=1.0))

    def _linear_costs(self, p: np.ndarray, x: np.ndarray | None) -> np.ndarray:
        """Costs of the columns, with the slope of the curvature at ``x``."""
        if self.Q is None:
            return self.costs(p)
        if x is None:
            raise ValueError(f"program {self.name!r} is quadratic: its dual bound needs a point x")
        return self.costs(p) + self.Q @ x

    def _reduced(self, y: np.ndarray, p: np.ndarray, x: np.ndarray | None) -> np.ndarray:
        """Reduced costs."""
        return self._linear_costs(p, x) - self.A.T @ y

    def _amounts(self, y: np.ndarray, p: np.ndarray, x: np.ndarray | None, columns: np.ndarray) -> np.ndarray:
        """The sum of the amounts that the reduced costs of some columns are made of; ``columns`` is a mask."""
        if not columns.any():
            return np.zeros(0)
        return 1.0 + np.abs(self._linear_costs(p, x)[columns]) + abs(self.A[:, columns]).T @ np.abs(y)

    def cost_of_violation(self, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> float:
        """What it costs to buy what a point lacks to satisfy rows and bounds, at the prices ``y`` and the reduced costs [EUR].

            sum_i |y_i| violation_i + sum_j |r_j| violation_j

        With it no point costs less than ``dual_bound(y)``: ``c'x + ... >= y'b + r'x >= bound`` for any ``x``.
        """
        rows, columns = self._violations(x, p)
        return float(np.abs(y) @ rows + np.abs(self._reduced(y, p, x)) @ columns)

    def _violations(self, x: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """By how much ``x`` violates every row, and the bounds of every column; zero where it does not."""
        excess = self.A @ x - self.rhs(p)
        return np.where(self.equality, np.abs(excess), np.maximum(excess, 0.0)), np.maximum(np.maximum(self.lower - x, x - self.upper), 0.0)

    def sensitivity(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Derivative of the optimum with respect to the parameters: ``C'x + B'y + d`` [EUR per unit of parameter]."""
        return self.C.T @ x + self.B.T @ y + self.d

    def part(self, rows: np.ndarray, columns: np.ndarray) -> ParametricProgram:
        """The program with some rows and columns only (positions); columns that are omitted are zero in its rows and cost nothing.

        Labels are those of the whole program; outputs are omitted.
        """
        return replace(
            self,
            columns=self.columns.part("columns", columns),
            rows=self.rows.part("rows", rows),
            A=self.A[rows][:, columns].tocsr(),
            b0=self.b0[rows],
            B=self.B[rows],
            equality=self.equality[rows],
            c0=self.c0[columns],
            C=self.C[columns],
            lower=self.lower[columns],
            upper=self.upper[columns],
            Q=None if self.Q is None else self.Q[columns][:, columns].tocsr(),
            outputs={},
        )

    def fix(self, values: Mapping[str, object]) -> ParametricProgram:
        """The program with some parameter blocks fixed at numbers.

        Args:
            values: parameter block -> value, broadcast to the block's shape.

        Raises:
            KeyError: an unknown parameter block.
        """
        if not values:
            return self
        unknown = sorted(set(values) - {b.name for b in self.parameters})
        if unknown:
            raise KeyError(f"{self.name}: no parameters {unknown}; there are {sorted(b.name for b in self.parameters)}")
        p = np.zeros(self.parameters.size)
        rest = [block for block in self.parameters if block.name not in values]
        for block in self.parameters:
            if block.name in values:
                p[block.positions] = np.broadcast_to(np.asarray(values[block.name], dtype=float), block.shape)
        keep = np.concatenate([b.positions.ravel() for b in rest]) if rest else np.zeros(0, dtype=int)
        return replace(
            self,
            parameters=Index.stacked(rest),
            b0=self.rhs(p),
            B=self.B[:, keep].tocsr() if keep.size else sparse.csr_matrix((self.rows.size, 0)),
            c0=self.costs(p),
            C=self.C[:, keep].tocsr() if keep.size else sparse.csr_matrix((self.columns.size, 0)),
            d0=self.constant(p),
            d=self.d[keep],
        )
