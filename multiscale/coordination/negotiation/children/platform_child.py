"""A platform as a child in a negotiation: what travels to a worker, and the two programs made from it there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.operation import platform_program
from multiscale.operation.fleet_reduction import reduced_fleet
from multiscale.operation.platform import PEER_TO_PEER
from multiscale.operation.platforms import PlatformData
from multiscale.operation.reserves import ForecastErrors, platform_with_cover
from multiscale.operation.tree import BEYOND
from multiscale.programs import ParametricProgram
from multiscale.system import Fleet


@dataclass(frozen=True)
class PlatformSource:
    """What a platform's programs are made from.

    Attributes:
        data: fleet, network, values.
        network_charge: of its DSO on imported energy [EUR/kWh].
        errors: its forecast errors, where forecasts err.
    """

    data: PlatformData
    network_charge: float
    errors: ForecastErrors | None = None

    def whole(self) -> ParametricProgram:
        """The platform's program with energy at the boundary free, the DSO's charge in force and nothing agreed."""
        return self._settled(self.data.program(), self.data.fleet)

    def reduced(self) -> ParametricProgram:
        """The same with fewer participants, where nothing in the platform's network can bind and its prosumers trade in a pool; else as it is.

        Same optimum and same exchange at every price, a fifth of the columns: see ``reduced_fleet``.
        """
        data = self.data
        program = data.program()
        limited = any(block.name.startswith(("rating_", "voltage_")) for block in program.rows)
        if limited or data.market != PEER_TO_PEER or data.fleet.size == 1:
            return self._settled(program, data.fleet)
        fleet = reduced_fleet(data.fleet)
        return self._settled(platform_program(fleet, data.economics), fleet)

    def _settled(self, program: ParametricProgram, fleet: Fleet) -> ParametricProgram:
        if self.errors is not None:
            program = platform_with_cover(program, fleet, self.data.economics, self.errors)
        free = np.zeros(self.data.fleet.horizon.periods)
        given = {"import_price": free, "export_price": free, "import_limit": BEYOND, "export_limit": BEYOND, "planned": free, "deviation_price": 0.0}
        return program.settle(given | {"network_charge": self.network_charge})
