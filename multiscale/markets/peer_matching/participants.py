"""Participants of a bilateral market: what they need, what they own, and what their supplier offers them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Participants:
    """Households, firms and suppliers over some periods; energies in kWh per period, prices in EUR/kWh.

    What is not traded with peers is bought from the own supplier at ``import_price`` or sold to it at ``export_price``. A supplier that trades with
    peers is a participant whose net demand is zero and whose own prices are those of the market above it: it buys there what it sells here.

    Attributes:
        names: (participant,).
        net_demand: inflexible demand less own generation [kWh], (participant, period).
        import_price, export_price: (participant, period); an export price is no higher than the import price.
        storage: capacity [kWh], (participant,); zero: none.
        power: most that is stored or drawn from the storage in a period [kWh], (participant,).
        start: energy stored at the beginning, and at least at the end [kWh], (participant,).
        efficiency: of charging, and of discharging, each [1], (participant,).
        wear: cost of every kWh drawn from the storage [EUR/kWh], (participant,).
        peer_fee: what a buyer pays on top of the price of every kWh from a peer, next to the fee of the edge [EUR/kWh], (period,); zero if not given.
    """

    names: np.ndarray
    net_demand: np.ndarray
    import_price: np.ndarray
    export_price: np.ndarray
    storage: np.ndarray
    power: np.ndarray
    start: np.ndarray
    efficiency: np.ndarray
    wear: np.ndarray
    peer_fee: np.ndarray | None = None

    @property
    def fee(self) -> np.ndarray:
        """The fee that is the same on all edges [EUR/kWh], (period,)."""
        return np.zeros(self.net_demand.shape[1]) if self.peer_fee is None else self.peer_fee

    @classmethod
    def without_storage(
        cls, names: np.ndarray, net_demand: np.ndarray, import_price: np.ndarray, export_price: np.ndarray, peer_fee: np.ndarray | None = None
    ) -> Participants:
        """Participants whose demand and generation are fixed; prices are broadcast to (participant, period)."""
        none, shape = np.zeros(len(names)), net_demand.shape
        buying, selling = (np.broadcast_to(np.asarray(p, dtype=float), shape) for p in (import_price, export_price))
        return cls(np.asarray(names, dtype=str), net_demand, buying, selling, none, none, none, np.ones(len(names)), none, peer_fee)

    def __len__(self) -> int:
        return len(self.names)

    def check(self) -> None:
        """Refuse data that state no problem.

        Raises:
            ValueError: names the participant, the field, its value, unit and what to do.
        """
        shape = (len(self.names), self.net_demand.shape[1])
        units = {"net_demand": "kWh", "import_price": "EUR/kWh", "export_price": "EUR/kWh"}
        units |= {"storage": "kWh", "power": "kWh", "start": "kWh", "efficiency": "1", "wear": "EUR/kWh"}
        for field, unit in units.items():
            values = np.asarray(getattr(self, field), dtype=float)
            expected = shape if field in ("net_demand", "import_price", "export_price") else shape[:1]
            if values.shape != expected:
                raise ValueError(f"participants: {field} has shape {values.shape}; it must be {expected}")
            lowest = -np.inf if field in ("net_demand", "import_price", "export_price") else 0.0
            for place in np.argwhere(~np.isfinite(values) | (values < lowest))[:1]:
                value = f"{field} {values[tuple(place)]:g} {unit}"
                remedy = "give a finite number" if lowest < 0.0 else "give a number of at least zero"
                raise ValueError(f"participant {str(self.names[place[0]])!r}: {value} cannot be used; {remedy}")
        if self.fee.shape != shape[1:] or not (np.isfinite(self.fee) & (self.fee >= 0.0)).all():
            raise ValueError(f"participants: peer_fee {self.fee} EUR/kWh; give one number of at least zero for each of {shape[1]} periods")
        for i in np.flatnonzero((self.efficiency <= 0.0) | (self.efficiency > 1.0))[:1]:
            raise ValueError(f"participant {str(self.names[i])!r}: efficiency {self.efficiency[i]:g} is not above 0 and up to 1; correct it")
        for i in np.flatnonzero(self.start > self.storage)[:1]:
            value = f"start {self.start[i]:g} kWh is above storage {self.storage[i]:g} kWh"
            raise ValueError(f"participant {str(self.names[i])!r}: {value}; lower it")
        for i, t in np.argwhere(self.export_price > self.import_price)[:1]:
            value = f"export price {self.export_price[i, t]:g} is above import price {self.import_price[i, t]:g} EUR/kWh in period {t}"
            raise ValueError(f"participant {str(self.names[i])!r}: {value}; buying to sell back would earn without limit")
        for i, t in np.argwhere((self.import_price < 0.0) & (self.storage > 0.0)[:, None])[:1]:
            value = f"import price {self.import_price[i, t]:g} EUR/kWh in period {t} is below zero"
            raise ValueError(f"participant {str(self.names[i])!r}: {value}; charging and discharging at once would earn, which the model excludes")


@dataclass(frozen=True)
class Schedule:
    """What participants do [kWh], (participant, period).

    Attributes:
        stored: energy put into the storage (negative: drawn from it).
        level: energy stored at the end of each period.
        imported, exported: bought from and sold to the own supplier.
    """

    stored: np.ndarray
    level: np.ndarray
    imported: np.ndarray
    exported: np.ndarray

    def cost(self, participants: Participants) -> np.ndarray:
        """What the own supplier and wear cost each participant [EUR], (participant,)."""
        supplier = participants.import_price * self.imported - participants.export_price * self.exported
        return supplier.sum(axis=1) + participants.wear * np.maximum(-self.stored, 0.0).sum(axis=1)
