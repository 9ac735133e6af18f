"""The tables of the report: from the dataset, with units, each also as CSV."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.results.answer import answer, peak_loading
from multiscale.results.dataset import compared_scenarios, has, scenario_names, scenario_title, year_total
from multiscale.results.mechanism_words import words
from multiscale.results.regime_words import regime_of
from multiscale.results.run_result import RunResult
from multiscale.results.words import number


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        key: name of its CSV file.
        title: caption.
        frame: values; one row per line.
        units: column -> unit, shown in the head.
        note: one sentence below.
        marked: rows set in bold, e.g. totals.
    """

    key: str
    title: str
    frame: pd.DataFrame
    units: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    marked: tuple[int, ...] = ()

    def cells(self) -> list[list[tuple[str, bool]]]:
        """Text of every cell and whether it is a number."""
        return [
            [(number(value) if _is_number(value) else str(value), _is_number(value)) for value in row] for row in self.frame.itertuples(index=False)
        ]

    def heads(self) -> list[tuple[str, str, bool]]:
        """Column names, units, and whether the column holds numbers."""
        return [(str(c), self.units.get(str(c), ""), len(self.frame) > 0 and all(map(_is_number, self.frame[c]))) for c in self.frame.columns]

    @property
    def wide(self) -> bool:
        """Whether the table needs small print."""
        return len(self.frame.columns) > 9

    @property
    def narrow(self) -> bool:
        """Whether the table needs less than the width of the page."""
        return len(self.frame.columns) <= 5 and not any(len(str(v)) > 40 for v in self.frame.to_numpy().ravel())

    def csv(self) -> str:
        """The table as a data URI, with units in the head and all digits."""
        named = self.frame.rename(columns={c: f"{c} [{u}]" for c, u in self.units.items()})
        return "data:text/csv;base64," + base64.b64encode(named.to_csv(index=False).encode("utf-8")).decode("ascii")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def settled(frame: pd.DataFrame, tolerance: float = 1e-6) -> pd.DataFrame:
    """Rounding left from sums shown as the zero that it is."""
    numbers = frame.select_dtypes("number").columns
    return frame.assign(**{c: frame[c].where(frame[c].abs() > tolerance, 0.0) for c in numbers})


def options_table(result: RunResult) -> Table | None:
    """Reinforcement options, built or not, with the peak loading that speaks for or against them."""
    data = result.dataset
    if data is None or not has(data, "option_built", "option_branch", "option_cost"):
        return None
    rows = []
    for k in range(data.sizes["option"]):
        branch, built = str(data.option_branch.values[k]), bool(data.option_built.values[k] > 0.5)
        before, after = peak_loading(result, branch)
        need = float(data.option_need.values[k]) if has(data, "option_need") else np.nan
        rows.append(
            {
                "branch": branch,
                "measure": str(data.option_measure.values[k]) if has(data, "option_measure") else "",
                "decision": "build" if built else "leave",
                "investment": float(data.option_cost.values[k]),
                "annuity": float(data.option_annuity.values[k]) if has(data, "option_annuity") else np.nan,
                "rating added": float(data.option_added_rating.values[k]) if has(data, "option_added_rating") else np.nan,
                "need": need,
                "peak before": before,
                "peak with plan": after,
                "why": _why(built, need if np.isfinite(need) else before, after, regime_of(result).reason),
            }
        )
    frame = pd.DataFrame(rows).sort_values(["decision", "peak before"], ascending=[True, False], na_position="last", ignore_index=True)
    units = {"investment": "EUR", "annuity": "EUR/a", "rating added": "kVA", "need": "%", "peak before": "%", "peak with plan": "%"}
    if frame["need"].isna().all():
        frame, units = frame.drop(columns="need"), {c: u for c, u in units.items() if c != "need"}
    pair = compared_scenarios(data)
    note = "Peak: largest loading of the rating under AC power flow over all representative steps."
    note += f' Before: "{scenario_title(data, pair[0])}".' if pair is not None else ""
    if "need" in frame:
        note += " Need: largest loading of the usable rating if no prosumer responded to any price; above 100 %, conventional planning builds."
        note += " Usable is the share of the rating that operation may use: of medium-voltage lines under load about half, so that a neighbour can "
        note += "take over after a fault (n-1). A line can so be short of usable rating at a peak below 100 %."
    marked = tuple(int(i) for i in np.flatnonzero(frame["decision"].to_numpy() == "build"))
    return Table("options", "Reinforcement options", frame, units, note, marked)


