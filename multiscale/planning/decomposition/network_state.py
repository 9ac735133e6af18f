"""State of the network as a linear function of what is drawn and fed in, and which limits it violates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from multiscale.planning.decomposition.component import TOLERANCE
from multiscale.planning.decomposition.structure import Structure

NEARLY = 0.8
"""Share of a limit from which on it is retained together with a violated one of the same branch."""


@dataclass(frozen=True)
class Retained:
    """Limits in force.

    Attributes:
        rows: aligned with ``Structure.limits``.
        bounds: aligned with ``Structure.state``.
    """

    rows: np.ndarray
    bounds: np.ndarray

    def joined(self, other: Retained) -> Retained:
        """Both."""
        return Retained(self.rows | other.rows, self.bounds | other.bounds)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.rows.any() or self.bounds.any())


class LimitsViolated(Exception):  # noqa: N818
    """Answers violate limits that were omitted.

    Attributes:
        limits: which.
    """

    def __init__(self, limits: Retained) -> None:
        super().__init__("omitted limits are violated")
        self.limits = limits


class NetworkState:
    """Flows and voltages as linear functions of what is drawn and fed in.

    Args:
        known: structure of the follower.
    """

    def __init__(self, known: Structure) -> None:
        self.known = known
        program = known.program
        rows = known.network_rows
        self._matrix = program.A[rows]
        self._factor = splu(self._matrix[:, known.state].tocsc())
        self.limit_rows = program.A[known.limits][:, known.state].tocsr()
        self.limit = program.b0[known.limits]
        self._branch = (self.limit_rows.indices - known.taken.size) // known.taken.size
        self._up = self.limit_rows.maximum(0)
        self._down = self.limit_rows.minimum(0)

    def network_of(self, columns: np.ndarray) -> sparse.csr_matrix:
        """Network rows of some columns, those of the state excluded (they are what is solved for)."""
        part = self._matrix[:, columns].tocsc()
        known = self.known
        ours = np.isin(columns, np.concatenate([known.state, known.given]))
        return part.multiply(~ours[None, :]).tocsr()

    def state_of(self, x: np.ndarray) -> np.ndarray:
        """State of a whole answer, with the net exchange in place of the import."""
        state = x[self.known.state].copy()
        state[: self.known.taken.size] -= x[self.known.given]
        return state

    def spread(self, rhs: np.ndarray) -> np.ndarray:
        """State caused by right-hand sides of the network rows."""
        return self._factor.solve(rhs)

    def violated(self, low: np.ndarray, high: np.ndarray, retained: Retained, more: np.ndarray | float = 0.0) -> Retained:
        """Omitted limits that states between ``low`` and ``high`` may violate; ``more`` is what options add to the limits (none if unknown).

        Where a branch has a violated limit, its limits in other periods come along if they are nearly reached: they are the next to be violated.
        """
        activity = self._up @ high + self._down @ low
        rows = (activity > self.limit + more + TOLERANCE) & ~retained.rows
        if rows.any():
            near = (activity > NEARLY * (self.limit + more)) & ~retained.rows
            rows |= near & np.isin(self._branch, self._branch[rows | retained.rows])
        bounds = ((high > self.known.state_upper + TOLERANCE) | (low < self.known.state_lower - TOLERANCE)) & ~retained.bounds
        return Retained(rows, bounds)
