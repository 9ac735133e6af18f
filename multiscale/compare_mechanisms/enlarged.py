"""SimBench's transmission system with 28 distribution systems that all have flexible customers, easy and hard.

Of the 28 medium-voltage networks of the four-level case, four carry low-voltage networks and 24 carry equivalents of them. Here the largest
customers of every medium-voltage network are platforms of one participant each, with heat pumps, vehicles and batteries in proportion to
their load; the rest stays passive. One network draws 5 to 20 MW, which moves no price in a system of 70 GW, so each stands for ``parallel``
identical networks at its substation (powers and ratings times that number, impedances divided by it), and the 110 kV grid between them has
``parallel / 4`` times its rating.

easy: sizes and efficiencies of the batteries differ, moving demand has a cost.   hard: equal costs everywhere, 80 % of the customers own
a battery, moving demand is free.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from multiscale.devices import device_settings
from multiscale.markets import Community
from multiscale.operation import Design, OperatingTree, operating_tree
from multiscale.sources import SimbenchSettings
from multiscale.sources.selection import study_system
from multiscale.system import Economics, System
from multiscale.system.schema import table, with_rows
from multiscale.timeline import Horizon

CODE = "1-EHVHVMVLV-mixed-all-2-sw"
DAY = "2016-04-13"
HOUSEHOLD_KW = 2.0
"""Yearly peak load of a customer [kW], to count customers of an equivalent."""


def one_day(date: str = DAY, step_hours: float = 1.0) -> Horizon:
    """A day that stands for the year."""
    return Horizon((pd.Timestamp(date),), (366.0,), step_hours)


def many_dsos(kind: str, count: int = 28, *, seed: int = 1, platforms: int = 12, parallel: float = 10.0) -> tuple[System, Economics]:
    """The system and the economics of a case."""
    system = study_system(SimbenchSettings(code=CODE), co2_price=25.0)
    dsos = system.at_level("dso")
    chosen = [dsos[i] for i in np.unique(np.linspace(0, len(dsos) - 1, count).round().astype(int))]
    system = system.cut(chosen, f"SimBench with {count} distribution systems, {kind}")
    rng = np.random.default_rng([seed, int(kind == "hard")])
    devices, nodes = system.devices.to_dataframe(), system.nodes.to_dataframe()
    inside = {d: set(system.network(d).buses.bus.values.tolist()) - {system.boundary_bus(d)} for d in chosen}
    here = devices["bus"].isin(set().union(*inside.values()))
    devices.loc[here, ["p_kw", "q_kvar", "e_kwh"]] *= parallel
    members, added, new_nodes = [], [], []
    for dso in chosen:
        loads = devices[(devices["kind"] == "load") & devices["bus"].isin(inside[dso])]
        largest = loads.groupby("bus")["p_kw"].sum().sort_values(ascending=False, kind="stable").index[:platforms]
        for bus in largest:
            name = f"{dso} customers at {bus}"
            new_nodes.append({"node": name, "level": "platform", "parent": dso, "boundary_bus": bus, "step_minutes": 60.0})
            members.append({"prosumer": name, "node": name, "bus": bus, "category": "household"})
            mine = (devices["bus"] == bus) & devices["kind"].isin(["load", "pv"])
            devices.loc[mine, "prosumer"] = name
            customers = devices.loc[mine & (devices["kind"] == "load"), "p_kw"].sum() / HOUSEHOLD_KW
            added += _devices(name, bus, customers, kind, rng)
    both = with_rows("device", devices, pd.DataFrame(added).set_index("device"))
    people = pd.DataFrame(members).set_index("prosumer")
    tree = pd.concat([nodes, pd.DataFrame(new_nodes).set_index("node")])
    branches = system.branches.to_dataframe()
    below = branches["node"].isin(chosen)
    branches.loc[below, ["rating_kva", "c_nf"]] *= parallel
    branches.loc[below, ["r_ohm", "x_ohm"]] /= parallel
    regional = ~below & (branches["to_bus"].map(system.buses.vn_kv.to_series()) < 200.0)
    branches.loc[regional, "rating_kva"] *= max(1.0, parallel / 4.0)
    system = system.replace(
        nodes=table("node", tree.index, {c: tree[c].to_numpy() for c in tree}),
        prosumers=table("prosumer", people.index, {c: people[c].to_numpy() for c in people}),
        devices=table("device", both.index, {c: both[c].to_numpy() for c in both}),
        branches=table("branch", branches.index, {c: branches[c].to_numpy() for c in branches}),
    )
    free = {"electric_vehicle": {"discomfort": 0.0}, "heat_pump": {"discomfort": 0.0}} if kind == "hard" else {}
    return system.replace(device_settings=device_settings(**free)), Economics()


def _devices(name: str, bus: str, customers: float, kind: str, rng: np.random.Generator) -> list[dict[str, object]]:
    hard = kind == "hard"
    energy = 6.0 * customers * (0.8 if hard else rng.uniform(0.1, 0.5))
    efficiency = 0.95 if hard else float(rng.uniform(0.9, 0.97))
    rows = (
        ("battery", "", energy * (0.5 if hard else float(rng.uniform(0.25, 0.6))), energy, efficiency),
        ("heat_pump", "Air_Parallel_1", 3.5 * customers * 0.05, 0.0, 1.0),
        ("ev", "HLS_A_11.0", 11.0 * customers * 0.03, 0.0, 1.0),
    )
    return [
        {"device": f"{name} {k}", "bus": bus, "prosumer": name, "kind": k, "profile": profile, "p_kw": p, "q_kvar": 0.0}
        | {"e_kwh": e, "efficiency": eta, "loss_per_day": 0.0}
        for k, profile, p, e, eta in rows
    ]


def tree_of(system: System, economics: Economics, horizon: Horizon, *, aggregated: bool, error_margin: float = 0.0) -> OperatingTree:
    """Programs of all nodes for a day, with a network charge of 5 ct/kWh; aggregated: one participant per platform, no low-voltage networks.

    ``error_margin``: forecast errors that the networks must have room for, see ``operating_tree``.
    """
    day = system.restricted(horizon)
    fleets = {p: day.fleet(p, horizon) for p in day.at_level("platform")}
    if aggregated:
        fleets = {p: f.aggregate(np.full(f.size, p)) for p, f in fleets.items()}
    design = Design({}, {key: {"network_charge": np.asarray(0.05)} for key in day.at_level("dso")})
    return operating_tree(day, horizon, economics, fleets, design, Community(), networks=not aggregated, error_margin=error_margin)