def _why(built: bool, need: float, after: float, reason: str) -> str:
    if built:
        return "overloaded without it" if need > 100 else reason
    if not np.isfinite(need):
        return ""
    if need > 100:
        return "platforms keep the limit without it" if not after > 100 else "remains above its limit"
    return "within its limit"


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
        loading = np.nan_to_num(data.loading.sel(scenario=scenario).transpose("branch", "period").values.astype(float))
        voltage = data.voltage.sel(scenario=scenario).transpose("bus", "period").values.astype(float)
        outside = np.nan_to_num(np.maximum(low - voltage, voltage - high))
        bands = np.broadcast_to(low, (len(voltage), 1))[:, 0], np.broadcast_to(high, (len(voltage), 1))[:, 0]
        for names, excess, shown, limits, unit in (
            (data.branch.values, loading - 100.0, loading, ["100 %"] * len(loading), "%"),
            (data.bus.values, outside, voltage, [f"{a:g} to {b:g} pu" for a, b in zip(*bands, strict=True)], "pu"),
        ):
            for k in np.flatnonzero(excess.max(axis=1) > _TOLERATED[unit]):
                worst = int(excess[k].argmax())
                rows.append(
                    {
                        "scenario": scenario_title(data, scenario),
                        "where": str(names[k]),
                        "worst value": float(shown[k, worst]),
                        "beyond the limit by": float(excess[k, worst]),
                        "unit": unit,
                        "limit": limits[k],
                        "hours of the year": float(hours[excess[k] > _TOLERATED[unit]].sum()),
                        "when": str(data.period.values[worst]).replace("T", " "),
                    }
                )
    columns = ["scenario", "where", "worst value", "beyond the limit by", "unit", "limit", "hours of the year", "when"]
    frame = pd.DataFrame(rows, columns=columns)
    counts = {s: int((frame["scenario"] == scenario_title(data, s)).sum()) for s in reversed(scenario_names(data))}
    title = "Limits violated under AC power flow: " + "; ".join(f"{scenario_title(data, s)} {number(n)}" for s, n in counts.items())
    return Table("violations", title, frame, note="" if rows else "No branch and no bus is outside its limits at any representative step.")


_TOLERATED = {"%": 1e-6, "pu": 1e-9}


def bills_table(result: RunResult) -> Table | None:
    """Bills by kind of customer."""
    data = result.dataset
    if data is None or not has(data, "bill", "prosumer_category") or (pair := compared_scenarios(data)) is None:
        return None
    before, after = (data.bill.sel(scenario=s).values for s in pair)
    frame = pd.DataFrame({"category": data.prosumer_category.values, "before": before, "after": after})
    of_bill = [str(p) for p in data.part_of_bill.values] if has(data, "bill_part") else []
    for part in of_bill:
        frame[part] = data.bill_part.sel(scenario=pair[1], part_of_bill=part).values
    # Bills of platforms that were excluded are not known.
    frame = frame.dropna()
    frame["less"] = frame["after"] < frame["before"] - 1e-6
    grouped = frame.groupby("category")
    out = pd.DataFrame(
        {
            "prosumers": grouped.size(),
            "median before": grouped["before"].median(),
            "median with plan": grouped["after"].median(),
            "sum before": grouped["before"].sum(),
            "sum with plan": grouped["after"].sum(),
            **{f"{part} with plan": grouped[part].sum() for part in of_bill},
            "share that pays less": 100 * grouped["less"].mean(),
        }
    ).reset_index()
    units = dict.fromkeys((c for c in out.columns if c.endswith((" before", " with plan"))), "EUR/a") | {"share that pays less": "%"}
    note = f'Equipment: annuity and upkeep of devices that prosumers buy. Before: "{scenario_title(data, pair[0])}".'
    return Table("bills", "Yearly bills of prosumers by kind of customer", out, units, note)


