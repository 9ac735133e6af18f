"""Where the solve of a program starts that is another one in other periods, as that of another day: where the other ended, label by label."""

from __future__ import annotations

import numpy as np

from multiscale.programs.basis import BASIC, LOWER, UPPER, Basis
from multiscale.programs.index import Index
from multiscale.programs.program import ParametricProgram

PERIOD = "period"
"""Axis whose labels differ: its entries are matched in their order, those of all others by their labels."""


def carried_basis(basis: Basis, before: ParametricProgram, program: ParametricProgram) -> Basis:
    """A start for a program from the basis of another one.

    What both have keeps its status; other columns are at a bound and other rows basic. HiGHS makes a basis of it. It changes no optimum and may
    change which of several optima is found.
    """
    columns, rows = basis.statuses
    at_bound, basic = without_start(program)
    return Basis.of_statuses(_carried(columns, before.columns, program.columns, at_bound), _carried(rows, before.rows, program.rows, basic))


def without_start(program: ParametricProgram) -> tuple[np.ndarray, np.ndarray]:
    """Statuses of the columns and rows of which nothing is known: columns are at a bound, rows basic."""
    at_bound = np.where(np.isneginf(program.lower) & np.isfinite(program.upper), UPPER, LOWER).astype(np.int8)
    return at_bound, np.full(program.rows.size, BASIC, dtype=np.int8)


def _carried(statuses: np.ndarray, then: Index, now: Index, other: np.ndarray) -> np.ndarray:
    """Statuses of what is labelled ``now`` from those of what was labelled ``then``; ``other`` where that had it not."""
    found = other
    for block in now.blocks:
        if block.name not in then or list(then[block.name].coords) != list(block.coords):
            continue
        old = then[block.name]
        places = [_places(axis, old.coords[axis], labels) for axis, labels in block.coords.items()]
        mine = np.ix_(*(np.flatnonzero(place >= 0) for place in places))
        theirs = np.ix_(*(place[place >= 0] for place in places))
        found[block.offset : block.offset + block.size].reshape(block.shape)[mine] = statuses[old.positions[theirs]]
    return found


def _places(axis: str, then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Where the labels of an axis stood, -1 where they did not."""
    if axis == PERIOD:
        return np.arange(len(now)) if len(now) == len(then) else np.full(len(now), -1)
    position = {label: k for k, label in enumerate(then.tolist())}
    return np.array([position.get(label, -1) for label in now.tolist()], dtype=int)
