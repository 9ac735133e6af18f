"""A platform as a child in a negotiation: what travels to a worker, and what answers there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.coordination.negotiation.children.batched_child import BatchedChild, answered_in_batches
from multiscale.coordination.negotiation.children.program_child import ProgramChild
from multiscale.devices.fleet import Fleet
from multiscale.operation import platform_program
from multiscale.operation.platforms import PlatformData
from multiscale.operation.reserves import ForecastErrors, platform_with_reserves
from multiscale.operation.tree import BEYOND
from multiscale.programs import ParametricProgram
from multiscale.tariffs import Prices


@dataclass(frozen=True)
class PlatformSource:
    """What a platform's programs are made from.

    Attributes:
        data: fleet, network, values.
        tariff: prices of the decided tariff components of its DSO.
        errors: its forecast errors, where forecasts err.
    """

    data: PlatformData
    tariff: Prices
    errors: ForecastErrors | None = None

    def whole(self) -> ParametricProgram:
        """The platform's program with energy at the boundary free, the DSO's charge in force and nothing agreed."""
        return self._fixed(self.data.program(), self.data.fleet)

    def reduced(self) -> ParametricProgram:
        """The same with fewer participants, where nothing in the platform's network can bind; else as it is.

        Same optimum and same exchange at every price, a fifth of the columns: see the market's ``reduced``.
        """
        data = self.data
        program = data.program()
        if data.network_binds(program) or data.fleet.size == 1:
            return self._fixed(program, data.fleet)
        fleet = data.market.reduced(data.fleet, data.economics.tariff)
        return self._fixed(platform_program(fleet, data.economics, data.market), fleet)

    def child(self, hours: np.ndarray) -> ProgramChild | BatchedChild:
        """Who answers for it; ``hours``: of the year of each entry of a profile [h/a]."""
        if self.errors is None and answered_in_batches(self.data, self.tariff):
            return BatchedChild(self.data, self.tariff)
        return ProgramChild(self.reduced(), hours)

    def _fixed(self, program: ParametricProgram, fleet: Fleet) -> ParametricProgram:
        if self.errors is not None:
            program = platform_with_reserves(program, fleet, self.data.economics, self.errors)
        return nothing_agreed(program, self.tariff)


def nothing_agreed(program: ParametricProgram, tariff: Prices) -> ParametricProgram:
    """A platform's program as a child's: energy at the boundary free, the DSO's charges in force, no limit and no plan."""
    free = {"import_price": 0.0, "export_price": 0.0, "import_limit": BEYOND, "export_limit": BEYOND, "planned": 0.0, "deviation_price": 0.0}
    return program.fix(free | dict(tariff))
