"""Members whose orders or place cannot be taken: named, and left to the supplier, while the others trade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multiscale.markets.cleared import Cleared
from multiscale.markets.matching import MemberPrices, Open, outside_trades
from multiscale.markets.positions import Positions
from multiscale.markets.trades import Trades


@dataclass(frozen=True)
class Isolated:
    """Who does not trade with peers, when and why.

    Attributes:
        where: of whom and when, bool (member, period).
        notes: member, field, value, unit and remedy.
    """

    where: np.ndarray
    notes: tuple[str, ...]


def isolated(positions: Positions) -> Isolated:
    """Members whose bid or offer is not a number, or is negative where their supplier's prices are not, in the periods in which they need it."""
    where, notes = np.zeros(positions.net.shape, dtype=bool), []
    lowest = np.minimum(0.0, np.minimum(positions.feed_in, positions.retail - positions.peer_fee))
    for name, needed in (("bid", positions.net > 0.0), ("offer", positions.net < 0.0)):
        limit = getattr(positions, name)
        if limit is None:
            continue
        wrong = ~(np.isfinite(limit) & (limit >= lowest)) & needed
        where |= wrong
        for k in np.flatnonzero(wrong.any(axis=1)).tolist():
            periods = np.flatnonzero(wrong[k])
            value = f"{limit[k, periods[0]]:g} EUR/kWh in {positions.periods[periods[0]]}"
            more = f" and {len(periods) - 1} more periods" if len(periods) > 1 else ""
            least = f"a number of at least {lowest[periods[0]]:g} EUR/kWh"
            notes.append(f"member {str(positions.members[k])!r}: {name} of {value}{more} is not {least}; it trades with its supplier alone then")
    return Isolated(where, tuple(notes))


def without(positions: Positions, where: np.ndarray) -> Positions:
    """The positions of those who trade with peers: the others have none, and no orders."""
    orders: dict[str, np.ndarray | None] = {}
    for name, default in (("bid", positions.retail - positions.peer_fee), ("offer", positions.feed_in)):
        limit = getattr(positions, name)
        # What is not needed is no order: it may be anything.
        used = ~where & ((positions.net > 0.0) if name == "bid" else (positions.net < 0.0))
        orders[name] = None if limit is None else np.where(used, limit, default)
    return replace(positions, net=np.where(where, 0.0, positions.net), bid=orders["bid"], offer=orders["offer"])


def with_supplier(positions: Positions, where: np.ndarray, classes: Sequence[str]) -> Trades:
    """What isolated members take and deliver, traded with the supplier at its prices."""
    prices = MemberPrices(positions.value, positions.value, positions.retail, positions.feed_in)
    return outside_trades(positions, Open(positions.taken * where, positions.delivered * where), prices, 0, tuple(classes))


def joined(cleared: Cleared, rest: Trades, notes: Sequence[str]) -> Cleared:
    """An outcome with the trades of isolated members and what is said of them first."""
    return Cleared(Trades.joined([cleared.trades, rest]), cleared.certificate, (*notes, *cleared.notes))