def energy_table(result: RunResult) -> Table | None:
    """Energy of all nodes over the year, by scenario."""
    data = result.dataset
    if data is None or not has(data, "energy"):
        return None
    total = data.energy.sum("node")
    frame = pd.DataFrame({"term": [str(t).replace("_", " ") for t in data.term.values]})
    for scenario in data.scenario.values.tolist():
        frame[scenario_title(data, scenario)] = total.sel(scenario=scenario).values / 1000
    frame = settled(frame)
    return Table("energy", "Energy of the platforms over the year", frame, dict.fromkeys(map(str, frame.columns[1:]), "MWh/a"))


def losses_table(result: RunResult) -> Table | None:
    """Energy lost in the network."""
    data = result.dataset
    if data is None or not has(data, "losses", "period_hours"):
        return None
    total = year_total(data.losses, data.period_hours)
    frame = pd.DataFrame({"scenario": [scenario_title(data, s) for s in scenario_names(data)], "losses": total.values / 1000})
    return Table("losses", "Losses under AC power flow", frame, {"losses": "MWh/a"})


def mechanisms_table(result: RunResult) -> Table | None:
    """Cost of operation under every mechanism alongside the integrated optimum."""
    data = result.dataset
    if data is None or not has(data, "cost_of"):
        return None
    cost = data.cost_of
    frame = pd.DataFrame({"mechanism": [words(str(m)).name for m in data.mechanism.values], "cost": cost.values.astype(float)})
    if "integrated" in data.mechanism.values:
        best = float(cost.sel(mechanism="integrated"))
        frame["above the integrated optimum"] = frame["cost"] - best
        worth = float(cost.sel(mechanism="flat")) - best if "flat" in data.mechanism.values else 0.0
        if worth > 1.0:
            # Of what coordination can save: the cost itself may be near zero where generation earns as much as demand costs.
            frame["saving reached"] = 100 * (1.0 - (frame["cost"] - best) / worth)
    excluded = result.value("coordination.excluded_nodes")
    if excluded:
        frame = frame.dropna()
        note = f"The mechanism of the run is not among them: its cost is not known with {excluded} excluded."
        return Table("mechanisms", "Cost of operation by mechanism", frame, {"cost": "EUR/a", "above the integrated optimum": "EUR/a"}, note)
    bound = result.value("coordination.bound")
    note = f"Certified lower bound of any mechanism: {number(bound)} EUR/a." if bound is not None else ""
    if "saving reached" in frame:
        note += " Saving reached: share of what the integrated optimum saves against the flat tariff."
    return Table(
        "mechanisms", "Cost of operation by mechanism", frame, {"cost": "EUR/a", "above the integrated optimum": "EUR/a", "saving reached": "%"}, note
    )


def certificates_table(result: RunResult) -> Table | None:
    """What was proven or checked, with the value that proves it."""
    rows = []
    planning = result.config().get("planning", {})
    limits = {"plan.gap_eur": planning.get("gap_eur"), "plan.gap": planning.get("gap") if "gap_eur" not in planning else None}
    for key, meaning, allowed in _CERTIFICATES:
        limit = limits.get(key, allowed)
        if key in result.summary:
            value, unit = result.summary[key]
            meaning = meaning or regime_of(result).called
            held = "" if limit is None else ("held" if abs(float(value)) <= limit else "not held")
            rows.append(
                {"certificate": meaning, "value": value, "unit": unit, "limit": limit if limit is not None else "", "result": held, "key": key}
            )
    return Table("certificates", "Certificates", pd.DataFrame(rows)) if rows else None


_CERTIFICATES: tuple[tuple[str, str, float | None], ...] = (
    ("plan.objective", "", None),
    ("plan.bound", "proven lower bound of any plan", None),
    ("plan.gap_eur", "gap between the two", None),
    ("plan.gap_of_decisions", "gap as a share of what decisions move", None),
    ("plan.gap", "gap relative to the cost", None),
    ("plan.certificate.follower_gap", "platforms solved again at the plan: relative optimality gap", 1e-6),
    ("coordination.cost", "cost of operation under the mechanism", None),
    ("coordination.bound", "certified lower bound of any coordination", None),
    ("coordination.gap_of_value", "gap between the two, as a share of what coordination can save", None),
    ("ac.max_line_overload", "largest overload under AC power flow, with the plan", 1e-6),
    ("ac.max_voltage_violation", "largest voltage violation under AC power flow, with the plan", 1e-9),
    ("ledger.energy_residual", "energy ledger: residual", 1e-6),
    ("ledger.money_residual", "money ledger: residual", 1e-6),
)


