"""A DSO's program as the TSO sees it and as its platforms do, with the tangents of its forecast errors found so far."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy import sparse

from multiscale.coordination.negotiation.children.request import GOODS
from multiscale.coordination.negotiation.resolution import Resolution
from multiscale.operation import DistributionProgram
from multiscale.operation.reserves import ErrorPool, cutting_price, distribution_with_reserves
from multiscale.programs import ParametricProgram
from multiscale.system import Economics

OUT_OF_REACH = 1.0 + 1e-3
"""Cost of relief that no program should choose, in values of lost load. Nearer to one, a negotiation ends at relief of what is not drawn, to
within its gap, and cannot be operated; far above one, programs of platforms sell what devices cannot supply."""


class DsoProgram:
    """A DSO between TSO and platforms.

    Args:
        own: its program.
        built: reinforcements built [1], (option,).
        economics: values.
        resolution: its periods and the TSO's.
        error_pool: its forecast errors, where forecasts err, and what its platforms may hand it (see ``operation.reserves``).
    """

    def __init__(
        self, own: DistributionProgram, built: np.ndarray, economics: Economics, resolution: Resolution, error_pool: ErrorPool | None = None
    ) -> None:
        self.own, self.economics, self.resolution, self.error_pool = own, economics, resolution, error_pool
        self._plain = own.program.fix({"built": built})
        self._given: dict[str, np.ndarray] = {}

    def given(self, child: str, profile: np.ndarray) -> ParametricProgram:
        """The program from now on, in which a platform's profile [kW], (entry,), is given, whatever prices are."""
        self._given[child] = np.split(profile, 1 if self.error_pool is None else 2)[0]
        return self.program()

    @property
    def _energy(self) -> ParametricProgram:
        return self._with_relief(self._given)

    def _with_relief(self, drawn: Mapping[str, np.ndarray]) -> ParametricProgram:
        """The program in which relief is what it is there for: cutting off what a platform draws, and curtailing what it feeds in.

        Of a platform whose exchange is known [kW], (period,), no more than that. Others cut off and curtail themselves at the same cost, so the DSO
        need not; it may, that there is a feasible point for any offers. At a price below zero it would be paid for curtailing what no platform
        feeds in, and at the value of lost load cut off what no platform draws. So both cost ``OUT_OF_REACH`` times the value of lost load, beyond
        which no price of the TSO lies. The optimum of the whole is without relief: bounds hold.
        """
        program, plain = self._plain, self._plain.columns
        if "shed" not in plain:
            return program
        cost, upper = program.c0.copy(), program.upper.copy()
        shed, spilled = (plain[name].positions for name in ("shed", "spilled"))
        cost[spilled] = cost[shed] = OUT_OF_REACH * np.maximum(program.c0[spilled], program.c0[shed])
        for k, child in enumerate(self.own.children):
            if child in drawn:
                upper[shed[k]], upper[spilled[k]] = np.maximum(drawn[child], 0.0), np.maximum(-drawn[child], 0.0)
                cost[shed[k]], cost[spilled[k]] = program.c0[shed[k]], program.c0[spilled[k]]
        return replace(program, c0=cost, upper=upper)

    def program(self) -> ParametricProgram:
        """The program; what remains of its parameters are the platforms' profiles and the prices from above."""
        if self.error_pool is None:
            return self._energy
        below = self.resolution.below
        extended = distribution_with_reserves(self._energy, self.own, below.labels, below.hours_per_year, self.economics, self.error_pool)
        return self.resolution.with_movement(extended, self.most_movement, self.error_pool.errors.coverage)

    @property
    def most_movement(self) -> np.ndarray:
        """How far the exchange can move from its mean within a period of the TSO [kW], (period above,)."""
        limits = [self._energy.columns.values(name, self._energy.upper) for name in ("import", "export")]
        return 2.0 * self.resolution.means(np.maximum(*limits)) * self.resolution.steps

    @property
    def most_handed(self) -> np.ndarray:
        """Most that the DSO can hand the TSO [kW of standard deviation], (period above,)."""
        if self.error_pool is None:
            return np.zeros(self.resolution.above.periods)
        most = self.resolution.means(self.error_pool.errors.together(self.error_pool.largest))
        return most + (self.most_movement / self.error_pool.errors.coverage if self.resolution.steps > 1 else 0.0)

    def from_above(self, program: ParametricProgram) -> ParametricProgram:
        """The program with its outputs in the periods of the TSO."""
        return self.resolution.seen_from_above(program, 0.0 if self.error_pool is None else self.error_pool.errors.coverage)

    @cached_property
    def seen(self) -> sparse.csr_matrix:
        """What the TSO sees of the columns [kW]."""
        outputs = self.from_above(self.program()).outputs
        return sparse.vstack([outputs[name].matrix for name in GOODS if name in outputs], format="csr")

    def extend(self, x: np.ndarray, exchange: np.ndarray) -> ParametricProgram | None:
        """The program with the tangents that a point (columns, profiles of the platforms [kW]) violates, or None where it violates none."""
        if self.error_pool is None:
            return None
        return self.program() if self.error_pool.understated(*self._errors(x, exchange)).any() else None

    def repair(self, x: np.ndarray, exchange: np.ndarray) -> float:
        r"""What shedding load costs \[EUR/a\] for what a point understates of its errors; zero where it understates nothing.

        No tangent is added: the program changes in ``extend`` alone, together with the parent that holds it.
        """
        if self.error_pool is None:
            return 0.0
        short = self.error_pool.shortfall(*self._errors(x, exchange))
        hours, coverage = self.resolution.below.hours_per_year, self.error_pool.errors.coverage
        return float((hours * short).sum()) * coverage * cutting_price(self.economics, coverage)

    def _errors(self, x: np.ndarray, exchange: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The columns ``pooled_error`` [kW], (period,), and what the platforms hand over [kW], (platform, period), of a point."""
        handed = np.split(exchange, 2, axis=1)[1]
        at = self._energy.columns.size
        return x[at : at + handed.shape[1]], handed

    def operated(self, drawn: np.ndarray) -> ParametricProgram:
        """The program, seen from above, when the platforms draw so much [kW], (platform, entry of a profile); everything is free at the boundary."""
        free: dict[str, object] = {"energy_price": 0.0}
        flows = np.split(drawn, 1 if self.error_pool is None else 2, axis=1)[0]
        there = copy.copy(self)
        there._given = dict(zip(self.own.children, flows, strict=True))
        if self.error_pool is None:
            return self.from_above(there._energy.fix(free | {"exchange": drawn}))
        _, handed = np.split(drawn, 2, axis=1)
        # At one point the norm is its tangent there.
        there.error_pool = ErrorPool(self.error_pool.errors, self.error_pool.largest, [(np.arange(handed.shape[1]), handed)])
        program = there.program()
        given = free | {"exchange": flows, "uncertainty_price": 0.0} | ({"uncertainty": handed} if len(handed) else {})
        return self.from_above(program.fix(given))
