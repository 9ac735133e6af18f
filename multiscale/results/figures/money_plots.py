"""Figures of money: who pays more or less, and what that means for bills."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from multiscale.results.data.dataset import compared_scenarios, has, scenario_title
from multiscale.results.figures.style import BEFORE, CUSTOMERS, DASHES, SKY, WIDTH, Remark, colour_of, figure_style, flow_look, svg
from multiscale.results.run.run_result import RunResult


def money_figure(result: RunResult) -> str | Remark | None:
    """Change of every flow of money for every stakeholder, plan against the baseline, stacked; the diamond is the sum."""
    data = result.dataset
    if data is None or not has(data, "money") or (pair := compared_scenarios(data)) is None:
        return None
    before, after = pair
    change = (data.money.sel(scenario=after) - data.money.sel(scenario=before)).transpose("stakeholder", "flow")
    values = change.values.astype(float) / 1000
    # Half a euro a year is rounding.
    who = np.abs(values).max(axis=1) + np.abs(_change_of_real_cost(data, before, after)) > 5e-4
    flows = [k for k in range(values.shape[1]) if np.abs(values[:, k]).max() > 1e-6]
    own = _change_of_real_cost(data, before, after)[who]
    values, names = values[who], [str(s) for s in data.stakeholder.values[who]]
    places = np.arange(len(names))[::-1]
    if not len(places):
        return Remark("No figure of payments: no stakeholder pays or bears anything else than in the baseline.")
    with figure_style():
        figure = Figure(figsize=(WIDTH, 0.48 * len(places) + 1.7), layout="constrained")
        ax = figure.subplots()
        up, down = np.zeros(len(places)), np.zeros(len(places))
        parts = [(values[:, k], *flow_look(str(data.flow.values[k])), str(data.flow.values[k])) for k in flows]
        parts += [(-own, *flow_look("real costs borne"), "real costs borne")] if np.abs(own).max(initial=0.0) > 1e-6 else []
        for part, colour, hatch, label in parts:
            left = np.where(part >= 0, up, down)
            ax.barh(places, part, left=left, height=0.6, color=colour, hatch=hatch, edgecolor="white", linewidth=0.5, label=label)
            up, down = up + np.maximum(part, 0), down + np.minimum(part, 0)
        total = values.sum(axis=1) - own
        ax.plot(total, places, "D", color="black", markersize=7, markeredgecolor="white", linestyle="none", label="gain in all")
        for place, value in zip(places, total, strict=True):
            text = f"{value:+.1f}".replace("+0.0", "0").replace("-0.0", "0")
            ground = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.85}
            ax.annotate(text, (value, place), (0, 13), textcoords="offset points", ha="center", fontsize=9.5, fontweight="bold", bbox=ground)
        ax.axvline(0, color="black", linewidth=0.9)
        ax.set_yticks(places, names)
        ax.set_xlabel(f"change against: {scenario_title(data, before)} [thousand EUR/a]   (right: gains, left: pays more)")
        ax.grid(visible=False, axis="y")
        ax.margins(x=0.04, y=0.12)
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return svg(figure, "Change of yearly payments of every stakeholder between the baseline and the plan, by kind of payment")


def _change_of_real_cost(data: xr.Dataset, before: str, after: str) -> np.ndarray:
    """Real costs (production, wear, construction) that every stakeholder bears in one scenario beyond those of another [kEUR/a]."""
    if not has(data, "real_cost"):
        return np.zeros(data.sizes["stakeholder"])
    change = (data.real_cost.sel(scenario=after) - data.real_cost.sel(scenario=before)).sum("cost")
    return np.asarray(change.values.astype(float) / 1000)


def bills_figure(result: RunResult) -> str | Remark | None:
    """Distribution of yearly bills and of their change, by kind of customer."""
    data = result.dataset
    if data is None or not has(data, "bill", "prosumer_category") or (pair := compared_scenarios(data)) is None:
        return None
    before, after = pair
    # Bills of platforms that were excluded are not known.
    data = data.isel(prosumer=np.flatnonzero(np.isfinite(data.bill.values).all(axis=data.bill.get_axis_num("scenario"))))
    if data.sizes["prosumer"] == 0:
        return Remark("No figure of bills: no bill is known in all scenarios.")
    old, new = (data.bill.sel(scenario=s).values.astype(float) for s in pair)
    categories, counts = np.unique(data.prosumer_category.values.astype(str), return_counts=True)
    categories, counts = categories[np.argsort(-counts)][:6], np.sort(counts)[::-1][:6]
    members = [data.prosumer_category.values.astype(str) == c for c in categories]
    with figure_style():
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        look = {"showfliers": False, "patch_artist": True, "widths": 0.32, "medianprops": {"color": "black", "linewidth": 1.6}}
        for shift, values, colour, hatch, label in (
            (-0.19, old, BEFORE, "///", scenario_title(data, before)),
            (0.19, new, SKY, "", scenario_title(data, after)),
        ):
            boxes = left.boxplot([values[m] for m in members], positions=np.arange(len(categories)) + shift, **look)
            for box in boxes["boxes"]:
                box.set(facecolor=colour, hatch=hatch, edgecolor="#374151")
            left.plot([], [], marker="s", linestyle="none", markersize=9, color=colour, markeredgecolor="#374151", label=label)
        left.set_xticks(np.arange(len(categories)), [f"{c}\n({n})" for c, n in zip(categories, counts, strict=True)])
        left.set_ylabel("yearly bill [EUR/a]")
        left.set_title("Bills (box: middle half, line: median)")
        left.axhline(0, color="black", linewidth=0.8)
        left.legend(loc="best")
        for k, m in enumerate(members):
            ordered = np.sort(new[m] - old[m])
            share = 100 * np.arange(1, len(ordered) + 1) / len(ordered)
            name = str(categories[k])
            right.plot(share, ordered, color=colour_of(name, CUSTOMERS), linestyle=DASHES[k % 4], label=name)
        right.axhline(0, color="black", linewidth=0.8)
        right.set_xlabel("share of customers of the kind [%]")
        right.set_ylabel("change of bill [EUR/a]")
        right.set_title("Change of bill (below 0: pays less)")
        right.legend(loc="best")
        return svg(figure, "Yearly bills of prosumers by kind of customer in the baseline and with the plan, and the change of every bill in order")
