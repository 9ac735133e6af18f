"""Value streams of the headline scenario against the baseline, step by step, and what goes with them in kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.assessment.value_streams import (
    ADOPTION,
    CURTAILMENT,
    DISTRIBUTION,
    IN_SUM,
    LOCAL,
    LOSSES,
    POVERTY,
    RELIABILITY,
    STREAMS,
    TRANSMISSION,
    cost_parts,
    curtailed_energy,
    stream_values,
)
from multiscale.devices.fleet import purchasable
from multiscale.results.data.customers import burdened, known_incomes
from multiscale.results.data.parts.money import bills
from multiscale.results.data.parts.named import named
from multiscale.results.scenarios import SWITCHES, adds_purchases_only, path_from, stands_for, trades

if TYPE_CHECKING:
    from multiscale.results.data.answer_data import Scenario, YearAnswer

NOT_EXPANDED = "no scenario invests in generation or transmission (planning=tso and planning=nested do in transmission)"


def value_streams_dataset(answer: YearAnswer) -> xr.Dataset:
    """What every stream is worth in every step and in all, and its quantity before and after; NaN where not evaluated, with the reason."""
    path = path_from(answer.baseline, answer.scenarios)
    scenarios = [answer.scenarios[name] for name in path]
    names = [stream.name for stream in STREAMS]
    adoption = next((k for k in range(len(path) - 1) if adds_purchases_only(path[k], path[k + 1])), None) if answer.case.adoption else None
    prices, excluded = prices_of(answer.reference), answer.plan.operation.excluded
    cost = answer.case.system.curtailment_cost
    values = stream_values([cost_parts(s.ledger, s.operation, prices, cost, excluded) for s in scenarios], adoption)
    missing = dict.fromkeys(names, "")
    if answer.transmission is None:
        values[names.index(TRANSMISSION)], missing[TRANSMISSION] = np.nan, NOT_EXPANDED
    if adoption is None:
        missing[ADOPTION] = _why_no_adoption(answer)
    lost = [lost_energy(s, prices) for s in scenarios]
    values[names.index(LOSSES)] = -np.diff([worth for _, worth in lost])
    in_all = values.sum(axis=1)
    in_all[names.index(LOCAL)], traded = _local_income(answer)
    in_all[names.index(POVERTY)], above = _relief(answer)
    if not np.isfinite(values[names.index(LOSSES)]).all():
        missing[LOSSES] = "the AC power flow did not converge in every period"
    if trades(answer.baseline):
        in_all[names.index(LOCAL)], missing[LOCAL] = np.nan, "members trade in the baseline too, where trades are not kept"
    elif not np.isfinite(traded):
        missing[LOCAL] = "trades of platforms that were excluded are not known"
    if not np.isfinite(above).all():
        missing[POVERTY] = "no income of a household with a known bill is given (results.incomes)"
    quantities = {
        RELIABILITY: tuple(sum(s.operation.unserved.values()) for s in (answer.reference, answer.plan)),
        CURTAILMENT: tuple(curtailed_energy(s.operation, prices, excluded)[0] for s in (answer.reference, answer.plan)),
        LOSSES: (lost[0][0], lost[-1][0]),
        LOCAL: (np.nan if trades(answer.baseline) else 0.0, traded),
        POVERTY: above,
        ADOPTION: tuple(equipment_investment(answer, s.name) for s in (answer.reference, answer.plan)),
        DISTRIBUTION: tuple(network_investment(answer, s, transmission=False) for s in (answer.reference, answer.plan)),
        TRANSMISSION: tuple(_peak(s) for s in (answer.reference, answer.plan)),
    }
    kinds = np.array([quantities.get(name, (np.nan, np.nan)) for name in names], dtype=float)
    of = "value_stream"
    return xr.Dataset(
        {
            "value": named((of, "value_step"), values, "EUR/a", "what a step is worth by the stream; NaN where not evaluated, or not by step"),
            "value_in_all": named(of, in_all, "EUR/a", "what the stream is worth against the baseline; NaN where not evaluated"),
            "value_in_social_cost": named(of, np.array(IN_SUM, dtype=int), "1", "1 where the stream is part of the difference of the social costs"),
            "value_quantity": named((of, "compared"), kinds, "as value_unit", "quantity of the stream in the baseline and in the headline scenario"),
            "value_unit": named(of, [s.unit for s in STREAMS], "", "unit of the quantity"),
            "value_category": named(of, [s.category for s in STREAMS], "", "number of the category in the figure"),
            "value_of_what": named(of, [s.quantity for s in STREAMS], "", "what the quantity is"),
            "value_meaning": named(of, [s.meaning for s in STREAMS], "", "how the value is found"),
            "value_missing": named(of, [missing[name] for name in names], "", "why the stream is not evaluated"),
            "value_step_from": named("value_step", list(path[:-1]), "", "scenario against which the step is valued"),
        },
        coords={of: names, "value_step": list(path[1:]), "compared": ["before", "after"]},
    )


def value_streams_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """``assess.value.<stream>``, and ``assess.worth_of.<switch>``: social cost without it alone, less that with it; omitted where not evaluated."""
    found = value_streams_dataset(answer)
    values = zip(found.value_stream.values.tolist(), found.value_in_all.values.tolist(), strict=True)
    cost = {name: scenario.ledger.social_cost for name, scenario in answer.scenarios.items()}
    purchases = bool(answer.case.adoption)
    there = {"plan": bool(answer.plans) or answer.transmission is not None, "purchases": purchases}
    pairs = {key: (before, stands_for(after, purchases=purchases)) for key, (before, after) in SWITCHES.items() if there.get(key, True)}
    worth = {key: cost[before] - cost[after] for key, (before, after) in pairs.items() if before in cost and after in cost}
    streams = {f"value.{name.replace(' ', '_')}": value for name, value in values if np.isfinite(value)}
    return {f"assess.{name}": (value, "EUR/a") for name, value in (streams | {f"worth_of.{k}": v for k, v in worth.items()}).items()}


def prices_of(scenario: Scenario) -> dict[str, np.ndarray]:
    """DSO -> nodal price at its boundary in a scenario [EUR/kWh], (period,) of all days."""
    days = scenario.operation.days
    return {dso: np.concatenate([day.energy_price[dso] for day in days]) for dso in days[0].energy_price}


def lost_energy(scenario: Scenario, prices: dict[str, np.ndarray]) -> tuple[float, float]:
    """Losses of the AC power flow in a year [kWh/a], and their worth at given prices [EUR/a]; NaN where it did not converge in every period."""
    hours = np.concatenate([day.horizon.hours_per_year for day in scenario.operation.days])
    lost = {dso: check.result.losses.values for dso, check in scenario.verification.items()}
    if not lost:
        return float("nan"), float("nan")
    return sum(float(hours @ power) for power in lost.values()), sum(float((hours * prices[dso]) @ power) for dso, power in lost.items())


def network_investment(answer: YearAnswer, scenario: Scenario, *, transmission: bool = True) -> float:
    """What is invested in reinforcement in a scenario [EUR], on the transmission level too or not."""
    options = answer.case.system.options
    counted = on_transmission(answer) <= transmission
    built = [bool(scenario.design.built.get(o, False)) for o in options.option.values.tolist()]
    return float(options.cost_eur.values[counted & np.array(built, dtype=bool)].sum())


def on_transmission(answer: YearAnswer) -> np.ndarray:
    """Whether the branch of every option is one of the transmission level, (option,)."""
    system = answer.case.system
    return np.isin(system.options.branch.values, system.branches.branch.values[system.branches.node.values == system.top])


def equipment_investment(answer: YearAnswer, scenario: str) -> float:
    """What prosumers invest in devices in a scenario [EUR]."""
    if scenario != answer.headline:
        return 0.0
    devices = purchasable(answer.case.system.device_settings)
    return float(sum(np.sum(size) * devices[key].investment for sizes in answer.bought.values() for key, size in sizes.items()))


def _why_no_adoption(answer: YearAnswer) -> str:
    if not answer.case.adoption:
        return "prosumers may buy no devices (planning.adoption, or distribution operators do not plan)"
    return "no scenario differs from the headline in purchases alone; add trading to results.operated"


def _local_income(answer: YearAnswer) -> tuple[float, float]:
    """What members receive from each other in the headline scenario, fees taken off [EUR/a], and the energy [kWh/a]."""
    income, energy = 0.0, 0.0
    for day in answer.plan.operation.days:
        if set(day.trades) != set(answer.case.fleets):
            return float("nan"), float("nan")
        for book in day.trades.values():
            trades, local = book.trades, book.trades.local
            per_year = trades.energy[local] * book.occurrences[trades.period[local]]
            energy += float(per_year.sum())
            income += float(per_year @ (trades.price - trades.seller_fee)[local])
    return income, energy


def _relief(answer: YearAnswer) -> tuple[float, tuple[float, float]]:
    """What households with a high burden in the baseline pay less [EUR/a], and how many have one before and after; NaN without incomes."""
    incomes = known_incomes(answer)
    bill = bills(answer).bill
    before, after = (bill.sel(scenario=name).values for name in (answer.baseline, answer.headline))
    known = np.isfinite(incomes) & np.isfinite(before) & np.isfinite(after)
    if not known.any():
        return float("nan"), (float("nan"), float("nan"))
    high, later = (burdened(bill_of[known], incomes[known], answer.incomes.limit) for bill_of in (before, after))
    return float((before[known] - after[known])[high].sum()), (float(high.sum()), float(later.sum()))


def _peak(scenario: Scenario) -> float:
    """Largest power drawn from the transmission level by all operators together [kW]."""
    dsos = scenario.operation.days[0].energy_price
    return float(np.max(np.concatenate([sum(day.exchange[dso] for dso in dsos) for day in scenario.operation.days])))
