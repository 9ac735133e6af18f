"""The leader's rows and objective over a small vector ``v`` when the joint vector moves affinely with it: ``z = z0 + E v``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.bilevel.problem.description import Form, Leader
from multiscale.bilevel.problem.expression import tree_columns


@dataclass(frozen=True)
class AffineLeader:
    """Leader rows ``row_lower <= matrix v <= row_upper`` and objective ``costs'v`` (None where it is not linear in ``v``).

    Rows that are not linear in ``v`` are excluded: the caller checks the full violation afterwards.
    """

    matrix: sparse.csr_matrix
    row_lower: np.ndarray
    row_upper: np.ndarray
    costs: np.ndarray | None


def affine_leader(leader: Leader, z0: np.ndarray, spread: sparse.csr_matrix, *, rows: bool = True) -> AffineLeader:
    """The leader over ``z = z0 + spread @ v``."""
    moving = np.diff(spread.indptr) > 0
    costs = None
    if is_linear_in(leader.objective, moving):
        costs = np.asarray(spread.T @ _gradient(leader.objective, z0)).ravel()
    if not rows:
        return AffineLeader(sparse.csr_matrix((0, spread.shape[1])), np.zeros(0), np.zeros(0), costs)
    n = leader.size
    base = leader.matrix @ z0
    parts = [leader.matrix @ spread, spread[n:]]
    low = [leader.row_lower - base, leader.quantity_lower - z0[n:]]
    high = [leader.row_upper - base, leader.quantity_upper - z0[n:]]
    for row in leader.curved:
        if is_linear_in(row.form, moving):
            parts.append(sparse.csr_matrix(_gradient(row.form, z0)[None, :]) @ spread)
            value = row.form.value(z0)
            low.append(np.array([row.lower - value]))
            high.append(np.array([row.upper - value]))
    matrix = sparse.vstack(parts, format="csr")
    used = np.diff(matrix.indptr) > 0
    return AffineLeader(matrix[used], np.concatenate(low)[used], np.concatenate(high)[used], costs)


def is_linear_in(form: Form, moving: np.ndarray) -> bool:
    """Whether the form is linear in the moving entries, the others held."""
    if (moving[form.first] & moving[form.second]).any():
        return False
    return form.tree is None or not any(moving[column] for column in tree_columns(form.tree))


def _gradient(form: Form, z: np.ndarray) -> np.ndarray:
    """Derivative with respect to all entries, right for those the form is linear in."""
    gradient = np.zeros(z.size)
    np.add.at(gradient, form.columns, form.coefficients)
    np.add.at(gradient, form.first, form.products * z[form.second])
    np.add.at(gradient, form.second, form.products * z[form.first])
    return gradient
