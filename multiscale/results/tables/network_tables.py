"""Tables of the network: reinforcement options, violated limits on representative days and over the year, loading and losses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.results.data.dataset import FLOW_DIRECTIONS, compared_scenarios, has, scenario_names, scenario_title, year_total
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import CENT, Table, settled
from multiscale.results.words.answer import PAYS_IN_DISPATCH, dc_loading, for_outage, peak_loading, unserved_worth
from multiscale.results.words.numbers import THIN, number, plural
from multiscale.results.words.regime_words import regime_of


def options_table(result: RunResult) -> Table | None:
    """Reinforcement options, built or not, with the peak loading that speaks for or against them."""
    data = result.dataset
    if data is None or not has(data, "option_built", "option_branch", "option_cost"):
        return None
    rows = []
    kept_by = "response or demand not served" if unserved_worth(result) else "response"
    for k in range(data.sizes["option"]):
        branch, built = str(data.option_branch.values[k]), bool(data.option_built.values[k] > 0.5)
        before, after = _peaks(result, branch, k)
        need = float(data.option_need.values[k]) if has(data, "option_need") else np.nan
        usable = usable_rating(data, branch)
        why = _why(built, need, after, usable, regime_of(result).reason, kept_by)
        why = "a single outage would overload it" if built and for_outage(data, int(k)) else why
        why = PAYS_IN_DISPATCH if built and np.isfinite(dc_loading(data, int(k))[0]) else why
        rows.append(
            {
                "branch": branch,
                "measure": str(data.option_measure.values[k]) if has(data, "option_measure") else "",
                "decision": "build" if built else "leave",
                "investment": float(data.option_cost.values[k]),
                "annuity": float(data.option_annuity.values[k]) if has(data, "option_annuity") else np.nan,
                "rating added": float(data.option_added_rating.values[k]) if has(data, "option_added_rating") else np.nan,
                "usable": f"{THIN}/{THIN}".join(number(share) for share in usable),
                "need": need,
                "peak, baseline": before,
                "peak with plan": after,
                "why": why,
            }
        )
    frame = pd.DataFrame(rows).sort_values(["decision", "need"], ascending=[True, False], na_position="last", ignore_index=True)
    units = {"investment": "EUR", "annuity": "EUR/a", "rating added": "kVA", "usable": "% load / back"}
    units |= dict.fromkeys(("need", "peak, baseline", "peak with plan"), "%")
    unknown = [c for c in ("usable", "need") if (frame[c].isna() | (frame[c] == "")).all()]
    frame, units = frame.drop(columns=unknown), {c: u for c, u in units.items() if c not in unknown}
    pair = compared_scenarios(data)
    note = "Peak: largest loading of the rating under AC power flow over all representative steps."
    note += " Of the transmission network under DC power flow, at nodal prices." if has(data, "option_dc_loading_after") else ""
    note += f' Baseline: "{scenario_title(data, pair[0])}".' if pair is not None else ""
    if "usable" in frame:
        note += " Usable: share of the rating that planning and operation may use, towards customers / back from them. Of medium-voltage lines "
        note += "under load about half is kept so that a neighbour can take over after a fault (n-1): such a line is short of usable rating at a "
        note += "peak below 100 %."
    if "need" in frame:
        note += " Need: largest loading of the usable rating if no prosumer responded to any price; above 100 %, conventional planning builds."
    marked = tuple(int(i) for i in np.flatnonzero(frame["decision"].to_numpy() == "build"))
    return Table("options", "Reinforcement options", frame, units, note, marked)


def _peaks(result: RunResult, branch: str, option: int) -> tuple[float, float]:
    """Largest loading before and with the plan [%]: of the transmission network under DC power flow, else under AC power flow."""
    above = (np.nan, np.nan) if result.dataset is None else dc_loading(result.dataset, option)
    return above if np.isfinite(above[0]) else peak_loading(result, branch)


def transmission_table(result: RunResult) -> Table | None:
    """What the transmission operator's plan costs all operators together, next to plans that one level makes alone, and what is proven."""
    value = result.value
    if value("transmission.cost") is None:
        return None
    rows = [
        ("nothing is built", "transmission.cost_of_nothing"),
        ("everything is built", "transmission.cost_of_everything"),
        ("transmission plans alone", "transmission.cost_of_transmission_alone"),
        ("distribution plans alone, at prices of the network as it is", "transmission.cost_of_distribution_alone"),
        ("the plan", "transmission.cost"),
        ("proven lower bound on every plan", "transmission.bound"),
    ]
    shown = [(words, float(value(key)), float(value(key)) - float(value("transmission.cost"))) for words, key in rows if value(key) is not None]
    frame = settled(pd.DataFrame(shown, columns=["plan", "social cost", "less the plan"]), CENT)
    note = "Operated at nodal prices, under DC power flow on the transmission level; charges that do not depend on energy recover the networks. "
    note += "Not the social cost of a scenario: under the tariff of the study charges and levies steer too, above all what prosumers buy. "
    note += f"The search: {value('transmission.ended')}."
    return Table("transmission", "Transmission and distribution together", frame, dict.fromkeys(("social cost", "less the plan"), "EUR/a"), note)


