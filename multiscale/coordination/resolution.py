"""Different time steps on the two sides of a boundary: exact aggregation, and what it leaves open.

A parent in hours and a child in quarter-hours agree on the mean power of each hour; the price of an hour is the price of its quarter-hours.
Energy and money are then the same on both sides. What the parent does not see is how the power moves within its step: that is told as a band.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.programs import Block, Index, Output, ParametricProgram
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class Resolution:
    """Periods of a child within those of its parent.

    Attributes:
        below, above: horizons of the child and of the parent over the same days.
    """

    below: Horizon
    above: Horizon

    def __post_init__(self) -> None:
        steps = self.above.step_hours / self.below.step_hours
        if self.below.days != self.above.days or abs(steps - round(steps)) > 1e-9 or steps < 1 - 1e-9:
            raise ValueError(
                f"steps of {self.below.step_hours:g} h below and {self.above.step_hours:g} h above do not fit: the step above must be a whole "
                "multiple of the step below, over the same days"
            )

    @property
    def steps(self) -> int:
        """Periods below in one above."""
        return round(self.above.step_hours / self.below.step_hours)

    @property
    def mean(self) -> sparse.csr_matrix:
        """Mean power of every period above, from the powers below; (above, below)."""
        return sparse.kron(sparse.identity(self.above.periods), np.full((1, self.steps), 1.0 / self.steps), format="csr")

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean over every period above; (..., below) -> (..., above)."""
        return values.reshape(*values.shape[:-1], -1, self.steps).mean(axis=-1)

    def repeated(self, values: np.ndarray) -> np.ndarray:
        """The value of the period above in every one below, as for prices; (..., above) -> (..., below)."""
        return np.repeat(values, self.steps, axis=-1)

    def within(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far powers below lie under and over their mean in each period above [same unit]; both >= 0, (..., above)."""
        parts = values.reshape(*values.shape[:-1], -1, self.steps)
        mean = parts.mean(axis=-1)
        return mean - parts.min(axis=-1), parts.max(axis=-1) - mean

    def seen_from_above(self, program: ParametricProgram) -> ParametricProgram:
        """The program with its output ``exchange`` in the periods above."""
        if self.steps == 1:
            return program
        own = program.outputs["exchange"].matrix
        block = Block("exchange", {"period": self.above.labels}, "kW", 0, "mean power drawn from the parent")
        return replace(program, outputs=dict(program.outputs) | {"exchange": Output(Index((block,)), (self.mean @ own).tocsr())})
