"""A platform as a child in a negotiation: what travels to a worker, and what answers there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from multiscale.coordination.negotiation.children.batched_child import BatchedChild, as_batched
from multiscale.coordination.negotiation.children.program_child import Kept, ProgramChild, Settled
from multiscale.devices.fleet import Fleet
from multiscale.operation import platform_program
from multiscale.operation.platforms import PlatformData
from multiscale.operation.reserves import ForecastErrors, platform_with_reserves
from multiscale.operation.tree import BEYOND
from multiscale.programs import Basis, ParametricProgram
from multiscale.tariffs import Prices

FEW = 0.3
"""Share of the columns up to which a program of merged prosumers is answered with: operation then begins from nothing."""


@dataclass(frozen=True)
class PlatformSource:
    """What a platform's programs are made from.

    Attributes:
        data: fleet, network, values.
        tariff: prices of the decided tariff components of its DSO.
        errors: its forecast errors, where forecasts err.
        start: packed basis of the program of all prosumers at similar prices, where one is known.
    """

    data: PlatformData
    tariff: Prices
    errors: ForecastErrors | None = None
    start: tuple[bytes, bytes] | None = None

    def whole(self) -> ParametricProgram:
        """The platform's program with energy at the boundary free, the DSO's charge in force and nothing agreed."""
        return self._fixed(self.data.program(), self.data.fleet)

    def reduced(self) -> ParametricProgram:
        """The same with fewer participants, where nothing in the platform's network can bind; else as it is.

        Same optimum and same exchange at every price, a fifth of the columns: see the market's ``reduced``.
        """
        program = self.data.program()
        fewer = self._merged(program)
        return self._fixed(program, self.data.fleet) if fewer is None else fewer

    def _merged(self, program: ParametricProgram) -> ParametricProgram | None:
        data = self.data
        if data.network_binds(program) or data.fleet.size == 1:
            return None
        fleet = data.market.reduced(data.fleet, data.economics.tariff)
        return self._fixed(platform_program(fleet, data.economics, data.market), fleet)

    def child(self, hours: np.ndarray) -> ProgramChild | BatchedChild:
        """Who answers for it; ``hours``: of the year of each entry of a profile [h/a].

        The batched solution, where it is exact and quicker; else the program of all prosumers, whose basis serves for operation too; else, where
        merging prosumers leaves few columns, that of the merged.
        """
        program, reason = None, "forecasts err"
        network = self.data.network
        if self.errors is None:
            program = self.data.program() if network is not None and network.active.sizes["branch"] else None
            whole = self.whole if program is None else partial(self._fixed, program, self.data.fleet)
            found = as_batched(self.data, self.tariff, whole, program)
            if isinstance(found, BatchedChild):
                return found
            reason = found
        program, engine = program or self.data.program(), f"program ({reason})"
        if self.start is not None and self.errors is None:
            return ProgramChild(self._fixed(program, self.data.fleet), hours, Basis.unpacked(self.start), engine=engine)
        fewer = self._merged(program)
        if fewer is not None and fewer.columns.size <= FEW * program.columns.size:
            return ProgramChild(fewer, hours, engine=engine, merged=True)
        return ProgramChild(self._fixed(program, self.data.fleet), hours, engine=engine)

    def settle(self, child: ProgramChild | BatchedChild, kept: Kept, reference: np.ndarray) -> Settled:
        """What every prosumer does to keep an agreed profile.

        Args:
            child: who answered for it.
            kept: what was agreed.
            reference: first price that it was asked [EUR/kWh], (entry,).
        """
        if isinstance(child, BatchedChild):
            return child.settle(kept, reference)
        return ProgramChild(self.whole(), child.hours).settle(kept) if child.merged else child.settle(kept, reference)

    def _fixed(self, program: ParametricProgram, fleet: Fleet) -> ParametricProgram:
        if self.errors is not None:
            program = platform_with_reserves(program, fleet, self.data.economics, self.errors)
        return nothing_agreed(program, self.tariff)


def nothing_agreed(program: ParametricProgram, tariff: Prices) -> ParametricProgram:
    """A platform's program as a child's: energy at the boundary free, the DSO's charges in force, no limit and no plan."""
    free = {"import_price": 0.0, "export_price": 0.0, "import_limit": BEYOND, "export_limit": BEYOND, "planned": 0.0, "deviation_price": 0.0}
    return program.fix(free | dict(tariff))
