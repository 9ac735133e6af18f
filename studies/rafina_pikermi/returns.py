"""Payback and internal rate of return of the members' photovoltaics, with and without the market: an addition of this project, not published.

What a kWh of generation is worth to its owner, under three schemes (rates of the publication):

- feed-in: all of it earns the private reference price. With the market own use saves the retail price, what is sold inside earns the local price, the
  rest the community reference price.
- net metering: what does not exceed the year's consumption saves the retail price. With the market what exceeds it earns the local price, as far
  as it is sold inside.
- self-consumption: own use saves the retail price, a fifth of the excess earns the private reference price. With the market what is sold inside earns
  the local price, a fifth of the rest the community reference price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from multiscale.devices import Photovoltaics

from .market_year import MarketYear
from .participants import Participant
from .published import FEED_IN_COMMUNITY, FEED_IN_PRIVATE, IMPORT_PRICE, LOCAL_PRICE, NET_METERING, OWNERS, PAID_EXCESS

SCHEMES = ("feed-in", "net metering", "self-consumption")


@dataclass(frozen=True)
class Return:
    """Of the photovoltaics of all owners together.

    Attributes:
        value: of its generation [EUR/a].
        payback: investment over value less upkeep [a]; infinite where that is not positive.
        rate: internal rate of return over the lifetime [1/a]; NaN where the investment is not recovered at any rate above -99 %.
    """

    value: float
    payback: float
    rate: float


def returns(everyone: Sequence[Participant], year: MarketYear, plant: Photovoltaics) -> dict[tuple[str, bool], Return]:
    """Scheme, and whether there is a market -> return; cost and lifetime of the photovoltaics as in the settings of the device."""
    mine = np.array([p.kind == OWNERS for p in everyone])
    installed = sum(p.members * p.installed for p in everyone if p.kind == OWNERS)
    given = year.inside[1]
    generated, sold, inside, used = (v[mine].sum(axis=1) for v in (year.generation, year.sold, given, year.load))
    own, excess = generated - sold, np.maximum(generated - used, 0.0)
    values = {
        ("feed-in", False): FEED_IN_PRIVATE * generated,
        ("feed-in", True): IMPORT_PRICE * own + LOCAL_PRICE * inside + FEED_IN_COMMUNITY * (sold - inside),
        ("net metering", False): NET_METERING * np.minimum(generated, used),
        ("net metering", True): NET_METERING * np.minimum(generated, used) + LOCAL_PRICE * np.minimum(inside, excess),
        ("self-consumption", False): IMPORT_PRICE * own + PAID_EXCESS * FEED_IN_PRIVATE * sold,
        ("self-consumption", True): IMPORT_PRICE * own + LOCAL_PRICE * inside + PAID_EXCESS * FEED_IN_COMMUNITY * (sold - inside),
    }
    return {key: _return(float(value.sum()), installed, plant) for key, value in values.items()}


def _return(value: float, installed: float, plant: Photovoltaics) -> Return:
    investment, net = plant.investment * installed, value - plant.upkeep * installed
    payback = investment / net if net > 0 else np.inf
    years = np.arange(1, round(plant.lifetime) + 1)

    def present(rate: float) -> float:
        return float((net / (1.0 + rate) ** years).sum()) - investment

    rate = float(brentq(present, -0.99, 10.0)) if present(-0.99) > 0 > present(10.0) else np.nan
    return Return(value, payback, rate)
