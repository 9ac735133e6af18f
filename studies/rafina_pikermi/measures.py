"""The measures of the published Tables 3-5, and the money behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .market_year import MarketYear
from .participants import Participant
from .published import CONSUMERS, EXPORT_PRICE, IMPORT_PRICE, LOCAL_PRICE, OWNERS, TOWN_HALL

KINDS = (OWNERS, CONSUMERS, TOWN_HALL)


@dataclass(frozen=True)
class Measures:
    """Of all participants of a kind together.

    Attributes:
        without, within: cost of all traded energy with the grid alone, and with the market [EUR/a].
        benefit: their difference, of the first [%].
        traded: share of energy traded inside, bought and sold, in all that is traded [%].
        self_consumption: share of their own generation that they consume [%]; NaN without any.
    """

    without: float
    within: float
    benefit: float
    traded: float
    self_consumption: float


def measures(everyone: Sequence[Participant], year: MarketYear) -> dict[str, Measures]:
    """Kind -> measures.

    Raises:
        ValueError: what is bought inside is not what is sold inside, or what they pay each other does not cancel out.
    """
    bought, sold = year.bought, year.sold
    taken, given = year.inside
    if abs(taken.sum(axis=0) - given.sum(axis=0)).max() > 1e-9 * (1.0 + bought.sum(axis=0).max()):
        raise ValueError("local trade: what is bought is not what is sold")
    kinds = np.array([p.kind for p in everyone])
    out = {}
    for kind in KINDS:
        mine = kinds == kind
        if not mine.any():
            continue
        buys, sells, inside_bought, inside_sold = (float(v[mine].sum()) for v in (bought, sold, taken, given))
        without = IMPORT_PRICE * buys - EXPORT_PRICE * sells
        within = IMPORT_PRICE * (buys - inside_bought) - EXPORT_PRICE * (sells - inside_sold) + LOCAL_PRICE * (inside_bought - inside_sold)
        generated = float(year.generation[mine].sum())
        own = 100.0 * (1.0 - sells / generated) if generated > 0 else np.nan
        shares = 100.0 * (inside_bought + inside_sold) / (buys + sells)
        out[kind] = Measures(without, within, 100.0 * (without - within) / without, shares, own)
    return out


def community_costs(year: MarketYear) -> tuple[float, float]:
    """Cost of all participants with the market, and of one meter for all [EUR/a]: the same, since payments inside cancel out."""
    bought, sold = year.bought, year.sold
    taken, given = year.inside
    grid = IMPORT_PRICE * (bought - taken) - EXPORT_PRICE * (sold - given) + LOCAL_PRICE * (taken - given)
    net = (year.load - year.generation).sum(axis=0)
    return float(grid.sum()), float((IMPORT_PRICE * np.maximum(net, 0.0) - EXPORT_PRICE * np.maximum(-net, 0.0)).sum())
