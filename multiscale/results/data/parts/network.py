"""The network, the options, and what is decided about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from multiscale.devices.fleet import purchasable
from multiscale.results.data.answer_data import YearAnswer
from multiscale.results.data.dataset import FLOW_DIRECTIONS
from multiscale.results.data.parts.named import named


def network(answer: YearAnswer) -> xr.Dataset:
    """Buses, branches, nodes and periods: what no year changes."""
    system = answer.case.system
    dsos = system.at_level("dso")
    ours = [*dsos, *(c for d in dsos for c in system.children(d))]
    branches = system.branches.isel(branch=np.flatnonzero(np.isin(system.branches.node.values, ours)))
    ends = set(branches.from_bus.values.tolist()) | set(branches.to_bus.values.tolist())
    buses = system.buses.isel(bus=np.flatnonzero(np.isin(system.buses.bus.values, list(ends))))
    horizon, usable = answer.case.horizon, _usable(answer, branches.to_bus.values.tolist())
    return xr.Dataset(
        {
            "bus_x": named("bus", buses.x.values, "degree", "longitude, or schematic coordinate"),
            "bus_y": named("bus", buses.y.values, "degree", "latitude, or schematic coordinate"),
            "bus_vn_kv": named("bus", buses.vn_kv.values, "kV", "nominal voltage"),
            "bus_v_min": named("bus", buses.v_min_pu.values, "pu", "lowest permitted voltage"),
            "bus_v_max": named("bus", buses.v_max_pu.values, "pu", "highest permitted voltage"),
            "bus_node": named("bus", buses.node.values, "", "node that owns the bus"),
            "branch_from": named("branch", branches.from_bus.values, "", "end towards the higher voltage"),
            "branch_to": named("branch", branches.to_bus.values, "", "other end"),
            "branch_kind": named("branch", branches.kind.values, "", "line or transformer"),
            "branch_node": named("branch", branches.node.values, "", "node that owns the branch"),
            "branch_in_service": named("branch", branches.in_service.values.astype(int), "1", "1 where the branch carries current"),
            "branch_rating": named("branch", branches.rating_kva.values, "kVA", "rating before the plan"),
            "branch_usable": named(("branch", "flow_direction"), usable, "%", "share of the rating that planning and operation may use"),
            "period_hours": named("period", horizon.hours_per_year, "h/a", "hours of the year that the period stands for"),
            "node_level": named("node", system.nodes.level.values, "", "level of the hierarchy"),
            "node_parent": named("node", system.nodes.parent.values, "", "node above"),
        },
        coords={
            "bus": buses.bus.values,
            "branch": branches.branch.values,
            "flow_direction": list(FLOW_DIRECTIONS),
            "node": system.nodes.node.values,
            "period": horizon.labels,
            "day": ("period", np.repeat(np.array(horizon.names or tuple(str(d.date()) for d in horizon.days)), horizon.steps)),
        },
    )


def _usable(answer: YearAnswer, to_buses: list[str]) -> np.ndarray:
    """Usable share of ratings, margin taken off, towards customers and back from them [%], (branch, direction)."""
    vn = answer.case.system.buses.vn_kv.sel(bus=to_buses).values
    return 100.0 * np.stack(answer.case.limits.shares(vn, with_margin=True), axis=1)


def options(answer: YearAnswer) -> xr.Dataset:
    """The reinforcement options, as they may be built in any year."""
    offered, economics = answer.case.system.options, answer.case.economics
    annuity = offered.cost_eur.values * np.array([economics.annuity(n) for n in offered.lifetime_years.values.tolist()])
    return xr.Dataset(
        {
            "option_branch": named("option", offered.branch.values, "", "branch that would be reinforced"),
            "option_cost": named("option", offered.cost_eur.values, "EUR", "investment"),
            "option_annuity": named("option", annuity, "EUR/a", "yearly cost"),
            "option_added_rating": named("option", offered.added_rating_kva.values, "kVA", "rating added"),
            "option_measure": named("option", offered.measure.values, "", "what is built"),
        },
        coords={"option": offered.option.values},
    )


def decisions(answer: YearAnswer) -> xr.Dataset:
    """What is decided in every scenario: what is built, the prices of the tariff, and what prosumers buy in answer to the plan."""
    system, scenarios = answer.case.system, list(answer.scenarios.values())
    offered = system.options.option.values.tolist()
    branches = dict(zip(offered, system.options.branch.values.tolist(), strict=True))
    loading = {b: v for need in answer.case.need.values() for b, v in need.loading.items()}
    above = {} if answer.transmission is None else answer.transmission.loading
    built = np.array([[int(s.design.built.get(o, False)) for o in offered] for s in scenarios], dtype=int).reshape(len(scenarios), len(offered))
    ours = _studied_branches(answer)
    reinforced = {branches[o] for o, yes in answer.plan.design.built.items() if yes}
    need = np.array([loading.get(branches[o], np.nan) for o in offered])
    outage = np.array([int(branches[o] in answer.case.limits.load_factor) for o in offered])
    found = xr.Dataset(
        {
            "built": named(("scenario", "option"), built, "1", "1 where the option is built"),
            "option_built": named("option", built[list(answer.scenarios).index(answer.headline)], "1", "1 where the plan builds it"),
            **_above(above, [branches[o] for o in offered]),
            "option_need": named("option", need, "%", "loading of the usable rating without any response"),
            "option_for_outage": named("option", outage, "1", "1 where an outage would overload the branch without reinforcement"),
            "branch_built": named("branch", np.isin(ours, list(reinforced)).astype(int), "1", "1 where the branch is reinforced"),
        },
        coords={"option": offered, "branch": ours, "scenario": list(answer.scenarios)},
    )
    return found.assign(_prices(answer)).assign(_purchases(answer))


def _above(loading: Mapping[str, tuple[float, float]], branches: list[str]) -> dict[str, Any]:
    """Largest loading of branches of the transmission network without and with the plan; nothing where it is not planned."""
    if not loading:
        return {}
    values = np.array([loading.get(branch, (np.nan, np.nan)) for branch in branches]).reshape(-1, 2)
    words = "largest share of the limit under DC power flow"
    return {
        "option_dc_loading_before": named("option", values[:, 0], "%", f"{words}, without the plan"),
        "option_dc_loading_after": named("option", values[:, 1], "%", f"{words}, with the plan"),
    }


def _studied_branches(answer: YearAnswer) -> np.ndarray:
    system = answer.case.system
    dsos = system.at_level("dso")
    ours = [*dsos, *(c for d in dsos for c in system.children(d))]
    return np.asarray(system.branches.branch.values[np.isin(system.branches.node.values, ours)])


def _prices(answer: YearAnswer) -> dict[str, xr.DataArray]:
    """Every price that may be decided, in force in every scenario and DSO; NaN where nothing is in force."""
    found = {}
    dsos = answer.case.system.at_level("dso")
    for name, component in answer.case.economics.tariff.decided.items():
        labels = {f"{name}_{dim}": values for dim, values in component.coordinates(answer.case.horizon).items()}
        values = np.full((len(answer.scenarios), len(dsos), *(len(v) for v in labels.values())), np.nan)
        for s, scenario in enumerate(answer.scenarios.values()):
            for d, dso in enumerate(dsos):
                if name in scenario.design.prices.get(dso, {}):
                    values[s, d] = scenario.design.prices[dso][name]
        found[f"price_{name}"] = xr.DataArray(
            values,
            dims=("scenario", "dso", *labels),
            coords={"scenario": list(answer.scenarios), "dso": dsos, **labels},
            attrs={"units": component.unit, "long_name": f"price of {name.replace('_', ' ')}"},
        )
    return found


def _purchases(answer: YearAnswer) -> dict[str, xr.DataArray]:
    """New capacity that every prosumer buys in answer to the plan."""
    members = answer.case.system.prosumers.prosumer.values.tolist()
    place = {p: i for i, p in enumerate(members)}
    found = {}
    for key, device in purchasable(answer.case.system.device_settings).items():
        sizes = np.zeros(len(members))
        for plan in answer.plans.values():
            for platform, bought in plan.bought.items():
                if key in bought:
                    sizes[[place[p] for p in answer.case.fleets[platform].data.prosumer.values.tolist()]] += bought[key]
        attributes = {"units": device.capacity.unit, "long_name": f"new {key.replace('_', ' ')} bought in answer to the plan"}
        found[f"bought_{device.capacity.account}"] = xr.DataArray(sizes, dims="prosumer", coords={"prosumer": members}, attrs=attributes)
    return found
