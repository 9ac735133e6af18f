"""What the models neglect and where that is checked, what the data omit, and what can be said of other assumptions without another run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.results.data.dataset import compared_scenarios, has, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table, settled
from multiscale.results.words.numbers import number, plural

NEGLECTED: tuple[tuple[str, str, str], ...] = (
    (
        "distribution network",
        "linear power flow (LinDistFlow) on a radial, balanced network, voltage drops at nominal voltage; losses in platforms of market dispatch",
        "a margin of ratings and voltage band is kept; AC power flow checks the plan without it, losses included",
    ),
    (
        "reactive power",
        "given by the profiles; no inverter and no customer controls it",
        "voltage support by inverters could replace a reinforcement that is built here",
    ),
    (
        "faults",
        "no fault is calculated: usable ratings of medium-voltage lines keep room for a neighbour's load (n-1)",
        "where a ring has other room than that, the need for reinforcement is misjudged",
    ),
    (
        "transmission network",
        "linear (DC) power flow, every period by itself: no losses, no ramps, no start-up of plants",
        "prices of energy are those of such a dispatch",
    ),
    (
        "time",
        "representative days, weighted to the year; storage and delayed demand end each day as they began it",
        "the error of the days is in section Data; nothing is stored from day to day or season to season",
    ),
    (
        "prosumers",
        "each minimises its own cost and knows its day ahead; of equally good answers the planner counts on the one that suits it",
        "real customers respond less; operation is checked with members one by one, forecast errors only where they are asked for",
    ),
    (
        "members in the plan",
        "platforms with many members are planned as one participant with the sum of their devices",
        "operated one by one, members differ from that by the response difference in the summary",
    ),
    (
        "measures",
        "only the options listed, each as a whole; costs per option without economies of scale between them",
        "what is not listed is not considered",
    ),
)  # fmt: skip
"""Part of the model, what it neglects, and what follows or where it is checked; the equations are in docs/model.md."""


def neglected_table(result: RunResult) -> Table:
    """What the models neglect."""
    frame = pd.DataFrame(NEGLECTED, columns=["part", "simplification", "what follows, or where it is checked"])
    limits = result.config().get("system", {}).get("limits", {})
    note = ""
    if {"margin", "voltage_margin_pu"} <= set(limits):
        note = f"Margin kept in this run: {number(100 * limits['margin'])} % of every rating and {number(limits['voltage_margin_pu'])} pu of voltage."
    return Table("limitations", "What the models neglect", frame, note=note)


def approximations_table(result: RunResult) -> Table | None:
    """What of the data is approximated or excluded, component by component; None where all of it is modelled as given."""
    rows = result.provenance().get("approximations", [])
    if not rows:
        return None
    return Table("approximations", "What of the data is approximated or excluded", pd.DataFrame(rows, columns=["component", "field", "done"]))


def notes_table(result: RunResult) -> Table | None:
    """What the data omit, and what the representative days miss beyond the limits set; None where there is nothing of the kind."""
    rows = [{"of": "data", "note": str(note)} for note in result.provenance().get("notes", [])]
    warnings = str(result.value("horizon.warnings") or "")
    rows += [{"of": "representative days", "note": warning} for warning in warnings.split("; ") if warning]
    if has(result.dataset, "year") and result.dataset is not None and result.dataset.sizes.get("year", 1) > 1:
        bought = "what prosumers buy in one does not bind them in the next"
        linked = result.value("stages.cost") is not None
        rows.append({"of": "years", "note": f"what one year builds {'stays built' if linked else 'does not bind'} in the next; {bought}"})
    excluded = int(result.value("coordination.excluded") or 0)
    if excluded:
        rows.append({"of": "operation", "note": f"{plural(excluded, 'platform')} excluded: costs, bills and energy inside are not known"})
    return Table("notes", "What the data and the days of this run omit", pd.DataFrame(rows)) if rows else None


def sensitivity_table(result: RunResult) -> Table | None:
    """Social cost, and what is saved against the baseline, if a kind of cost were 10 % higher and nothing were decided otherwise.

    A kind of real cost is proportional to its prices while decisions stay, so these are bounds: what is decided anew costs no more.
    """
    data = result.dataset
    pair = compared_scenarios(data)
    if data is None or pair is None or not has(data, "real_cost"):
        return None
    borne = data.real_cost.sum("stakeholder")
    before, after = (borne.sel(scenario=s).values.astype(float) for s in pair)
    saved = before - after
    rows = []
    for cost, now, of_saving in zip(data.cost.values.astype(str), after, saved, strict=True):
        factor = 1.0 - saved.sum() / of_saving if abs(of_saving) >= 0.5 else np.nan
        rows.append(
            {
                "kind of cost": cost,
                "now": now,
                "+10 % adds to the social cost": 0.1 * now,
                "saved against the baseline, now": saved.sum(),
                "saved with +10 %": saved.sum() + 0.1 * of_saving,
                "saving is zero at": f"{number(factor)} times" if np.isfinite(factor) and factor >= 0 else "no factor",
            }
        )
    frame = settled(pd.DataFrame(rows), 0.005)
    units = dict.fromkeys(map(str, frame.columns[1:5]), "EUR/a")
    note = (
        f'Baseline: "{scenario_title(data, pair[0])}". All prices of a kind of cost together, decisions and operation unchanged: a plan made for the '
        "changed prices costs no more than this. What one more kW of a rating is worth (the dual of a binding limit) is not kept in the dataset and "
        "takes another run, as do the discount rate, growth and other networks (multiscale sweep)."
    )
    return Table("sensitivities", "Other assumptions, without another run", frame, units, note)
