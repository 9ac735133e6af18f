"""Tables of customers: bills by kind, participants against others, how even bills and gains are, energy burden by income."""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.assessment.distribution import why_undefined
from multiscale.results.data.dataset import compared_scenarios, has, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import CENT, Table, settled
from multiscale.results.words.numbers import number, plural


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
    quantiles = {
        f"{name} {when}": grouped[column].quantile(share)
        for column, when in (("before", "before"), ("after", "with plan"))
        for share, name in ((0.1, "p10"), (0.5, "median"), (0.9, "p90"))
    }
    out = pd.DataFrame(
        {
            "prosumers": grouped.size(),
            **quantiles,
            "sum before": grouped["before"].sum(),
            "sum with plan": grouped["after"].sum(),
            **{f"{part} with plan": grouped[part].sum() for part in of_bill},
            "share that pays less": 100 * grouped["less"].mean(),
        }
    ).reset_index()
    units = dict.fromkeys((c for c in out.columns if c.endswith((" before", " with plan"))), "EUR/a") | {"share that pays less": "%"}
    note = _without_excluded(result)
    note += "Equipment: annuity and upkeep of devices that prosumers buy. p10, p90: bill that 10 %, 90 % do not exceed. "
    note += f'Before: "{scenario_title(data, pair[0])}".'
    return Table("bills", "Yearly bills of prosumers by kind of customer", out, units, note)


def _without_excluded(result: RunResult) -> str:
    """Whose bills are not known, as the first sentence of a note; empty where all are."""
    excluded = result.value("coordination.excluded_nodes")
    return f"Without the prosumers of {excluded}, which were excluded from the operation: their bills are not known. " if excluded else ""


def participation_table(result: RunResult) -> Table | None:
    """What participants and other customers pay before and after, and how much of it is shifted from one to the other under the tariff."""
    data = result.dataset
    if data is None or not has(data, "group_payment", "group_tariff", "prosumer_group", "bill") or (pair := compared_scenarios(data)) is None:
        return None
    groups = [str(g) for g in data.customer_group.values]
    known = np.isfinite(data.bill.transpose("scenario", "prosumer").values).all(axis=0)
    count = [int((data.prosumer_group.values[known] == g).sum()) for g in groups]
    paid, tariff = ([data[name].sel(scenario=s).values for s in pair] for name in ("group_payment", "group_tariff"))
    frame = pd.DataFrame(
        {"group": groups, "before": paid[0], "with plan": paid[1], "change": paid[1] - paid[0], "under the tariff": tariff[1] - tariff[0]}
    )
    frame["share"] = [100.0 * c / abs(b) if b else float("nan") for c, b in zip(frame["change"], frame["before"], strict=True)]
    frame.insert(1, "customers", [n or "" for n in count])
    there = [n > 0 or g == groups[-1] for n, g in zip(count, groups, strict=True)]
    frame = settled(frame[there].reset_index(drop=True), CENT)
    units = dict.fromkeys(("before", "with plan", "change", "under the tariff"), "EUR/a") | {"share": "%"}
    shift = result.value("assess.cost_shift")
    note = _without_excluded(result)
    note += f'Change of payments, against "{scenario_title(data, pair[0])}"; under the tariff: the part that is charges and levies. '
    note += "Passive customers use what they did, so what they pay more under it is shifted to them. "
    if shift is not None:
        note += f"Customers without devices of their own pay {number(abs(float(shift)))} EUR/a {'more' if shift > 0 else 'less'} under the tariff. "
    note += "Devices: owned, or bought in answer to the plan; bills include what is paid for those bought."
    return Table("participation", "Participants and other customers", frame, units, note)


def evenness_table(result: RunResult) -> Table | None:
    """Gini and Jain indices of bills and gains."""
    data = result.dataset
    if data is None or not has(data, "gini_of_bills", "bill") or (pair := compared_scenarios(data)) is None:
        return None
    bill = data.bill.transpose("scenario", "prosumer")
    bill = bill[:, np.isfinite(bill.values).all(axis=0)]
    before, after = (bill.sel(scenario=s).values for s in pair)
    rows, reasons = [], []
    for of, values, scenario in (("bills", before, pair[0]), ("bills", after, pair[1]), ("gains", before - after, pair[1])):
        label = f"{of}: {scenario_title(data, scenario)}" if of == "bills" else "gains: what prosumers pay less"
        gini, jain = (float(data[f"{index}_of_{of}"].sel(scenario=scenario)) for index in ("gini", "jain"))
        rows.append({"of": label, "below zero": int((values < 0).sum()), "Gini index": gini, "Jain index": jain})
        why = why_undefined("jain", values, of)
        reasons += [f'No Jain index of "{label}": {why}.'] if why and not np.isfinite(jain) else []
    note = (
        "Gini: 0 where all are equal, (n - 1)/n where one has everything; by the sum of magnitudes, so that it stays in that range where some earn. "
    )
    note += f"Jain: 1 and 1/n, only where none is below zero. Over {plural(bill.sizes['prosumer'], 'prosumer')}. " + " ".join(dict.fromkeys(reasons))
    return Table("evenness", "How evenly bills and gains are distributed", pd.DataFrame(rows), note=note.strip())


def burden_table(result: RunResult) -> Table | None:
    """Energy burden by income, before and after."""
    data = result.dataset
    if data is None or not has(data, "energy_burden", "income_group") or (pair := compared_scenarios(data)) is None:
        return None
    burden = [data.energy_burden.sel(scenario=s).values for s in pair]
    known = np.isfinite(burden).all(axis=0)
    if not known.any():
        return None
    limit, rows = float(data.burden_limit), []
    groups = np.unique(data.income_group.values[known]).astype(int).tolist()
    for group in groups:
        inside = known & (data.income_group.values == group)
        incomes = data.prosumer_income.values[inside]
        before, after = (values[inside] for values in burden)
        rows.append(
            {
                "incomes": f"{number(float(incomes.min()))} to {number(float(incomes.max()))}",
                "households": int(inside.sum()),
                "median before": float(np.median(before)),
                "median with plan": float(np.median(after)),
                "high before": 100.0 * float((before > limit).mean()),
                "high with plan": 100.0 * float((after > limit).mean()),
                "median gain": float(np.median((before - after) / 100.0 * incomes)),
            }
        )
    units = {"incomes": "EUR/a", "median gain": "EUR/a"} | dict.fromkeys(("median before", "median with plan", "high before", "high with plan"), "%")
    note = f"Energy burden: bill as a share of the income. High: share of households above {number(limit)} % (results.burden_limit). "
    note += f"{plural(int((~known).sum()), 'prosumer')} without a known income and bill are not in it."
    return Table("burden", "Energy burden by income", pd.DataFrame(rows), units, note)
