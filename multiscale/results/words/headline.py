"""The first sentences of the report: for a reader of nothing else."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np

from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.run.run_result import RunResult
from multiscale.results.scenarios import LADDER, added
from multiscale.results.words.answer import (
    decided_prices,
    gain_facts,
    listed,
    missed_cost,
    reinforcements,
    without_rounding,
)
from multiscale.results.words.check_words import check_facts, outage_facts, year_facts
from multiscale.results.words.mechanism_words import chosen, words
from multiscale.results.words.numbers import amount, euros, percent, plural, reached_percent, signed
from multiscale.results.words.planning_words import is_planned, left_open, may_buy
from multiscale.results.words.regime_words import ROUNDING_EUR, follows_profit, gap_share, nothing_pays, regime_of, regulation_words, years_of

_USEFUL_GAP = 0.1
"""Relative gap from which on a bound says nothing to a planner."""


def headline(result: RunResult) -> list[str]:
    """Three to five sentences for a reader of nothing else."""
    value = result.value
    built = reinforcements(result)
    sentences = []
    if (years := years_of(result)) and value("plan.reinforcements") is not None:
        sentences.append(f"Of {listed(years)}, what follows is the state in {years[-1]}: what earlier years build is included.")
    if built:
        total = euros(sum(b.cost for b in built if np.isfinite(b.cost)))
        if len(built) <= 4:
            sentences.append(f"Reinforce {listed([f'{b.branch} ({b.measure})' for b in built])}: an investment of {total}.")
        else:
            kinds = Counter(b.measure for b in built)
            sentences.append(f"Make {len(built)} reinforcements ({listed([f'{n} × {m}' for m, n in kinds.items()])}): an investment of {total}.")
    elif not is_planned(result):
        sentences.append("Nothing is planned: the network stays as it is.")
    elif value("plan.reinforcements") is not None or has(result.dataset, "option_built"):
        sentences.append(f"Build nothing: with trading platforms in operation {nothing_pays(result)}.")
    decided = [f"{name} {now}" + (f" instead of {before} for the existing network" if before else "") for name, now, before in decided_prices(result)]
    if decided:
        sentences.append(f"{regime_of(result).pricing}: {listed(decided)}.")
    sentences += [f"The operator {text}." for text in regulation_words(result)[1:]]
    gains = next((f.text for f in gain_facts(result)), "")
    pair = compared_scenarios(result.dataset)
    if gains:
        against = f'"{scenario_title(result.dataset, pair[0])}"' if result.dataset is not None and pair is not None else "the baseline"
        sentences.append(f"Against {against}, yearly: {gains}.")
    sentences += _steps(result)
    sentences += _proven(result)
    sentences += [sentence for sentence in (_coordination_sentence(result),) if sentence]
    ac = next((f for f in check_facts(result) if f.label == "AC power flow"), None)
    if ac is not None:
        sentences.append(f"Checked by AC power flow: {ac.text}.")
    sentences += [f"AC power flow under single outages: {fact.text}." for fact in outage_facts(result)]
    sentences += [f"AC power flow of the whole year: {fact.text}." for fact in year_facts(result)]
    if value("horizon.warnings"):
        days = plural(int(value("horizon.days") or 0), "representative day")
        sentences.append(f"Warning: by {days}, {value('horizon.warnings')}. More days (horizon.days) come closer.")
    return sentences or ["This run holds no plan and no coordination to report."]


def _steps(result: RunResult) -> list[str]:
    """What each step from the baseline to the plan adds to the social cost: a sum hides that one step may save what another loses."""
    data = result.dataset
    pair = compared_scenarios(data)
    if data is None or pair is None or not has(data, "real_cost") or pair[0] not in LADDER or not set(LADDER) <= set(scenario_names(data)):
        return []
    names = LADDER[LADDER.index(pair[0]) :]
    cost = data.real_cost.sum(("stakeholder", "cost"))
    plan = {"planned": is_planned(result), "purchases": may_buy(result)}
    steps = [(added(a, b, **plan), float(cost.sel(scenario=b) - cost.sel(scenario=a))) for a, b in pairwise(names)]
    named = [f"{name} {signed(step if abs(step) >= ROUNDING_EUR else 0.0)}" for name, step in steps]
    return [f"Change of social cost by step (negative: a saving): {listed(named)}."]


def _proven(result: RunResult) -> list[str]:
    """What the proven bound says of other plans: in EUR/a, and of what decisions move."""
    gap, gap_eur, together = (result.value(key) for key in ("plan.gap", "plan.gap_eur", "stages.gap_eur"))
    moved, yardstick = gap_share(result)
    if result.value("stages.cost") is not None:
        # The plan of one year is proven only among those that the other years leave open.
        better = "raise the profit of the operator" if follows_profit(result) else "are cheaper"
        if together is None:
            return [f"Whether other plans of the years together {better} is not proven: no lower bound is known."]
        by = "to within a cent" if together < ROUNDING_EUR else f"by more than {amount(together, 'EUR')}"
        return [f"It is proven that no other plans of the years together {better} {by} in present value."]
    better = "raises the profit of the operator" if follows_profit(result) else "is better"
    if gap is None:
        return [] if result.value("plan.objective") is None else ["How much better another plan could be is not proven: no lower bound is known."]
    gap_eur, moved = without_rounding(gap_eur, moved)
    narrowed = f"of those {one} " if (one := left_open(result)) else ""
    if gap_eur == 0.0:
        return [f"It is proven that no other plan {narrowed}{better}, to within a cent a year."]
    distance = percent(gap) if gap_eur is None else euros(max(float(gap_eur), 0.0), True)
    share = "" if moved is None else f", {percent(max(float(moved), 0.0))} {yardstick}"
    if (moved if moved is not None else gap) <= _USEFUL_GAP:
        return [f"It is proven that no other plan {narrowed}{better} by more than {distance}{share}."]
    return [f"How much better another plan could be is not proven to any use (gap {distance}{share})."]


def _coordination_sentence(result: RunResult) -> str:
    """How near operation comes to perfect coordination; relative to what coordination is worth, for the cost itself may be near zero."""
    missed, worth = missed_cost(result), result.value("coordination.value")
    if missed is None:
        return ""
    by = words(chosen(result)).by
    excluded = int(result.value("coordination.excluded") or 0)
    if excluded:
        around = f"Around {plural(excluded, 'platform')} excluded ({result.value('coordination.excluded_nodes')})"
        return f"{around}, the others cost at most {euros(missed, True)} more than under perfect coordination."
    if worth is not None and worth >= 0.5 and worth > missed:
        share = 1.0 - missed / float(worth)
        return (
            f"Operated {by}, the system reaches at least {reached_percent(share)} of what perfect coordination could save against a "
            f"flat tariff ({euros(worth, True)})."
        )
    if missed < ROUNDING_EUR:
        return f"Operated {by}, the system costs no more than under perfect coordination."
    return f"Operated {by}, the system costs at most {euros(missed, True)} more than under perfect coordination."
