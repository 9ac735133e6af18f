"""What planners expect of the wholesale market: nodal prices when no platform responds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.operation import Dispatch, Transmission
from multiscale.operation.tree import dso_reference
from multiscale.system import Economics, System
from multiscale.timeline import Horizon


@dataclass(frozen=True)
class MarketForecast:
    """The wholesale market without any response of platforms.

    Attributes:
        energy_price: DSO -> nodal price at its boundary [EUR/kWh], (period,).
        binding: the transmission limits that were found to bind, see ``Transmission.binding``.
        idle: the dispatch when no DSO draws anything.
        idle_basis: where its solves ended, see ``Transmission.idle_basis``.
    """

    energy_price: Mapping[str, np.ndarray]
    binding: np.ndarray
    idle: Dispatch
    idle_basis: np.ndarray

    def transmission(self, system: System, horizon: Horizon, economics: Economics) -> Transmission:
        """The transmission network with what is known of it; other solves need not find it again."""
        network = Transmission(system, horizon, economics)
        network.start_knowing(self.binding, self.idle, self.idle_basis)
        return network


def market_forecast(system: System, horizon: Horizon, economics: Economics, fleets: Mapping[str, Fleet]) -> MarketForecast:
    """Dispatch what all DSOs draw when their platforms do not respond; the prices are the duals of the nodal balances.

    Args:
        system, horizon, economics: the whole, the periods, the values.
        fleets: platform -> prosumers over the horizon.
    """
    transmission = Transmission(system, horizon, economics)
    drawn = np.array([dso_reference(system, d, horizon, fleets) for d in transmission.children])
    prices = transmission.prices(drawn)
    idle, ended = transmission.idle, transmission.idle_basis
    return MarketForecast(dict(zip(transmission.children, prices, strict=True)), transmission.binding, idle, ended)
