"""Second-order cones of a follower as rows of the single-level program: the cones, and the complementarity of columns and multipliers."""

from __future__ import annotations

import numpy as np

from multiscale.bilevel.problem.description import CurvedRow, Follower, Form
from multiscale.bilevel.reformulate.single_level.builder import SingleLevelBuilder


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
