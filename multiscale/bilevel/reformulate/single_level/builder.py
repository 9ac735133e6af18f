"""Builds a single-level program: columns, rows, products and functionals, each stated once."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import CONTINUOUS, BilevelProblem, CurvedRow, Form
from multiscale.bilevel.reformulate.single_level.program import Derived, FollowerColumns, Indicators, SingleLevel


class SingleLevelBuilder:
    """Collects columns, rows and products; the leader's part comes after all followers (``leader_part.add_leader``).

    The leader's own variables are columns 0..n-1 from the start.

    Args:
        problem: the bilevel problem.
        rewrite_prices: replace products of a follower's duals and columns where that is exact (see ``price_quantity``).
    """

    def __init__(self, problem: BilevelProblem, *, rewrite_prices: bool = True) -> None:
        self.problem, self.rewrite_prices = problem, rewrite_prices
        leader = problem.leader
        self.count = 0
        self._lower: list[np.ndarray] = []
        self._upper: list[np.ndarray] = []
        self._kinds: list[np.ndarray] = []
        self.blocks: list[tuple[str, int, int]] = []
        self._entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._row_lower: list[np.ndarray] = []
        self._row_upper: list[np.ndarray] = []
        self.row_count = 0
        self.row_blocks: list[tuple[str, int, int]] = []
        self.curved: list[CurvedRow] = []
        self.pairs: list[np.ndarray] = []
        self.indicators: list[Indicators] = []
        self.derived: list[Derived] = []
        self._products: dict[tuple[int, int], int] = {}
        self.primal: list[np.ndarray] = [np.zeros(0, dtype=np.int64)] * len(problem.followers)
        self.dual: list[np.ndarray] = [np.zeros(0, dtype=np.int64)] * len(problem.followers)
        self._functionals: dict[tuple, tuple[int, float]] = {}
        self.conditions: dict[int, FollowerColumns] = {}
        self.cost_of: dict[int, tuple[np.ndarray, np.ndarray, float, tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
        self.add_columns("leader", leader.size, leader.lower, leader.upper, leader.kinds)

    def add_columns(self, name: str, count: int, lower: object, upper: object, kinds: object = CONTINUOUS) -> np.ndarray:
        """New columns; returns their positions."""
        first = self.count
        self._lower.append(np.broadcast_to(np.asarray(lower, dtype=float), (count,)))
        self._upper.append(np.broadcast_to(np.asarray(upper, dtype=float), (count,)))
        self._kinds.append(np.broadcast_to(np.asarray(kinds, dtype="U1"), (count,)))
        self.blocks.append((name, first, count))
        self.count += count
        return np.arange(first, first + count)

    def add_rows(self, name: str, lower: object, upper: object, parts: list[tuple[sparse.spmatrix, np.ndarray]]) -> np.ndarray:
        """Rows ``lower <= sum of matrix @ v[columns] <= upper``."""
        count = parts[0][0].shape[0]
        for matrix, columns in parts:
            entries = matrix.tocoo()
            self._entries.append((entries.row + self.row_count, np.asarray(columns)[entries.col], entries.data))
        self._row_lower.append(np.broadcast_to(np.asarray(lower, dtype=float), (count,)))
        self._row_upper.append(np.broadcast_to(np.asarray(upper, dtype=float), (count,)))
        self.row_blocks.append((name, self.row_count, count))
        self.row_count += count
        return np.arange(self.row_count - count, self.row_count)

    def functional(self, name: str, columns: np.ndarray, weights: np.ndarray) -> tuple[int, float]:
        """A column and factor that equal ``weights @ v[columns]``; equal or proportional functionals share their column."""
        keep = weights != 0
        columns, weights = columns[keep], weights[keep]
        if columns.size == 1:
            return int(columns[0]), float(weights[0])
        order = np.argsort(columns)
        columns, weights = columns[order], weights[order]
        scale = float(weights[0]) if weights.size else 1.0
        key = (columns.tobytes(), np.round(weights / scale, 12).tobytes())
        if key not in self._functionals:
            (new,) = self.add_columns(name, 1, -np.inf, np.inf)
            row = sparse.csr_matrix(weights / scale)
            self.add_rows(f"{name} (definition)", 0.0, 0.0, [(row, columns), (sparse.csr_matrix([[-1.0]]), np.array([new]))])
            self.derived.append(Derived("linear", np.array([new]), columns, row, np.zeros(1)))
            self._functionals[key] = (int(new), 1.0)
        column, _ = self._functionals[key]
        return column, scale

    def narrow(self, column: int, low: float, high: float) -> None:
        """Tighten the bounds of a column."""
        for (_, first, count), lowers, uppers, place in zip(self.blocks, self._lower, self._upper, range(len(self.blocks)), strict=True):
            if first <= column < first + count:
                new_low, new_high = lowers.copy(), uppers.copy()
                new_low[column - first] = max(new_low[column - first], low)
                new_high[column - first] = min(new_high[column - first], high)
                self._lower[place], self._upper[place] = new_low, new_high
                return

    def product(self, name: str, first: int, second: int) -> int:
        """The column that equals the product of two columns."""
        key = (min(first, second), max(first, second))
        if key not in self._products:
            (new,) = self.add_columns(name, 1, -np.inf, np.inf)
            self._products[key] = int(new)
            self.derived.append(Derived("product", np.array([new]), np.array([first]), others=np.array([second])))
        return self._products[key]

    def has_product(self, first: int, second: int) -> int | None:
        """The product's column, if the followers already made it."""
        return self._products.get((min(first, second), max(first, second)))

    def column_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of all columns so far."""
        return np.concatenate(self._lower), np.concatenate(self._upper)

    def finish(self, objective: Form, columns: np.ndarray, factors: np.ndarray, leader_rows: np.ndarray) -> SingleLevel:
        """The program, with the leader's objective, column and factor of every joint entry, and the positions of the leader's rows."""
        rows, cols, data = (np.concatenate([e[i] for e in self._entries]) if self._entries else np.zeros(0) for i in range(3))
        matrix = sparse.csr_matrix((data, (rows.astype(np.int64), cols.astype(np.int64))), shape=(self.row_count, self.count))
        products = np.array([(target, a, b) for (a, b), target in self._products.items()], dtype=np.int64).reshape(-1, 3)
        joined = [np.concatenate(parts) if parts else np.zeros(0) for parts in (self._lower, self._upper, self._row_lower, self._row_upper)]
        return SingleLevel(
            lower=joined[0].copy(),
            upper=joined[1].copy(),
            kinds=np.concatenate(self._kinds),
            rows=matrix,
            row_lower=joined[2],
            row_upper=joined[3],
            row_blocks=self.row_blocks,
            curved=self.curved,
            products=products,
            pairs=self.pairs,
            indicators=self.indicators,
            objective=objective,
            joint_columns=columns,
            joint_factors=factors,
            primal=self.primal,
            dual=self.dual,
            derived=self.derived,
            blocks=self.blocks,
            leader_size=self.problem.leader.size,
            leader_rows=leader_rows,
        )
