"""AC power flow by pandapower, one hour after the other: the independent check of ``batch_power_flow``."""

from __future__ import annotations

import numpy as np
import pandapower as pp
from pandapower.powerflow import LoadflowNotConverged

from multiscale.verification.hourly_flows import HourlyFlows
from multiscale.verification.pandapower_model import PowerFlowModel, tap_changers

TAP_ROUNDS = 12
COMPILE_ABOVE = 200_000
"""Buses x hours from which compiling pandapower's loops takes less time than it saves."""


def pandapower_power_flow(model: PowerFlowModel, p_kw: np.ndarray, q_kvar: np.ndarray) -> HourlyFlows:
    """AC power flow (Newton-Raphson) of every hour; arguments as of ``batch_power_flow``.

    The search for the steps of tap changers starts in every hour from the positions of the branch table.
    """
    net, hours, off = model.net, p_kw.shape[1], ~model.branches.in_service.values
    found = HourlyFlows.empty(model, hours)
    warm, compiled, tiers = False, p_kw.size > COMPILE_ABOVE, tap_changers(model)
    for t in range(hours):
        net.load["p_mw"], net.load["q_mvar"] = p_kw[:, t] / 1e3, q_kvar[:, t] / 1e3
        if len(net.trafo):
            net.trafo["tap_pos"] = found.tap[:, t]
        warm = found.converged[t] = _solve(model, tiers, warm, compiled)
        found.tap[:, t] = net.trafo["tap_pos"].to_numpy() if len(net.trafo) else 0.0
        if not warm:
            continue
        found.voltage[:, t] = net.res_bus["vm_pu"].to_numpy()
        found.loading[model.line, t] = net.res_line["loading_percent"].to_numpy()
        found.loading[model.transformer, t] = net.res_trafo["loading_percent"].to_numpy()
        found.loading[off, t] = 0.0
        found.losses[t] = (
            np.nansum(net.res_line["pl_mw"]) + np.nansum(net.res_trafo["pl_mw"]) + np.nansum(net.res_shunt["p_mw"].to_numpy()[model.open_ends])
        ) * 1e3
        found.exchange[t], found.exchange_reactive[t] = net.res_ext_grid[["p_mw", "q_mvar"]].sum().to_numpy() * 1e3
    return found


def _solve(model: PowerFlowModel, tiers: list[np.ndarray], warm: bool, compiled: bool) -> bool:
    """Power flow of one hour with the tap changers on their best step; false where it does not converge."""
    return _run(model, warm, compiled, stepped=True) and all(_regulate(model, units, compiled) for units in tiers)


def _regulate(model: PowerFlowModel, regulated: np.ndarray, compiled: bool) -> bool:
    """Some tap changers on their best step, starting from a power flow; false where one does not converge."""
    net, units = model.net, model.branches.isel(branch=model.transformer)
    step = units.tap_step_percent.values / 100
    target, low_side = units.v_setpoint_pu.values[regulated], net.trafo["lv_bus"].to_numpy()[regulated]
    # More turns on the high side mean less voltage below; on the low side it is the other way round.
    sign = np.where(units.tap_side.values[regulated] == "hv", 1.0, -1.0)
    lowest, highest = units.tap_min.values[regulated], units.tap_max.values[regulated]
    seen: dict[bytes, float] = {}
    for _ in range(TAP_ROUNDS):
        volts = net.res_bus["vm_pu"].to_numpy()[low_side]
        now = net.trafo["tap_pos"].to_numpy(float)
        seen[now.tobytes()] = float(np.abs(volts - target).sum())
        change = np.nan_to_num(np.rint(sign * (volts - target) / step[regulated]))
        wanted = now.copy()
        wanted[regulated] = np.clip(now[regulated] + change, lowest, highest)
        if (wanted == now).all():
            return True
        if wanted.tobytes() in seen:
            best = min(seen, key=lambda key: (seen[key], key))
            wanted = np.frombuffer(best).copy()
        stop = wanted.tobytes() in seen
        net.trafo["tap_pos"] = wanted
        if not _run(model, True, compiled, stepped=True):
            return False
        if stop:
            return True
    return True


def _run(model: PowerFlowModel, warm: bool, compiled: bool, stepped: bool = False) -> bool:
    """One power flow; a warm one starts from the last, and keeps its admittances where no tap changer has stepped."""
    net = model.net
    if warm:
        try:
            pp.runpp(net, recycle={"bus_pq": True, "trafo": stepped, "gen": False}, init="results", check_connectivity=True, numba=compiled)
        except LoadflowNotConverged:
            warm = False
        if warm and np.isfinite(net.res_bus["vm_pu"]).any():
            return True
    # From scratch: the warm start may have misled it.
    try:
        pp.runpp(net, calculate_voltage_angles=True, init="dc", max_iteration=30, trafo_model="t", numba=compiled)
    except LoadflowNotConverged:
        return False
    return True
