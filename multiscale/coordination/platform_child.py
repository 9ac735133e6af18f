"""A platform as a child in a negotiation: what travels to a worker, and the two programs made from it there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.operation import platform_program
from multiscale.operation.fleet_reduction import reduced_fleet
from multiscale.operation.platform import PEER_TO_PEER
from multiscale.operation.platforms import PlatformData
from multiscale.operation.tree import BEYOND
from multiscale.programs import ParametricProgram


@dataclass(frozen=True)
class PlatformSource:
    """What a platform's programs are made from.

    Attributes:
        data: fleet, network, values.
        network_charge: of its DSO on imported energy [EUR/kWh].
    """

    data: PlatformData
    network_charge: float

    def whole(self) -> ParametricProgram:
        """The platform's program with energy at the boundary free, the DSO's charge in force and nothing agreed."""
        return self._settled(self.data.program())

    def reduced(self) -> ParametricProgram:
        """The same with fewer participants, where nothing in the platform's network can bind and its prosumers trade in a pool; else as it is.

        Same optimum and same exchange at every price, a fifth of the columns: see ``reduced_fleet``.
        """
        data = self.data
        program = data.program()
        limited = any(block.name.startswith(("rating_", "voltage_")) for block in program.rows)
        if limited or data.market != PEER_TO_PEER or data.fleet.size == 1:
            return self._settled(program)
        return self._settled(platform_program(reduced_fleet(data.fleet), data.economics))

    def _settled(self, program: ParametricProgram) -> ParametricProgram:
        free = np.zeros(self.data.fleet.horizon.periods)
        given = {"import_price": free, "export_price": free, "import_limit": BEYOND, "export_limit": BEYOND, "planned": free, "deviation_price": 0.0}
        return program.settle(given | {"network_charge": self.network_charge})
