"""AC power flow of a result: what the linear network models promised, checked with the full equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandapower as pp
import pandas as pd
import xarray as xr
from pandapower.powerflow import LoadflowNotConverged

from multiscale.system.schema import GENERATION_KINDS, IDLE_KINDS, LOAD_KINDS
from multiscale.system.system import System
from multiscale.timeline import Horizon
from multiscale.verification.pandapower_model import PowerFlowModel, power_flow_model, tap_changers

TAP_ROUNDS = 12
COMPILE_ABOVE = 200_000
"""Buses x periods from which compiling pandapower's loops takes less time than it saves."""
OVERLOAD_TOLERANCE_PERCENT = 1e-3
VOLTAGE_TOLERANCE_PU = 1e-6


@dataclass(frozen=True)
class Verification:
    """What the AC power flow says about a result.

    Attributes:
        result: the dataset of ``ac_power_flow``.
        violations: columns component, identifier, period, value, limit, unit; one row per violation, the worst first per component.
        max_line_overload: largest loading of a branch above its rating [%]; 0 without an overload.
        max_voltage_violation: largest distance of a voltage from its band [pu]; 0 inside.
    """

    result: xr.Dataset
    violations: pd.DataFrame
    max_line_overload: float
    max_voltage_violation: float


def ac_verify(
    system: System,
    nodes: Sequence[str],
    horizon: Horizon,
    injections: xr.Dataset,
    built: xr.Dataset | None = None,
    slack_voltage_pu: float | Mapping[str, float] = 1.0,
) -> Verification:
    """AC power flow of every period, held against ratings and voltage bands; arguments as of ``ac_power_flow``.

    A period that does not converge is a violation of its own; a bus without supply has no voltage and is one too. The buses at
    which the voltage is given are not judged.
    """
    result = ac_power_flow(system, nodes, horizon, injections, built, slack_voltage_pu)
    rows = []
    over = result.loading.values - 100.0
    for b, t in zip(*np.nonzero(over > OVERLOAD_TOLERANCE_PERCENT), strict=True):
        rows.append(("branch", str(result.branch.values[b]), str(result.period.values[t]), 100.0 + over[b, t], 100.0, "%"))
    low, high = system.buses.v_min_pu.sel(bus=result.bus).values, system.buses.v_max_pu.sel(bus=result.bus).values
    judged = ~result.slack.values
    volts = result.voltage.values
    below, above = low[:, None] - volts, volts - high[:, None]
    for excess, limit in ((below, low), (above, high)):
        for b, t in zip(*np.nonzero(judged[:, None] & (excess > VOLTAGE_TOLERANCE_PU)), strict=True):
            rows.append(("bus", str(result.bus.values[b]), str(result.period.values[t]), volts[b, t], limit[b], "pu"))
    converged = result.converged.values
    for b, t in zip(*np.nonzero(judged[:, None] & np.isnan(volts) & converged[None, :]), strict=True):
        rows.append(("bus", str(result.bus.values[b]), str(result.period.values[t]), np.nan, low[b], "pu"))
    rows += [("power flow", ", ".join(nodes[:3]), str(result.period.values[t]), np.nan, np.nan, "") for t in np.flatnonzero(~converged)]
    violations = pd.DataFrame(rows, columns=["component", "identifier", "period", "value", "limit", "unit"])
    order = (violations["value"] - violations["limit"]).abs().sort_values(ascending=False).index
    violations = violations.loc[order].sort_values("component", kind="stable").reset_index(drop=True)
    excess = np.fmax(below, above)[judged]
    return Verification(
        result=result,
        violations=violations,
        max_line_overload=float(np.nanmax(over, initial=0.0)),
        max_voltage_violation=float(np.nanmax(excess, initial=0.0)),
    )


