"""Cost-benefit analysis of the scenarios against the baseline, and of options that are not built; stranded investment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.assessment.cost_benefit import (
    APPRAISAL_YEARS,
    Asset,
    PlanOption,
    break_even_price,
    deferral_value,
    net_present_value,
)
from multiscale.assessment.stranded import stranded_share
from multiscale.devices.fleet import purchasable
from multiscale.measures import added_rating, impedance_removed, voltage_change
from multiscale.results.data.parts.named import named
from multiscale.results.data.value_streams import equipment_investment, network_investment, on_transmission

if TYPE_CHECKING:
    from multiscale.results.data.answer_data import Scenario, YearAnswer


def appraisal_dataset(answer: YearAnswer) -> xr.Dataset:
    """Investments, yearly costs, net present and deferral values of every scenario; break-even prices of options; stranded shares."""
    scenarios, rate = list(answer.scenarios.values()), answer.case.economics.discount_rate
    options = [plan_option(answer, scenario) for scenario in scenarios]
    base = options[list(answer.scenarios).index(answer.baseline)]
    networks = [network_investment(answer, s) for s in scenarios]
    deferred = network_investment(answer, answer.reference) - np.array(networks)
    over = ("scenario", "appraisal_years")
    npv = [[net_present_value(option, base, years, rate) for years in APPRAISAL_YEARS] for option in options]
    later = [[deferral_value(amount, years, rate) for years in APPRAISAL_YEARS] for amount in deferred.tolist()]
    return xr.Dataset(
        {
            "network_investment": named("scenario", networks, "EUR", "investment in reinforcement"),
            "equipment_investment": named("scenario", [equipment_investment(answer, s.name) for s in scenarios], "EUR", "investment in devices"),
            "yearly_cost": named(
                "scenario", [option.yearly for option in options], "EUR/a", "all real costs but annuities of what is built and bought"
            ),
            "net_present_value": named(over, npv, "EUR", "present value of what is saved against the baseline, operation as in the year"),
            "deferral_value": named(over, later, "EUR", "worth of investing so many years later what the baseline builds more than the scenario"),
            "stranded_share": named("scenario", [stranded(answer, s) for s in scenarios], "1", "share of investment in ratings that is not needed"),
            "option_relieved": named(
                "option", _relieved(answer), "kWh/a", "energy above the usable rating of its branch in the year without response"
            ),
            "option_break_even": named("option", _break_even(answer), "EUR/kWh", "price of flexibility at which relieving the branch costs the same"),
        },
        coords={
            "scenario": list(answer.scenarios),
            "appraisal_years": list(APPRAISAL_YEARS),
            "option": answer.case.system.options.option.values,
        },
    )


def appraisal_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """Net present values of the headline scenario, and its stranded share where something is built."""
    data = appraisal_dataset(answer).sel(scenario=answer.headline)
    out: dict[str, tuple[Any, str]] = {f"assess.npv_{n}": (float(data.net_present_value.sel(appraisal_years=n)), "EUR") for n in APPRAISAL_YEARS}
    share = float(data.stranded_share)
    return out | ({"regulation.operated.stranded_share": (share, "1")} if np.isfinite(share) else {})


def plan_option(answer: YearAnswer, scenario: Scenario) -> PlanOption:
    """A scenario as an option of the appraisal: what is built and bought, and all other real costs of the year."""
    annuity, options = answer.case.economics.annuity, answer.case.system.options
    columns = (options[c].values.tolist() for c in ("option", "cost_eur", "lifetime_years"))
    assets = [Asset(cost, lifetime) for name, cost, lifetime in zip(*columns, strict=True) if scenario.design.built.get(name, False)]
    if scenario.name == answer.headline:
        devices = purchasable(answer.case.system.device_settings)
        for sizes in answer.bought.values():
            assets += [Asset(float(np.sum(size)) * devices[key].investment, devices[key].lifetime) for key, size in sizes.items()]
    return PlanOption(assets, scenario.ledger.social_cost - sum(a.cost * annuity(a.lifetime) for a in assets))


def stranded(answer: YearAnswer, scenario: Scenario) -> float:
    """Share of a scenario's investment in added ratings of distribution networks that its peak does not need [1].

    Usable shares are those under which it was planned: what a repair tightened, for an outage or the AC power flow, is needed. NaN where nothing of
    the kind is built, or the power flow diverged.
    """
    options, branches = answer.case.system.options, answer.case.system.branches
    built = np.array([scenario.design.built.get(o, False) for o in options.option.values.tolist()], dtype=bool)
    built &= ~on_transmission(answer)
    judged = np.flatnonzero(built & (added_rating(options) > 0) & (voltage_change(options) == 0) & (impedance_removed(options) == 0))
    branch = options.branch.values[judged]
    own = branches.sel(branch=branch)
    limits, vn_kv = answer.case.limits, answer.case.system.buses.vn_kv.sel(bus=own.to_bus.values).values
    usable = 100.0 * np.min(np.multiply(limits.shares(vn_kv, with_margin=True), limits.factors([[b] for b in branch.tolist()])), axis=0)
    loading = {b: peak for v in scenario.verification.values() for b, peak in _peaks(v.result.loading).items()}
    peak = np.array([loading.get(b, np.nan) for b in branch.tolist()], dtype=float)
    if np.isnan(peak).any():
        return float("nan")
    return stranded_share(options.cost_eur.values[judged], branch, added_rating(options)[judged], own.rating_kva.values, usable, peak)


def _peaks(loading: xr.DataArray) -> dict[str, float]:
    """Branch -> largest loading [%]; NaN where some period has none."""
    values = loading.transpose("branch", "period").values
    return dict(zip(loading.branch.values.tolist(), values.max(axis=1).tolist(), strict=True))


def _relieved(answer: YearAnswer) -> np.ndarray:
    """Energy above the usable rating of the branch of every option, both directions [kWh/a], (option,)."""
    overload = answer.case.aggregation.overload
    found: dict[str, float] = {}
    for branch, energy in zip(overload.overloaded_branch.values.tolist(), overload.year.values.tolist(), strict=True):
        found[branch] = found.get(branch, 0.0) + energy
    return np.array([found.get(b, 0.0) for b in answer.case.system.options.branch.values.tolist()], dtype=float)


def _break_even(answer: YearAnswer) -> np.ndarray:
    options, annuity = answer.case.system.options, answer.case.economics.annuity
    yearly = [c * annuity(n) for c, n in zip(options.cost_eur.values.tolist(), options.lifetime_years.values.tolist(), strict=True)]
    return np.array([break_even_price(a, e) for a, e in zip(yearly, _relieved(answer).tolist(), strict=True)], dtype=float)
