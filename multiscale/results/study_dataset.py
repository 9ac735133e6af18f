"""Gather the answer of a study into one dataset and a flat summary."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from multiscale.assessment import ENERGY_TERMS, REAL_COSTS, energy_account, prosumer_bills
from multiscale.devices.fleet import purchasable
from multiscale.results.conflicts_and_reserves import conflicts_and_reserves_dataset, conflicts_and_reserves_summary
from multiscale.results.year_of_hours import year_dataset, year_summary
from multiscale.tariffs import Prices

if TYPE_CHECKING:
    from multiscale.results.answer_data import Scenario, StudyAnswer


def study_dataset(answer: StudyAnswer) -> xr.Dataset:
    """One dataset with everything a study found; every variable has a unit and a long name."""
    parts = [
        _scenarios(answer),
        _network(answer),
        _options(answer),
        _operation(answer),
        _power_flow(answer),
        _money(answer),
        _prosumers(answer),
        _energy(answer),
        _mechanisms(answer),
        _negotiation(answer),
        conflicts_and_reserves_dataset(answer),
        _aggregation(answer),
        year_dataset(answer.year),
    ]
    return xr.merge(parts, join="outer", compat="no_conflicts").assign_attrs(
        system=answer.case.system.name, baseline=answer.baseline, headline=answer.headline
    )


def _named(dims: str | tuple[str, ...], values: Any, unit: str, meaning: str) -> tuple[Any, ...]:
    array = np.asarray(values)
    attributes = {"long_name": meaning} | ({"units": unit} if array.dtype.kind in "fiu" else {})
    return dims, array, attributes


def _scenarios(answer: StudyAnswer) -> xr.Dataset:
    titles = [scenario.title for scenario in answer.scenarios.values()]
    return xr.Dataset({"scenario_title": _named("scenario", titles, "", "scenario in plain words")}, coords={"scenario": list(answer.scenarios)})


def _network(answer: StudyAnswer) -> xr.Dataset:
    system = answer.case.system
    dsos = system.at_level("dso")
    ours = [*dsos, *(c for d in dsos for c in system.children(d))]
    branches = system.branches.isel(branch=np.flatnonzero(np.isin(system.branches.node.values, ours)))
    ends = set(branches.from_bus.values.tolist()) | set(branches.to_bus.values.tolist())
    buses = system.buses.isel(bus=np.flatnonzero(np.isin(system.buses.bus.values, list(ends))))
    built = {str(system.options.branch.sel(option=o).item()) for o, yes in answer.plan.design.built.items() if yes}
    horizon = answer.case.horizon
    return xr.Dataset(
        {
            "bus_x": _named("bus", buses.x.values, "degree", "longitude, or schematic coordinate"),
            "bus_y": _named("bus", buses.y.values, "degree", "latitude, or schematic coordinate"),
            "bus_vn_kv": _named("bus", buses.vn_kv.values, "kV", "nominal voltage"),
            "bus_v_min": _named("bus", buses.v_min_pu.values, "pu", "lowest permitted voltage"),
            "bus_v_max": _named("bus", buses.v_max_pu.values, "pu", "highest permitted voltage"),
            "bus_node": _named("bus", buses.node.values, "", "node that owns the bus"),
            "branch_from": _named("branch", branches.from_bus.values, "", "end towards the higher voltage"),
            "branch_to": _named("branch", branches.to_bus.values, "", "other end"),
            "branch_kind": _named("branch", branches.kind.values, "", "line or transformer"),
            "branch_node": _named("branch", branches.node.values, "", "node that owns the branch"),
            "branch_in_service": _named("branch", branches.in_service.values.astype(int), "1", "1 where the branch carries current"),
            "branch_rating": _named("branch", branches.rating_kva.values, "kVA", "rating before the plan"),
            "branch_built": _named("branch", np.isin(branches.branch.values, list(built)).astype(int), "1", "1 where the branch is reinforced"),
            "period_hours": _named("period", horizon.hours_per_year, "h/a", "hours of the year that the period stands for"),
            "node_level": _named("node", system.nodes.level.values, "", "level of the hierarchy"),
            "node_parent": _named("node", system.nodes.parent.values, "", "node above"),
        },
        coords={
            "bus": buses.bus.values,
            "branch": branches.branch.values,
            "node": system.nodes.node.values,
            "period": horizon.labels,
            "day": ("period", np.repeat(np.array(horizon.names or tuple(str(d.date()) for d in horizon.days)), horizon.steps)),
        },
    )


def _options(answer: StudyAnswer) -> xr.Dataset:
    options, economics = answer.case.system.options, answer.case.economics
    annuity = options.cost_eur.values * np.array([economics.annuity(n) for n in options.lifetime_years.values.tolist()])
    built = np.array([int(answer.plan.design.built.get(o, False)) for o in options.option.values.tolist()], dtype=int)
    loading = {b: v for need in answer.case.need.values() for b, v in need.loading.items()}
    return xr.Dataset(
        {
            "option_branch": _named("option", options.branch.values, "", "branch that would be reinforced"),
            "option_built": _named("option", built, "1", "1 where the plan builds it"),
            "option_cost": _named("option", options.cost_eur.values, "EUR", "investment"),
            "option_annuity": _named("option", annuity, "EUR/a", "yearly cost"),
            "option_added_rating": _named("option", options.added_rating_kva.values, "kVA", "rating added"),
            "option_measure": _named("option", options.measure.values, "", "what is built"),
            "option_need": _named(
                "option",
                np.array([loading.get(b, np.nan) for b in options.branch.values.tolist()]),
                "%",
                "loading of the usable rating without any response",
            ),
        },
        coords={"option": options.option.values},
    )


def _by_period(values: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(values, axis=-1)


def _operation(answer: StudyAnswer) -> xr.Dataset:
    nodes, labels = answer.case.system.nodes.node.values.tolist(), answer.case.horizon.labels
    periods = len(labels)

    def filled(per_day: list[Mapping[str, np.ndarray]]) -> np.ndarray:
        out = np.full((len(nodes), periods), np.nan)
        for i, node in enumerate(nodes):
            if all(node in day for day in per_day):
                out[i] = _by_period([np.asarray(day[node]) for day in per_day])
        return out

    plan = answer.plan.outcomes
    published = [{c: s.import_price for c, s in o.signals.items()} or o.platform_price for o in plan]
    exported = [{c: s.export_price for c, s in o.signals.items()} or o.platform_price for o in plan]
    boundary = [o.energy_price for o in plan]
    dims = ("node", "period")
    return xr.Dataset(
        {
            "import_price": _named(
                dims, filled([dict(a) | dict(b) for a, b in zip(published, boundary, strict=True)]), "EUR/kWh", "price of energy from above"
            ),
            "export_price": _named(
                dims, filled([dict(a) | dict(b) for a, b in zip(exported, boundary, strict=True)]), "EUR/kWh", "price of energy sold upwards"
            ),
            "exchange": _named(
                ("scenario", *dims),
                np.stack([filled([o.exchange for o in s.outcomes]) for s in answer.scenarios.values()]),
                "kW",
                "power drawn from above",
            ),
            "exchange_integrated": _named(
                dims, filled([day.outcomes["integrated"].exchange for day in answer.days]), "kW", "power drawn from above in the integrated optimum"
            ),
            "exchange_forecast": _named(
                dims, filled([day.forecast.exchange for day in answer.days]), "kW", "power drawn from above as the parent forecast it"
            ),
        },
        coords={"node": nodes, "period": labels, "scenario": list(answer.scenarios)},
    )


def _power_flow(answer: StudyAnswer) -> xr.Dataset:
    def joined(scenario: Scenario, name: str) -> xr.DataArray:
        dimension = "branch" if name == "loading" else "bus"
        parts = [v.result[name] for v in scenario.verification.values()]
        whole = xr.concat(parts, dim=dimension)
        return whole.isel({dimension: np.unique(whole[dimension].values, return_index=True)[1]})

    out = {}
    for name, unit, meaning in (("loading", "%", "loading of the rating under AC power flow"), ("voltage", "pu", "voltage under AC power flow")):
        array = xr.concat([joined(s, name) for s in answer.scenarios.values()], dim="scenario")
        array.attrs = {"units": unit, "long_name": meaning}
        out[name] = array.drop_vars([c for c in array.coords if c not in array.dims])
    losses = np.stack([sum(v.result.losses.values for v in s.verification.values()) for s in answer.scenarios.values()])
    out["losses"] = xr.DataArray(
        losses, dims=("scenario", "period"), attrs={"units": "kW", "long_name": "losses of distribution under AC power flow"}
    )
    return xr.Dataset(out).assign_coords(scenario=list(answer.scenarios), period=answer.case.horizon.labels)


def _money(answer: StudyAnswer) -> xr.Dataset:
    booked = [scenario.ledger for scenario in answer.scenarios.values()]
    flows = list(dict.fromkeys(flow for ledger in booked for flow in ledger.money))
    ledgers = [ledger.arrays(flows) for ledger in booked]
    joined = xr.concat(ledgers, dim="scenario").assign_coords(scenario=list(answer.scenarios))
    for name in joined.data_vars:
        joined[name].attrs = ledgers[0][name].attrs
    return joined


def _prosumers(answer: StudyAnswer) -> xr.Dataset:
    system = answer.case.system
    members = system.prosumers
    bills = np.zeros((len(answer.scenarios), members.sizes["prosumer"]))
    place = {p: i for i, p in enumerate(members.prosumer.values.tolist())}
    missing = _excluded(answer)
    for s, scenario in enumerate(answer.scenarios.values()):
        for tree, outcome in zip(scenario.trees, scenario.outcomes, strict=True):
            for platform, fleet in tree.fleets.items():
                where = [place[p] for p in fleet.data.prosumer.values.tolist()]
                bills[s, where] += np.nan if platform in missing else prosumer_bills(tree, platform, outcome)
    return xr.Dataset(
        {
            "bill": _named(("scenario", "prosumer"), bills, "EUR/a", "yearly bill for energy and under the tariff"),
            "prosumer_node": _named("prosumer", members.node.values, "", "platform"),
            "prosumer_category": _named("prosumer", members.category.values, "", "kind of customer"),
        },
        coords={"scenario": list(answer.scenarios), "prosumer": members.prosumer.values},
    )


def _energy(answer: StudyAnswer) -> xr.Dataset:
    platforms = list(answer.case.fleets)
    total, missing = np.zeros((len(answer.scenarios), len(platforms), len(ENERGY_TERMS))), _excluded(answer)
    for s, scenario in enumerate(answer.scenarios.values()):
        for tree, outcome in zip(scenario.trees, scenario.outcomes, strict=True):
            for i, platform in enumerate(platforms):
                total[s, i] += np.nan if platform in missing else energy_account(tree, platform, outcome.platform_x[platform])[0]
    return xr.Dataset(
        {"energy": _named(("scenario", "node", "term"), total, "kWh/a", "energy of the platform over the year")},
        coords={"scenario": list(answer.scenarios), "node": platforms, "term": list(ENERGY_TERMS)},
    )


def _mechanisms(answer: StudyAnswer) -> xr.Dataset:
    names = list(answer.days[0].outcomes)
    # Without what the excluded platforms cost inside, a cost can be compared with no other.
    known = {n: not any(day.outcomes[n].excluded for day in answer.days) for n in names}
    cost = [sum(day.outcomes[n].energy_cost for day in answer.days) if known[n] else np.nan for n in names]
    bound = sum(day.outcomes["integrated"].bound for day in answer.days)
    return xr.Dataset(
        {
            "cost_of": _named("mechanism", np.array(cost), "EUR/a", "cost of operation under the mechanism"),
            "bound": _named((), np.array(bound), "EUR/a", "proven lower bound on the cost of operation"),
        },
        coords={"mechanism": names},
    )


def _excluded(answer: StudyAnswer) -> set[str]:
    """Platforms that were excluded on some day: what they do over the year is not known, nor compared with the baseline."""
    return {platform for outcome in answer.plan.outcomes for platform in outcome.excluded}


def _negotiation(answer: StudyAnswer) -> xr.Dataset:
    """What was disclosed, and how cost and bound met step by step where levels negotiated."""
    disclosed = sorted(set().union(*(o.traffic.fields for o in answer.plan.outcomes)))
    out = xr.Dataset()
    if disclosed:
        directions = np.array([t.partition(": ")[0] for t in disclosed], dtype=object)
        out = out.assign(disclosed_direction=_named("disclosed", directions, "", "way it went")).assign_coords(
            disclosed=[t.partition(": ")[2] for t in disclosed]
        )
    histories = [o.history for o in answer.plan.outcomes]
    longest = max(map(len, histories))
    if not longest:
        return out
    days = [tree.horizon.title for tree in answer.plan.trees]
    cost, bound = np.full((2, len(days), longest), np.nan)
    for k, history in enumerate(histories):
        cost[k, : len(history)], bound[k, : len(history)] = [s.cost for s in history], [s.bound for s in history]
    dims = ("episode", "negotiation_step")
    finite = {"cost": np.where(np.isfinite(cost), cost, np.nan), "bound": np.where(np.isfinite(bound), bound, np.nan)}
    return out.assign(
        negotiation_cost=_named(dims, finite["cost"], "EUR/a", "cost of the best agreement so far"),
        negotiation_bound=_named(dims, finite["bound"], "EUR/a", "best proven lower bound so far"),
    ).assign_coords(episode=days, negotiation_step=np.arange(1, longest + 1))


_OVERLOADED = "overloaded_branch"


def _aggregation(answer: StudyAnswer) -> xr.Dataset:
    error = answer.case.aggregation.error
    measures = list(error.data_vars)
    horizon, overload = answer.case.horizon, answer.case.aggregation.overload
    return xr.Dataset(
        {
            "aggregation_error": _named(
                ("feature", "measure"), np.stack([error[m].values for m in measures], axis=1), "%", "error of the representative days"
            ),
            "day_weight": _named("representative_day", np.array(horizon.weights), "d/a", "days of the year that the day stands for"),
            "day_date": _named("representative_day", np.array([str(d.date()) for d in horizon.days]), "", "date of the day"),
            "overload_direction": _named(_OVERLOADED, overload.direction.values, "", "direction in which the branch is overloaded"),
            "overload_energy": _named(_OVERLOADED, overload.year.values, "kWh/a", "energy above the usable rating over the year, without response"),
            "overload_represented": _named(_OVERLOADED, overload.represented.values, "kWh/a", "the same by the representative days"),
        },
        coords={
            "feature": error.feature.values,
            _OVERLOADED: overload[_OVERLOADED].values,
            "measure": measures,
            "representative_day": list(horizon.names or (str(d.date()) for d in horizon.days)),
        },
    )


def study_summary(answer: StudyAnswer) -> dict[str, tuple[Any, str]]:
    """The flat summary: key -> (value, unit)."""
    system = answer.case.system
    summary: dict[str, tuple[Any, str]] = {
        "system.platforms": (len(system.at_level("platform")), "1"),
        "system.prosumers": (int(system.prosumers.sizes["prosumer"]), "1"),
        "system.buses": (int(system.buses.sizes["bus"]), "1"),
        "system.dsos": (len(system.at_level("dso")), "1"),
        "system.options": (int(system.options.sizes["option"]), "1"),
    }
    summary |= _plan_summary(answer)
    summary |= _coordination_summary(answer)
    summary |= conflicts_and_reserves_summary(answer)
    for scenario in answer.scenarios.values():
        prefix = "ac." if scenario.name == answer.headline else f"ac.{scenario.name}."
        checks = list(scenario.verification.values())
        summary[f"{prefix}max_line_overload"] = (max(v.max_line_overload for v in checks), "%")
        summary[f"{prefix}max_voltage_violation"] = (max(v.max_voltage_violation for v in checks), "pu")
        summary[f"{prefix}violations"] = (sum(len(v.violations) for v in checks), "1")
    residuals = [
        energy_account(t, p, o.platform_x[p])[1]
        for s in answer.scenarios.values()
        for t, o in zip(s.trees, s.outcomes, strict=True)
        for p in t.fleets
        if p not in o.excluded
    ]
    summary["ledger.energy_residual"] = (max(residuals, default=0.0), "1")
    summary["ledger.money_residual"] = (max(s.ledger.residual for s in answer.scenarios.values()), "1")
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
    return summary | _horizon_summary(answer) | year_summary(answer.year)


def _horizon_summary(answer: StudyAnswer) -> dict[str, tuple[Any, str]]:
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


def _plan_summary(answer: StudyAnswer) -> dict[str, tuple[Any, str]]:
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
        "plan.certificate.follower_gap": (max(p.follower_gap for p in plans), "1"),
        **_prices("plan", [p.prices for p in plans], answer),
        **{
            k: v
            for s in answer.scenarios.values()
            if s.name != answer.headline
            for k, v in _prices(s.name, list(s.design.prices.values()), answer).items()
        },
        "plan.revenue": (sum(p.revenue for p in plans), "EUR/a"),
        "plan.allowed_revenue": (sum(p.allowed_revenue for p in plans), "EUR/a"),
        "plan.investment": (investment, "EUR"),
        "plan.participants": (sum(p.participants for p in plans), "1"),
        **{f"plan.response_difference.{n}": (max((p.response_difference[n] for p in plans), key=abs), "1") for n in plans[0].response_difference},
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


def _prices(scenario: str, prices: Sequence[Prices], answer: StudyAnswer) -> dict[str, tuple[Any, str]]:
    """Every decided price, the mean over the DSOs: ``plan.price.<component>``, with the label of the price where a component has several."""
    out: dict[str, tuple[Any, str]] = {}
    for name, component in answer.case.economics.tariff.decided.items():
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


def _coordination_summary(answer: StudyAnswer) -> dict[str, tuple[Any, str]]:
    name = answer.plan.outcomes[0].mechanism
    cost = sum(day.outcomes[name].cost for day in answer.days)
    disclosed = {
        "coordination.mechanism": (name, ""),
        "coordination.rounds": (max(day.outcomes[name].rounds for day in answer.days), "1"),
        "coordination.messages": (sum(day.outcomes[name].traffic.messages for day in answer.days), "1"),
        "coordination.bytes": (sum(day.outcomes[name].traffic.bytes for day in answer.days), "B"),
        "coordination.excluded": (len(_excluded(answer)), "1"),
    }
    if all(day.outcomes[name].history for day in answer.days):
        own = sum(day.outcomes[name].bound for day in answer.days)
        disclosed |= {
            "coordination.negotiated_bound": (own, "EUR/a"),
            "coordination.negotiated_gap": ((cost - own) / max(abs(cost), 1.0), "1"),
        }
    if disclosed["coordination.excluded"][0]:
        # Cost and bound are those of all others around the given exchange: no other mechanism is comparable.
        bound = sum(d.outcomes[name if d.outcomes[name].excluded else "integrated"].bound for d in answer.days)
        named = {"coordination.excluded_nodes": (", ".join(sorted(_excluded(answer))), "")}
        proven = {"coordination.cost": (cost, "EUR/a"), "coordination.bound": (bound, "EUR/a")}
        return disclosed | named | proven | {"coordination.gap": ((cost - bound) / max(abs(cost), 1.0), "1")}
    energy = sum(day.outcomes[name].energy_cost for day in answer.days)
    integrated = sum(day.outcomes["integrated"].bound for day in answer.days)
    # Where the reserves for forecast errors is negotiated too, cost and bound are those of both together.
    bound = sum(max(day.outcomes[n].bound for n in ("integrated", name)) for day in answer.days)
    flat = sum(day.outcomes["flat"].cost for day in answer.days)
    value = flat - integrated
    return disclosed | {
        "coordination.cost": (cost, "EUR/a"),
        "coordination.bound": (bound, "EUR/a"),
        "coordination.gap": ((cost - bound) / max(abs(cost), 1.0), "1"),
        "coordination.energy_cost": (energy, "EUR/a"),
        "coordination.gap_of_value": ((cost - bound) / max(value, 1.0), "1"),
        "coordination.integrated_gap": (
            (sum(day.outcomes["integrated"].cost for day in answer.days) - integrated) / max(abs(integrated), 1.0),
            "1",
        ),
        "coordination.flat_cost": (flat, "EUR/a"),
        "coordination.value": (value, "EUR/a"),
        "coordination.value_reached": ((flat - energy) / value if value > 1e-6 * abs(integrated) else 1.0, "1"),
    }
