"""A follower as read: a program over leader variables, and where its rows and columns came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from multiscale.programs import Block, Index, ParametricProgram


@dataclass
class Extracted:
    """A follower as a program over leader variables still numbered by first appearance.

    Attributes:
        program: parameters are the leader variables named by ``leaders``, in that order.
        leaders: leader variables (Pyomo), one for each parameter.
        variables: the follower's own Pyomo variables in column order (empty for a program follower), and their names.
        constraint_rows: constraint (by identity) -> (row, factor) pairs that make up its dual.
        sense: -1 for a maximising follower.
        cones: second-order cones over the program's columns.
        constraints: the Pyomo constraints of ``constraint_rows``.
        lifted: products of binary leader variables and columns that became columns: (leader variable, column).
    """

    name: str
    program: ParametricProgram
    leaders: list[Any]
    variables: list[Any]
    constraint_rows: dict[int, list[tuple[int, float]]]
    sense: float = 1.0
    cones: tuple[np.ndarray, ...] = ()
    lifted: tuple[tuple[int, int], ...] = ()
    column_names: list[str] = field(default_factory=list)
    constraints: list[Any] = field(default_factory=list)


def leader_index(names: list[str]) -> Index:
    """The index of leader variables as parameters."""
    return Index((Block("leader", {"variable": np.array(names, dtype=object)}, "", 0),))
