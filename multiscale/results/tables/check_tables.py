"""Tables of what was proven and checked, and of the representative days."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.results.data.dataset import has
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table, settled
from multiscale.results.words.regime_words import regime_of


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
            held = "" if limit is None else "held" if value is not None and abs(float(value)) <= limit else "not held"
            shown = "not known" if value is None else value
            row = {"certificate": meaning, "value": shown, "unit": unit, "limit": "" if limit is None else limit, "result": held, "key": key}
            rows.append(row)
    return Table("certificates", "Certificates", pd.DataFrame(rows)) if rows else None


_CERTIFICATES: tuple[tuple[str, str, float | None], ...] = (
    ("plan.objective", "", None),
    ("plan.bound", "proven lower bound of any plan", None),
    ("plan.gap_eur", "gap between the two", None),
    ("plan.gap_of_decisions", "gap as a share of what decisions move", None),
    ("plan.gap", "gap relative to the objective", None),
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
            **{key: _known(plan.get(key)) for key in ("objective", "bound")},
            "gap": 100 * _known(plan.get("gap")),
            "follower gap": _known(plan.get("follower gap")),
            "method": ", ".join(map(str, dict.fromkeys(plan["method"].values())))
            if isinstance(plan.get("method"), dict)
            else str(plan.get("method", "")),
        }
        for name, plan in plans.items()
    ]
    note = "Gap: distance of the plan's cost to the proven bound. Follower gap: platforms solved again at the plan, relative."
    return Table("plans", "Plans of the operators", pd.DataFrame(rows), {"objective": "EUR/a", "bound": "EUR/a", "gap": "%"}, note) if rows else None


def _known(value: float | None) -> float:
    return np.nan if value is None else float(value)


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
    return Table("aggregation", "Error of the representative days", settled(frame), dict.fromkeys(map(str, data.measure.values), "%"), note)
