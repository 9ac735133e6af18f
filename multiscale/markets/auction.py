"""A double auction inside each platform: periodic or continuous, uniform, discriminatory or truthful."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from multiscale.markets.cleared import Cleared, Measure
from multiscale.markets.matched import MatchedMarket, matched_trades
from multiscale.markets.peer_matching.call_auction import discriminatory_auction, uniform_auction
from multiscale.markets.peer_matching.continuous_auction import continuous_auction
from multiscale.markets.peer_matching.orders import Matched, Orders, read_book
from multiscale.markets.peer_matching.truthful_auction import trade_reduction, two_posted_prices
from multiscale.markets.positions import Positions
from multiscale.settings import LARGEST_SEED, OneOf, count, quantity

Rule = Callable[[Orders, Orders, float, np.random.Generator], Matched]

RULES: dict[str, Rule] = {
    "uniform": lambda bids, offers, share, rng: uniform_auction(bids, offers, share),  # noqa: ARG005
    "discriminatory": lambda bids, offers, share, rng: discriminatory_auction(bids, offers, share),  # noqa: ARG005
    "trade_reduction": lambda bids, offers, share, rng: trade_reduction(bids, offers),  # noqa: ARG005
    "two_posted_prices": lambda bids, offers, share, rng: two_posted_prices(bids, offers, rng),  # noqa: ARG005
    "continuous": lambda bids, offers, share, rng: continuous_auction(bids, offers, rng.permutation(len(bids) + len(offers))),  # noqa: ARG005
}
"""How orders are matched and priced; a new rule is a line here."""


class Auction(MatchedMarket):
    """Members bid for what they take and offer what they deliver, period by period; schedules are those of ``community``.

    A member bids what its supplier would charge less the peer fee, and offers at what the supplier would pay, or at the bids and offers that are
    given. Orders of one price are served in an order drawn by lot. Sources: see ``peer_matching``.
    """

    kind: Literal["auction"] = "auction"
    rule: Annotated[str, OneOf(RULES)] = Field("uniform", description="how orders are matched and priced")
    bid_share: float = quantity(0.5, "1", "where a price lies between the seller's limit (0) and the buyer's (1)", lower=0.0, upper=1.0)
    lottery_seed: int = count(1, "seed of the order of arrival and of lots", 0, LARGEST_SEED)

    def cleared(self, positions: Positions) -> Cleared:
        """One auction for every period; the certificate is welfare and its bound, by duality, summed over the year."""
        rng, bids, offers = np.random.default_rng(self.lottery_seed), positions.bids, positions.offers
        rows: list[tuple[np.ndarray, ...]] = []
        welfare, bound = 0.0, 0.0
        refused: list[str] = []
        for t in range(len(positions.periods)):
            turn = rng.permutation(len(positions.members))
            net = positions.net[turn, t]
            limit = np.where(net > 0.0, bids[turn, t], offers[turn, t])
            # Prices of suppliers may be negative, and limits with them.
            book = read_book(positions.members[turn].astype(str), net > 0.0, np.abs(net), limit, lowest_price=-np.inf)
            found = RULES[self.rule](book.bids, book.offers, self.bid_share, rng)
            seller, buyer = turn[book.offer_at[found.offer]], turn[book.bid_at[found.bid]]
            rows.append((np.full(len(seller), t), seller, buyer, found.energy, found.received, found.paid))
            welfare += float(positions.occurrences[t]) * found.welfare
            bound += float(positions.occurrences[t]) * found.bound
            refused += [f"{positions.periods[t]}: {order.reason}" for order in book.refused]
        period, seller, buyer, energy, received, paid = (np.concatenate(column) for column in zip(*rows, strict=True))
        certificate = {"welfare": Measure(welfare, "EUR/a"), "welfare_bound": Measure(bound, "EUR/a"), "refused_orders": Measure(len(refused), "1")}
        return Cleared(matched_trades(positions, period, seller, buyer, energy, received, paid), certificate, tuple(refused))
