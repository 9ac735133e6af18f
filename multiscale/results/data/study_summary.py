"""The flat summary of a study: its main values, each with a unit."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from multiscale.assessment import REAL_COSTS
from multiscale.devices.fleet import purchasable
from multiscale.planning.nested.answer import TransmissionPlan
from multiscale.results.data.answer_data import StagedPlan, YearAnswer
from multiscale.results.data.appraisal import appraisal_summary
from multiscale.results.data.conflicts_and_reserves import conflicts_and_reserves_summary
from multiscale.results.data.costs_and_transfers import costs_summary
from multiscale.results.data.customers import customers_summary
from multiscale.results.data.market_summary import market_summary
from multiscale.results.data.outages import outages_summary
from multiscale.results.data.regulation import regulation_summary
from multiscale.results.data.targets import targets_summary
from multiscale.results.data.value_streams import value_streams_summary
from multiscale.results.data.year_of_hours import year_summary
from multiscale.tariffs import Prices


def study_summary(answers: Sequence[YearAnswer], staged: StagedPlan | None = None) -> dict[str, tuple[Any, str]]:
    """The flat summary: key -> (value, unit). It is that of the last year; where there are several, each has its own under ``years.<year>.<key>``.

    Args:
        answers: of the years.
        staged: what is proven of their plans together.
    """
    summary = year_summary_of(answers[-1])
    if len(answers) > 1:
        for answer in answers:
            summary |= {f"years.{answer.case.year}.{key}": value for key, value in year_summary_of(answer).items()}
    return summary | ({} if staged is None else _staged_summary(answers, staged))


def _staged_summary(answers: Sequence[YearAnswer], staged: StagedPlan) -> dict[str, tuple[Any, str]]:
    """Present value of the plans of all years, and what is proven of it."""
    cost = sum(staged.weights[answer.case.year] * plan.objective for answer in answers for plan in answer.plans.values())
    return {
        "stages.cost": (cost, "EUR"),
        "stages.bound": (staged.bound, "EUR"),
        "stages.gap_eur": (cost - staged.bound, "EUR"),
        "stages.separate_bound": (staged.separate, "EUR"),
        "stages.plans": (staged.solves, "1"),
        "stages.ended": (staged.ended, ""),
        **{f"stages.weight.{year}": (weight, "a") for year, weight in staged.weights.items()},
    }


def year_summary_of(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """The summary of one year."""
    system = answer.case.system
    summary: dict[str, tuple[Any, str]] = {
        "system.year": (answer.case.year, ""),
        "system.platforms": (len(system.at_level("platform")), "1"),
        "system.prosumers": (int(system.prosumers.sizes["prosumer"]), "1"),
        "system.buses": (int(system.buses.sizes["bus"]), "1"),
        "system.dsos": (len(system.at_level("dso")), "1"),
        "system.options": (int(system.options.sizes["option"]), "1"),
    }
    summary |= _plan_summary(answer)
    summary |= _transmission_summary(answer.transmission)
    summary |= _coordination_summary(answer)
    summary |= conflicts_and_reserves_summary(answer)
    summary |= market_summary(answer)
    for scenario in answer.scenarios.values():
        prefix = "ac." if scenario.name == answer.headline else f"ac.{scenario.name}."
        checks = list(scenario.verification.values())
        summary[f"{prefix}max_line_overload"] = (float(np.max([v.max_line_overload for v in checks])), "%")
        summary[f"{prefix}max_voltage_violation"] = (float(np.max([v.max_voltage_violation for v in checks])), "pu")
        summary[f"{prefix}diverged_steps"] = (sum(v.diverged for v in checks), "1")
        summary[f"{prefix}buses_without_supply"] = (sum(len(v.without_supply) for v in checks), "1")
        summary[f"{prefix}violations"] = (sum(len(v.violations) for v in checks), "1")
    residuals = [day.energy_residual for scenario in answer.scenarios.values() for day in scenario.operation.days]
    summary["ledger.energy_residual"] = (float(np.max(residuals)), "1")
    summary["ledger.money_residual"] = (float(np.max([s.ledger.residual for s in answer.scenarios.values()])), "1")
    change = answer.plan.ledger.welfare - answer.reference.ledger.welfare
    arrays = answer.plan.ledger.arrays()
    for k, who in enumerate(arrays.stakeholder.values.tolist()):
        summary[f"assess.gain.{who.replace(' ', '_')}"] = (float(change[k]), "EUR/a")
    summary["assess.gain_prosumers"] = (float(change[0]), "EUR/a")
    for scenario in answer.scenarios.values():
        summary[f"assess.social_cost_{scenario.name}"] = (scenario.ledger.social_cost, "EUR/a")
        for cost, amount in zip(REAL_COSTS, scenario.ledger.real.sum(axis=0).tolist(), strict=True):
            summary[f"assess.{cost.replace(' ', '_')}_{scenario.name}"] = (amount, "EUR/a")
    summary["assess.baseline"], summary["assess.headline"] = (answer.baseline, ""), (answer.headline, "")
    summary |= costs_summary(answer) | value_streams_summary(answer) | customers_summary(answer)
    summary |= regulation_summary(answer) | appraisal_summary(answer) | targets_summary(answer)
    return summary | _horizon_summary(answer) | outages_summary(answer.outages) | year_summary(answer.year_check)


def _horizon_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """What the representative days miss of the year."""
    aggregation = answer.case.aggregation
    error, overload = aggregation.error, aggregation.overload
    summary: dict[str, tuple[Any, str]] = {"horizon.days": (len(aggregation.horizon.days), "1")}
    for measure in ("energy", "duration"):
        for feature, value in zip(error.feature.values.tolist(), error[measure].values.tolist(), strict=True):
            summary[f"horizon.{measure}_error.{feature.replace(' ', '_')}"] = (value, "%")
    branch, worst = aggregation.worst_overload_error
    return summary | {
        "horizon.peak_demand_error": (aggregation.peak_demand_error, "%"),
        "horizon.peak_feed_in_error": (aggregation.peak_feed_in_error, "%"),
        "horizon.overloaded_branches": (int(overload.sizes["overloaded_branch"]), "1"),
        "horizon.overloaded_branches_seen": (int(overload.sizes["overloaded_branch"]) - len(aggregation.unseen), "1"),
        "horizon.overload_energy": (float(overload.year.sum()), "kWh/a"),
        "horizon.overload_error": (aggregation.overload_error, "%"),
        "horizon.overload_error_worst": (worst, "%"),
        "horizon.overload_worst_branch": (branch, ""),
        "horizon.warnings": ("; ".join(answer.case.warnings), ""),
    }


def _plan_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    plans = list(answer.plans.values())
    if not plans:
        return {}
    objective, bound = sum(p.objective for p in plans), sum(p.bound for p in plans)
    options = answer.case.system.options
    conventional = sum(need.investment(options) for need in answer.case.need.values())
    investment = sum(p.investment for p in plans)
    return {
        "plan.objective": (objective, "EUR/a"),
        "plan.bound": (bound, "EUR/a"),
        "plan.gap": ((objective - bound) / max(abs(objective), 1.0), "1"),
        "plan.gap_eur": (objective - bound, "EUR/a"),
        **_moved(plans, objective - bound),
        "plan.certificate.follower_gap": (float(np.max([p.follower_gap for p in plans])), "1"),
        **_prices("plan", [p.prices for p in plans], answer),
        **{
            k: v
            for s in answer.scenarios.values()
            if s.name != answer.headline
            for k, v in _prices(s.name, list(s.design.prices.values()), answer).items()
        },
        "plan.revenue": (sum(p.revenue for p in plans), "EUR/a"),
        **_limit(sum(p.allowed_revenue for p in plans)),
        "plan.investment": (investment, "EUR"),
        "plan.reinforcement_annuity": (sum(p.costs["reinforcement"] for p in plans), "EUR/a"),
        "plan.participants": (sum(p.participants for p in plans), "1"),
        **{f"plan.response_difference.{n}": (max((p.response_difference[n] for p in plans), key=abs), "1") for n in plans[0].response_difference},
        "plan.repair_rounds": (answer.repair.rounds, "1"),
        "plan.reinforcements": (sum(sum(p.built.values()) for p in plans), "1"),
        "plan.conventional_investment": (conventional, "EUR"),
        "plan.deferred_investment": (conventional - investment, "EUR"),
        **{
            f"plan.bought_{device.capacity.account}": (
                float(sum(b[key].sum() for p in plans for b in p.bought.values() if key in b)),
                device.capacity.unit,
            )
            for key, device in purchasable(answer.case.system.device_settings).items()
        },
    }


def _transmission_summary(plan: TransmissionPlan | None) -> dict[str, tuple[Any, str]]:
    """The plan of the transmission operator, alone or together with the distribution operators."""
    if plan is None:
        return {}
    share = plan.gap_of_decisions
    return {
        "transmission.reinforcements": (sum(plan.built.values()), "1"),
        "transmission.investment": (plan.investment, "EUR"),
        "transmission.reinforcement_annuity": (plan.annuity, "EUR/a"),
        "transmission.reinforcements_below": (sum(sum(choice.values()) for choice in plan.below.values()), "1"),
        "transmission.cost": (plan.cost, "EUR/a"),
        "transmission.bound": (plan.bound, "EUR/a"),
        "transmission.gap_eur": (plan.gap_eur, "EUR/a"),
        **({} if share is None else {"transmission.decision_range": (plan.decision_range, "EUR/a"), "transmission.gap_of_decisions": (share, "1")}),
        "transmission.cost_of_nothing": (plan.nothing, "EUR/a"),
        "transmission.cost_of_everything": (plan.everything, "EUR/a"),
        **{f"transmission.cost_of_{who}_alone": (cost, "EUR/a") for who, cost in plan.alone.items()},
        "transmission.rounds": (plan.rounds, "1"),
        "transmission.ended": (plan.message, ""),
    }


def _limit(allowed: float) -> dict[str, tuple[Any, str]]:
    """The allowed revenue, where the regime sets a limit."""
    return {"plan.allowed_revenue": (allowed, "EUR/a")} if np.isfinite(allowed) else {}


def _prices(scenario: str, prices: Sequence[Prices], answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """Every decided price, the mean over the DSOs: ``plan.price.<component>``, with the label of the price where a component has several.

    Prices of policy mechanisms that a plan decides are not in force where there is none.
    """
    out: dict[str, tuple[Any, str]] = {}
    for name, component in answer.case.economics.tariff.decided.items():
        if not all(name in p for p in prices):
            continue
        mean = np.mean([p[name] for p in prices], axis=0)
        labels = itertools.product(*(labels.tolist() for labels in component.coordinates(answer.case.horizon).values()))
        for label, value in zip(labels, np.ravel(mean).tolist(), strict=True):
            out[".".join([scenario, "price", name, *map(str, label)])] = (value, component.unit)
    return out


def _moved(plans: list[Any], gap: float) -> dict[str, tuple[Any, str]]:
    """What decisions move, and the gap as a share of it, where that is known and above zero."""
    ranges = [p.decision_range for p in plans if p.decision_range is not None]
    total = sum(ranges)
    if len(ranges) < len(plans) or total <= 0:
        return {}
    return {"plan.decision_range": (total, "EUR/a"), "plan.gap_of_decisions": (gap / total, "1")}


def _coordination_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    days, excluded = answer.plan.operation.days, sorted(answer.plan.operation.ever_excluded)

    def total(quantity: str, mechanism: str) -> float:
        return float(sum(getattr(day.mechanisms[mechanism], quantity) for day in days))

    name = days[0].mechanism
    cost = total("cost", name)
    disclosed: dict[str, tuple[Any, str]] = {
        "coordination.mechanism": (name, ""),
        "coordination.rounds": (max(day.own.rounds for day in days), "1"),
        "coordination.messages": (sum(day.own.messages for day in days), "1"),
        "coordination.bytes": (sum(day.own.bytes for day in days), "B"),
        "coordination.excluded": (len(excluded), "1"),
    }
    if all(day.history for day in days):
        negotiated = total("bound", name)
        disclosed |= {
            "coordination.negotiated_bound": (negotiated, "EUR/a"),
            "coordination.negotiated_gap": ((cost - negotiated) / max(abs(cost), 1.0), "1"),
        }
    if excluded:
        # Cost and bound are those of all others around the given exchange: no other mechanism is comparable.
        bound = sum(day.mechanisms[name if day.own.excluded else "integrated"].bound for day in days)
        named = {"coordination.excluded_nodes": (", ".join(excluded), "")}
        proven = {"coordination.cost": (cost, "EUR/a"), "coordination.bound": (bound, "EUR/a")}
        return disclosed | named | proven | {"coordination.gap": ((cost - bound) / max(abs(cost), 1.0), "1")}
    energy, integrated, flat = total("energy_cost", name), total("bound", "integrated"), total("cost", "flat")
    # Where reserves for forecast errors are negotiated too, cost and bound are those of both together.
    bound = float(sum(max(day.mechanisms[n].bound for n in ("integrated", name)) for day in days))
    value = flat - integrated
    return disclosed | {
        "coordination.cost": (cost, "EUR/a"),
        "coordination.bound": (bound, "EUR/a"),
        "coordination.gap": ((cost - bound) / max(abs(cost), 1.0), "1"),
        "coordination.energy_cost": (energy, "EUR/a"),
        "coordination.gap_of_value": ((cost - bound) / max(value, 1.0), "1"),
        "coordination.integrated_gap": ((total("cost", "integrated") - integrated) / max(abs(integrated), 1.0), "1"),
        "coordination.flat_cost": (flat, "EUR/a"),
        "coordination.value": (value, "EUR/a"),
        "coordination.value_reached": ((flat - energy) / value if value > 1e-6 * abs(integrated) else 1.0, "1"),
    }
