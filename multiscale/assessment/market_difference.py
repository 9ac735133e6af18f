"""What a market that has no program of its own leads to, next to the market with whose program it was planned and operated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from multiscale.markets import Cleared, Measure, Positions


@dataclass(frozen=True)
class MarketDifference:
    """One platform on a day, or several of them together.

    Schedules, exchange with the parent and real costs are the same under both markets: those of the program. What differs is who trades with whom and
    at which price, so that members gain and lose among themselves, and how much is left to the supplier.

    Attributes:
        market, program: kinds of the two markets.
        traded: energy that members take from peers [kWh/a].
        tradable: the most that they could: all of the smaller side in every period [kWh/a].
        gain: what trade with peers saves against the suppliers, at the limits of bids and offers [EUR/a].
        most_gain: the same where all that is tradable is traded at the best of bids and offers in every period [EUR/a].
        bills_moved: half the sum of what bills differ by: what changes hands among the members [EUR/a].
        worst_rise: most that the bill of a member is higher than under the other market [EUR/a].
        certificate: measures by which the algorithm can be judged.
    """

    market: str
    program: str
    traded: float
    tradable: float
    gain: float
    most_gain: float
    bills_moved: float
    worst_rise: float
    certificate: Mapping[str, Measure]

    @classmethod
    def joined(cls, parts: Iterable[MarketDifference]) -> MarketDifference:
        """Several platforms and days together; bills of a member on several days are not netted.

        Raises:
            ValueError: there is none.
        """
        found = list(parts)
        if not found:
            raise ValueError("no differences of markets to join; give at least one")
        names = {name: measure for part in found for name, measure in part.certificate.items()}
        certificate = {}
        for name, measure in names.items():
            values = [part.certificate[name].value for part in found if name in part.certificate]
            certificate[name] = Measure(float(np.sum(values) if measure.total else np.max(values)), measure.unit, measure.total)
        return cls(
            found[0].market,
            found[0].program,
            sum(part.traded for part in found),
            sum(part.tradable for part in found),
            sum(part.gain for part in found),
            sum(part.most_gain for part in found),
            sum(part.bills_moved for part in found),
            float(np.max([part.worst_rise for part in found])),
            certificate,
        )


def market_difference(
    kinds: tuple[str, str], positions: Positions, cleared: Cleared, most_gain: float, bills: np.ndarray, bills_of_program: np.ndarray
) -> MarketDifference:
    """The difference in one platform.

    Args:
        kinds: of the market and of the one whose program stands for it.
        positions: what members take and deliver.
        cleared: by the market.
        most_gain: of the best possible trade at bids and offers [EUR/a].
        bills, bills_of_program: of every member under the two markets [EUR/a], (member,).
    """
    trades, times, outside = cleared.trades, positions.occurrences, cleared.trades.outside
    supplied, fed = np.zeros_like(positions.net), np.zeros_like(positions.net)
    bought, sold = trades.seller == outside, trades.buyer == outside
    np.add.at(supplied, (trades.buyer[bought], trades.period[bought]), trades.energy[bought])
    np.add.at(fed, (trades.seller[sold], trades.period[sold]), trades.energy[sold])
    # What a member passes on to others counts once: only what it does not trade with its supplier.
    taken, delivered = positions.taken - supplied, positions.delivered - fed
    tradable = np.minimum(positions.taken.sum(axis=0), positions.delivered.sum(axis=0))
    gain = ((positions.bids * taken - positions.offers * delivered) * times).sum()
    moved = bills - bills_of_program
    return MarketDifference(
        *kinds, float((taken * times).sum()), float((tradable * times).sum()), float(gain), most_gain,
        float(np.abs(moved).sum()) / 2, float(moved.max(initial=0.0)), cleared.certificate,
    )  # fmt: skip
