"""What the linear network limits leave out, measured under AC: ``python -m tests.benchmarks.network_limits [overrides]``.

    busbars       voltage of low-voltage busbars in the AC power flow less that without load, which platforms take for given; and less that of the
                  linear model at the same flows, which is what would be left if its voltage were passed down
    low voltage   hours of buses of low-voltage networks outside their band in the AC power flow, and how many of them planning takes for inside: it
                  has their busbars at the voltage without load, and keeps a margin. The same for operation, at the voltage of the linear model
    tap steps     voltage behind on-load tap changers in the AC power flow, where they stand on steps, less the set point of the linear model
    transformers  loading of HV/MV transformers, against the share of the rating that may be used under load (n-1), with their number in parallel
    charging      reactive power of low-voltage cables, which is not passed up, against that of the loads

Every device follows its profile on the representative days of the study (default: the main study), nothing is built. Kerber's networks follow, at
their peak load, below a stiff medium-voltage busbar.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandapower as pp
import pandapower.networks as pn
import xarray as xr

from multiscale.config import load_config
from multiscale.operation.radial import radial_tree
from multiscale.pipeline.case import case_of
from multiscale.planning.conventional import passive_flows
from multiscale.results.data.answer_data import StudyCase
from multiscale.verification.ac import ac_power_flow, profile_injections

KERBER = (
    "create_kerber_landnetz_freileitung_1", "create_kerber_landnetz_kabel_1", "create_kerber_dorfnetz",
)  # fmt: skip


def measured(case: StudyCase, dso: str) -> None:
    """Print the three sizes of a DSO and its platforms."""
    system, horizon, children = case.system, case.horizon, case.system.children(dso)
    nodes = [dso, *children]
    injections = profile_injections(system, nodes, horizon)
    flow = ac_power_flow(system, nodes, horizon, injections)
    tree = radial_tree(system.network(dso), case.limits)
    at = {bus: i for i, bus in enumerate(tree.buses.tolist())}
    place = np.array([at[system.boundary_bus(c)] for c in children], dtype=int)
    actual = flow.voltage.sel(bus=tree.buses[place]).values
    linear = tree.voltage(*passive_flows(system, dso, horizon, case.fleets, tree))[place]
    idle = np.broadcast_to(tree.no_load_voltage()[place], actual.shape)
    print(f"  busbars: {len(place)}, {actual.size} hours; kept of the band: {case.limits.lv_voltage_margin_pu:.4f} pu")
    for name, assumed in (("without load", idle), ("linear model", linear)):
        off = actual - assumed
        beyond = 100.0 * (np.abs(off) > case.limits.lv_voltage_margin_pu).mean()
        sizes = f"{off.min():+.4f} to {off.max():+.4f} pu, mean {off.mean():+.4f}"
        print(f"    AC less {name}: {sizes}; beyond what is kept in {beyond:.1f} % of the hours")
    low_voltage(case, flow, injections, dict(zip(children, zip(idle, linear, strict=True), strict=True)))
    tap_steps(system.network(dso).active, flow)
    branches = system.network(dso).active
    volts = dict(zip(system.buses.bus.values.tolist(), system.buses.vn_kv.values.tolist(), strict=True))
    for i in range(1, len(tree.buses)):
        names = list(tree.members[i])
        kinds = branches.kind.sel(branch=names).values
        if (kinds == "transformer").all() and tree.vn_kv[i] >= case.limits.lv_below_kv and volts[str(tree.buses[tree.feeder[i]])] > 45.0:
            most = float(flow.loading.sel(branch=names).max())
            print(f"  HV/MV transformers {', '.join(names)}: {len(names)} in parallel, at most {most:.1f} % loaded; usable {tree.load_share[i]:.3f}")
    below = {c: radial_tree(system.network(c), case.limits) for c in children if system.network(c).active.sizes["branch"]}
    charging = sum(float(t.charging.sum()) for t in below.values())
    reactive = max((float(np.abs(case.fleets[c].data.reactive.values.sum(axis=0)).max()) for c in below), default=0.0)
    total = float(np.abs(sum(case.fleets[c].data.reactive.values.sum(axis=0) for c in below)).max()) if below else 0.0
    print(
        f"  charging of low-voltage cables: {charging:.2f} kvar in {len(below)} networks, of the medium voltage {tree.charging.sum():.1f} kvar; "
        f"reactive power of customers at most {total:.1f} kvar (one network {reactive:.1f})"
    )


def low_voltage(case: StudyCase, flow: xr.Dataset, injections: xr.Dataset, busbars: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Print how many hours of buses in low voltage are outside their band, and how many of them planning and operation do not see.

    Args:
        case: with the limits.
        flow, injections: AC power flow, and what it was computed for.
        busbars: platform -> voltage of its busbar without load, and by the linear model [pu], (period,).
    """
    planned, operated = case.limits, case.limits.at_known_busbars()
    hours, outside, deepest, networks = 0, 0, 0.0, 0
    unseen = {"planning": (0, 0.0), "operation": (0, 0.0)}
    for child, fed_at in busbars.items():
        network = case.system.network(child)
        if not network.active.sizes["branch"]:
            continue
        networks += 1
        bare = radial_tree(network, planned.full())
        actual = flow.voltage.sel(bus=bare.buses).values
        excess = np.maximum(bare.v_min[:, None] - actual, actual - bare.v_max[:, None])
        hours, outside, deepest = hours + excess.size, outside + int((excess > 0).sum()), max(deepest, float(excess.max()))
        power = injections.reindex(bus=bare.buses, fill_value=0.0)
        for who, root, limits in (("planning", fed_at[0], planned), ("operation", fed_at[1], operated)):
            tree = radial_tree(network, limits, np.broadcast_to(root, actual.shape[1:]))
            seen = tree.voltage(tree.below(power.p.values), tree.below(power.q.values))
            inside = (seen >= tree.v_min[:, None]) & (seen <= tree.v_max[:, None])
            missed = np.where(inside & (excess > 0), excess, 0.0)
            unseen[who] = (unseen[who][0] + int((missed > 0).sum()), max(unseen[who][1], float(missed.max())))
    if not networks:
        return
    print(f"  low voltage: {networks} networks, {hours} hours of buses, outside the band in {outside}, by {deepest:.4f} pu at most")
    for who, (count, most) in unseen.items():
        print(f"    of these {who} takes {count} for inside, by {most:.4f} pu at most")