def ac_power_flow(
    system: System,
    nodes: Sequence[str],
    horizon: Horizon,
    injections: xr.Dataset,
    built: xr.Dataset | None = None,
    slack_voltage_pu: float | Mapping[str, float] = 1.0,
) -> xr.Dataset:
    """AC power flow (Newton-Raphson, pandapower) of the networks of some nodes, in every period of a horizon.

    The boundary bus of each uppermost node is the slack. An on-load tap changer stands on the step that brings the voltage at its
    ``to_bus`` nearest to its set point, those in series one after the other from above; the search of a period starts from the step before.

    Args:
        system: owner of the networks.
        nodes: nodes whose networks are calculated together, e.g. a DSO and its platforms.
        horizon: the periods.
        injections: ``p`` [kW] and ``q`` [kvar] drawn (positive) at the buses, dims (bus, period); buses that are not named draw nothing.
        built: options that are built (component ``option``), on branches of these networks; default: none.
        slack_voltage_pu: voltage at the slack buses, one value or by bus.

    Returns:
        Dataset: ``loading`` (branch, period) [% of the reinforced rating, by current; 0 out of service], ``voltage`` (bus, period) [pu],
        ``losses``, ``exchange``, ``exchange_reactive`` (period) [kW, kvar; drawn from above], ``tap`` (transformer, period) [1],
        ``converged`` (period), ``slack`` (bus). Periods that do not converge are NaN.

    Raises:
        KeyError: an unknown node or branch, an injection at a bus outside the networks, or one that lacks periods.
    """
    model = power_flow_model(system, nodes, built, slack_voltage_pu)
    p_kw, q_kvar = _aligned(model, horizon, injections)
    net, periods = model.net, horizon.periods
    n_branch, n_bus = model.branches.sizes["branch"], model.buses.sizes["bus"]
    loading, voltage = np.zeros((n_branch, periods)), np.full((n_bus, periods), np.nan)
    totals, converged = np.full((3, periods), np.nan), np.zeros(periods, dtype=bool)
    taps = np.zeros((len(model.transformer), periods))
    warm, compiled, tiers = False, n_bus * periods > COMPILE_ABOVE, tap_changers(model)
    for t in range(periods):
        net.load["p_mw"], net.load["q_mvar"] = p_kw[:, t] / 1e3, q_kvar[:, t] / 1e3
        converged[t] = _solve(model, tiers, warm, compiled)
        warm = bool(converged[t])
        taps[:, t] = net.trafo["tap_pos"].to_numpy() if len(net.trafo) else 0.0
        if not converged[t]:
            loading[:, t] = np.nan
            continue
        voltage[:, t] = net.res_bus["vm_pu"].to_numpy()
        loading[model.line, t] = net.res_line["loading_percent"].to_numpy()
        loading[model.transformer, t] = net.res_trafo["loading_percent"].to_numpy()
        slack = net.res_ext_grid[["p_mw", "q_mvar"]].sum().to_numpy() * 1e3
        totals[:, t] = (np.nansum(net.res_line["pl_mw"]) + np.nansum(net.res_trafo["pl_mw"])) * 1e3, *slack
    loading[~model.branches.in_service.values] = 0.0
    is_slack = np.zeros(n_bus, dtype=bool)
    is_slack[model.roots] = True
    return xr.Dataset(
        {
            "loading": (("branch", "period"), loading, {"units": "%", "long_name": "loading of the reinforced rating"}),
            "voltage": (("bus", "period"), voltage, {"units": "pu", "long_name": "voltage magnitude"}),
            "losses": ("period", totals[0], {"units": "kW", "long_name": "losses of lines and transformers"}),
            "exchange": ("period", totals[1], {"units": "kW", "long_name": "active power drawn from above"}),
            "exchange_reactive": ("period", totals[2], {"units": "kvar", "long_name": "reactive power drawn from above"}),
            "tap": (("transformer", "period"), taps, {"units": "1", "long_name": "tap position"}),
            "converged": ("period", converged, {"long_name": "whether the power flow converged"}),
            "slack": ("bus", is_slack, {"long_name": "whether the voltage is given"}),
        },
        coords={
            "branch": model.branches.branch.values,
            "bus": model.buses.bus.values,
            "period": horizon.labels,
            "transformer": model.branches.branch.values[model.transformer],
        },
    )


def _aligned(model: PowerFlowModel, horizon: Horizon, injections: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    buses = pd.Index(model.buses.bus.values)
    rows = buses.get_indexer(injections.bus.values)
    if (rows < 0).any():
        raise KeyError(f"power flow: injections at buses outside the networks: {injections.bus.values[rows < 0][:5].tolist()}")
    missing = sorted(set(horizon.labels.tolist()) - set(injections.period.values.tolist()))
    if missing:
        raise KeyError(f"power flow: injections lack the periods {missing[:3]}")
    chosen = injections.sel(period=horizon.labels)
    out = []
    for name in ("p", "q"):
        values = np.zeros((len(buses), horizon.periods))
        np.add.at(values, rows, chosen[name].transpose("bus", "period").to_numpy())
        out.append(values)
    return out[0], out[1]


def _solve(model: PowerFlowModel, tiers: list[np.ndarray], warm: bool, compiled: bool) -> bool:
    """Power flow of one period with the tap changers on their best step; false where it does not converge."""
    return _run(model, warm, compiled) and all(_regulate(model, units, compiled) for units in tiers)


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


def profile_injections(system: System, nodes: Sequence[str], horizon: Horizon) -> xr.Dataset:
    """What the buses of some nodes draw when every device follows its profile and the storage stands idle.

    Returns:
        Dataset ``p`` [kW] and ``q`` [kvar], dims (bus, period), of the buses of the nodes that carry a device.
    """
    mine = set(system.buses.bus.values[np.isin(system.buses.node.values, list(nodes))].tolist())
    devices = system.devices
    chosen = np.flatnonzero(np.isin(devices.bus.values, list(mine)) & ~np.isin(devices.kind.values, IDLE_KINDS))
    power, reactive = system.uncontrolled(chosen, horizon)
    devices = devices.isel(device=chosen)
    sign = np.where(np.isin(devices.kind.values, LOAD_KINDS), 1.0, 0.0) - np.isin(devices.kind.values, GENERATION_KINDS)
    rows, buses = pd.factorize(devices.bus.values)
    totals = np.zeros((2, len(buses), horizon.periods))
    np.add.at(totals[0], rows, sign[:, None] * power)
    np.add.at(totals[1], rows, reactive)
    return xr.Dataset(
        {"p": (("bus", "period"), totals[0], {"units": "kW"}), "q": (("bus", "period"), totals[1], {"units": "kvar"})},
        coords={"bus": np.asarray(buses, dtype=str), "period": horizon.labels},
    )
