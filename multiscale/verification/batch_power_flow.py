"""AC power flow of many hours at once: the pandapower model of the verification in power-grid-model.

The equations are those of ``pandapower_model``: lines are pi sections, transformers T sections turned into equal pi sections, with the ratio of
their tap on the side on which it acts; all of them are branches with a ratio. What is converted is the model itself, so reinforcements, open ends,
shunts and sources are the same by construction.

    z_pi = z (1 + z y / 4),     y_pi = y / (1 + z y / 4)         (z series impedance, y shunt admittance of the T section)

A tap changer stands on a step at which the voltage of its ``to_bus`` is within half a step of its set point; those in series act one after the other,
from above. The search starts in every hour from the positions of the branch table, so what is found for an hour depends on that hour alone. Hours
that stand on equal steps share one factorisation.

Source: power-grid-model, https://power-grid-model.readthedocs.io (components ``generic_branch``, ``shunt``, ``source``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from power_grid_model import CalculationMethod, ComponentType, DatasetType, LoadGenType, PowerGridModel, initialize_array
from power_grid_model.errors import PowerGridError

from multiscale.verification.hourly_flows import HourlyFlows
from multiscale.verification.pandapower_model import PowerFlowModel, tap_changers

STIFF_VA = 1e15
"""Short-circuit power of a source [VA]: its voltage is given."""
BRANCH_RESULTS = ["energized", "i_from", "i_to", "p_from", "p_to"]
BLOCK = 512
"""Hours computed together: what their results take in memory is bounded."""
TAP_ROUNDS = 12
ERROR_TOLERANCE = 1e-8


@dataclass(frozen=True)
class _Drawn:
    """What varies from hour to hour: power drawn (bus, hour) [kW, kvar] and, where it is not that of the model, the voltage given (root, hour)."""

    p_kw: np.ndarray
    q_kvar: np.ndarray
    root_voltage_pu: np.ndarray | None


def batch_power_flow(
    model: PowerFlowModel, p_kw: np.ndarray, q_kvar: np.ndarray, taps: np.ndarray | None = None, *, root_voltage_pu: np.ndarray | None = None
) -> HourlyFlows:
    """AC power flow of every hour. An hour in which a power or a voltage is no number has no solution.

    Args:
        model: the network; only read.
        p_kw, q_kvar: drawn at its buses, (bus, hour).
        taps: tap positions to be taken as they are, (transformer, hour); by default the regulated ones are found.
        root_voltage_pu: voltage where it is given, (root, hour); by default that of the model in all hours.
    """
    drawn = _Drawn(p_kw, q_kvar, root_voltage_pu)
    tiers = tap_changers(model)
    found = HourlyFlows.empty(model, p_kw.shape[1])
    every = np.arange(p_kw.shape[1])
    if taps is not None:
        found.tap[:] = taps
    if taps is not None or not tiers:
        _compute(model, drawn, found, every)
        return found
    for regulated in tiers:
        _regulate(model, drawn, found, every, regulated)
    return found


def _regulate(model: PowerFlowModel, drawn: _Drawn, found: HourlyFlows, hours: np.ndarray, regulated: np.ndarray) -> None:
    """Compute some hours with their tap changers on a step near the set point; of several visited ones in a cycle, the nearest."""
    net, units = model.net, model.branches.isel(branch=model.transformer[regulated])
    step, target = units.tap_step_percent.values[:, None] / 100, units.v_setpoint_pu.values[:, None]
    low_side = net.trafo["lv_bus"].to_numpy()[regulated]
    # More turns on the high side mean less voltage below; on the low side it is the other way round.
    sign = np.where(units.tap_side.values == "hv", 1.0, -1.0)[:, None]
    lowest, highest = units.tap_min.values[:, None], units.tap_max.values[:, None]
    best_distance = np.full(len(found.converged), np.inf)
    best_tap = found.tap[regulated].copy()
    moving = hours
    for _ in range(TAP_ROUNDS):
        _compute(model, drawn, found, moving)
        moving = moving[found.converged[moving]]
        volts, now = found.voltage[low_side][:, moving], found.tap[regulated][:, moving]
        distance = np.nansum(np.abs(volts - target), axis=0)
        better = distance < best_distance[moving]
        best_distance[moving[better]], best_tap[:, moving[better]] = distance[better], now[:, better]
        wanted = np.clip(now + np.nan_to_num(np.rint(sign * (volts - target) / step)), lowest, highest)
        changed = (wanted != now).any(axis=0)
        # An hour that moved and came no nearer is in a cycle.
        going = changed & better
        stuck = moving[changed & ~better]
        if len(stuck):
            found.tap[np.ix_(regulated, stuck)] = best_tap[:, stuck]
            _compute(model, drawn, found, stuck)
        found.tap[np.ix_(regulated, moving[going])] = wanted[:, going]
        moving = moving[going]
        if not len(moving):
            return
    found.tap[np.ix_(regulated, moving)] = best_tap[:, moving]
    _compute(model, drawn, found, moving)


def _compute(model: PowerFlowModel, drawn: _Drawn, found: HourlyFlows, hours: np.ndarray) -> None:
    """Power flow of some hours at the taps they stand on, into ``found``: hours with equal taps share one factorisation."""
    if not len(hours):
        return
    _, group = np.unique(found.tap[:, hours], axis=1, return_inverse=True)
    group = group.ravel()
    for g in range(int(group.max()) + 1):
        together = hours[group == g]
        grid = _grid(model, found.tap[:, together[0]])
        for block in np.split(together, np.arange(BLOCK, len(together), BLOCK)):
            _solve(model, grid, drawn, found, block)


def _solve(model: PowerFlowModel, grid: PowerGridModel, drawn: _Drawn, found: HourlyFlows, hours: np.ndarray) -> None:
    """One block of hours on one grid. What the fast method does not solve is tried by Newton-Raphson, hour by hour."""
    buses, branches = model.buses.sizes["bus"], model.branches.sizes["branch"]
    loads = initialize_array(DatasetType.update, ComponentType.sym_load, (len(hours), buses))
    loads["id"] = np.arange(buses) + buses + branches
    loads["p_specified"], loads["q_specified"] = 1e3 * drawn.p_kw[:, hours].T, 1e3 * drawn.q_kvar[:, hours].T
    varying = {ComponentType.sym_load: loads}
    if drawn.root_voltage_pu is not None:
        sources = initialize_array(DatasetType.update, ComponentType.source, (len(hours), len(model.roots)))
        sources["id"] = np.arange(len(model.roots)) + 2 * buses + branches
        sources["u_ref"] = drawn.root_voltage_pu[:, hours].T
        varying[ComponentType.source] = sources
    # What is no number power-grid-model would leave as it was: no load, the voltage of the model.
    known = np.isfinite(loads["p_specified"]).all(axis=1) & np.isfinite(loads["q_specified"]).all(axis=1)
    if drawn.root_voltage_pu is not None:
        known &= np.isfinite(drawn.root_voltage_pu[:, hours]).all(axis=0)
    done = known.copy()
    wanted: dict[Any, Any] = {ComponentType.node: ["energized", "u_pu"], ComponentType.source: ["p", "q"]}
    if model.branches.sizes["branch"]:
        wanted[ComponentType.generic_branch] = BRANCH_RESULTS
    if len(model.open_ends):
        wanted[ComponentType.shunt] = ["p"]

    def run(chosen: np.ndarray, method: CalculationMethod) -> None:
        result = grid.calculate_power_flow(
            update_data={component: rows[chosen] for component, rows in varying.items()},
            calculation_method=method,
            error_tolerance=ERROR_TOLERANCE,
            max_iterations=100,
            threading=-1,
            output_component_types=wanted,
        )
        _store(model, result, found, hours[chosen])

    try:
        if known.any():
            run(np.flatnonzero(known), CalculationMethod.iterative_current)
    except PowerGridError:
        for k in np.flatnonzero(known).tolist():
            try:
                run(np.array([k]), CalculationMethod.newton_raphson)
            except PowerGridError:
                done[k] = False
    found.converged[hours] = done
    for values in (found.loading, found.voltage, found.losses, found.exchange, found.exchange_reactive):
        values[..., hours[~done]] = np.nan


def _store(model: PowerFlowModel, result: dict, found: HourlyFlows, hours: np.ndarray) -> None:
    """Currents, voltages and powers of a block as loadings, pu and kW; columns are hours."""
    node, source = result[ComponentType.node], result[ComponentType.source]
    found.exchange[hours], found.exchange_reactive[hours] = source["p"].sum(axis=1) / 1e3, source["q"].sum(axis=1) / 1e3
    found.voltage[:, hours] = np.where(node["energized"].T == 1, node["u_pu"].T, np.nan)
    found.losses[hours] = 0.0
    if ComponentType.shunt in result:
        found.losses[hours] += result[ComponentType.shunt]["p"][:, model.open_ends].sum(axis=1) / 1e3
    if ComponentType.generic_branch in result:
        branch, net = result[ComponentType.generic_branch], model.net
        found.losses[hours] += (branch["p_from"] + branch["p_to"]).sum(axis=1) / 1e3
        # The current that each end may carry [A]: lines first, then transformers.
        trafo = 1e3 * net.trafo["sn_mva"].to_numpy() / np.sqrt(3.0)
        line = 1e3 * net.line["max_i_ka"].to_numpy()
        at_from = np.concatenate([line, trafo / net.trafo["vn_hv_kv"].to_numpy()])
        at_to = np.concatenate([line, trafo / net.trafo["vn_lv_kv"].to_numpy()])
        percent = 100 * np.maximum(branch["i_from"] / at_from, branch["i_to"] / at_to)
        found.loading[np.ix_([*model.line, *model.transformer], hours)] = np.where(branch["energized"] == 1, percent, np.nan).T
    off = np.flatnonzero(~model.branches.in_service.values)
    found.loading[np.ix_(off, hours)] = 0.0


def _grid(model: PowerFlowModel, taps: np.ndarray) -> PowerGridModel:
    """The network at given tap positions; ids are running numbers of buses, branches, loads, sources and shunts."""
    net, buses, branches = model.net, model.buses.sizes["bus"], model.branches.sizes["branch"]
    vn = 1e3 * net.bus["vn_kv"].to_numpy()
    node = initialize_array(DatasetType.input, ComponentType.node, buses)
    node["id"], node["u_rated"] = np.arange(buses), vn
    data = {ComponentType.node: node}
    n_line = len(model.line)
    ids = buses + np.arange(branches)
    if branches:
        data[ComponentType.generic_branch] = np.concatenate([_lines(model, ids[:n_line], vn), _transformers(model, taps, ids[n_line:], vn)])
    sources = initialize_array(DatasetType.input, ComponentType.source, len(net.ext_grid))
    first = 2 * buses + branches
    sources["id"], sources["node"] = first + np.arange(len(net.ext_grid)), net.ext_grid["bus"]
    sources["status"], sources["u_ref"], sources["sk"] = 1, net.ext_grid["vm_pu"], STIFF_VA
    data[ComponentType.source] = sources
    if len(net.shunt):
        shunt = initialize_array(DatasetType.input, ComponentType.shunt, len(net.shunt))
        shunt["id"], shunt["node"], shunt["status"] = first + len(net.ext_grid) + np.arange(len(net.shunt)), net.shunt["bus"], 1
        squared = vn[net.shunt["bus"].to_numpy()] ** 2
        shunt["g1"], shunt["b1"] = net.shunt["p_mw"].to_numpy() * 1e6 / squared, -net.shunt["q_mvar"].to_numpy() * 1e6 / squared
        data[ComponentType.shunt] = shunt
    load = initialize_array(DatasetType.input, ComponentType.sym_load, buses)
    load["id"], load["node"], load["status"], load["type"] = np.arange(buses) + buses + branches, np.arange(buses), 1, LoadGenType.const_power
    load["p_specified"] = load["q_specified"] = 0.0
    data[ComponentType.sym_load] = load
    return PowerGridModel(data, system_frequency=float(net.f_hz))


def _lines(model: PowerFlowModel, ids: np.ndarray, vn: np.ndarray) -> np.ndarray:
    """Lines as branches of ratio one, impedances (given at the nominal voltage of the from end) seen from the to end."""
    line = model.net.line
    unit = initialize_array(DatasetType.input, ComponentType.generic_branch, len(line))
    if not len(line):
        return unit
    start, end = line["from_bus"].to_numpy(), line["to_bus"].to_numpy()
    seen = (vn[end] / vn[start]) ** 2
    unit["id"], unit["from_node"], unit["to_node"] = ids, start, end
    unit["from_status"] = unit["to_status"] = line["in_service"]
    unit["r1"], unit["x1"] = line["r_ohm_per_km"] * seen, line["x_ohm_per_km"] * seen
    unit["g1"] = line["g_us_per_km"] * 1e-6 / seen
    unit["b1"] = 2 * np.pi * model.net.f_hz * line["c_nf_per_km"] * 1e-9 / seen
    unit["k"], unit["theta"], unit["sn"] = 1.0, 0.0, line["max_i_ka"] * 1e6 * vn[start] / 1e3 * np.sqrt(3.0)
    return unit


def _transformers(model: PowerFlowModel, taps: np.ndarray, ids: np.ndarray, vn: np.ndarray) -> np.ndarray:
    """Transformers as branches with a ratio, impedances at the low side."""
    trafo = model.net.trafo
    unit = initialize_array(DatasetType.input, ComponentType.generic_branch, len(trafo))
    if not len(trafo):
        return unit
    high, low = 1e3 * trafo["vn_hv_kv"].to_numpy(), 1e3 * trafo["vn_lv_kv"].to_numpy()
    turned = 1.0 + np.nan_to_num(taps * trafo["tap_step_percent"].to_numpy() / 100)
    on_high = (trafo["tap_side"] == "hv").to_numpy()
    on_low = (trafo["tap_side"] == "lv").to_numpy()
    high, actual = np.where(on_high, high * turned, high), np.where(on_low, low * turned, low)
    power = 1e6 * trafo["sn_mva"].to_numpy()
    base = actual**2 / power
    r = trafo["vkr_percent"].to_numpy() / 100 * base
    magnitude = trafo["vk_percent"].to_numpy() / 100 * base
    z = r + 1j * np.sign(magnitude) * np.sqrt(np.maximum(magnitude**2 - r**2, 0.0))
    iron = 1e3 * trafo["pfe_kw"].to_numpy()
    magnetising = np.sqrt(np.maximum((trafo["i0_percent"].to_numpy() / 100 * power) ** 2 - iron**2, 0.0))
    y = (iron - 1j * magnetising) / actual**2
    factor = 1.0 + z * y / 4
    z, y = z * factor, y / factor
    start, end = trafo["hv_bus"].to_numpy(), trafo["lv_bus"].to_numpy()
    unit["id"], unit["from_node"], unit["to_node"] = ids, start, end
    unit["from_status"] = unit["to_status"] = trafo["in_service"]
    unit["r1"], unit["x1"], unit["g1"], unit["b1"] = z.real, z.imag, y.real, y.imag
    unit["k"], unit["theta"] = high / actual * vn[end] / vn[start], np.deg2rad(trafo["shift_degree"].to_numpy())
    unit["sn"] = power
    return unit
