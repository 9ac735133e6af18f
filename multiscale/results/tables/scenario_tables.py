"""Tables that set scenarios against each other: who pays whom, who gains, and what each step costs and saves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.scenarios import CORNERS, LADDER, stands_for
from multiscale.results.tables.table import Table, settled
from multiscale.results.words.planning_words import is_planned, may_buy
from multiscale.results.words.regime_words import objective_words, regime_of, years_of


def money_table(result: RunResult, scenario: str) -> Table | None:
    """Who pays what to whom in one scenario; every column adds up to zero."""
    data = result.dataset
    if data is None or not has(data, "money") or scenario not in data.scenario.values:
        return None
    values = data.money.sel(scenario=scenario).transpose("stakeholder", "flow")
    used = ~(np.abs(values.values).max(axis=0) <= 1e-6)
    frame = pd.DataFrame(values.values[:, used], columns=[str(f) for f in data.flow.values[used]])
    frame.insert(0, "stakeholder", [str(s) for s in data.stakeholder.values])
    checked = {c: float(frame[c].sum()) for c in frame.columns[1:]}
    frame["sum"] = values.values.sum(axis=1)
    if has(data, "real_cost"):
        frame["real costs borne"] = data.real_cost.sel(scenario=scenario).sum("cost").values
        frame["in all"] = frame["sum"] - frame["real costs borne"]
    columns = [str(c) for c in frame.columns[1:]]
    last = {"stakeholder": "total"} | {c: float(frame[c].sum()) for c in columns} | checked
    frame = settled(pd.concat([frame, pd.DataFrame([last])], ignore_index=True))
    title = f"Who pays whom: {scenario_title(data, scenario)}"
    note = "Received: positive, paid: negative. Every kind of payment adds up to zero over all stakeholders; what remains in all is real cost."
    return Table(f"money_{scenario}", title, frame, dict.fromkeys(columns, "EUR/a"), note, (len(frame) - 1,))


def welfare_table(result: RunResult) -> Table | None:
    """Welfare of every stakeholder in every scenario, and the change from the baseline to the headline scenario."""
    data = result.dataset
    if data is None or not has(data, "welfare") or (pair := compared_scenarios(data)) is None:
        return None
    values = {scenario_title(data, s): data.welfare.sel(scenario=s).values for s in scenario_names(data)}
    before, after = (data.welfare.sel(scenario=s).values for s in pair)
    frame = pd.DataFrame({"stakeholder": [str(s) for s in data.stakeholder.values], **values, "change": after - before})
    columns = [str(c) for c in frame.columns[1:]]
    total = pd.DataFrame([{"stakeholder": "total"} | {c: float(frame[c].sum()) for c in columns}])
    frame = settled(pd.concat([frame, total], ignore_index=True))
    note = f'Change: from "{scenario_title(data, pair[0])}" to "{scenario_title(data, pair[1])}".'
    return Table("welfare", "Who gains and who loses", frame, dict.fromkeys(columns, "EUR/a"), note, (len(frame) - 1,))


def ladder_table(result: RunResult) -> Table | None:
    """Real costs from the existing network to the headline scenario, one step at a time, and what each step adds."""
    return _steps(
        result,
        [name for name in LADDER if _has_scenario(result, name)],
        "ladder",
        "From the existing network to the plan, one step at a time",
        "Each line adds to the one above. Where network and response change together, the further scenarios tell them apart. ",
    )


def other_scenarios_table(result: RunResult) -> Table | None:
    """Real costs of the scenarios that are no step of the ladder."""
    data = result.dataset
    if data is None or not has(data, "real_cost"):
        return None
    others = [name for name in scenario_names(data) if name not in LADDER]
    return _steps(result, others, "other_scenarios", "Further scenarios", "", compared=False) if others else None


def _has_scenario(result: RunResult, name: str) -> bool:
    return result.dataset is not None and "scenario" in result.dataset.coords and name in scenario_names(result.dataset)


def _steps(result: RunResult, names: Sequence[str], key: str, title: str, note: str, *, compared: bool = True) -> Table | None:
    """Real costs of some scenarios, their sum, and the difference of each sum from the one above."""
    data = result.dataset
    if data is None or not has(data, "real_cost") or not names:
        return None
    borne = data.real_cost.sum("stakeholder").sel(scenario=list(names))
    frame = pd.DataFrame({"scenario": [scenario_title(data, s) for s in names]})
    for cost in data.cost.values.tolist():
        frame[str(cost)] = borne.sel(cost=cost).values
    total = borne.sum("cost").values
    frame["social cost"] = total
    if compared:
        frame["step"] = np.concatenate([[0.0], np.diff(total)])
        note += "Step: social cost less that of the line above; negative: the step saves. "
    note += "Construction: existing network, reinforcements and equipment bought by prosumers. All scenarios keep the same usable ratings."
    return Table(key, title, settled(frame), dict.fromkeys(map(str, frame.columns[1:]), "EUR/a"), note)


def corners_table(result: RunResult) -> Table | None:
    """Social cost with and without the plan, and with and without trading, all with response to the mechanism."""
    data = result.dataset
    names = [[stands_for(name, purchases=may_buy(result)) for name in row] for row in CORNERS]
    if data is None or not has(data, "real_cost") or not is_planned(result) or not all(_has_scenario(result, name) for row in names for name in row):
        return None
    cost = data.real_cost.sum(("stakeholder", "cost"))
    corners = np.array([[float(cost.sel(scenario=name)) for name in row] for row in names])
    values = np.vstack([corners, corners[1] - corners[0]])
    frame = pd.DataFrame(
        {
            "network": ["conventional plan", "this plan", "difference: the plan"],
            "without trading": values[:, 0],
            "with trading": values[:, 1],
            "difference: trading": values[:, 1] - values[:, 0],
        }
    )
    note = (
        "Social cost before prosumers buy anything; platforms respond to the mechanism in all four. Differences: negative saves. The last number is "
        "what plan and trading save together beyond the sum of what each saves alone; positive: each is worth less with the other."
    )
    return Table("corners", "Plan and trading, each alone and together", settled(frame), dict.fromkeys(frame.columns[1:], "EUR/a"), note, (2,))


def years_table(result: RunResult) -> Table | None:
    """The main values of every year, where several were studied."""
    years = years_of(result)
    shown = {
        "reinforcements": "plan.reinforcements",
        "investment": "plan.investment",
        "reinforcements of transmission": "transmission.reinforcements",
        "investment in transmission": "transmission.investment",
        "network charge": "plan.price.network_charge",
        regime_of(result).called: "plan.objective",
        "gap": "plan.gap_eur",
        "cost of operation": "coordination.cost",
        "hours with a limit violated": "ac.year.violated_hours",
    }
    rows, units = [], {}
    for year in years:
        row: dict[str, object] = {"year": int(year)}
        for name, key in shown.items():
            found = result.summary.get(f"years.{year}.{key}")
            if found is not None:
                row[name], units[name] = float(found[0]), found[1]
        rows.append(row)
    note = "The rest of the report is about the last year."
    if result.value("stages.cost") is not None:
        cost, bound, separate = (result.value(f"stages.{key}") for key in ("cost", "bound", "separate_bound"))
        name, worth, none_better = objective_words(result, cost, bound, "EUR")
        apart = objective_words(result, cost, separate, "EUR")[2]
        note = (
            f"What one year builds stays built in the next. Present value of the {name}: {worth}. Of plans that keep to each other none "
            f"{none_better}; of plans that need not, none {apart}. {note}"
        )
    return Table("years", "Year by year", pd.DataFrame(rows), units, note) if rows else None
