"""A network read by ``pandapower_system`` next to pandapower's own power flow of it, at the same injections."""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd
import xarray as xr
from pandapower.powerflow import LoadflowNotConverged

from multiscale.sources.matpower_network import matpower_network
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.sources.pandapower_tables import unique_names
from multiscale.sources.simbench import convert, load_network
from multiscale.system.problem import InvalidSystemError
from multiscale.system.schema import GENERATION_KINDS, LOAD_KINDS
from multiscale.system.system import System
from multiscale.system.validation import validate
from multiscale.timeline import Horizon
from multiscale.verification.ac import ac_power_flow, profile_injections
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.hourly_flows import HourlyFlows
from multiscale.verification.pandapower_model import PowerFlowModel

ONE_PERIOD = Horizon((pd.Timestamp("2016-03-01"),), (366.0,), 24.0)
LOSSES, VOLTAGE, LOADING, TOTALS = 1e-4, 1e-6, 1e-3, 1e-6
"""Largest differences that count as the same: relative, pu, percentage points, relative."""


@dataclass
class Compared:
    """A network as read, next to pandapower's own power flow.

    Attributes:
        name: which one.
        outcome: ``same``, ``differs``, ``refused`` (with the message), ``no reference`` (pandapower has no solution).
        system: the system, where it could be read.
        losses_kw, lowest_pu: of pandapower.
        d_losses: relative difference of the losses.
        d_voltage: largest difference of voltages [pu].
        d_loading: largest difference of loadings [%].
        d_totals: largest relative difference of what all elements draw, and of what all feed in, at the ratings of the file.
        adapted: what was changed in pandapower's network to make the same model of it, with the reason.
        message: why it was refused.
    """

    name: str
    outcome: str = ""
    system: System | None = None
    losses_kw: float = np.nan
    lowest_pu: float = np.nan
    d_losses: float = np.nan
    d_voltage: float = np.nan
    d_loading: float = np.nan
    d_totals: float = np.nan
    adapted: list[str] = field(default_factory=list)
    message: str = ""


def network_of(path: Path) -> Any:
    """The pandapower network of a file."""
    if path.suffix == ".m":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return matpower_network(path)
    return pp.from_json(str(path)) if path.suffix == ".json" else pp.from_excel(str(path))


