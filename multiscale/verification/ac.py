"""AC power flow of a result: what the linear network models promised, checked with the full equations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.system.schema import GENERATION_KINDS, IDLE_KINDS, LOAD_KINDS
from multiscale.system.system import System
from multiscale.timeline import Horizon
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.hourly_flows import HourlyFlows
from multiscale.verification.pandapower_model import PowerFlowModel, power_flow_model

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

    @property
    def diverged(self) -> int:
        """Number of periods whose power flow did not converge."""
        return int((self.violations["component"] == "power flow").sum())

    @property
    def without_supply(self) -> tuple[str, ...]:
        """Buses that have no voltage in some period whose power flow converged."""
        rows = self.violations[(self.violations["component"] == "bus") & self.violations["value"].isna()]
        return tuple(dict.fromkeys(rows["identifier"].tolist()))

    @property
    def overloaded(self) -> dict[str, float]:
        """Overloaded branch -> largest loading above its rating [%], worst first."""
        rows = self.violations[self.violations["component"] == "branch"].drop_duplicates("identifier")
        return dict(zip(rows["identifier"].tolist(), (rows["value"] - rows["limit"]).tolist(), strict=True))

    @property
    def outside_band(self) -> dict[str, float]:
        """Bus -> largest distance of its voltage from its band [pu], above positive, below negative, worst first; NaN where it lacks supply."""
        rows = self.violations[self.violations["component"] == "bus"].drop_duplicates("identifier")
        return dict(zip(rows["identifier"].tolist(), (rows["value"] - rows["limit"]).tolist(), strict=True))


def ac_verify(
    system: System,
    nodes: Sequence[str],
    horizon: Horizon,
    injections: xr.Dataset,
    built: xr.Dataset | None = None,
    slack_voltage_pu: float | Mapping[str, float] | None = None,
) -> Verification:
    """AC power flow of every period, held against ratings and voltage bands; arguments as of ``ac_power_flow``.

    A period that does not converge is a violation of its own; a bus without supply has no voltage and is one too. The buses at
    which the voltage is given are not judged.
    """
    result = ac_power_flow(system, nodes, horizon, injections, built, slack_voltage_pu)
    volts, converged, judged = result.voltage.values, result.converged.values, ~result.slack.values[:, None]
    low, high = (system.buses[name].sel(bus=result.bus).values[:, None] for name in ("v_min_pu", "v_max_pu"))
    over, below, above = result.loading.values - 100.0, low - volts, volts - high
    found = (
        ("branch", over > OVERLOAD_TOLERANCE_PERCENT, result.loading.values, np.array(100.0), "%"),
        ("bus", judged & (below > VOLTAGE_TOLERANCE_PU), volts, low, "pu"),
        ("bus", judged & (above > VOLTAGE_TOLERANCE_PU), volts, high, "pu"),
        ("bus", judged & np.isnan(volts) & converged, volts, low, "pu"),
    )
    rows: list[tuple[np.ndarray, ...]] = []
    for component, violated, value, limit, unit in found:
        at, when = np.nonzero(violated)
        limits = np.broadcast_to(limit, value.shape)[violated]
        named = result[component].values[at], result.period.values[when]
        rows.append((np.full(len(at), component), *named, value[violated], limits, np.full(len(at), unit)))
    missing = result.period.values[~converged]
    unknown, n = np.full(len(missing), np.nan), len(missing)
    rows.append((np.full(n, "power flow"), np.full(n, ", ".join(nodes[:3])), missing, unknown, unknown, np.full(n, "")))
    columns = ("component", "identifier", "period", "value", "limit", "unit")
    violations = pd.DataFrame({name: np.concatenate(parts) for name, parts in zip(columns, zip(*rows, strict=True), strict=True)})
    order = (violations["value"] - violations["limit"]).abs().sort_values(ascending=False, kind="stable").index
    violations = violations.loc[order].sort_values("component", kind="stable").reset_index(drop=True)
    excess = np.fmax(below, above)[judged[:, 0]]
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
    slack_voltage_pu: float | Mapping[str, float] | None = None,
    compute: Callable[[PowerFlowModel, np.ndarray, np.ndarray], HourlyFlows] = batch_power_flow,
) -> xr.Dataset:
    """AC power flow of the networks of some nodes, in every period of a horizon.

    The boundary bus of each uppermost node is the slack. An on-load tap changer stands on the step that brings the voltage at its
    ``to_bus`` nearest to its set point, those in series one after the other from above.

    Args:
        system: owner of the networks.
        nodes: nodes whose networks are calculated together, e.g. a DSO and its platforms.
        horizon: the periods.
        injections: ``p`` [kW] and ``q`` [kvar] drawn (positive) at the buses, dims (bus, period); buses that are not named draw nothing.
        built: options that are built (component ``option``), on branches of these networks; default: none.
        slack_voltage_pu: voltage at the slack buses, one value or by bus; default: as the table of buses says.
        compute: what solves the equations: all periods at once (power-grid-model), or one after the other
            (``pandapower_power_flow``, the independent check of the first).

    Returns:
        Dataset: ``loading`` (branch, period) [% of the reinforced rating, by current; 0 out of service, NaN without supply],
        ``voltage`` (bus, period) [pu],
        ``losses``, ``exchange``, ``exchange_reactive`` (period) [kW, kvar; drawn from above], ``tap`` (transformer, period) [1],
        ``converged`` (period), ``slack`` (bus). Periods that do not converge are NaN.

    Raises:
        KeyError: an unknown node or branch, an injection at a bus outside the networks, or one that lacks periods.
    """
    model = power_flow_model(system, nodes, built, slack_voltage_pu)
    p_kw, q_kvar = _aligned(model, horizon, injections)
    found = compute(model, p_kw, q_kvar)
    is_slack = np.zeros(model.buses.sizes["bus"], dtype=bool)
    is_slack[model.roots] = True
    return xr.Dataset(
        {
            "loading": (("branch", "period"), found.loading, {"units": "%", "long_name": "loading of the reinforced rating"}),
            "voltage": (("bus", "period"), found.voltage, {"units": "pu", "long_name": "voltage magnitude"}),
            "losses": ("period", found.losses, {"units": "kW", "long_name": "losses of lines and transformers"}),
            "exchange": ("period", found.exchange, {"units": "kW", "long_name": "active power drawn from above"}),
            "exchange_reactive": ("period", found.exchange_reactive, {"units": "kvar", "long_name": "reactive power drawn from above"}),
            "tap": (("transformer", "period"), found.tap, {"units": "1", "long_name": "tap position"}),
            "converged": ("period", found.converged, {"long_name": "whether the power flow converged"}),
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
