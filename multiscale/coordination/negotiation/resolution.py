"""Different time steps on the two sides of a boundary: exact aggregation, and what it leaves open.

A parent in hours and a child in quarter-hours agree on the mean power of each hour; the price of an hour is the price of its quarter-hours.
Energy and money are then the same on both sides. What the parent does not see is how the power moves within its step, w = max |y_q - mean y|.
Where forecasts err that is disclosed as part of the uncertainty handed over: z standard deviations of it cover the movement too, ``mean u_q + w / z``
[kW]. (Errors within a step count as one.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from multiscale.coordination.negotiation.children.request import GOODS
from multiscale.programs import Block, Index, Output, ParametricProgram, ProgramBuilder
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

    def seen_from_above(self, program: ParametricProgram, coverage: float = 0.0) -> ParametricProgram:
        """The program with its outputs in the periods above; ``coverage``: standard deviations that are covered, where it has columns ``within``."""
        if self.steps == 1:
            return program
        seen = {}
        for name in (g for g in GOODS if g in program.outputs):
            old = program.outputs[name]
            block = Block(name, {"period": self.above.labels}, "kW", 0, f"mean: {old.index[name].description}")
            seen[name] = Output(Index((block,)), (self.mean @ old.matrix).tocsr())
        if "within" in program.columns:
            positions = program.columns["within"].positions
            entries = (np.full(len(positions), 1.0 / coverage), (np.arange(len(positions)), positions))
            moved = sparse.csr_matrix(entries, seen["uncertainty"].matrix.shape)
            seen["uncertainty"] = replace(seen["uncertainty"], matrix=(seen["uncertainty"].matrix + moved).tocsr())
        return replace(program, outputs=dict(program.outputs) | seen)

    def with_movement(self, program: ParametricProgram, most: np.ndarray, coverage: float) -> ParametricProgram:
        """The program with columns ``within``: how far its exchange moves from its mean in each period above, at most so much [kW], (above,).

        It pays for it like for what else it hands over, at its parameter ``uncertainty_price``.
        """
        if self.steps == 1:
            return program
        builder = ProgramBuilder.continuing(program)
        own = program.outputs["exchange"].matrix
        axes = {"period above": self.above.labels}
        within = builder.add_columns("within", axes, unit="kW", upper=most, description="movement of the exchange within a period above")
        moved = (own - sparse.kron(sparse.identity(self.above.periods), np.ones((self.steps, 1))) @ (self.mean @ own)).tocoo()
        for name, sign in (("movement_up", 1.0), ("movement_down", -1.0)):
            rows = builder.add_rows(
                name,
                {"period": self.below.labels},
                [(-1.0, self.repeated(within))],
                "<=",
                0.0,
                unit="kW",
                description="movement within a period above",
            )
            builder.add_to_rows(rows[moved.row], moved.col, sign * moved.data)
        price = program.parameters["uncertainty_price"].positions
        builder.add_cost_parameter(self.repeated(within), price, self.below.hours_per_year / coverage)
        return builder.build()
