"""Orders of a double auction: who wants to buy or sell how much, at which limit price; and what cannot be taken as an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Orders:
    """Orders of one side of the market, in their order of arrival.

    Attributes:
        trader: name of who has placed each order, (order,).
        energy: [kWh], (order,), above zero.
        price: limit [EUR/kWh], (order,): a buyer pays no more, a seller receives no less.
    """

    trader: np.ndarray
    energy: np.ndarray
    price: np.ndarray

    def __len__(self) -> int:
        return len(self.energy)

    def only(self, chosen: np.ndarray) -> Orders:
        """Some of the orders, given as positions or as a mask."""
        return Orders(self.trader[chosen], self.energy[chosen], self.price[chosen])


@dataclass(frozen=True)
class RefusedOrder:
    """An order that is not taken, and why; it stays in the record of the auction with nothing traded.

    Attributes:
        trader: who has placed it.
        reason: field, value, unit, and what to do.
    """

    trader: str
    reason: str


@dataclass(frozen=True)
class Book:
    """The orders of one period.

    Attributes:
        bids, offers: orders to buy and to sell.
        bid_at, offer_at: their positions in what was given.
        refused: what is not taken.
    """

    bids: Orders
    offers: Orders
    bid_at: np.ndarray
    offer_at: np.ndarray
    refused: tuple[RefusedOrder, ...]


def read_book(trader: Sequence[str] | np.ndarray, buys: np.ndarray, energy: np.ndarray, price: np.ndarray, *, lowest_price: float = 0.0) -> Book:
    """Orders to buy and to sell that can be taken, and those that cannot, each with its reason.

    Refused are energies and prices that are not finite or too low, and all orders of a trader on both sides, which would trade with itself. An order
    for exactly zero energy is no order: it is neither taken nor refused.

    Args:
        trader: names, (order,).
        buys: whether each order buys, (order,).
        energy: [kWh], (order,).
        price: limit prices [EUR/kWh], (order,).
        lowest_price: lowest price that an order may have [EUR/kWh].

    Raises:
        ValueError: the four do not have one length.
    """
    names, side = np.asarray(trader, dtype=str), np.asarray(buys, dtype=bool)
    energy, price = np.asarray(energy, dtype=float), np.asarray(price, dtype=float)
    if not names.shape == side.shape == energy.shape == price.shape or names.ndim != 1:
        shapes = f"{names.shape} traders, {side.shape} sides, {energy.shape} energies, {price.shape} prices"
        raise ValueError(f"orders: {shapes}; give one of each per order")
    wrong_energy, wrong_price = ~np.isfinite(energy) | (energy < 0.0), ~np.isfinite(price) | (price < lowest_price)
    order = energy != 0.0
    both = np.isin(names, np.intersect1d(names[side & order], names[~side & order])) & order
    refused = []
    for i in np.flatnonzero(wrong_energy | wrong_price & order | both).tolist():
        faults, name = [], str(names[i])
        if wrong_energy[i]:
            faults.append(f"energy {energy[i]:g} kWh is not a number of at least 0 kWh")
        if wrong_price[i]:
            faults.append(f"price {price[i]:g} EUR/kWh is not a number of at least {lowest_price:g} EUR/kWh")
        if both[i]:
            faults.append("the trader buys and sells and would trade with itself, its net position is one order")
        refused.append(RefusedOrder(name, f"order {i} of {name!r}: {' and '.join(faults)}; place a corrected order"))
    taken = ~wrong_energy & ~wrong_price & ~both & order
    at = np.flatnonzero(taken & side), np.flatnonzero(taken & ~side)
    bids, offers = (Orders(names[chosen], energy[chosen], price[chosen]) for chosen in at)
    return Book(bids, offers, *at, tuple(refused))


@dataclass(frozen=True)
class Matched:
    """Outcome of an auction: which order trades with which, and the price of each trade.

    Attributes:
        bid, offer: positions of the two orders of every trade, (trade,).
        energy: [kWh], (trade,).
        paid, received: what the buyer pays and the seller receives [EUR/kWh], (trade,).
        interval: lowest and highest price at which supply meets demand [EUR/kWh]; NaN where nothing crosses.
        welfare: value of what is bought at the bids, less that of what is sold at the offers [EUR].
        bound: no trade whatsoever of these orders has a larger welfare [EUR]; proven by duality at a price of ``interval``.
    """

    bid: np.ndarray
    offer: np.ndarray
    energy: np.ndarray
    paid: np.ndarray
    received: np.ndarray
    interval: tuple[float, float]
    welfare: float
    bound: float

    @property
    def surplus(self) -> float:
        """What the buyers pay more than the sellers receive [EUR]: left with the platform."""
        return float(((self.paid - self.received) * self.energy).sum())

    def bought(self, orders: int) -> np.ndarray:
        """Energy of every bid that is served [kWh], (bid,)."""
        return np.bincount(self.bid, self.energy, minlength=orders)

    def sold(self, orders: int) -> np.ndarray:
        """Energy of every offer that is taken [kWh], (offer,)."""
        return np.bincount(self.offer, self.energy, minlength=orders)


def welfare_bound(bids: Orders, offers: Orders, price: float) -> float:
    """Largest welfare that any trade of the orders can have [EUR], by weak duality at any price.

    sum_b q_b max(v_b - price, 0) + sum_s q_s max(price - c_s, 0)
    """
    return float((bids.energy * np.maximum(bids.price - price, 0.0)).sum() + (offers.energy * np.maximum(price - offers.price, 0.0)).sum())


def welfare_of(bids: Orders, offers: Orders, bid: np.ndarray, offer: np.ndarray, energy: np.ndarray) -> float:
    """Value of trades at the limits of their orders [EUR]."""
    return float(((bids.price[bid] - offers.price[offer]) * energy).sum())