def plans_table(result: RunResult) -> Table | None:
    """The certificate of every operator's plan, and how it was found."""
    plans = result.provenance().get("certificates", {})
    rows = [
        {
            "operator": name,
            "status": plan.get("status", ""),
            "objective": plan.get("objective", np.nan),
            "bound": plan.get("bound", np.nan),
            "gap": 100 * plan["gap"] if "gap" in plan else np.nan,
            "follower gap": plan.get("follower gap", np.nan),
            "method": ", ".join(map(str, dict.fromkeys(plan["method"].values())))
            if isinstance(plan.get("method"), dict)
            else str(plan.get("method", "")),
        }
        for name, plan in plans.items()
    ]
    note = "Gap: distance of the plan's cost to the proven bound. Follower gap: platforms solved again at the plan, relative."
    return Table("plans", "Plans of the operators", pd.DataFrame(rows), {"objective": "EUR/a", "bound": "EUR/a", "gap": "%"}, note) if rows else None


def days_table(result: RunResult) -> Table | None:
    """Representative days and the hours of the year they stand for."""
    data = result.dataset
    if data is None or not has(data, "period_hours"):
        return None
    days = np.array([str(p)[:10] for p in data.period.values])
    names = data.day.values.astype(str) if "day" in data.coords else days
    rows = [{"day": d, "what it stands for": str(names[days == d][0]), "steps": int((days == d).sum()),
             "weight": float(data.period_hours.values[days == d].sum() / 24)} for d in dict.fromkeys(days.tolist())]  # fmt: skip
    return Table("days", "Representative days", pd.DataFrame(rows), {"weight": "d/a"})


def aggregation_table(result: RunResult) -> Table | None:
    """What the representative days miss."""
    data = result.dataset
    if data is None or not has(data, "aggregation_error"):
        return None
    frame = pd.DataFrame({"feature": [str(f) for f in data.feature.values]})
    for measure in data.measure.values.tolist():
        frame[str(measure)] = data.aggregation_error.sel(measure=measure).values
    note = "Energy, peak: relative error of the year's sum and largest value. Duration: RMS error of the duration curve, relative to the peak."
    return Table("aggregation", "Error of the representative days", frame, dict.fromkeys(map(str, data.measure.values), "%"), note)


def system_table(result: RunResult) -> Table | None:
    """Size of the system."""
    rows = [{"what": k.removeprefix("system."), "number": v} for k, (v, _) in result.summary.items() if k.startswith("system.")]
    if has(result.dataset, "branch_kind") and result.dataset is not None:
        kinds, counts = np.unique(result.dataset.branch_kind.values.astype(str), return_counts=True)
        rows += [{"what": f"{kind}s", "number": int(n)} for kind, n in zip(kinds, counts, strict=True)]
    return Table("system", "Size of the system", pd.DataFrame(rows)) if rows else None


def costs_table(result: RunResult) -> Table | None:
    """Time and memory."""
    rows = [{"what": k.removeprefix("time."), "value": v, "unit": u} for k, (v, u) in result.summary.items() if k.startswith("time.")]
    rows += [{"what": "peak memory", "value": v, "unit": u} for k, (v, u) in result.summary.items() if k == "memory.peak"]
    return Table("computing", "Computing time and memory", pd.DataFrame(rows)) if rows else None


def summary_table(result: RunResult) -> Table:
    """Every value of the summary."""
    rows = [{"key": k, "value": v, "unit": u} for k, (v, u) in result.summary.items()]
    return Table("summary", "All summary values", pd.DataFrame(rows, columns=["key", "value", "unit"]))


def answer_table(result: RunResult) -> Table:
    """The answer, line by line."""
    return Table("answer", "The answer at a glance", pd.DataFrame([{"what": f.label, "answer": f.text} for f in answer(result)]))


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
    for scenario in data.scenario.values.tolist():
        frame[f"peak, {scenario_title(data, scenario)}"] = peak.sel(scenario=scenario).values[order]
    units = {"rating": "kVA"} | {c: "%" for c in frame.columns if c.startswith("peak")}
    return Table("loading", f"The {len(order)} most heavily loaded branches", frame, units)