def usable_rating(data: xr.Dataset, branch: str) -> tuple[float, ...]:
    """Usable share of the rating of a branch towards customers and back from them [%]; empty where unknown."""
    if not has(data, "branch_usable") or branch not in data.branch.values:
        return ()
    return tuple(data.branch_usable.sel(branch=branch, flow_direction=list(FLOW_DIRECTIONS)).values.tolist())


def _why(built: bool, need: float, after: float, usable: tuple[float, ...], reason: str, kept_by: str) -> str:
    """What speaks for the decision, measured by the usable rating, which is what planning goes by; ``kept_by``: what replaces a reinforcement."""
    if not np.isfinite(need):
        return reason if built else ""
    if built:
        return "short of usable rating without it" if need > 100 else reason
    if need <= 100:
        return "within usable rating"
    return f"{kept_by} keeps within usable rating" if after <= max(usable, default=100.0) else "remains above usable rating"


def violations_table(result: RunResult) -> Table | None:
    """Every branch and bus outside its limits in every scenario, with the hours of the year it is so."""
    data = result.dataset
    if data is None or not has(data, "loading", "voltage", "period_hours"):
        return None
    low = data.bus_v_min.values[:, None] if has(data, "bus_v_min") else 0.9
    high = data.bus_v_max.values[:, None] if has(data, "bus_v_max") else 1.1
    hours = data.period_hours.values.astype(float)
    rows = []
    for scenario in reversed(scenario_names(data)):
        loading = data.loading.sel(scenario=scenario).transpose("branch", "period").values.astype(float)
        rows += _unknown(data, scenario, hours)
        voltage = data.voltage.sel(scenario=scenario).transpose("bus", "period").values.astype(float)
        outside = np.maximum(low - voltage, voltage - high)
        bands = np.broadcast_to(low, (len(voltage), 1))[:, 0], np.broadcast_to(high, (len(voltage), 1))[:, 0]
        for names, excess, shown, limits, unit in (
            # What has no value here is not within its limits: it is in the rows above.
            (data.branch.values, loading - 100.0, loading, ["100 %"] * len(loading), "%"),
            (data.bus.values, outside, voltage, [f"{a:g} to {b:g} pu" for a, b in zip(*bands, strict=True)], "pu"),
        ):
            beyond = np.where(np.isnan(excess), -np.inf, excess)
            for k in np.flatnonzero(beyond.max(axis=1) > _TOLERATED[unit]):
                worst = int(beyond[k].argmax())
                rows.append(
                    {
                        "scenario": scenario_title(data, scenario),
                        "where": str(names[k]),
                        "worst value": float(shown[k, worst]),
                        "beyond the limit by": float(excess[k, worst]),
                        "unit": unit,
                        "limit": limits[k],
                        "hours of the year": float(hours[beyond[k] > _TOLERATED[unit]].sum()),
                        "when": str(data.period.values[worst]).replace("T", " "),
                    }
                )
    columns = ["scenario", "where", "worst value", "beyond the limit by", "unit", "limit", "hours of the year", "when"]
    frame = pd.DataFrame(rows, columns=columns)
    counts = {s: int((frame["scenario"] == scenario_title(data, s)).sum()) for s in reversed(scenario_names(data))}
    counted = "; ".join(f"{scenario_title(data, s)}: {number(n)}" for s, n in counts.items())
    title = "Limits violated under AC power flow"
    note = f"Branches and buses outside their limits. {counted}." if rows else "No branch and no bus is outside its limits at any step."
    return Table("violations", title, frame, note=note)


def _unknown(data: xr.Dataset, scenario: str, hours: np.ndarray) -> list[dict[str, object]]:
    """Rows of steps at which the power flow of a scenario did not converge, and of buses without supply."""
    rows: list[dict[str, object]] = []
    nothing = {"scenario": scenario_title(data, scenario), "worst value": np.nan, "beyond the limit by": np.nan, "unit": "", "when": ""}
    if has(data, "power_flow_diverged"):
        lost = data.power_flow_diverged.sel(scenario=scenario).values > 0
        if lost.any():
            first = str(data.period.values[int(lost.argmax())]).replace("T", " ")
            named = {"where": "power flow", "limit": "converges", "when": f"first {first}"}
            rows.append({**nothing, **named, "hours of the year": float(hours[lost].sum())})
    if has(data, "bus_without_supply"):
        dark = data.bus.values[data.bus_without_supply.sel(scenario=scenario).values > 0]
        rows += [{**nothing, "where": str(bus), "limit": "is supplied", "hours of the year": np.nan} for bus in dark.tolist()]
    return rows


