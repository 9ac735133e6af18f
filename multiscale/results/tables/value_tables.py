"""Tables of value and of cost and benefit: what each category is worth, scenarios as options of an appraisal, what is not built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multiscale.assessment.cost_benefit import annuity_factor, deferral_value
from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.scenarios import HEADLINE, added
from multiscale.results.tables.table import CENT, Table, settled
from multiscale.results.words.answer import unserved_worth
from multiscale.results.words.numbers import euros, number, plural
from multiscale.results.words.planning_words import is_planned, may_buy

NOT_EVALUATED = "not evaluated"


def value_table(result: RunResult) -> Table | None:
    """What every category of value is worth from step to step; what is in the sum first, then what is not."""
    data = result.dataset
    pair = compared_scenarios(data)
    if data is None or pair is None or not has(data, "value", "value_in_all", "real_cost"):
        return None
    steps, before = ([str(name) for name in data[of].values] for of in ("value_step", "value_step_from"))
    inside, rows = data.value_in_social_cost.values > 0, []
    values, real = data.value.transpose("value_stream", "value_step").values, data.real_cost.sum(("stakeholder", "cost"), skipna=False)
    saved = [float(real.sel(scenario=a) - real.sel(scenario=b)) for a, b in zip(before, steps, strict=True)]
    for s in [*np.flatnonzero(inside), None, *np.flatnonzero(~inside)]:
        if s is None:
            columns = dict(zip(steps, saved, strict=True))
            rows.append({"value": "saved in real cost", **columns, "in all": sum(saved), "in kind": "", "how": "difference of the social costs"})
            continue
        one = data.isel(value_stream=s)
        name, category, in_all = str(one.value_stream.item()), str(one.value_category.item()), float(one.value_in_all)
        missing = str(one.value_missing.item())
        if not category and abs(in_all) < CENT and name not in ("production", "wear and discomfort"):
            continue
        shown = dict(zip(steps, values[s].tolist(), strict=True)) | {"in all": in_all}
        how = f"{NOT_EVALUATED}: {missing}" if missing else str(one.value_meaning.item())
        label = f"{category} {name}".strip() + ("" if inside[s] or missing else ", not in the sum")
        rows.append({"value": label, **shown, "in kind": _in_kind(one), "how": how})
    plan = {"planned": is_planned(result), "purchases": may_buy(result)}
    titles = {after: added(one, after, **plan) for one, after in zip(before, steps, strict=True)}
    frame = pd.DataFrame(rows).rename(columns=titles)
    units = dict.fromkeys((*titles.values(), "in all"), "EUR/a")
    note = (
        "Categories (i) to (viii): Morstyn, Savelli and Hepburn (2021), Fig. 1. Each column is valued against the scenario before it, the first "
        f'against "{scenario_title(data, pair[0])}", with the same growth, and each saving stands in one row. Below the sum: money that changes '
        "hands, or energy that no program counts (networks are lossless in operation, losses are those of the AC power flow); it is not to be added. "
        "Jobs, and outages of components, are not evaluated."
    )
    marked = next(i for i, row in enumerate(rows) if row["value"] == "saved in real cost")
    return Table("value_streams", "What plan, response, trading and purchases are worth, by category", settled(frame, CENT), units, note, (marked,))


def _in_kind(one: Any) -> str:
    """What a stream is in kind, before and after; empty where there is nothing."""
    # Less than this is rounding of the solvers.
    before, after = (0.0 if abs(value) < CENT else value for value in one.value_quantity.transpose("compared").values.tolist())
    unit = str(one.value_unit.item()).replace("1", "")
    if not np.isfinite(after):
        return ""
    text = f"{number(before)} to {number(after)}" if np.isfinite(before) else number(after)
    return f"{one.value_of_what.item()}: {text} {unit}".strip()


def appraisal_table(result: RunResult) -> Table | None:
    """Every scenario as an option against the baseline: investment, yearly cost, net present values."""
    data = result.dataset
    pair = compared_scenarios(data)
    if data is None or pair is None or not has(data, "net_present_value"):
        return None
    names = [pair[0], *(name for name in scenario_names(data) if name != pair[0])]
    frame = pd.DataFrame({"option": [("baseline: " if name == pair[0] else "") + scenario_title(data, name) for name in names]})
    chosen = data.sel(scenario=names)
    frame["networks"], frame["devices bought"] = chosen.network_investment.values, chosen.equipment_investment.values
    frame["yearly cost"] = chosen.yearly_cost.values
    years = [int(n) for n in data.appraisal_years.values]
    for n in years:
        frame[f"NPV {n} a"] = chosen.net_present_value.sel(appraisal_years=n).values
    stranded = chosen.stranded_share.values
    frame["not needed"] = 100.0 * stranded
    if not np.isfinite(stranded).any():
        frame = frame.drop(columns="not needed")
    units = {"networks": "EUR", "devices bought": "EUR", "yearly cost": "EUR/a", "not needed": "%"} | {f"NPV {n} a": "EUR" for n in years}
    rate = float(result.config().get("costs", {}).get("discount_rate", np.nan))
    note = "NPV: present value of what is saved against the baseline (negative: costs more), of all stakeholders together. Investments are paid when "
    note += "made and again at the end of their life, nothing is credited for what is left; operation is repeated every year. "
    if np.isfinite(rate):
        factors = ", ".join(f"{number(annuity_factor(n, rate))} ({n} a)" for n in years)
        note += f"With annuities instead, as in the social cost, it is the yearly saving times {factors}. "
    note += "Yearly cost: real costs without annuities. "
    if "not needed" in frame:
        note += "Not needed: share of the investment in ratings of distribution networks without which the peak of the AC power flow would stay "
        note += "within what may be used; what only an outage calls for is needed. "
    note += "Regret takes several futures: multiscale futures."
    return Table("appraisal", "Cost and benefit of the options", settled(frame, CENT), {c: u for c, u in units.items() if c in frame}, note, (0,))


def deferral_table(result: RunResult) -> Table | None:
    """Options that conventional planning builds and the plan does not: what their deferral is worth, and up to which price flexibility is cheaper."""
    data = result.dataset
    needed = ("option_break_even", "option_relieved", "built", "option_cost", "option_annuity")
    if data is None or not has(data, *needed) or not {"conventional", HEADLINE} <= set(scenario_names(data)):
        return None
    built = data.built.transpose("scenario", "option")
    left = np.flatnonzero((built.sel(scenario="conventional").values > 0) & (built.sel(scenario=HEADLINE).values == 0))
    if not len(left):
        return None
    rate = float(result.config()["costs"]["discount_rate"])
    years, chosen = [int(n) for n in data.appraisal_years.values], data.isel(option=left)
    frame = pd.DataFrame({"branch": chosen.option_branch.values.astype(str), "measure": chosen.option_measure.values.astype(str)})
    frame["investment"], frame["annuity"] = chosen.option_cost.values, chosen.option_annuity.values
    frame["above usable rating"], frame["break-even price"] = chosen.option_relieved.values, chosen.option_break_even.values
    for n in years:
        frame[f"deferral by {n} a"] = [deferral_value(float(cost), n, rate) for cost in chosen.option_cost.values]
    frame = frame.sort_values("investment", ascending=False, kind="stable", ignore_index=True)
    added = ["investment", "annuity", *(f"deferral by {n} a" for n in years)]
    total = {"branch": "total", "measure": plural(len(frame), "option")} | {c: float(frame[c].sum()) for c in added}
    frame = pd.concat([frame, pd.DataFrame([total])], ignore_index=True)
    units = {"investment": "EUR", "annuity": "EUR/a", "above usable rating": "kWh/a", "break-even price": "EUR/kWh"}
    units |= {f"deferral by {n} a": "EUR" for n in years}
    note = (
        "Built by planning without response, not by the plan. Break-even: price for each kWh relieved at which flexibility costs as much as the "
        "option, for the energy above the usable rating of its branch in the year without response; none where voltage alone calls for it. Energies "
        "of branches in a row are the same energy and are not added. Deferral: worth of investing so many years later. What the plan builds instead "
        "is not taken off."
    )
    if unserved := unserved_worth(result):
        note += f" In part they are not built because demand worth {euros(unserved, True)} is not served."
    return Table("deferral", "What planning without response builds and the plan does not", frame, units, note, (len(frame) - 1,))
