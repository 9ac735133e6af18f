"""What a market leads to: trades, and measures by which its algorithm can be judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from multiscale.markets.trades import Trades


@dataclass(frozen=True)
class Measure:
    """One number of a certificate.

    Attributes:
        value: in the unit.
        unit: e.g. ``EUR/a``.
        total: whether values of several platforms and days add up; else the largest counts.
    """

    value: float
    unit: str
    total: bool = True


@dataclass(frozen=True)
class Cleared:
    """Outcome of a market in one platform.

    Attributes:
        trades: of members with each other and with the supplier.
        certificate: name -> measure; empty where the trades follow from the program.
        notes: what the algorithm did not achieve.
    """

    trades: Trades
    certificate: Mapping[str, Measure] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
