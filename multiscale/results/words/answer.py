"""The answer of a study in plain words: what to build, what it costs, who gains, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from multiscale.planning.nested.search import ROUNDING
from multiscale.results.data.dataset import compared_scenarios, has
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.check_words import check_facts
from multiscale.results.words.fact import Fact
from multiscale.results.words.numbers import amount, euros, number, percent, plural, reached_percent, signed
from multiscale.results.words.planning_words import left_open
from multiscale.results.words.regime_words import (
    ROUNDING_EUR,
    follows_profit,
    gap_share,
    nothing_pays,
    objective_words,
    regulation_words,
)
from multiscale.results.words.target_words import target_facts

STATUS_WORDS = {
    "optimal": "optimal, to within the gap asked for",
    "feasible": "feasible, but not everything is proven or within limits",
    "infeasible": "infeasible: no plan keeps all limits",
    "time_limit": "time limit reached without an answer",
    "error": "error",
    "interrupted": "interrupted",
    "running": "still running",
}


PAYS_IN_DISPATCH = "saves more in dispatch than it costs"
"""Why a branch of the transmission level is reinforced, whatever it carries itself."""


@dataclass(frozen=True)
class Built:
    """One reinforcement that is built.

    Attributes:
        branch, measure: what is reinforced, and how.
        cost: investment [EUR].
        added_kva: rating added [kVA].
        need: largest loading of the usable rating without it if no prosumer responded to any price [%]; NaN where unknown.
        peak: largest loading of the rating with the plan, AC power flow of the representative steps [%]; NaN where unknown.
        outage: whether a single outage would overload the branch without it.
        above: on the transmission level, largest share of its limit without and with the plan, DC power flow at nodal prices [%]; else NaN.
    """

    branch: str
    measure: str
    cost: float
    added_kva: float
    need: float
    peak: float
    outage: bool = False
    above: tuple[float, float] = (np.nan, np.nan)

    @property
    def loading(self) -> str:
        """What speaks for it and what it leads to, in words; empty where neither is known."""
        if np.isfinite(self.above[0]):
            loaded = f"loaded up to {number(self.above[0])} % of its limit without the plan, {number(self.above[1])} % with it, under DC power flow"
            # Raising a limit that does not bind saves nothing: it is the impedance that does.
            relieves = "; takes flow off lines whose limits bind" if max(self.above) < 99.99 else ""
            return f"{PAYS_IN_DISPATCH}{relieves}; {loaded}"
        parts = [f"needs {number(self.need)} % of its usable rating without it and without response"] if np.isfinite(self.need) else []
        parts += ["a single outage would overload it"] if self.outage else []
        return ", ".join(parts + ([f"at most {number(self.peak)} % of the rating with the plan"] if np.isfinite(self.peak) else []))


def reinforcements(result: RunResult) -> list[Built]:
    """What the plan builds, the most needed first."""
    data = result.dataset
    if data is None or not has(data, "option_built", "option_branch"):
        return []
    found = []
    for k in np.flatnonzero(data.option_built.values > 0.5):
        branch = str(data.option_branch.values[k])
        need = float(data.option_need.values[k]) if has(data, "option_need") else np.nan
        measure = str(data.option_measure.values[k]) if has(data, "option_measure") else "reinforcement"
        cost = float(data.option_cost.values[k]) if has(data, "option_cost") else np.nan
        added = float(data.option_added_rating.values[k]) if has(data, "option_added_rating") else np.nan
        peak = peak_loading(result, branch)[1]
        found.append(Built(branch, measure, cost, added, need, peak, for_outage(data, int(k)), dc_loading(data, int(k))))
    return sorted(found, key=lambda b: -b.need if np.isfinite(b.need) else 0.0)


def for_outage(data: xr.Dataset, option: int) -> bool:
    """Whether a single outage would overload the branch of an option without reinforcement."""
    return has(data, "option_for_outage") and bool(data.option_for_outage.values[option] > 0.5)


def dc_loading(data: xr.Dataset, option: int) -> tuple[float, float]:
    """Largest share of its limit that the branch of an option carries without and with the plan of the transmission operator [%]; else NaN."""
    names = ("option_dc_loading_before", "option_dc_loading_after")
    if not has(data, *names):
        return np.nan, np.nan
    before, after = (float(data[name].values[option]) for name in names)
    return before, after


def peak_loading(result: RunResult, branch: str) -> tuple[float, float]:
    """Largest loading of a branch in the baseline and in the headline scenario [%]; NaN where unknown."""
    data = result.dataset
    pair = compared_scenarios(data)
    if data is None or pair is None or not has(data, "loading") or branch not in data.branch.values:
        return np.nan, np.nan
    loading = data.loading.sel(branch=branch)
    return float(loading.sel(scenario=pair[0]).max()), float(loading.sel(scenario=pair[1]).max())


def unserved_worth(result: RunResult) -> float:
    """Worth of the demand that is not served with the plan [EUR/a]; zero below half a euro, and where no value is stored."""
    worth = result.value("assess.unserved_demand_plan")
    return 0.0 if worth is None or abs(worth) < 0.5 else float(worth)


def answer(result: RunResult) -> list[Fact]:
    """The whole answer, line by line, what failed a check first; what is not known is omitted."""
    facts = [*_plan(result), *_coordination(result), *check_facts(result), *gain_facts(result)]
    failed = [fact for fact in facts if fact.good is False]
    passed, warned = sum(fact.good is True for fact in facts), sum(fact.warned for fact in facts)
    return [*failed, _status(result, len(failed), passed, warned), *(fact for fact in facts if fact.good is not False)]


def _status(result: RunResult, failed: int, passed: int, warned: int) -> Fact:
    """The status in words. Nothing is called optimal, and nothing marked as in order, where a check failed."""
    if result.status in ("optimal", "feasible") and failed:
        solved = "solved to within the gap asked for" if result.status == "optimal" else "an answer"
        return Fact("Status", f"{solved}, with reservations: {plural(failed, 'check')} failed", warned=True)
    checked = f"; no check failed, {plural(warned, 'warning')}" if warned else "; all checks passed"
    text = STATUS_WORDS.get(result.status, result.status) + (checked if passed and result.status == "optimal" else "")
    return Fact("Status", text, {"optimal": True, "feasible": None}.get(result.status, False), warned=result.status == "feasible")


def failures(result: RunResult) -> list[str]:
    """Everything that failed a check, and the reasons that the run itself states; empty where all checks passed."""
    failed = [f"{fact.label}: {fact.text}" for fact in answer(result) if fact.good is False]
    reasons = [reason for reason in str(result.details.get("message") or "").split("; ") if reason]
    return [*(reasons if failed or result.status != "optimal" else []), *failed]


def _plan(result: RunResult) -> list[Fact]:
    value = result.value
    facts: list[Fact] = []
    built, invested = reinforcements(result), value("plan.investment")
    count = value("plan.reinforcements")
    if above := value("transmission.reinforcements"):
        count, invested = (count or 0) + above, (invested or 0.0) + value("transmission.investment")
    if count is not None or built:
        count = len(built) if count is None else int(count)
        cost = f", investment {euros(invested)}" if invested is not None and count else ""
        facts.append(Fact("Build", f"{plural(count, 'reinforcement')}{cost}" if count else f"nothing: {nothing_pays(result)}"))
    facts += [Fact(name.capitalize(), f"{now} (existing network {before})" if before else now) for name, now, before in decided_prices(result)]
    deferred, conventional = value("plan.deferred_investment"), value("plan.conventional_investment")
    if deferred and deferred > 0:
        of = f" of the {euros(conventional)}" if conventional else ""
        unserved = unserved_worth(result)
        instead = f"; in part because demand worth {euros(unserved, True)} is not served" if unserved else ""
        # What an operator leaves out for its profit may well be needed.
        label = "Not built" if follows_profit(result) else "Not needed"
        facts.append(Fact(label, f"{euros(deferred)}{of} that planning without any response of prosumers would invest{instead}"))
    pv, storage = float(value("plan.bought_pv") or 0.0), float(value("plan.bought_storage") or 0.0)
    if pv > 0.5 or storage > 0.5:
        # Rounding of the solver is no purchase.
        bought = [f"{number(pv)} kW of photovoltaics"] * (pv > 0.5) + [f"{number(storage)} kWh of storage"] * (storage > 0.5)
        facts.append(Fact("Prosumers buy", f"{listed(bought)}, in answer to the charge"))
    if value("plan.objective") is not None:
        name, worth, none_better = objective_words(result, value("plan.objective"), value("plan.bound"))
        proof, missed, reached = _proof(result, none_better)
        facts.append(Fact(name.capitalize(), f"{worth}{proof}{missed}", reached))
    facts += target_facts(result)
    facts += _transmission(result)
    facts += _stages(result)
    return facts + [Fact("Operator" if value("system.dsos") == 1 else "Operators", text) for text in regulation_words(result)[:1]]


def _transmission(result: RunResult) -> list[Fact]:
    """The plan of the transmission operator, alone or together with the distribution operators."""
    cost, gap, moved = (result.value(f"transmission.{key}") for key in ("cost", "gap_eur", "gap_of_decisions"))
    if cost is None:
        return []
    built, asked = int(result.value("transmission.reinforcements") or 0), result.config().get("planning", {})
    known, moved = without_rounding(gap, moved)
    share = "" if moved is None else f", {percent(max(moved, 0.0))} of what decisions move"
    words = f"{plural(built, 'reinforcement')}, investment {euros(result.value('transmission.investment'))}" if built else "nothing"
    allowed = max(float(asked.get("gap_eur") or 0.0), float(asked.get("gap") or 0.0) * abs(cost)) + ROUNDING * abs(cost)
    proof = f"{words}; at nodal prices no plan costs less than {euros(cost - gap, True)} (gap {euros(max(known or 0.0, 0.0), True)}{share})"
    return [Fact("Transmission", proof, bool(gap <= allowed))]


def _stages(result: RunResult) -> list[Fact]:
    """The plans of all years together, where one keeps what those before it build."""
    cost, bound = (result.value(f"stages.{key}") for key in ("cost", "bound"))
    if cost is None:
        return []
    name, worth, none_better = objective_words(result, cost, bound, "EUR")
    gap = f" (gap {amount(max(cost - bound, 0.0), 'EUR')})" if bound is not None else ""
    proof = f"of plans that keep to each other none {none_better}{gap}" if none_better else "no bound is proven"
    return [Fact("All years", f"present value of the {name} {worth}; {proof}")]


def _proof(result: RunResult, none_better: str) -> tuple[str, str, bool | None]:
    """What is proven of the plan, by how much it misses what was asked for, and whether it reaches that (None: nothing was asked)."""
    value, planning = result.value, result.config().get("planning", {})
    gap, gap_eur = value("plan.gap"), value("plan.gap_eur")
    moved, yardstick = gap_share(result)
    asked, asked_eur = planning.get("gap"), planning.get("gap_eur")
    gap_eur, moved = without_rounding(gap_eur, moved)
    if gap is None or value("plan.bound") is None:
        return "; no lower bound is proven", "", None if asked is None else False
    share = percent(gap) if moved is None else f"{percent(moved)} {yardstick}"
    distance = f"gap {share}" if gap_eur is None else f"gap {euros(gap_eur, True)}, {share}"
    plans = f"of the plans {narrowed} none" if (narrowed := left_open(result)) else "no plan"
    proof = f"; {plans} {none_better} ({distance})"
    if asked is None:
        return proof, "", None
    reached = gap <= asked * (1 + 1e-9) or (gap_eur is not None and asked_eur is not None and gap_eur <= asked_eur * (1 + 1e-9))
    wanted = percent(asked) if asked_eur is None else euros(asked_eur, True)
    return proof, "" if reached else f", more than the {wanted} asked for", reached


def without_rounding(gap_eur: float | None, moved: float | None) -> tuple[float | None, float | None]:
    """Gap and its share of what decisions move; zero where rounding of the linear programs is all there is of it."""
    return (0.0, None if moved is None else 0.0) if gap_eur is not None and abs(gap_eur) < ROUNDING_EUR else (gap_eur, moved)


def _coordination(result: RunResult) -> list[Fact]:
    value = result.value
    if value("coordination.cost") is None:
        return []
    text = euros(value("coordination.cost"), True)
    missed, worth = missed_cost(result), value("coordination.value")
    excluded = int(value("coordination.excluded") or 0)
    if missed is not None:
        than = "the others could do around what is given" if excluded else "coordination there could be"
        text += f", at most {euros(missed, True)} above the best {than}" if missed >= ROUNDING_EUR else f", the best {than}"
    if value("coordination.bound") is not None:
        text += f" (certified bound {euros(value('coordination.bound'), True)})"
    facts = [Fact("Cost of operation", text)]
    if excluded:
        named = value("coordination.excluded_nodes")
        known = "their exchange is given; what they do inside is not known, and in no cost, bill or energy here"
        facts.append(Fact("Excluded", f"{plural(excluded, 'platform')} ({named}); {known}", False))
    reached = value_reached(result)
    if reached is not None and worth is not None and worth >= 0.5:
        facts.append(
            Fact("Worth of coordination", f"{reached_percent(reached)} of the {euros(worth, True)} that coordination can save against a flat tariff")
        )
    if value("coordination.messages") is not None:
        size = value("coordination.bytes")
        sent = f", {number(size / 1000)} kB" if size else ""
        facts.append(
            Fact(
                "Messages",
                f"{plural(int(value('coordination.messages')), 'message')} in {plural(int(value('coordination.rounds') or 1), 'round')}{sent}",
            )
        )
    return facts


def missed_cost(result: RunResult) -> float | None:
    """Cost of operation above the certified bound [EUR/a]."""
    cost, bound = result.value("coordination.cost"), result.value("coordination.bound")
    if cost is None or bound is None:
        return None
    missed = float(cost) - float(bound)
    # Less than a cent is rounding of the solvers.
    return 0.0 if abs(missed) < ROUNDING_EUR else missed


def value_reached(result: RunResult) -> float | None:
    """Share of what coordination can save that was reached [1]; all of it where less than a cent is missing, as in ``missed_cost``."""
    reached, worth = result.value("coordination.value_reached"), result.value("coordination.value")
    if reached is None or worth is None:
        return reached
    return 1.0 if abs((1.0 - reached) * worth) < ROUNDING_EUR else float(reached)


def gain_facts(result: RunResult) -> list[Fact]:
    """Who gains and who loses against the baseline."""
    data = result.dataset
    pair = compared_scenarios(data)
    if data is not None and has(data, "welfare") and pair is not None:
        change = data.welfare.sel(scenario=pair[1]) - data.welfare.sel(scenario=pair[0])
        order = np.argsort(-change.values)
        parts = [f"{data.stakeholder.values[k]} {signed(float(change.values[k]))}" for k in order if abs(float(change.values[k])) >= 0.5]
        total = float(change.sum())
        together = f"; all together {signed(total)}" if abs(total) >= 0.5 else ""
        return [
            Fact("Who gains, who loses", (", ".join(parts) if parts else "no stakeholder, to within 1 EUR/a") + together),
            *_congestion_rent(data, pair),
        ]
    gain = result.value("assess.gain_prosumers")
    return [Fact("Who gains, who loses", f"prosumers {signed(float(gain))}")] if gain is not None else []


ENERGY_FLOWS = ("energy at the boundary", "energy of passive customers", "energy of platforms")
"""Flows of money for energy; a DSO keeps what they leave it."""


def _congestion_rent(data: xr.Dataset, pair: tuple[str, str]) -> list[Fact]:
    """What distribution operators keep of the price of energy between their boundary and the platforms, where it is anything."""
    if not has(data, "money") or not set(ENERGY_FLOWS) <= set(data.flow.values.tolist()):
        return []
    kept = data.money.sel(stakeholder="distribution operators", flow=list(ENERGY_FLOWS)).sum("flow", skipna=False)
    before, rent = (round(float(kept.sel(scenario=s)), 2) for s in pair)
    if max(abs(before), abs(rent)) < 0.5:
        return []
    text = f"distribution operators keep {euros(rent, True)} (baseline {euros(before, True)}) of what platforms pay for energy at their own nodes: "
    return [Fact("Congestion rent", f"{text}it is part of their gain and does not lower the network charge")]


def decided_prices(result: RunResult) -> list[tuple[str, str, str]]:
    """Every price that the planner decides, in words: its name, its value under the plan, and with the existing network (empty if unknown)."""
    start, found = "plan.price.", []
    for key in [k for k in result.summary if k.startswith(start)]:
        value, before, unit = result.value(key), result.value(f"existing.price.{key.removeprefix(start)}"), result.summary[key][1]
        name = key.removeprefix(start).replace("_", " ").replace(".", ", ")
        found.append((name, amount(value, unit), amount(before, unit) if before is not None else ""))
    return found


def listed(items: list[str]) -> str:
    """Items as a phrase: "a, b and c"."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
