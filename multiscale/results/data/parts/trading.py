"""Trades of the headline scenario: prices between members, energy they trade, what they gain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from multiscale.assessment.gains import CASES, MarketGain
from multiscale.assessment.trading import TradeBook
from multiscale.markets.nodal_prices import PRICE_PARTS
from multiscale.results.data.answer_data import YearAnswer
from multiscale.results.data.parts.named import named


def trading(answer: YearAnswer) -> xr.Dataset:
    """Prices and energy of trades in every platform; NaN where it was excluded, and where none is traded."""
    days, platforms, labels = answer.plan.operation.days, list(answer.case.fleets), answer.case.horizon.labels

    def profile(of: Callable[[TradeBook, np.ndarray], np.ndarray]) -> np.ndarray:
        rows = []
        for platform in platforms:
            known = [(d.trades.get(platform), d.horizon.hours_per_year) for d in days]
            rows.append(np.concatenate([np.full(len(hours), np.nan) if book is None else of(book, hours) for book, hours in known]))
        return np.array(rows).reshape(len(platforms), len(labels))

    dims = ("node", "period")
    found = {
        "local_trade": named(dims, profile(lambda b, h: _local(b, h)[0]), "kW", "power that members trade with each other"),
        "local_price_paid": named(
            dims, profile(lambda b, h: _local(b, h)[1]), "EUR/kWh", "what buyers pay for energy of other members in all, average"
        ),
        "local_price_received": named(dims, profile(lambda b, h: _local(b, h)[2]), "EUR/kWh", "what sellers receive for it, average"),
        "retail_price": named(dims, profile(lambda b, _: b.retail), "EUR/kWh", "what energy of the supplier costs a member in all"),
        "feed_in_price": named(dims, profile(lambda b, _: b.feed_in), "EUR/kWh", "what energy to the supplier earns a member in all"),
    }
    return xr.Dataset(found, coords={"node": platforms, "period": labels}).merge(_gains(answer)).merge(_nodal(answer))


def _local(book: TradeBook, hours: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    trades, local = book.trades, book.trades.local

    def total(amount: np.ndarray) -> np.ndarray:
        return np.bincount(trades.period[local], amount[local], minlength=len(trades.periods))

    energy = total(trades.energy)
    paid, received = (total(trades.energy * rate) for rate in (trades.price + trades.buyer_fee, trades.price - trades.seller_fee))
    nothing = np.full(energy.shape, np.nan)
    power = energy * book.occurrences / hours
    return power, *(np.divide(money, energy, out=nothing.copy(), where=energy > 0) for money in (paid, received))


def _gains(answer: YearAnswer) -> xr.Dataset:
    """Cost and bills alone, in the market and in the integrated community, where they were found on all days."""
    days = answer.plan.operation.days
    if not any(day.gains for day in days):
        return xr.Dataset()
    members = answer.case.system.prosumers.prosumer.values.tolist()
    place, platforms = {name: k for k, name in enumerate(members)}, list(answer.case.fleets)
    cost, bills = np.full((len(CASES), len(platforms)), np.nan), np.full((len(CASES), len(members)), np.nan)
    for k, platform in enumerate(platforms):
        found: list[MarketGain] = [day.gains[platform] for day in days if platform in day.gains]
        if len(found) == len(days):
            cost[:, k] = np.sum([gain.cost for gain in found], axis=0)
            own = [place[name] for name in answer.case.fleets[platform].data.prosumer.values.tolist()]
            bills[:, own] = np.sum([gain.bills for gain in found], axis=0)
    of_case = "alone, in the market, in a community without fees; at the same prices from above"
    return xr.Dataset(
        {
            "market_cost": named(("market_case", "node"), cost, "EUR/a", f"cost of the platform {of_case}"),
            "market_bill": named(("market_case", "prosumer"), bills, "EUR/a", f"bill of the member {of_case}"),
        },
        coords={"market_case": list(CASES), "node": platforms, "prosumer": members},
    )


def _nodal(answer: YearAnswer) -> xr.Dataset:
    """Parts of nodal prices by platform: the average over what members take, and the largest absolute value."""
    days, platforms = answer.plan.operation.days, list(answer.case.fleets)
    if not any(book.price_parts.size for day in days for book in day.trades.values()):
        return xr.Dataset()
    average, largest = np.full((len(PRICE_PARTS), len(platforms)), np.nan), np.full((len(PRICE_PARTS), len(platforms)), np.nan)
    lost = np.full((3, len(platforms)), np.nan)
    for k, platform in enumerate(platforms):
        books = [day.trades[platform] for day in days if platform in day.trades]
        if len(books) < len(days) or not all(book.price_parts.size for book in books):
            continue
        weights = [book.trades.bought()[:-1] * book.occurrences for book in books]
        total = sum(float(w.sum()) for w in weights)
        if total > 0:
            average[:, k] = sum((book.price_parts * w).sum(axis=(1, 2)) for book, w in zip(books, weights, strict=True)) / total
        if all(book.losses is not None for book in books):
            lost[:, k] = np.sum([[book.losses.counted, book.losses.missing, book.losses.excess] for book in books if book.losses], axis=0)
        largest[:, k] = np.max([np.abs(book.price_parts).max(axis=(1, 2)) for book in books], axis=0)
    meaning = "part of the nodal prices in the platform"
    return xr.Dataset(
        {
            "nodal_price_part": named(("price_part", "node"), average, "EUR/kWh", f"{meaning}, average over what members buy"),
            "network_loss": named(("node",), lost[0], "kWh/a", "losses of the platform's network that are counted in its program"),
            "network_loss_missing": named(("node",), lost[1], "kWh/a", "by how much these fall short of the quadratic losses of the same flows"),
            "network_loss_excess": named(("node",), lost[2], "kWh/a", "by how much these are above them, where energy has a price below zero"),
            "nodal_price_part_largest": named(("price_part", "node"), largest, "EUR/kWh", f"{meaning}, largest absolute value"),
        },
        coords={"price_part": list(PRICE_PARTS), "node": platforms},
    )