_TOLERATED = {"%": 1e-6, "pu": 1e-9}


def losses_table(result: RunResult) -> Table | None:
    """Energy lost in the network, and what it is worth, by one rule in every scenario."""
    data = result.dataset
    if data is None or not has(data, "losses", "period_hours"):
        return None
    total = year_total(data.losses, data.period_hours)
    columns = {"scenario": [scenario_title(data, s) for s in scenario_names(data)], "losses": total.values / 1000}
    units, note = {"losses": "MWh/a"}, ""
    if has(data, "losses_worth"):
        columns["worth"] = data.losses_worth.values
        units["worth"] = "EUR/a"
        note = "Worth: at the nodal prices of the baseline, by the same rule in every scenario; it is no part of the costs and bills in this report: "
        note += "plans and operation are without losses"
        if has(data, "network_loss") and float(data.network_loss.sum()) > 0:
            counted = number(float(data.network_loss.sum()) / 1000.0)
            note += f", except that with the market platforms buy losses of their networks ({counted} MWh/a in the headline scenario), "
            note += "which are in the cost"
        note += "."
    return Table("losses", "Losses under AC power flow", pd.DataFrame(columns), units, note)


def peak_loading_table(data: xr.Dataset, count: int = 15) -> Table | None:
    """The most heavily loaded branches."""
    if not has(data, "loading"):
        return None
    peak = data.loading.max("period")
    order = np.argsort(-np.nan_to_num(peak.max("scenario").values))[:count]
    frame = pd.DataFrame({"branch": data.branch.values[order].astype(str)})
    if has(data, "branch_kind", "branch_rating"):
        frame["kind"] = data.branch_kind.values[order].astype(str)
        frame["rating"] = data.branch_rating.values[order]
    shown = dict.fromkeys([*(s for s in ("existing",) if s in data.scenario.values), *(compared_scenarios(data) or scenario_names(data))])
    for scenario in shown:
        frame[f"peak, {scenario_title(data, scenario)}"] = peak.sel(scenario=scenario).values[order]
    units = {"rating": "kVA"} | {c: "%" for c in frame.columns if c.startswith("peak")}
    return Table("loading", f"The {len(order)} most heavily loaded branches", frame, units)


def outages_table(result: RunResult, count: int = 15) -> Table | None:
    """Single outages: how supply is restored and what is highest loaded then, the worst first."""
    data = result.dataset
    if data is None or not has(data, "outage_loading"):
        return None
    columns = {
        "outage of": data.outage.values.astype(str),
        "restored through": data.outage_restored_through.values.astype(str),
        "highest loaded": data.outage_branch.values.astype(str),
        "loading": data.outage_loading.values,
        "periods overloaded": data.outage_periods_overloaded.values,
        "periods without solution": data.outage_periods_diverged.values,
        "periods with feed-in cut": data.outage_periods_cut.values,
        "lowest voltage": data.outage_lowest_voltage.values,
        "demand without supply": data.outage_demand_lost.values,
    }
    by = ["periods overloaded", "periods without solution", "loading"]
    frame = pd.DataFrame(columns).sort_values(by, ascending=False, kind="stable").head(count)
    note = (
        "AC power flow of all representative periods with one medium-voltage line out and one open line closed. Judged: ratings in full of branches "
        "that keep a reserve under load (system.limits.mv_load). Power fed in may be cut. Voltages are not judged: the rule keeps a share of ratings."
    )
    title = f"Single outages: {len(frame)} of {data.sizes['outage']}, the worst first"
    units = {name: "1" for name in frame.columns if name.startswith("periods")}
    units |= {"loading": "%", "lowest voltage": "pu", "demand without supply": "kW"}
    return Table("outages", title, frame, units, note)


def year_violations_table(result: RunResult) -> Table | None:
    """Branches and buses that violate a limit in some hour of the year."""
    data = result.dataset
    if data is None or not has(data, "year_violation_component"):
        return None
    names = ("component", "identifier", "hours", "worst_hour", "value", "limit", "unit")
    frame = pd.DataFrame({name.replace("_", " "): data[f"year_violation_{name}"].values for name in names})
    frame.insert(5, "beyond the limit by", (frame["value"] - frame["limit"]).abs())
    note = f"Injected: {result.value('ac.year.basis')}. Ratings in full, without the reserve for faults."
    if days := int(result.value("ac.year.dispatched_days") or 0):
        note += f" {plural(days, 'further day')} dispatched individually by the DSO, at least cost and without the mechanism of the study."
    if left := str(result.value("ac.year.left") or ""):
        note += f" Left: {left}."
    title = "Limits violated in some hour of the year" if len(frame) else "No limit is violated in any hour of the year"
    return Table("year_violations", title, frame, {"hours": "h/a"}, note)
