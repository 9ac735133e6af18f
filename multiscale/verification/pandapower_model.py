"""The networks of several nodes as one pandapower model, with what a plan builds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.operation.built import branches_with_built
from multiscale.system.system import System


@dataclass(frozen=True)
class PowerFlowModel:
    """A pandapower model and which of its rows is which of our components.

    Attributes:
        net: pandapower network; one load per bus, bus indices are positions in ``buses``.
        buses: (bus) table of all its buses.
        branches: (branch) table of all its branches, with what is built.
        line, transformer: positions in ``branches`` of the rows of ``net.line`` and ``net.trafo``.
        roots: positions in ``buses`` of the buses whose voltage is given.
        open_ends: rows of ``net.shunt`` that stand for branches open at one end: what they take is loss.
    """

    net: Any
    buses: xr.Dataset
    branches: xr.Dataset
    line: np.ndarray
    transformer: np.ndarray
    roots: np.ndarray
    open_ends: np.ndarray


def power_flow_model(
    system: System, nodes: Sequence[str], built: xr.Dataset | None = None, slack_voltage_pu: float | Mapping[str, float] | None = None
) -> PowerFlowModel:
    """Build the model.

    What an option makes of its branch is said by its measure, in terms of the branch table; a transformer row with a capacitance has half of it at
    each end, like a line.

    Args:
        system: owner of the tables.
        nodes: nodes whose networks are modelled, e.g. a DSO and its platforms.
        built: options that are built (component ``option``).
        slack_voltage_pu: voltage at the boundary buses of the uppermost nodes, one value or by bus; default: as the table of buses says.

    Raises:
        KeyError: an unknown node, or an option on a branch that no node of the list owns.
    """
    import pandapower as pp

    known = set(system.nodes.node.values.tolist())
    if unknown := sorted(set(nodes) - known):
        raise KeyError(f"power flow: system {system.name!r} has no node {unknown}; there are {sorted(known)[:8]} ...")
    mine = np.flatnonzero(np.isin(system.branches.node.values, list(nodes)))
    branches = system.branches.isel(branch=mine)
    parent = dict(zip(system.nodes.node.values.tolist(), system.nodes.parent.values.tolist(), strict=True))
    upper = [node for node in nodes if parent[node] not in nodes]
    roots = list(dict.fromkeys(system.boundary_bus(node) for node in upper if system.boundary_bus(node)))
    if any(not parent[node] for node in upper):
        roots.append(_top_slack(system))
    wanted = {*branches.from_bus.values.tolist(), *branches.to_bus.values.tolist(), *roots}
    wanted |= set(system.buses.bus.values[np.isin(system.buses.node.values, list(nodes))].tolist())
    buses = system.buses.isel(bus=np.flatnonzero(np.isin(system.buses.bus.values, list(wanted))))
    position = {bus: i for i, bus in enumerate(buses.bus.values.tolist())}

    if built is not None and built.sizes["option"]:
        if unknown := sorted(set(built.branch.values.tolist()) - set(branches.branch.values.tolist())):
            raise KeyError(f"power flow: options on branches {unknown}, which belong to none of the nodes {list(nodes)[:8]}")
        branches = branches_with_built(system, nodes, built).isel(branch=mine)
    start = np.array([position[b] for b in branches.from_bus.values.tolist()], dtype=int)
    end = np.array([position[b] for b in branches.to_bus.values.tolist()], dtype=int)

    net = deepcopy(_empty_network())
    pp.create_buses(net, len(position), vn_kv=buses.vn_kv.values)
    at = [position[b] for b in roots]
    held = dict(zip(roots, buses.v_root_pu.values[at].tolist(), strict=True))
    if slack_voltage_pu is not None:
        held |= slack_voltage_pu if isinstance(slack_voltage_pu, Mapping) else dict.fromkeys(roots, slack_voltage_pu)
    for root, bus in zip(roots, at, strict=True):
        pp.create_ext_grid(net, bus, vm_pu=held[root])
    for bus in np.flatnonzero((buses.shunt_p_kw.values != 0) | (buses.shunt_q_kvar.values != 0)).tolist():
        pp.create_shunt(net, bus, p_mw=buses.shunt_p_kw.values[bus] / 1e3, q_mvar=buses.shunt_q_kvar.values[bus] / 1e3)
    is_line = branches.kind.values == "line"
    line, transformer = np.flatnonzero(is_line), np.flatnonzero(~is_line)
    _add_lines(net, branches.isel(branch=line), start[line], end[line], buses.vn_kv.values)
    _add_transformers(net, branches.isel(branch=transformer), start[transformer], end[transformer], buses.vn_kv.values)
    first = len(net.shunt)
    _add_open_ends(net, branches, line, transformer, start, end, buses.vn_kv.values)
    pp.create_loads(net, np.arange(len(position)), p_mw=np.zeros(len(position)), q_mvar=np.zeros(len(position)))
    return PowerFlowModel(net, buses, branches, line, transformer, np.array(at, dtype=int), np.arange(first, len(net.shunt)))


def tap_changers(model: PowerFlowModel) -> list[np.ndarray]:
    """Transformers that hold a voltage, positions in the rows of ``net.trafo``, tier by tier: those fed through none of the others come first.

    Tap changers in series act one after the other, as their time delays are graded in practice: together they would answer the same deviation twice.
    """
    units = model.branches.isel(branch=model.transformer)
    holds = np.isfinite(units.v_setpoint_pu.values) & (units.tap_step_percent.values > 0) & units.in_service.values
    regulated = np.flatnonzero(holds)
    if len(regulated) < 2:
        return [regulated] if len(regulated) else []
    n, on = model.buses.sizes["bus"], model.branches.in_service.values
    position = {bus: i for i, bus in enumerate(model.buses.bus.values.tolist())}
    start, end = (np.array([position[b] for b in model.branches[c].values.tolist()], dtype=int) for c in ("from_bus", "to_bus"))
    # All roots hang on one more bus.
    rows, columns = np.concatenate([start[on], np.full(len(model.roots), n)]), np.concatenate([end[on], model.roots])
    graph = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n + 1, n + 1))
    order, before = csgraph.breadth_first_order(graph, n, directed=False)
    step = {(int(start[k]), int(end[k])) for k in model.transformer[regulated].tolist()}
    tier = np.zeros(n + 1, dtype=int)
    for bus in order[1:].tolist():
        above = int(before[bus])
        tier[bus] = tier[above] + ((above, bus) in step)
    of_unit = tier[start[model.transformer[regulated]]]
    return [regulated[of_unit == t] for t in np.unique(of_unit)]


@cache
def _empty_network() -> Any:
    """Tables without rows: making them takes ten times as long as copying them."""
    import pandapower as pp

    return pp.create_empty_network(f_hz=50.0, sn_mva=1.0)


def _top_slack(system: System) -> str:
    """Bus of the largest generator: it balances the top level."""
    units = system.generators
    if not units.sizes["generator"]:
        raise ValueError(f"power flow: the top node of {system.name!r} has no generator whose bus could balance it")
    return str(units.bus.values[int(units.p_max_kw.values.argmax())])


def _add_lines(net: Any, lines: xr.Dataset, start: np.ndarray, end: np.ndarray, vn_kv: np.ndarray) -> None:
    import pandapower as pp

    if not len(start):
        return
    # The table holds totals, so every line is given to pandapower as one kilometre of itself.
    pp.create_lines_from_parameters(
        net,
        start,
        end,
        length_km=np.ones(len(start)),
        r_ohm_per_km=lines.r_ohm.values,
        x_ohm_per_km=lines.x_ohm.values,
        c_nf_per_km=lines.c_nf.values,
        g_us_per_km=lines.g_us.values,
        max_i_ka=lines.rating_kva.values / 1e3 / (np.sqrt(3.0) * vn_kv[start]),
        in_service=lines.in_service.values,
    )


def _add_transformers(net: Any, units: xr.Dataset, start: np.ndarray, end: np.ndarray, vn_kv: np.ndarray) -> None:
    import pandapower as pp

    if not len(start):
        return
    power = units.rating_kva.values / 1e3
    base = units.vn_lv_kv.values**2 / power
    r = units.r_ohm.values
    # A leg of a three-winding transformer may have a negative reactance: pandapower takes the sign from vk_percent.
    z = np.where(units.x_ohm.values < 0, -1.0, 1.0) * np.hypot(r, units.x_ohm.values)
    pp.create_transformers_from_parameters(
        net,
        start,
        end,
        sn_mva=power,
        vn_hv_kv=units.vn_hv_kv.values,
        vn_lv_kv=units.vn_lv_kv.values,
        vkr_percent=100 * r / base,
        vk_percent=100 * z / base,
        pfe_kw=units.pfe_kw.values,
        i0_percent=units.i0_percent.values,
        shift_degree=units.shift_degree.values,
        tap_side=units.tap_side.values.astype(object),
        tap_neutral=np.zeros(len(start)),
        tap_min=units.tap_min.values,
        tap_max=units.tap_max.values,
        tap_pos=units.tap_pos.values,
        tap_step_percent=units.tap_step_percent.values,
        tap_step_degree=np.zeros(len(start)),
        tap_changer_type=np.full(len(start), "Ratio", dtype=object),
        in_service=units.in_service.values,
    )
    for k in np.flatnonzero(units.in_service.values & (units.c_nf.values > 0)):
        for bus in (int(start[k]), int(end[k])):
            pp.create_shunt(net, bus, q_mvar=-np.pi * net.f_hz * units.c_nf.values[k] * 1e-9 * vn_kv[bus] ** 2)


def _add_open_ends(
    net: Any, branches: xr.Dataset, line: np.ndarray, transformer: np.ndarray, start: np.ndarray, end: np.ndarray, vn_kv: np.ndarray
) -> None:
    """Branches open at one end as shunts at the other: nothing flows through, but they stay charged (lines) or magnetised (transformers).

    ``y = y_c / 2 + 1 / (z + 2 / y_c)`` of a line (y_c its shunt admittance), ``y = 1 / (z / 2 + 1 / y_m)`` of a transformer.
    """
    import pandapower as pp

    charged, off = branches.charged_from.values, ~branches.in_service.values
    for row, k in [*enumerate(line.tolist()), *enumerate(transformer.tolist())]:
        if not off[k] or not charged[k]:
            continue
        at_start = charged[k] == "from_bus"
        bus = int(start[k] if at_start else end[k])
        if branches.kind.values[k] == "line":
            z = branches.r_ohm.values[k] + 1j * branches.x_ohm.values[k]
            y = branches.g_us.values[k] * 1e-6 + 2j * np.pi * net.f_hz * branches.c_nf.values[k] * 1e-9
            taken = 0.0 if y == 0 else y / 2 + 1 / (z + 2 / y)
        else:
            unit = net.trafo.iloc[row]
            turned = 1.0 + unit["tap_pos"] * unit["tap_step_percent"] / 100
            low = unit["vn_lv_kv"] * (turned if unit["tap_side"] == "lv" else 1.0)
            high = unit["vn_hv_kv"] * (turned if unit["tap_side"] == "hv" else 1.0)
            iron, apparent = unit["pfe_kw"] / 1e3, unit["i0_percent"] / 100 * unit["sn_mva"]
            magnetising = (iron - 1j * np.sqrt(max(apparent**2 - iron**2, 0.0))) / low**2
            vk, vkr = unit["vk_percent"] / 100, unit["vkr_percent"] / 100
            z = (vkr + 1j * np.sign(vk) * np.sqrt(max(vk**2 - vkr**2, 0.0))) * low**2 / unit["sn_mva"]
            taken = 0.0 if magnetising == 0 else 1 / (z / 2 + 1 / magnetising) * ((low / high) ** 2 if at_start else 1.0)
        if taken:
            power = np.conj(taken) * vn_kv[bus] ** 2
            pp.create_shunt(net, bus, p_mw=power.real, q_mvar=power.imag)
