"""The tables of the report: from the dataset, with units, each also as CSV."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from multiscale.results.data.dataset import compared_scenarios, has, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.mechanism_words import words
from multiscale.results.words.numbers import number
from multiscale.spreadsheets import without_formulas

_DIGITS = {"pu": 5, "%": 4}
"""Unit of a row -> significant digits."""


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
        """Text of every cell and whether it is a number; with enough digits that what is beyond a limit is not shown as the limit."""
        units = self.frame["unit"] if "unit" in self.frame else [""] * len(self.frame)
        rows = zip(self.frame.itertuples(index=False), units, strict=True)
        return [[(number(v, _DIGITS.get(str(unit), 3)) if _is_number(v) else str(v), _is_number(v)) for v in row] for row, unit in rows]

    def heads(self) -> list[tuple[str, str, bool]]:
        """Column names, units, and whether the column holds numbers."""
        return [(str(c), self.units.get(str(c), ""), len(self.frame) > 0 and all(map(_is_number, self.frame[c]))) for c in self.frame.columns]

    @property
    def wide(self) -> bool:
        """Whether the table needs small print."""
        return len(self.frame.columns) > 9

    @property
    def dense(self) -> bool:
        """Whether the table is one to look things up in: long, and set small."""
        return len(self.frame) > 40

    @property
    def narrow(self) -> bool:
        """Whether the table needs less than the width of the page."""
        return len(self.frame.columns) <= 5 and not any(len(str(v)) > 40 for v in self.frame.to_numpy().ravel())

    def csv(self) -> str:
        """The table as a data URI, with units in the head and all digits."""
        named = self.frame.rename(columns={c: f"{c} [{u}]" for c, u in self.units.items()})
        return "data:text/csv;base64," + base64.b64encode(without_formulas(named).to_csv(index=False).encode("utf-8")).decode("ascii")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def settled(frame: pd.DataFrame, tolerance: float = 1e-6) -> pd.DataFrame:
    """Rounding left from sums shown as the zero that it is."""
    numbers = frame.select_dtypes("number").columns
    return frame.assign(**{c: frame[c].where(frame[c].abs() > tolerance, 0.0) for c in numbers})


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
    frame = settled(frame, 0.005)
    bound = result.value("coordination.bound")
    note = f"Certified lower bound of any mechanism: {number(bound)} EUR/a." if bound is not None else ""
    if "saving reached" in frame:
        note += " Saving reached: share of what the integrated optimum saves against the flat tariff."
    return Table(
        "mechanisms", "Cost of operation by mechanism", frame, {"cost": "EUR/a", "above the integrated optimum": "EUR/a", "saving reached": "%"}, note
    )


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
