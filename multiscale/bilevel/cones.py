"""Second-order cones of a follower: how far points and multipliers are outside, and the cones as rows of the single-level program.

A cone holds columns ``(h, t)`` with ``x_h >= ||x_t||``. It is its own dual: the reduced costs ``z = c + Qx - A'lambda`` of its columns
satisfy ``z_h >= ||z_t||`` at an optimum, and ``x_h z_h + x_t'z_t = 0``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from multiscale.bilevel.description import CurvedRow, Follower, Form

if TYPE_CHECKING:
    from multiscale.bilevel.single_level_builder import SingleLevelBuilder


def outside(cones: tuple[np.ndarray, ...], v: np.ndarray) -> np.ndarray:
    """``max(0, ||v_t|| - v_h)`` of every cone, relative to ``max(1, ||v_t||)``."""
    norms = np.array([np.linalg.norm(v[cone[1:]]) for cone in cones])
    heads = np.array([v[cone[0]] for cone in cones])
    return np.maximum(norms - heads, 0.0) / np.maximum(1.0, norms)


def products(cones: tuple[np.ndarray, ...], x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """``x_h z_h + x_t'z_t`` of every cone."""
    return np.array([float(x[cone] @ z[cone]) for cone in cones])


def cone_boxes(cones: tuple[np.ndarray, ...], size: int) -> sparse.csr_matrix:
    """Rows ``+-v_t - v_h`` over all columns: at most zero in every cone."""
    rows, columns, data = [], [], []
    count = 0
    for cone in cones:
        for j in cone[1:].tolist():
            for sign in (1.0, -1.0):
                rows += [count, count]
                columns += [j, int(cone[0])]
                data += [sign, -1.0]
                count += 1
    return sparse.csr_matrix((data, (rows, columns)), shape=(count, size))


def add_cones(builder: SingleLevelBuilder, name: str, columns: np.ndarray, sizes: list[int]) -> None:
    """Rows ``||v_t||^2 <= v_h^2`` for columns in the order of the cones; heads are held above zero."""
    for group in np.split(columns, np.cumsum(sizes)[:-1]):
        head, tail = group[:1], group[1:]
        builder.narrow(int(head[0]), 0.0, np.inf)
        both = np.concatenate([tail, head])
        form = Form(0.0, first=both, second=both, products=np.concatenate([np.ones(tail.size), [-1.0]]))
        builder.curved.append(CurvedRow(f"follower {name}", form, -np.inf, 0.0))


def add_complementarity(builder: SingleLevelBuilder, follower: Follower, x: np.ndarray, z: np.ndarray, *, whole: bool) -> None:
    """Rows ``x_h z_t + z_h x_t = 0`` for every cone, and ``x_c'z_c <= 0`` if ``whole`` (``>= 0`` holds by itself).

    The first follow from the second, but only to the root of a tolerance: opposite rays that are ``d`` apart have a product of ``d^2``.

    Args:
        builder: the program under construction.
        follower: the follower.
        x: its columns in the single-level program.
        z: multipliers of its cones, in the order of the cones.
        whole: state ``x_c'z_c <= 0`` here (strong duality implies it).
    """
    place = 0
    name = f"follower {follower.name} cone complementarity"
    for cone in follower.cones:
        own, other = x[cone], z[place : place + cone.size]
        place += cone.size
        if whole:
            builder.curved.append(CurvedRow(name, Form(0.0, first=own, second=other, products=np.ones(cone.size)), -np.inf, 0.0))
        for i in range(1, cone.size):
            form = Form(0.0, first=np.array([own[0], own[i]]), second=np.array([other[i], other[0]]), products=np.ones(2))
            builder.curved.append(CurvedRow(name, form, 0.0, 0.0))
