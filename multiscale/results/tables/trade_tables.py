"""Tables of trade inside platforms: what is traded and gained, and what nodal prices are made of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.results.data.dataset import has, year_total
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table

RESOLVED = 1e-6
"""Share of the cost alone above which a difference of two optima is more than their tolerance [1]."""


def trade_table(result: RunResult) -> Table | None:
    """Local trade of every platform, its price, and what it gains of what a community without fees could gain."""
    data = result.dataset
    if data is None or not has(data, "local_trade", "period_hours"):
        return None
    traded = data.local_trade.dropna("node", how="all")
    total = year_total(traded, data.period_hours)

    def average(name: str) -> np.ndarray:
        weighted = year_total(data[name].sel(node=traded.node).fillna(0.0) * traded, data.period_hours)
        return np.asarray(100.0 * weighted / total.where(total > 0))

    frame = {
        "platform": total.node.values.astype(str),
        "traded between members": total.values,
        "paid": average("local_price_paid"),
        "received": average("local_price_received"),
    }
    units = {"traded between members": "kWh/a", "paid": "ct/kWh", "received": "ct/kWh"}
    note = "Prices are averages over what members trade with each other, in all, with fees."
    if has(data, "market_cost"):
        alone, market, whole = (data.market_cost.sel(market_case=case, node=traded.node).values for case in ("alone", "market", "integrated"))
        gain, available = alone - market, alone - whole
        frame |= {"cost alone": alone, "cost in the market": market, "cost integrated": whole, "gain": gain, "available gain": available}
        known = available > RESOLVED * np.abs(alone)
        frame["share of the available gain"] = np.divide(100 * gain, available, out=np.full(len(alone), np.nan), where=known)
        units |= dict.fromkeys(("cost alone", "cost in the market", "cost integrated", "gain", "available gain"), "EUR/a")
        units["share of the available gain"] = "%"
        note += (
            " Alone: every member by itself; integrated: a community dispatched as one, without fees inside; all at the same prices from above."
            " Gains include network charges, levies and fees that members no longer pay: to society that part is no saving, others go without it."
            " What a community values beyond money, where it is set, is in the cost in the market alone."
        )
        if result.value("market.kind") is not None:
            note += f" Costs and gains in the market are those of market {result.value('market.program')}, whose program was operated."
    return Table("local_trade", "Trade between members of each platform", pd.DataFrame(frame), units, note)


def member_bills_table(result: RunResult) -> Table | None:
    """Bills of members alone, in their market and in a community without fees, by platform and kind of customer."""
    data = result.dataset
    if data is None or not has(data, "market_bill", "prosumer_category"):
        return None
    bills = data.market_bill.transpose("prosumer", "market_case")
    frame = pd.DataFrame(bills.values, columns=["alone", "in the market", "integrated"])
    few, missing = len(frame) <= 40, int(frame.isna().any(axis=1).sum())
    first = {"member": bills.prosumer.values.astype(str)} if few else {"category": data.prosumer_category.values.astype(str)}
    frame = pd.concat([pd.DataFrame(first), frame], axis=1).dropna()
    if not few:
        frame = frame.groupby("category", as_index=False).sum()
    frame["saved in the market"] = frame["alone"] - frame["in the market"]
    units = dict.fromkeys(("alone", "in the market", "integrated", "saved in the market"), "EUR/a")
    note = "For energy and under the tariff; discomfort and wear, which a member bears as well, are in no bill."
    if missing:
        note += f" Without {missing} members of platforms that were excluded."
    return Table("member_bills", "Bills alone, in the market and in a community without fees", frame, units, note)


def nodal_prices_table(result: RunResult) -> Table | None:
    """Nodal prices of every platform in their parts."""
    data = result.dataset
    if data is None or not has(data, "nodal_price_part"):
        return None
    average, largest = (100.0 * data[name].dropna("node", how="all") for name in ("nodal_price_part", "nodal_price_part_largest"))
    frame = {"platform": average.node.values.astype(str)}
    for part in average.price_part.values.astype(str):
        frame |= {part: average.sel(price_part=part).values, f"{part}, largest": largest.sel(price_part=part).values}
    units = dict.fromkeys((c for c in frame if c != "platform"), "ct/kWh")
    note = (
        "Average over what members buy, and the largest absolute value. Losses: what a further kWh adds to them; congestion, voltage: limits."
    )
    if has(data, "network_loss") and bool(data.network_loss.notnull().any()):
        lost, short, over = (data[n].sel(node=average.node).values for n in ("network_loss", "network_loss_missing", "network_loss_excess"))
        frame |= {"lost": lost / 1000.0, "not counted": short / 1000.0, "counted too much": over / 1000.0}
        units |= dict.fromkeys(("lost", "not counted", "counted too much"), "MWh/a")
        note += " Losses are counted by tangents of the quadratic losses of the flows; what differs from these is not counted, or counted too much."
    else:
        note += " No losses are counted (market.losses)."
    return Table("nodal_prices", "Nodal prices of each platform in their parts", pd.DataFrame(frame), units, note)
