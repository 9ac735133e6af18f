"""Who sells how much to whom, when and at which price: the one form in which every market says what it led to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SUPPLIER = "supplier"
"""Name of the outside world as a party to trades: the one that sells to and buys from a platform at its boundary."""

COLUMNS = ("period", "seller", "buyer", "energy_class", "energy", "price", "seller_fee", "buyer_fee")


class TradeError(ValueError):
    """Trades that are no trades, or that do not add up to what was metered."""


@dataclass(frozen=True)
class Trades:
    """Trades inside one platform and across its boundary, one row each.

    In a trade the buyer pays ``(price + buyer_fee) energy``, the seller receives ``(price - seller_fee) energy``, and the operator of the
    platform keeps both fees (a negative fee is paid out by it); all [EUR] in every occurrence of the period. A trade with the supplier is made at
    its price, and charges that depend on it are in the member's fee. So every row is balanced by itself:

        paid by the buyer = received by the seller + received by the operator

    Attributes:
        members: names of the members, (member,); as a party to a trade a member is its position, the supplier is ``len(members)``.
        periods: labels of the periods, (period,).
        classes: names of the classes of energy.
        period, seller, buyer, energy_class: positions, (trade,).
        energy: [kWh] in every occurrence of the period, positive, (trade,).
        price: [EUR/kWh], (trade,).
        seller_fee, buyer_fee: what each side pays to the operator of the platform on top [EUR/kWh], (trade,).
    """

    members: np.ndarray
    periods: np.ndarray
    classes: tuple[str, ...]
    period: np.ndarray
    seller: np.ndarray
    buyer: np.ndarray
    energy_class: np.ndarray
    energy: np.ndarray
    price: np.ndarray
    seller_fee: np.ndarray
    buyer_fee: np.ndarray

    def __post_init__(self) -> None:
        for name in COLUMNS:
            values = np.asarray(getattr(self, name), dtype=float if name in COLUMNS[4:] else np.int32)
            object.__setattr__(self, name, values)
            if values.shape != self.energy.shape:
                raise TradeError(f"trades: {name} has shape {values.shape}, energy has {np.shape(self.energy)}; give one value for every trade")
            if not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                raise TradeError(f"trades: {name} of trade {row} is {values[row]}; give a finite number")
        if SUPPLIER in self.members:
            raise TradeError(f"trades: a member is named {SUPPLIER!r}, the name of the outside world; rename it")
        parties = self.outside + 1
        for name, size in (("period", len(self.periods)), ("seller", parties), ("buyer", parties), ("energy_class", len(self.classes))):
            values = getattr(self, name)
            if ((values < 0) | (values >= size)).any():
                row = int(np.flatnonzero((values < 0) | (values >= size))[0])
                raise TradeError(f"trades: {name} {values[row]} of trade {row} does not exist; there are {size}")
        if not (self.energy > 0).all():
            row = int(np.flatnonzero(~(self.energy > 0))[0])
            raise TradeError(f"trades: energy {self.energy[row]:g} kWh of trade {row} is not positive; exchange seller and buyer, or omit it")
        if (self.seller == self.buyer).any():
            row = int(np.flatnonzero(self.seller == self.buyer)[0])
            raise TradeError(f"trades: trade {row} has {self.parties[self.seller[row]]} as seller and as buyer; omit it")

    def __len__(self) -> int:
        return len(self.energy)

    @property
    def outside(self) -> int:
        """The supplier's position among the parties."""
        return len(self.members)

    @property
    def parties(self) -> np.ndarray:
        """Names of all who may trade: the members, then the supplier."""
        return np.append(np.asarray(self.members, dtype=object), SUPPLIER)

    @property
    def local(self) -> np.ndarray:
        """Whether both sides are members, (trade,)."""
        return (self.seller != self.outside) & (self.buyer != self.outside)

    def _sums(self, party: np.ndarray, amount: np.ndarray) -> np.ndarray:
        total = np.zeros((self.outside + 1, len(self.periods)))
        np.add.at(total, (party, self.period), amount)
        return total

    def bought(self) -> np.ndarray:
        """Energy every party buys [kWh], (party, period)."""
        return self._sums(self.buyer, self.energy)

    def sold(self) -> np.ndarray:
        """Energy every party sells [kWh], (party, period)."""
        return self._sums(self.seller, self.energy)

    def net(self) -> np.ndarray:
        """Energy every member takes in all, bought less sold [kWh], (member, period)."""
        return (self.bought() - self.sold())[: self.outside]

    def paid(self) -> np.ndarray:
        """What every party pays less what it receives [EUR], (party, period), in every occurrence of the period."""
        given = self._sums(self.buyer, self.energy * (self.price + self.buyer_fee))
        return given - self._sums(self.seller, self.energy * (self.price - self.seller_fee))

    def fees(self) -> np.ndarray:
        """What the operator of the platform receives [EUR], (period,), in every occurrence of the period."""
        return np.bincount(self.period, self.energy * (self.seller_fee + self.buyer_fee), minlength=len(self.periods))

    def energy_residual(self, net: np.ndarray) -> float:
        """Largest difference of what a member bought less sold in a period from what was metered [kWh].

        Args:
            net: energy that every member takes (negative: delivers) [kWh], (member, period).
        """
        return float(np.abs(self.net() - net).max(initial=0.0))

    def money_residual(self) -> float:
        """Largest sum of all payments of a period, those to the operator included [EUR]; zero up to rounding."""
        return float(np.abs(self.paid().sum(axis=0) - self.fees()).max(initial=0.0))

    def _with(self, **columns: np.ndarray) -> Trades:
        own = {name: getattr(self, name) for name in COLUMNS} | columns
        return Trades(self.members, self.periods, self.classes, **own)

    def to_pandas(self) -> pd.DataFrame:
        """The trades as a table with names in place of positions; columns in the order of ``COLUMNS``."""
        parties, classes = self.parties, np.array(self.classes, dtype=object)
        named = {"period": np.asarray(self.periods, dtype=object)[self.period], "seller": parties[self.seller], "buyer": parties[self.buyer],
                 "energy_class": classes[self.energy_class]}  # fmt: skip
        return pd.DataFrame({name: named.get(name, getattr(self, name)) for name in COLUMNS})

    @classmethod
    def from_pandas(cls, table: pd.DataFrame, members: Sequence[str], periods: Sequence[str], classes: Sequence[str] = ("energy",)) -> Trades:
        """Trades from a table with names.

        Raises:
            TradeError: a column is missing, or a name is that of no party, period or class.
        """
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise TradeError(f"trades: columns {missing} are missing; a table of trades has {list(COLUMNS)}")
        known = {"period": list(periods), "seller": [*members, SUPPLIER], "buyer": [*members, SUPPLIER], "energy_class": list(classes)}
        columns = {name: table[name].to_numpy() for name in COLUMNS}
        for name, names in known.items():
            positions = pd.Index(names).get_indexer(table[name])
            if (positions < 0).any():
                row = int(np.flatnonzero(positions < 0)[0])
                raise TradeError(f"trades: {name} {columns[name][row]!r} of row {row} is not known; there are {', '.join(map(str, names[:10]))}")
            columns[name] = positions
        return cls(np.asarray(members), np.asarray(periods), tuple(classes), **columns)

    @classmethod
    def joined(cls, parts: Sequence[Trades]) -> Trades:
        """Trades of the same members, periods and classes, one part after the other."""
        first = parts[0]
        return first._with(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS})