def tap_steps(branches: xr.Dataset, flow: xr.Dataset) -> None:
    """Print how far on-load tap changers, which stand on steps, are from their set points."""
    regulated = branches.branch.values[np.isfinite(branches.v_setpoint_pu.values)]
    if not len(regulated):
        return
    units = branches.sel(branch=regulated)
    off = flow.voltage.sel(bus=units.to_bus.values).values - units.v_setpoint_pu.values[:, None]
    most = float(units.tap_step_percent.values.max())
    print(
        f"  tap steps: {len(regulated)} tap changers, steps of {most:g} %: AC less set point {off.min():+.4f} to {off.max():+.4f} pu, "
        f"mean size {np.abs(off).mean():.4f}"
    )


def kerber(name: str) -> None:
    """Print how far the busbar of one of Kerber's networks drops in its own transformer at peak load, and its charging."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.json"
        pp.to_json(getattr(pn, name)(), str(path))
        case = case_of(load_config(["system=pandapower", f"system.path={path}", "planning=none", "engine=serial"]))
    print(name)
    for dso in case.system.at_level("dso"):
        measured(case, dso)


def main() -> int:
    """Print all sizes."""
    case = case_of(load_config([*sys.argv[1:], "engine=serial"]))
    for dso in case.system.at_level("dso"):
        print(f"{case.system.name}, {dso}")
        measured(case, dso)
    for name in KERBER:
        kerber(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
