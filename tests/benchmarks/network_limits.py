"""What the linear network limits leave out, measured under AC: ``python -m tests.benchmarks.network_limits [overrides]``.

    busbars       voltage of low-voltage busbars in the AC power flow less that without load, which platforms take for given; and less that of the
                  linear model at the same flows, which is what would be left if its voltage were passed down
    transformers  loading of HV/MV transformers, against the share of the rating that may be used under load (n-1), with their number in parallel
    charging      reactive power of low-voltage cables, which is not passed up, against that of the loads

Every device follows its profile on the representative days of the study (default: the main study), nothing is built. Kerber's networks follow, at
their peak load, below a stiff medium-voltage busbar.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandapower as pp
import pandapower.networks as pn

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
    flow = ac_power_flow(system, nodes, horizon, profile_injections(system, nodes, horizon))
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
