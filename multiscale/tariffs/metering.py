"""What is metered at a platform: the columns of its program on which tariff components stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.timeline import Horizon


@dataclass(frozen=True)
class Metering:
    """The metering points of a platform, as its market defines them.

    Energy that members trade with each other is ``sum_i bought_i - sum_m imported_m``: what members buy in all, less what comes from outside.

    Attributes:
        horizon: the periods.
        meters: names of the metering points, (meter,).
        imported, exported: columns with the power drawn from and fed to the supplier at each metering point [kW], (meter, period).
        bought: columns with the power each member buys, from the supplier or from its peers [kW], (prosumer, period); None where peers do not trade.
        peer_shares: receiver of a charge -> share of it that peer trade pays too [1]; 0 where a receiver is missing.
        members: names of the members, (prosumer,).
        customers: customers that each of them stands for [1], (prosumer,).
        entering: columns with the power that enters each community inside the platform [kW], (community, period); None where there are none.
    """

    horizon: Horizon
    meters: np.ndarray
    imported: np.ndarray
    exported: np.ndarray
    bought: np.ndarray | None
    peer_shares: dict[str, float]
    members: np.ndarray
    customers: np.ndarray
    entering: np.ndarray | None = None


@dataclass(frozen=True)
class Charge:
    """A part of a billing determinant: ``sum of coefficient * column``, charged at one of the component's prices.

    Attributes:
        columns: positions in the platform's program.
        coefficient: broadcast to the columns, e.g. hours of the year [h/a].
        price: position among the component's prices, broadcast to the columns.
    """

    columns: np.ndarray
    coefficient: object
    price: object = 0
