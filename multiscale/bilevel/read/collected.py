"""Rows and costs of a follower, collected entry by entry before they become sparse matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pyomo.core.expr.visitor import identify_variables
from scipy import sparse

from multiscale.bilevel.problem.description import BilevelError
from multiscale.bilevel.read.terms import read_terms


class Rows:
    """Rows collected one by one, written as ``a'x (= or <=) rhs + B y``."""

    def __init__(self) -> None:
        self.own: tuple[list[int], list[int], list[float]] = ([], [], [])
        self.other: tuple[list[int], list[int], list[float]] = ([], [], [])
        self.rhs: list[float] = []
        self.equality: list[bool] = []

    def add(self, columns: list[int], coefficients: list[float], other: list[tuple[int, float]], rhs: float, sign: float, equality: bool) -> int:
        """Add a row (times ``sign``) and return its position; entries are added up when the matrix is made."""
        row = len(self.rhs)
        rows, places, values = self.own
        rows.extend([row] * len(columns))
        places.extend(columns)
        values.extend(coefficients if sign > 0 else [-value for value in coefficients])
        for column, value in other:
            self.other[0].append(row)
            self.other[1].append(column)
            self.other[2].append(-sign * value)
        self.rhs.append(sign * rhs)
        self.equality.append(equality)
        return row

    def without_columns(self, labels: list[str]) -> list[str]:
        """Labels of rows with leader variables and none of the follower's own."""
        leader = {row for row, value in zip(self.other[0], self.other[2], strict=True) if value}
        return [labels[row] for row in sorted(leader - set(self.own[0]))]

    @staticmethod
    def matrix(entries: tuple[list[int], list[int], list[float]], shape: tuple[int, int]) -> sparse.csr_matrix:
        """Collected entries (rows, columns, values) as a matrix."""
        return _summed(entries[2], entries[0], entries[1], shape)


class Costs:
    """The follower's objective split by what multiplies what; ``ignored`` names leader variables of nonlinear terms without own columns."""

    def __init__(self) -> None:
        self.constant = 0.0
        self.own: list[tuple[int, float]] = []
        self.leader: list[tuple[int, float]] = []
        self.mixed: list[tuple[int, int, float]] = []
        self.square: list[tuple[int, int, float]] = []
        self.ignored: list[str] = []

    def linear(self, n: int) -> np.ndarray:
        """Costs of the follower's own columns."""
        costs = np.zeros(n)
        for j, value in self.own:
            costs[j] += value
        return costs

    def leader_linear(self, k: int) -> np.ndarray:
        """Terms of leader variables alone."""
        costs = np.zeros(k)
        for j, value in self.leader:
            costs[j] += value
        return costs

    def matrix(self, shape: tuple[int, int]) -> sparse.csr_matrix:
        """Products of columns and leader variables."""
        return _summed([c for _, _, c in self.mixed], [a for a, _, _ in self.mixed], [b for _, b, _ in self.mixed], shape)

    def curvature(self, n: int) -> sparse.csr_matrix:
        """``Q`` of ``1/2 x'Qx``."""
        half = _summed([c for _, _, c in self.square], [a for a, _, _ in self.square], [b for _, b, _ in self.square], (n, n))
        return (half + half.T).tocsr()


def read_objective(name: str, objective: Any, column: dict[int, int], leader: Callable[[Any, str], int]) -> Costs:
    """The objective of a follower by own columns (by identity -> position) and leader variables (numbered by ``leader``).

    Raises:
        BilevelError: it is neither linear nor quadratic in an own variable.
    """
    terms = read_terms(objective.expr)
    costs = Costs()
    if terms.nonlinear is not None:
        own = [v.name for v in identify_variables(terms.nonlinear, include_fixed=False) if id(v) in column]
        if own:
            raise BilevelError(f"follower {name!r}: objective {objective.name} is neither linear nor quadratic in {own[0]}")
        costs.ignored += [v.name for v in identify_variables(terms.nonlinear, include_fixed=False)]
    costs.constant = float(terms.constant)
    for coefficient, v in zip(terms.coefficients, terms.variables, strict=True):
        j = column.get(id(v))
        if j is not None:
            costs.own.append((j, coefficient))
        else:
            costs.leader.append((leader(v, objective.name), coefficient))
    for coefficient, a, b in zip(terms.products, terms.first, terms.second, strict=True):
        i, j = column.get(id(a)), column.get(id(b))
        if i is not None and j is not None:
            costs.square.append((i, j, coefficient))
        elif i is not None:
            costs.mixed.append((i, leader(b, objective.name), coefficient))
        elif j is not None:
            costs.mixed.append((j, leader(a, objective.name), coefficient))
        else:
            costs.ignored += [a.name, b.name]
    return costs


def _summed(data: list[float], rows: list[int], columns: list[int], shape: tuple[int, int]) -> sparse.csr_matrix:
    """Matrix with equal entries added up, and without those that cancel."""
    where = (np.array(rows, dtype=np.int32), np.array(columns, dtype=np.int32))
    matrix = sparse.csr_matrix((np.array(data, dtype=float), where), shape=shape)
    matrix.eliminate_zeros()
    return matrix
