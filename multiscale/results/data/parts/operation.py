"""Operation of the scenarios: exchanges, prices, AC power flow, mechanisms and negotiations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr

from multiscale.assessment.operated import OperatedDay
from multiscale.results.data.answer_data import Scenario, YearAnswer
from multiscale.results.data.parts.named import named
from multiscale.results.data.value_streams import lost_energy, prices_of


def operation(answer: YearAnswer) -> xr.Dataset:
    """Prices in the headline scenario, and exchanges in all of them."""
    nodes, labels = answer.case.system.nodes.node.values.tolist(), answer.case.horizon.labels

    def profile(days: Sequence[OperatedDay], of: Callable[[OperatedDay], Mapping[str, np.ndarray]]) -> np.ndarray:
        out = np.full((len(nodes), len(labels)), np.nan)
        for i, node in enumerate(nodes):
            if all(node in of(day) for day in days):
                out[i] = np.concatenate([np.asarray(of(day)[node]) for day in days], axis=-1)
        return out

    plan, dims = answer.plan.operation.days, ("node", "period")
    exchanged = np.stack([profile(s.operation.days, lambda day: day.exchange) for s in answer.scenarios.values()])
    return xr.Dataset(
        {
            "import_price": named(dims, profile(plan, lambda day: day.import_price), "EUR/kWh", "price of energy from above"),
            "export_price": named(dims, profile(plan, lambda day: day.export_price), "EUR/kWh", "price of energy sold upwards"),
            "exchange": named(("scenario", *dims), exchanged, "kW", "power drawn from above"),
            "exchange_integrated": named(
                dims, profile(plan, lambda day: day.exchange_integrated), "kW", "power drawn from above in the integrated optimum"
            ),
            "exchange_forecast": named(
                dims, profile(plan, lambda day: day.exchange_forecast), "kW", "power drawn from above as the parent forecast it"
            ),
        },
        coords={"node": nodes, "period": labels, "scenario": list(answer.scenarios)},
    )


def unserved(answer: YearAnswer) -> xr.Dataset:
    """Demand that is not served, where and when, in every scenario; places without any are omitted."""
    operations = {name: scenario.operation for name, scenario in answer.scenarios.items()}
    places = list(dict.fromkeys(place for found in operations.values() for place in found.unserved))
    power = np.zeros((len(operations), len(places), len(answer.case.horizon.labels)))
    for s, found in enumerate(operations.values()):
        for i, place in enumerate(places):
            power[s, i] = np.concatenate([day.unserved_power.get(place, np.zeros(day.horizon.periods)) for day in found.days])
    dims = ("scenario", "unserved_place", "period")
    return xr.Dataset(
        {"unserved_power": named(dims, power, "kW", "demand that is not served")},
        coords={"scenario": list(operations), "unserved_place": np.array(places, dtype=str), "period": answer.case.horizon.labels},
    )


def power_flow(answer: YearAnswer) -> xr.Dataset:
    """Loading, voltage and losses under AC power flow, and where it found none."""

    def joined(scenario: Scenario, name: str) -> xr.DataArray:
        dimension = "branch" if name == "loading" else "bus"
        whole = xr.concat([v.result[name] for v in scenario.verification.values()], dim=dimension)
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
    prices = prices_of(answer.reference)
    words = "worth of the losses of distribution under AC power flow, at the nodal prices of the baseline in every scenario; not part of any cost"
    worth = np.array([lost_energy(s, prices)[1] for s in answer.scenarios.values()])
    out["losses_worth"] = xr.DataArray(worth, dims="scenario", attrs={"units": "EUR/a", "long_name": words})
    checks = [list(s.verification.values()) for s in answer.scenarios.values()]
    buses = out["voltage"].bus.values
    diverged = np.array([(~np.all([v.result.converged.values for v in found], axis=0)).astype(int) for found in checks])
    dark = np.array([np.isin(buses, [bus for v in found for bus in v.without_supply]).astype(int) for found in checks])
    meanings = {
        "power_flow_diverged": (diverged, "period", "1 where the AC power flow did not converge"),
        "bus_without_supply": (dark, "bus", "1 where the bus has no voltage in some step"),
    }
    for name, (values, dimension, meaning) in meanings.items():
        out[name] = xr.DataArray(values, dims=("scenario", dimension), attrs={"units": "1", "long_name": meaning})
    return xr.Dataset(out).assign_coords(scenario=list(answer.scenarios), period=answer.case.horizon.labels)


def mechanisms(answer: YearAnswer) -> xr.Dataset:
    """Cost of operation under the mechanism of the study and the references that were found with it."""
    days = answer.plan.operation.days
    names = list(days[0].mechanisms)
    # Without what the excluded platforms cost inside, a cost can be compared with no other.
    cost = [np.nan if any(day.mechanisms[n].excluded for day in days) else sum(day.mechanisms[n].energy_cost for day in days) for n in names]
    bound = sum(day.mechanisms["integrated"].bound for day in days)
    return xr.Dataset(
        {
            "cost_of": named("mechanism", np.array(cost, dtype=float), "EUR/a", "cost of operation under the mechanism"),
            "bound": named((), np.array(bound), "EUR/a", "proven lower bound on the cost of operation"),
        },
        coords={"mechanism": names},
    )


def negotiation(answer: YearAnswer) -> xr.Dataset:
    """What was disclosed, and how cost and bound met step by step where levels negotiated."""
    days = answer.plan.operation.days
    disclosed = sorted(set().union(*(day.disclosed for day in days)))
    out = xr.Dataset()
    if disclosed:
        directions = np.array([t.partition(": ")[0] for t in disclosed], dtype=object)
        out = out.assign(disclosed_direction=named("disclosed", directions, "", "way it went")).assign_coords(
            disclosed=[t.partition(": ")[2] for t in disclosed]
        )
    histories = [day.history for day in days]
    longest = max(map(len, histories))
    if not longest:
        return out
    cost, bound = np.full((2, len(days), longest), np.nan)
    for k, history in enumerate(histories):
        cost[k, : len(history)], bound[k, : len(history)] = [s.cost for s in history], [s.bound for s in history]
    dims = ("episode", "negotiation_step")
    finite = {"cost": np.where(np.isfinite(cost), cost, np.nan), "bound": np.where(np.isfinite(bound), bound, np.nan)}
    return out.assign(
        negotiation_cost=named(dims, finite["cost"], "EUR/a", "cost of the best agreement so far"),
        negotiation_bound=named(dims, finite["bound"], "EUR/a", "best proven lower bound so far"),
    ).assign_coords(episode=[day.horizon.title for day in days], negotiation_step=np.arange(1, longest + 1))
