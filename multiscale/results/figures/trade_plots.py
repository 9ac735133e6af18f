"""Figures of trade inside platforms: who trades with whom, at which price, and what members gain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multiscale.results.data.dataset import has, year_total
from multiscale.results.figures.style import BLUE, GREEN, GREY, ORANGE, WIDTH, Remark, figure_style, svg
from multiscale.results.run.ledger_file import FOLDER, ROWS, read_ledger
from multiscale.results.run.run_result import RunResult
from multiscale.results.scenarios import HEADLINE

SUPPLIER, OTHERS = "supplier", "other members"
MOST = 7
"""Members that are shown one by one; the others are one row."""

LABELLED = 0.02
"""Share of the largest energy between members from which a cell has a number; below half a thousandth of it a cell is empty."""


def trade_figure(result: RunResult) -> str | Remark | None:
    """Energy from whom to whom over the year in the platform with most local trade, and prices on the day on which most is traded there."""
    data = result.dataset
    if data is None or not has(data, "local_trade", "retail_price") or not (result.folder / FOLDER / ROWS).is_file():
        return None
    power = data.local_trade
    traded = year_total(power.fillna(0.0), data.period_hours)
    if not float(traded.max()) > 0:
        return Remark("No figure of trade: members trade nothing with each other.")
    platform = str(traded.node.values[int(np.argmax(traded.values))])
    rows = read_ledger(result.folder)
    rows = rows[rows.scenario == HEADLINE]
    rows = rows[(rows.platform == platform) & (rows.entry == "trade") & (rows.year == rows.year.iloc[-1])]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 4.3), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.05, 1.0))
        _flows(left, rows, platform)
        _prices(right, data, platform)
        return svg(figure, f"Who trades with whom in {platform} over the year, and the prices of trade on the day with most of it")


def _flows(ax: Axes, rows: pd.DataFrame, platform: str) -> None:
    """A table of sellers and buyers, shaded by the energy of the year."""
    flow = rows.assign(mwh=rows.energy * rows.occurrences / 1000.0, seller=rows.seller.astype(str), buyer=rows.buyer.astype(str))
    members = sorted((set(flow.seller) | set(flow.buyer)) - {SUPPLIER})
    volume = flow[(flow.seller != SUPPLIER) & (flow.buyer != SUPPLIER)]
    size = volume.groupby("seller").mwh.sum().add(volume.groupby("buyer").mwh.sum(), fill_value=0.0).reindex(members, fill_value=0.0)
    shown = size.sort_values(ascending=False, kind="stable").index[:MOST].tolist() if len(members) > MOST + 1 else members
    named = {name: name if name in shown else OTHERS for name in members} | {SUPPLIER: SUPPLIER}
    order = [*sorted(shown), *([OTHERS] if len(shown) < len(members) else []), SUPPLIER]
    table = flow.assign(seller=flow.seller.map(named), buyer=flow.buyer.map(named)).groupby(["seller", "buyer"]).mwh.sum().unstack(fill_value=0.0)
    values = table.reindex(index=order, columns=order, fill_value=0.0).to_numpy()
    inner = values[:-1, :-1].max(initial=0.0)
    values[values < 0.025 * LABELLED * inner] = 0.0
    ax.imshow(np.where(values > 0, values, np.nan), cmap="Blues", vmin=0.0, vmax=max(inner * 1.3, 1e-9))
    for i, j in np.argwhere(values >= LABELLED * max(inner, 1e-9)).tolist():
        ax.text(j, i, f"{values[i, j]:.2g}", ha="center", va="center", fontsize=7.5, color="white" if values[i, j] > 0.8 * inner else "black")
    short = [name.removeprefix(platform).strip() or name for name in order]
    ax.set_xticks(range(len(order)), short, rotation=55, ha="right", fontsize=8)
    ax.set_yticks(range(len(order)), short, fontsize=8)
    ax.set_xlabel("buyer")
    ax.set_ylabel("seller")
    ax.grid(visible=False)
    ax.set_title(f"{platform}: energy sold [MWh/a]")


def _prices(ax: Axes, data: xr.Dataset, platform: str) -> None:
    """The band between the supplier's prices, the prices between members, and the energy they trade."""
    labels = data.period.values.astype(str)
    days = np.array([label[:10] for label in labels])
    own = data.local_trade.sel(node=platform).fillna(0.0).values
    day = max(dict.fromkeys(days.tolist()), key=lambda d: float(own[days == d].sum()))
    here = days == day

    def values(name: str) -> np.ndarray:
        return 100.0 * np.asarray(data[name].sel(node=platform).values[here], dtype=float)

    hours = np.array([int(label[11:13]) + int(label[14:16]) / 60.0 for label in labels[here]])
    step = 24.0 / len(hours)
    below = ax.twinx()
    below.bar(hours + step / 2, own[here], width=0.85 * step, color=GREY, alpha=0.3, label="traded between members (right)")
    below.set_ylabel("traded [kW]")
    below.set_ylim(0, 2.6 * max(float(own[here].max()), 1e-9))
    below.grid(visible=False)
    edge, again = np.append(hours, 24.0), lambda v: np.append(v, v[-1])
    ax.fill_between(edge, again(values("feed_in_price")), again(values("retail_price")), step="post", color=ORANGE, alpha=0.15)
    for name, colour, label in (("retail_price", ORANGE, "from the supplier, in all"), ("feed_in_price", GREEN, "to the supplier, in all")):
        ax.step(edge, again(values(name)), where="post", color=colour, linewidth=1.6, label=label)
    ax.plot(hours + step / 2, values("local_price_paid"), "o", color=BLUE, markersize=5, label="paid to a member, with fees")
    ax.plot(hours + step / 2, values("local_price_received"), "v", color="black", markersize=4.5, label="received by a member")
    ax.set_xlim(0, 24)
    ax.set_xticks(range(0, 25, 6))
    ax.set_xlabel("hour of the day")
    ax.set_ylabel("price [ct/kWh]")
    ax.set_zorder(below.get_zorder() + 1)
    ax.patch.set_visible(False)
    ax.set_title(f"Prices on {day}")
    handles, labels = (a + b for a, b in zip(ax.get_legend_handles_labels(), below.get_legend_handles_labels(), strict=True))
    ax.figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8.5)


def gains_figure(result: RunResult) -> str | Remark | None:
    """What each member saves in its market, and would save in a community without fees, against being alone."""
    data = result.dataset
    if data is None or not has(data, "market_bill"):
        return None
    values = data.market_bill.transpose("market_case", "prosumer").values.astype(float)
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.shape[1]:
        return Remark("No figure of gains: no bill is known in all cases.")
    saved = {"in the market": values[0] - values[1], "in a community without fees": values[0] - values[2]}
    with figure_style():
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        ax = figure.subplots()
        share = 100.0 * (np.arange(values.shape[1]) + 0.5) / values.shape[1]
        for (name, amount), colour, marker in zip(saved.items(), (BLUE, ORANGE), ("o", "v"), strict=True):
            shown = marker if len(share) <= 60 else ""
            ax.plot(share, np.sort(amount), marker=shown, color=colour, markersize=4, label=f"{name}: {amount.sum():,.0f} EUR/a in all")
        ax.axhline(0, color="black", linewidth=0.9)
        ax.set_xlabel("share of members, by what they save [%]")
        ax.set_ylabel("saved against alone [EUR/a]")
        ax.legend(loc="upper left")
        return svg(figure, "What each member saves against being alone: in its market, and in a community without fees")
