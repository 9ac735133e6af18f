"""What every bus draws under a result: the input of the AC power flow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree, bought_and_sold


def bus_injections(tree: OperatingTree, outcome: Outcome, dsos: Sequence[str], *, relief: bool = True) -> xr.Dataset:
    """Active [kW] and reactive [kvar] power drawn at every bus of the DSOs and their platforms, (bus, period).

    Prosumers draw what they buy less what they sell; passive customers their demand less generation, with what was not served or
    curtailed in a zone taken from its buses in proportion; platform exchange shed or curtailed by the DSO is taken at the platform's busbar.
    A platform that was excluded draws its given exchange at its busbar.
    Without ``relief`` it is what they would draw if the DSO cut off no customer.
    """
    names: list[str] = []
    active: list[np.ndarray] = []
    reactive: list[np.ndarray] = []

    def put(bus: str, p: np.ndarray, q: np.ndarray) -> None:
        names.append(bus)
        active.append(p)
        reactive.append(q)

    nothing = np.zeros(tree.horizon.periods)
    for dso in dsos:
        own = tree.distribution[dso]
        passive = tree.system.passive(dso, tree.horizon)
        net = _after_relief(tree, outcome, dso, passive) if relief else passive.demand.values - passive.generation.values
        for k, bus in enumerate(passive.bus.values.tolist()):
            put(bus, net[k], passive.reactive.values[k])
        columns, x = own.program.columns, outcome.distribution_x[dso]
        for k, child in enumerate(own.children):
            fleet = tree.fleets[child].data
            if child in outcome.excluded:
                # What it does inside is not known: it is shown at its busbar.
                put(tree.system.boundary_bus(child), outcome.exchange[child], fleet.reactive.values.sum(axis=0))
            else:
                program, schedule = tree.platforms[child], outcome.platform_x[child]
                bought, sold = bought_and_sold(program, schedule)
                for bus, p, q in zip(fleet.bus.values.tolist(), bought - sold, fleet.reactive.values, strict=True):
                    put(bus, p, q)
            if relief:
                cut_off = columns.values("shed", x)[k] - columns.values("spilled", x)[k]
                put(tree.system.boundary_bus(child), -cut_off, nothing)
    buses, place = np.unique(np.array(names), return_inverse=True)
    shape = (len(buses), tree.horizon.periods)
    p, q = np.zeros(shape), np.zeros(shape)
    np.add.at(p, place, np.array(active))
    np.add.at(q, place, np.array(reactive))
    return xr.Dataset(
        {"p": (("bus", "period"), p, {"units": "kW"}), "q": (("bus", "period"), q, {"units": "kvar"})},
        coords={"bus": buses, "period": tree.horizon.labels},
    )


def _after_relief(tree: OperatingTree, outcome: Outcome, dso: str, passive: xr.Dataset) -> np.ndarray:
    """Net demand of passive customers [kW] (bus, period) after unserved and curtailed power of their zone."""
    own = tree.distribution[dso]
    at = {bus: i for i, bus in enumerate(own.reduced.tree.buses.tolist())}
    zone = np.array([own.reduced.zone[at[b]] if b in at else 0 for b in passive.bus.values.tolist()], dtype=int)
    net = passive.demand.values - passive.generation.values
    columns, x = own.program.columns, outcome.distribution_x[dso]
    for name, sign in (("unserved", -1.0), ("curtailed", 1.0)):
        amount = columns.values(name, x)
        volume = np.maximum(-sign * net, 0.0)
        total = np.zeros(amount.shape)
        np.add.at(total, zone, volume)
        share = np.divide(volume, total[zone], out=np.zeros_like(volume), where=total[zone] > 1e-12)
        net = net + sign * share * amount[zone]
    return net
