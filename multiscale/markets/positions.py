"""What was metered at the members of a platform, and at which prices: what a market clears and settles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.system import Network

BY_MEMBER = ("net", "value", "node", "generation", "demand", "bid", "offer")
BY_PERIOD = ("import_price", "export_price", "retail", "feed_in", "peer_fee", "occurrences")

METER_RESOLUTION = 1e-9
"""Energy of a member in a period [kWh] that is rounding of the solver: it is metered as nothing, and no trade is as small."""


class PositionError(ValueError):
    """Positions that cannot be cleared."""


@dataclass(frozen=True)
class Positions:
    """Metered energy of the members of a platform in every period, with the prices of their surroundings.

    Attributes:
        members: names, (member,).
        periods: labels, (period,).
        net: energy a member takes (positive) or delivers (negative) in every occurrence of the period [kWh], (member, period).
        value: dual of the member's balance, what one kWh more is worth to it [EUR/kWh], (member, period).
        node: price of energy in the pool where the member is connected, without the peer fee [EUR/kWh], (member, period); where not given, its
            value, less the peer fee where it takes.
        import_price, export_price: what the supplier takes and gives for energy at the boundary [EUR/kWh], (period,).
        retail: what a kWh from the supplier costs a member in all, with every charge per kWh [EUR/kWh], (period,).
        feed_in: what a kWh to the supplier earns a member in all [EUR/kWh], (period,).
        peer_fee: what the buyer of a kWh from a peer pays on top of its price: fee of the platform, charges on peer trade [EUR/kWh], (period,);
            where charges on import and export are less, and trade goes through the supplier, these.
        occurrences: how often a period occurs in the year [1/a], (period,).
        generation: energy that a member's own generators could deliver [kWh], (member, period).
        demand: energy that a member would use without any response [kWh], (member, period).
        bus, category: where a member is connected, and what kind of customer it is, (member,).
        bid, offer: most that a member pays for a kWh of a peer, without the peer fee, and least that it takes for one [EUR/kWh], (member, period).
            What the supplier leaves it, where not given: ``retail - peer_fee`` and ``feed_in``.
        network: of the platform; None where all members share one point.
    """

    members: np.ndarray
    periods: np.ndarray
    net: np.ndarray
    value: np.ndarray
    import_price: np.ndarray
    export_price: np.ndarray
    retail: np.ndarray
    feed_in: np.ndarray
    peer_fee: np.ndarray
    occurrences: np.ndarray
    node: np.ndarray | None = None
    generation: np.ndarray | None = None
    demand: np.ndarray | None = None
    bus: np.ndarray | None = None
    category: np.ndarray | None = None
    bid: np.ndarray | None = None
    offer: np.ndarray | None = None
    network: Network | None = None

    def __post_init__(self) -> None:
        members, periods = len(self.members), len(self.periods)
        for name in (*BY_MEMBER, *BY_PERIOD):
            if getattr(self, name) is None:
                continue
            values = np.asarray(getattr(self, name), dtype=float)
            object.__setattr__(self, name, values)
            shape = (members, periods) if name in BY_MEMBER else (periods,)
            if values.shape != shape:
                raise PositionError(f"positions: {name} has shape {values.shape}, it must be {shape}")
            for place in np.argwhere(~np.isfinite(values))[:1]:
                who = f" of {self.members[place[0]]}" if len(place) == 2 else ""
                raise PositionError(f"positions: {name}{who} in {self.periods[place[-1]]} is {values[tuple(place)]}; give a finite number")

    @property
    def taken(self) -> np.ndarray:
        """Energy that members take [kWh], (member, period); zero where they deliver."""
        return np.maximum(self.net, 0.0)

    @property
    def delivered(self) -> np.ndarray:
        """Energy that members deliver [kWh], (member, period); zero where they take."""
        return np.maximum(-self.net, 0.0)

    @property
    def node_price(self) -> np.ndarray:
        """Price of energy in the pool where the member is connected, without the peer fee [EUR/kWh], (member, period)."""
        return self.value - np.where(self.net > 0, self.peer_fee, 0.0) if self.node is None else self.node

    @property
    def bids(self) -> np.ndarray:
        """Most that a member pays for a kWh of a peer, without the peer fee [EUR/kWh], (member, period)."""
        return np.broadcast_to(self.retail - self.peer_fee, self.net.shape) if self.bid is None else self.bid

    @property
    def offers(self) -> np.ndarray:
        """Least that a member takes for a kWh [EUR/kWh], (member, period)."""
        return np.broadcast_to(self.feed_in, self.net.shape) if self.offer is None else self.offer
