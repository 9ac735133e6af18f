"""Double auctions in which no trader gains by stating another price than its own: trade reduction, and two posted prices.

Sources: McAfee, J. Econ. Theory 56 (1992) 434-450; for several units Huang, Scheller-Wolf and Sycara, Computational Intelligence 18 (2002) 596-617;
Segal-Halevi, Hassidim and Aumann, MUDA: a truthful multi-unit double-auction mechanism, AAAI 2018.
"""

from __future__ import annotations

import numpy as np

from multiscale.markets.peer_matching.call_auction import SLIVER, Crossing, crossing, in_turn
from multiscale.markets.peer_matching.orders import Matched, Orders, welfare_bound, welfare_of


def trade_reduction(bids: Orders, offers: Orders) -> Matched:
    """The marginal buyer and the marginal seller set the prices and do not trade.

    All better buyers pay the marginal bid, all better sellers receive the marginal offer. The side that wants more then gives up the same energy
    per trader, which depends on no price. Where every order is for the same energy (McAfee's auction) the marginal trade is kept, at the middle
    ``p`` of the first bid and offer that are not served, whenever ``marginal offer <= p <= marginal bid``.

    Stating one's own price is a dominant strategy of a trader with one order whose energy is measured; no trader loses, the platform's surplus is at
    least zero, and of equal orders at most one trade is lost.
    """
    found = crossing(bids, offers)
    if not len(found.energy):
        return _priced(bids, offers, found, found.bid, found.offer, found.energy, np.nan, np.nan)
    sizes = np.concatenate([bids.energy, offers.energy])
    if np.ptp(sizes) <= SLIVER * sizes.max():
        further_bids, further_offers = np.delete(bids.price, found.bid), np.delete(offers.price, found.offer)
        if len(further_bids) and len(further_offers):
            middle = float(further_bids.max() + further_offers.min()) / 2
            if offers.price[found.marginal[1]] <= middle <= bids.price[found.marginal[0]]:
                return _priced(bids, offers, found, found.bid, found.offer, found.energy, middle, middle)
    buyers = np.setdiff1d(found.bid, found.marginal[0])
    sellers = np.setdiff1d(found.offer, found.marginal[1])
    volume = min(float(bids.energy[buyers].sum()), float(offers.energy[sellers].sum()))
    bought, sold = shared_cut(bids.energy[buyers], volume), shared_cut(offers.energy[sellers], volume)
    bid, offer, energy = in_turn(buyers, bought, sellers, sold)
    return _priced(bids, offers, found, bid, offer, energy, float(bids.price[found.marginal[0]]), float(offers.price[found.marginal[1]]))


def two_posted_prices(bids: Orders, offers: Orders, rng: np.random.Generator) -> Matched:
    """Traders are drawn into two halves; each half trades at the price that clears the other one (MUDA with a lottery).

    At the posted price, the side that wants less trades in full; of the other, traders are served in an order drawn by lot. Prices and lots do not
    depend on what a trader states, so stating one's own price is a dominant strategy; the budget is balanced.
    """
    first = [rng.random(len(side)) < 0.5 for side in (bids, offers)]
    lot = [rng.permutation(len(side)) for side in (bids, offers)]
    found = crossing(bids, offers)
    parts = []
    for own in (True, False):
        other_bids, other_offers = (side.only(half != own) for side, half in zip((bids, offers), first, strict=True))
        if not len(other_bids) or not len(other_offers):
            continue  # a half without a buyer or a seller clears at no price
        price = crossing(other_bids, other_offers).price
        buyers = lot[0][(first[0][lot[0]] == own) & (bids.price[lot[0]] >= price)]
        sellers = lot[1][(first[1][lot[1]] == own) & (offers.price[lot[1]] <= price)]
        bid, offer, energy = in_turn(buyers, bids.energy[buyers], sellers, offers.energy[sellers])
        parts.append((bid, offer, energy, np.full(len(energy), price)))
    none = np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0), np.zeros(0)
    bid, offer, energy, price_of = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else none
    return _priced(bids, offers, found, bid, offer, energy, price_of, price_of)


def shared_cut(wanted: np.ndarray, total: float) -> np.ndarray:
    """What each is left with when all give up the same energy, none below zero, so that ``total`` remains [kWh].

    max(wanted_i - cut, 0),   sum of it = total
    """
    if wanted.sum() <= total:
        return wanted.copy()
    if total <= 0.0:
        return np.zeros(len(wanted))
    falling = np.sort(wanted)[::-1]
    cuts = (np.cumsum(falling) - total) / np.arange(1, len(wanted) + 1)
    # As many keep something as the largest number of which the smallest still wants more than the cut.
    keep = int(np.flatnonzero(falling > cuts)[-1])
    return np.maximum(wanted - cuts[keep], 0.0)


def _priced(
    bids: Orders,
    offers: Orders,
    found: Crossing,
    bid: np.ndarray,
    offer: np.ndarray,
    energy: np.ndarray,
    paid: float | np.ndarray,
    received: float | np.ndarray,
) -> Matched:
    prices = [np.broadcast_to(price, len(energy)).astype(float) for price in (paid, received)]
    welfare = welfare_of(bids, offers, bid, offer, energy)
    return Matched(bid, offer, energy, prices[0], prices[1], (found.low, found.high), welfare, welfare_bound(bids, offers, found.price))