def compare(name: str, net: Any) -> Compared:
    """Read a network, and compute both power flows at the injections of the file."""
    row = Compared(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            system = pandapower_system(copy.deepcopy(net), name=name)
            problems = validate(system)
        except InvalidSystemError as error:
            row.outcome, row.message = "refused", " | ".join(str(p) for p in error.problems[:3])
            return row
        row.system = system
        if problems:
            row.outcome, row.message = "refused", f"{len(problems)}: " + " | ".join(str(p) for p in problems[:2])
            return row
        reference = _same_model(copy.deepcopy(net), system, row)
        try:
            _solve(reference)
        except Exception as error:
            row.outcome, row.message = "no reference", f"{type(error).__name__}"
            return row
        result = _ours(system, reference)
    _judge(row, system, reference, result)
    row.d_totals = totals_apart(system, reference)
    if row.outcome == "same" and not row.d_totals <= TOTALS:
        row.outcome, row.message = "differs", f"what the elements draw or feed in differs by {row.d_totals:.2g} of all of it: elements are lost"
    return row


def totals_apart(system: System, net: Any) -> float:
    """Relative difference of what all devices draw, and of what they feed in, from pandapower's results; dispatched units are counted by name.

    A unit of the network that is neither among the generators nor named as one that supplies nothing must be among the devices.
    """
    silent = " ".join(a.component for a in system.approximations if "not among the generators" in a.done)
    units = {str(name).split(" (step ")[0] for name in system.generators.generator.values.tolist()}
    drawn = []
    for kind, sign in (("load", 1.0), ("motor", 1.0), ("asymmetric_load", 1.0), ("storage", 1.0), ("sgen", -1.0), ("asymmetric_sgen", -1.0)):
        drawn.append(sign * net[f"res_{kind}"]["p_mw"].to_numpy(float))
    for kind in ("ward", "xward"):
        rows = net[kind][net[kind]["in_service"].astype(bool)] if len(net[kind]) else net[kind]
        squared = net.res_bus["vm_pu"].reindex(rows["bus"]).to_numpy(float) ** 2
        drawn.append(net[f"res_{kind}"]["p_mw"].reindex(rows.index).to_numpy(float) - rows["pz_mw"].to_numpy(float) * squared)
    drawn += [net.res_dcline[f"p_{end}_mw"].to_numpy(float) for end in ("from", "to")]
    supply = pd.concat([net[kind].assign(result=net[f"res_{kind}"]["p_mw"], kind=kind.replace("_", " ")) for kind in ("ext_grid", "gen")])
    on = supply["in_service"].astype(bool) & net.bus["in_service"].astype(bool).reindex(supply["bus"]).to_numpy(bool)
    supply = supply[on]
    names = pd.concat([unique_names(rows["name"], str(kind)) for kind, rows in supply.groupby("kind", sort=False)])
    names = unique_names(names.reset_index(drop=True), "source").to_numpy()
    drawn.append(-supply["result"].to_numpy(float)[[n not in units and repr(n) not in silent for n in names.tolist()]])
    theirs = np.nan_to_num(np.concatenate(drawn)) * 1e3
    devices = system.devices
    sign = np.isin(devices.kind.values, LOAD_KINDS).astype(float) - np.isin(devices.kind.values, GENERATION_KINDS)
    ours = sign * devices.p_kw.values
    return max(abs(part(ours).sum() - part(theirs).sum()) / max(abs(part(theirs).sum()), 1e-3) for part in (_positive, _negative))


def _positive(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0.0)


def _negative(values: np.ndarray) -> np.ndarray:
    return np.minimum(values, 0.0)


def _solve(net: Any) -> None:
    """pandapower's power flow, to as many digits as the network permits: its usual 10 mW at every bus are more than small networks lose."""
    options = {"numba": False, "calculate_voltage_angles": True, "max_iteration": 40, "voltage_depend_loads": False}
    try:
        pp.runpp(net, tolerance_mva=1e-11, **options)
    except LoadflowNotConverged:
        pp.runpp(net, **options)


def _same_model(net: Any, system: System, row: Compared) -> Any:
    """pandapower's network with what is modelled otherwise here, as the list of approximations says."""
    fields = {a.field for a in system.approximations}
    if any(f.startswith("const_") for f in fields):
        row.adapted.append("loads of constant power")
    if len(net.storage):
        stays = (net.storage["max_e_mwh"] - net.storage["min_e_mwh"].fillna(0.0)) > 0 if "max_e_mwh" in net.storage else False
        if np.any(stays):
            net.storage.loc[stays, ["p_mw", "q_mvar"]] = 0.0
            row.adapted.append("storage idle")
    if "rft_pu, xft_pu" in fields:
        for c in "rx":
            mean = (net.impedance[f"{c}ft_pu"] + net.impedance[f"{c}tf_pu"]) / 2
            net.impedance[f"{c}ft_pu"], net.impedance[f"{c}tf_pu"] = mean, mean
        row.adapted.append("impedances the same in both directions")
    opened = [a for a in system.approximations if a.field == "ring"]
    if opened:
        named = {n.strip("'") for a in opened for n in a.component.removeprefix("branch ").split("', '")}
        for kind, ends in (("line", "to_bus"), ("trafo", "lv_bus")):
            names = unique_names(net[kind]["name"], {"line": "line", "trafo": "transformer"}[kind]) if len(net[kind]) else {}
            for k, n in dict(names).items():
                if n in named:
                    pp.create_switch(net, int(net[kind].at[k, ends]), k, et=kind[0], closed=False)
        row.adapted.append(f"{len(opened)} rings opened")
    if any("which are one grid" in a.done for a in system.approximations):
        net.ext_grid["vm_pu"] = net.ext_grid["vm_pu"].iloc[0]
        row.adapted.append("external grids at one voltage")
    # Where rings are opened, generators would hold their voltage at another power than that of the file's own state.
    if opened and any("do not control voltage" in a.done for a in system.approximations):
        names = unique_names(net.gen["name"], "gen")
        devices = system.devices.to_dataframe()
        for k in net.gen.index[net.gen["in_service"].astype(bool)]:
            if names[k] in devices.index and devices.at[names[k], "kind"] in ("biomass", "load"):
                sign = 1.0 if devices.at[names[k], "kind"] == "load" else -1.0
                power = sign * devices.at[names[k], "p_kw"] / 1e3, devices.at[names[k], "q_kvar"] / 1e3
                pp.create_load(net, net.gen.at[k, "bus"], *power)
                net.gen.loc[k, "in_service"] = False
        row.adapted.append("generators in feeders constant")
    return net


def _ours(system: System, reference: Any) -> xr.Dataset:
    """Our power flow of the whole network, power stations of the top level at the output they have in pandapower's."""
    nodes = system.nodes.node.values.tolist()
    injections = profile_injections(system, nodes, ONE_PERIOD)
    top_has_network = bool((system.branches.node.values == system.top).any())
    slack = None
    if top_has_network:
        names = unique_names(reference.bus["name"], "bus")
        where = dict(zip(names, names.index, strict=True))
        extra: dict[str, np.ndarray] = {}
        for kind in ("ext_grid", "gen"):
            result = reference[f"res_{kind}"]
            for k, bus in reference[kind].loc[reference[kind]["in_service"].astype(bool), "bus"].items():
                at = _bus_of(system, reference, int(bus), names)
                if at is None or system.buses.node.sel(bus=at).item() != system.top:
                    continue
                extra[at] = extra.get(at, np.zeros(2)) - result.loc[k, ["p_mw", "q_mvar"]].to_numpy(float) * 1e3
        more = xr.Dataset(
            {v: (("bus", "period"), np.repeat([[e[i]] for e in extra.values()], ONE_PERIOD.periods, axis=1)) for i, v in enumerate("pq")},
            coords={"bus": list(extra), "period": ONE_PERIOD.labels},
        )
        injections = xr.concat([injections, more], dim="bus")
        units = system.generators
        root = str(units.bus.values[int(units.p_max_kw.values.argmax())])
        slack = {root: float(reference.res_bus.at[where[root], "vm_pu"])}
    else:
        nodes = [n for n in nodes if n != system.top]
    compute = partial(_near, reference=reference) if top_has_network else batch_power_flow
    return ac_power_flow(system, nodes, ONE_PERIOD, injections, slack_voltage_pu=slack, compute=compute)


def _near(model: PowerFlowModel, p_kw: np.ndarray, q_kvar: np.ndarray, reference: Any) -> HourlyFlows:
    """The solution of our model near pandapower's: a meshed network whose power stations do not control voltage has others."""
    net, found = model.net, HourlyFlows.empty(model, p_kw.shape[1])
    net.load["p_mw"], net.load["q_mvar"] = p_kw[:, 0] / 1e3, q_kvar[:, 0] / 1e3
    names = unique_names(reference.bus["name"], "bus").to_numpy()
    state = reference.res_bus.set_axis(names)[["vm_pu", "va_degree"]].reindex(model.buses.bus.values).fillna({"vm_pu": 1.0, "va_degree": 0.0})
    net.ext_grid["va_degree"] = state["va_degree"].to_numpy()[model.roots]
    try:
        pp.runpp(net, numba=False, calculate_voltage_angles=True, init_vm_pu=state["vm_pu"].to_numpy(), init_va_degree=state["va_degree"].to_numpy())
    except LoadflowNotConverged:
        return found
    found.converged[:], found.voltage[:, 0] = True, net.res_bus["vm_pu"]
    found.loading[model.line, 0], found.loading[model.transformer, 0] = net.res_line["loading_percent"], net.res_trafo["loading_percent"]
    found.losses[:] = (net.res_line["pl_mw"].sum() + net.res_trafo["pl_mw"].sum() + net.res_shunt["p_mw"].to_numpy()[model.open_ends].sum()) * 1e3
    return found


def _bus_of(system: System, net: Any, bus: int, names: pd.Series) -> str | None:
    """Our bus for one of pandapower's: itself, or the one it is joined to by closed switches."""
    known = set(system.buses.bus.values.tolist())
    seen, waiting = {bus}, [bus]
    pairs = net.switch[(net.switch["et"] == "b") & net.switch["closed"].astype(bool)] if len(net.switch) else net.switch
    while waiting:
        b = waiting.pop()
        if names[b] in known:
            return str(names[b])
        for i, j in pairs[["bus", "element"]].to_numpy(int) if len(pairs) else []:
            for near in ({i, j} - {b}) if b in (i, j) else ():
                if near not in seen:
                    seen.add(near)
                    waiting.append(near)
    return None


def _judge(row: Compared, system: System, reference: Any, result: xr.Dataset) -> None:
    names = unique_names(reference.bus["name"], "bus")
    theirs = pd.Series(reference.res_bus["vm_pu"].to_numpy(float), index=names.to_numpy())
    ours = result.voltage.isel(period=0).to_series()
    both = ours.index.intersection(theirs.index)
    row.lowest_pu = float(theirs.min())
    row.losses_kw = -float(np.nansum(reference.res_bus["p_mw"])) * 1e3
    if len(reference.dcline):
        row.losses_kw -= float((reference.res_dcline["p_from_mw"] + reference.res_dcline["p_to_mw"]).sum()) * 1e3
    if not result.converged.values[0]:
        row.outcome, row.message = "differs", "our power flow does not converge"
        return
    gap = (ours[both] - theirs[both]).abs()
    row.d_voltage = float(gap.max()) if gap.notna().any() else np.nan
    if (ours[both].isna() != theirs[both].isna()).any():
        row.d_voltage = np.inf
    losses = float(result.losses.values[0])
    row.d_losses = abs(losses - row.losses_kw) / max(abs(row.losses_kw), 1e-3)
    loading = {}
    for kind, word in (("line", "line"), ("trafo", "transformer")):
        if len(reference[kind]):
            values = reference[f"res_{kind}"]["loading_percent"].to_numpy(float)
            loading |= dict(zip(unique_names(reference[kind]["name"], word), values, strict=True))
    found = result.loading.isel(period=0).to_series()
    on = set(system.branches.branch.values[system.branches.in_service.values].tolist())
    common = [n for n in found.index if n in loading and n in on]
    pair = pd.DataFrame({"ours": found[common], "theirs": pd.Series(loading)[common]}).dropna()
    row.d_loading = float((pair["ours"] - pair["theirs"]).abs().max()) if len(pair) else 0.0
    # Loadings of thousands of percent are compared relative to their size.
    size = max(1.0, float(pair["theirs"].max()) / 100) if len(pair) else 1.0
    same = row.d_losses <= LOSSES and row.d_voltage <= VOLTAGE and row.d_loading <= LOADING * size
    row.outcome = "same" if same else "differs"


def compare_simbench(code: str) -> Compared:
    """A SimBench network at the first quarter-hour of a day: our flow next to pandapower's of SimBench's own tables, on the taps that were found."""
    row, net = Compared(code), load_network(code)
    system = convert(net, code)
    row.system = system
    nodes = [n for n in system.nodes.node.values.tolist() if n != system.top]
    injections = profile_injections(system, nodes, ONE_PERIOD)
    result = ac_power_flow(system, nodes, ONE_PERIOD, injections)
    for kind in ("load", "sgen", "storage", "gen"):
        net[kind] = net[kind].iloc[:0]
    names = unique_names(net.bus["name"], "bus")
    where = dict(zip(names, names.index, strict=True))
    drawn = injections.isel(period=0).to_dataframe()
    for bus, values in drawn[["p", "q"]].iterrows():
        pp.create_load(net, where[str(bus)], values["p"] / 1e3, values["q"] / 1e3)
    taps = result.tap.isel(period=0).to_series()
    neutral = net.trafo["tap_neutral"].fillna(0.0)
    net.trafo["tap_pos"] = [taps[n] + neutral[k] for k, n in unique_names(net.trafo["name"], "transformer").items()]
    net.trafo["tap_changer_type"] = "Ratio"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.runpp(net, numba=False, calculate_voltage_angles=True, max_iteration=40, tolerance_mva=1e-11)
    _judge(row, system, net, result)
    return row
