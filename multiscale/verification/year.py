"""AC power flow of every hour of the year under a plan, held against ratings and voltage bands.

The representative days have been operated, and some days dispatched individually (``further_days``). Every other day is given the response of the
representative day ``r`` that resembles it most:

    injection(bus, t) = own(bus, t) + [ operated(bus, r, h) - own(bus, r, h) ]         h: hour of the day of t

``own`` is what the devices draw by their profiles without response, new photovoltaics included, batteries idle; ``operated`` is the result of the
representative day. The energy of every day is its own, so is its sun and wind; shifted demand, batteries, curtailment and unserved power are those
of the representative day. On the representative days the two are equal to the operated schedule. It is no optimal operation of the other days:
a platform that knew the day would respond to it. ``year_injections(..., response=False)`` is the year without any response.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.system.schema import GENERATION_KINDS, LOAD_KINDS
from multiscale.system.system import System
from multiscale.system.yearly import hourly
from multiscale.timeline import Horizon
from multiscale.verification.ac import OVERLOAD_TOLERANCE_PERCENT, VOLTAGE_TOLERANCE_PU
from multiscale.verification.batch_power_flow import batch_power_flow
from multiscale.verification.hourly_flows import HourlyFlows
from multiscale.verification.pandapower_model import PowerFlowModel, power_flow_model

BASIS = "each day's own demand and generation, with the response of the representative day that resembles it most"
"""What is injected on days that were not operated, in words."""


@dataclass(frozen=True)
class YearVerification:
    """What the AC power flow of all hours says.

    Attributes:
        result: dataset with ``peak_loading`` [%] and ``overloaded_hours`` (branch), ``lowest_voltage``, ``highest_voltage`` [pu] and
            ``violated_hours`` (bus), ``violated`` (hour): whether any limit is violated or the power flow diverged.
        violations: one row per branch or bus: component, identifier, hours, worst_hour, value, limit, unit; the worst first per component, and one
            row for every hour that diverged.
        diverged: hours whose power flow did not converge.
    """

    result: xr.Dataset
    violations: pd.DataFrame
    diverged: tuple[str, ...]

    @property
    def overloaded(self) -> dict[str, float]:
        """Overloaded branch -> largest loading above its rating [%], worst first: what a repair of the plan has to remove."""
        rows = self.violations[self.violations["component"] == "branch"]
        return {str(r.identifier): float(r.value - r.limit) for r in rows.itertuples()}

    @property
    def voltage_violations(self) -> dict[str, float]:
        """Bus -> largest distance of its voltage from its band [pu], worst first; NaN without supply."""
        rows = self.violations[self.violations["component"] == "bus"]
        return {str(r.identifier): float(abs(r.value - r.limit)) for r in rows.itertuples()}


@dataclass(frozen=True)
class YearCheck:
    """The year of all DSOs.

    Attributes:
        by_dso: DSO -> what the AC power flow says; empty where no year was checked.
        violated_before: hours that violated a limit before any day was dispatched individually.
        dispatched: days that the DSO dispatched individually, because limits were violated on them.
        unserved: demand that is not served on those days [kWh].
        tightened: number of times that limits were tightened for them.
        left: why violations are left, in words; empty where none is.
    """

    by_dso: Mapping[str, YearVerification] = field(default_factory=dict)
    violated_before: int = 0
    dispatched: tuple[str, ...] = ()
    unserved: float = 0.0
    tightened: int = 0
    left: tuple[str, ...] = ()


def violated_hours(checks: Iterable[YearVerification]) -> int:
    """Hours in which a limit of some DSO is violated or the power flow diverged."""
    return int(np.max([check.result.violated.values for check in checks], axis=0).sum())


@dataclass(frozen=True)
class OwnPower:
    """What the devices at some buses draw by their profiles in every hour of the data, batteries idle.

    Attributes:
        buses: names.
        time: hours.
        values: ``p`` [kW] and ``q`` [kvar] -> (bus, hour).
    """

    buses: pd.Index
    time: pd.DatetimeIndex
    values: Mapping[str, np.ndarray]


def own_power(system: System, nodes: Sequence[str], also: Collection[str], new_pv_kw: Mapping[str, float] | None = None) -> OwnPower:
    """What the buses of some nodes draw by profiles alone.

    Args:
        system: owner of devices and profiles.
        nodes: whose buses.
        also: further buses.
        new_pv_kw: bus -> photovoltaics bought in answer to the plan, which the system does not hold; they yield what all others do per kW.
    """
    mine = set(system.buses.bus.values[np.isin(system.buses.node.values, list(nodes))].tolist()) | set(also)
    new = {bus: kw for bus, kw in (new_pv_kw or {}).items() if kw > 0}
    buses = pd.Index(sorted(mine))
    found = {name: _own(system, buses, name, new if name == "p" else {}) for name in ("p", "q")}
    return OwnPower(buses, found["p"][1], {name: values for name, (values, _) in found.items()})


def year_injections(
    system: System,
    nodes: Sequence[str],
    horizon: Horizon,
    nearest: Mapping[pd.Timestamp, int],
    operated: xr.Dataset,
    new_pv_kw: Mapping[str, float] | None = None,
    *,
    response: bool = True,
) -> xr.Dataset:
    """What the buses of some nodes draw in every hour of the year; arguments as of ``own_power`` and ``with_response``."""
    own = own_power(system, nodes, operated.bus.values.tolist(), new_pv_kw)
    return with_response(own, horizon, nearest, operated, response=response)


def with_response(own: OwnPower, horizon: Horizon, nearest: Mapping[pd.Timestamp, int], operated: xr.Dataset, *, response: bool = True) -> xr.Dataset:
    """What is drawn on some days: by profiles, with the response of an operated day.

    Args:
        own: what is drawn by profiles.
        horizon: the operated days.
        nearest: calendar day -> position of the operated day whose response it has; its keys are the days that are returned.
        operated: ``p`` [kW] and ``q`` [kvar] drawn on the operated days, (bus, period of the horizon).
        response: whether the response is added.

    Returns:
        Dataset ``p`` [kW] and ``q`` [kvar], (bus, hour).
    """
    days = list(nearest)
    hours = pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in days for h in range(24)])
    assigned = np.array([nearest[day] for day in days])
    rows = own.buses.get_indexer(operated.bus.values)
    if (rows < 0).any():
        raise KeyError(f"response of a day: buses {operated.bus.values[rows < 0][:5].tolist()} are not among those that draw by profiles")
    minutes = round(60 * horizon.step_hours)
    out = {}
    for name, values in own.values.items():
        total = values[:, own.time.get_indexer(hours)].reshape(len(own.buses), len(days), 24)
        series = operated[name].transpose("bus", "period").to_numpy()
        for k in np.unique(assigned).tolist() if response else ():
            at = own.time.get_indexer(pd.DatetimeIndex([horizon.days[k] + pd.Timedelta(hours=h) for h in range(24)]))
            found = np.zeros((len(own.buses), 24))
            drawn = series[:, k * horizon.steps : (k + 1) * horizon.steps]
            found[rows] = np.repeat(drawn, minutes, axis=1).reshape(len(rows), 24, 60).mean(axis=2)
            total[:, assigned == k] += (found - values[:, at])[:, None]
        out[name] = (("bus", "hour"), total.reshape(len(own.buses), -1), {"units": "kW" if name == "p" else "kvar"})
    labels = hours.strftime("%Y-%m-%dT%H:%M").to_numpy(dtype=str)
    return xr.Dataset(out, coords={"bus": own.buses.to_numpy(dtype=str), "hour": labels})


def _own(system: System, buses: pd.Index, variable: str, new_pv_kw: Mapping[str, float]) -> tuple[np.ndarray, pd.DatetimeIndex]:
    """Power that the devices of some buses draw by their profiles, (bus, hour of the data), and the hours."""
    devices = system.devices
    kind, bus = devices.kind.values, buses.get_indexer(devices.bus.values)
    load, generation = np.isin(kind, LOAD_KINDS), np.isin(kind, GENERATION_KINDS)
    rated = (load.astype(float) - generation) * devices.p_kw.values if variable == "p" else load * devices.q_kvar.values
    profile, names = pd.factorize(devices.profile.values)
    matrix = np.zeros((len(buses), len(names)))
    counted = (bus >= 0) & (rated != 0)
    np.add.at(matrix, (bus[counted], profile[counted]), rated[counted])
    if new_pv_kw:
        pv = kind == "pv"
        mix = np.bincount(profile[pv], weights=devices.p_kw.values[pv], minlength=len(names))
        matrix[buses.get_indexer(list(new_pv_kw))] -= np.array(list(new_pv_kw.values()))[:, None] * mix / max(mix.sum(), 1e-12)
    varying = np.flatnonzero((matrix != 0).any(axis=0) & (names != ""))
    series = hourly(system.profiles, variable, pd.Index(system.profiles.profile.values).get_indexer(pd.Index(names[varying])))
    return matrix[:, varying] @ series.to_numpy().T + matrix[:, names == ""].sum(axis=1, keepdims=True), pd.DatetimeIndex(series.index)


@dataclass(frozen=True)
class YearFlows:
    """AC power flow of many hours, of which some may be replaced.

    Attributes:
        model: of the networks.
        nodes: whose networks.
        hours: labels.
        flows: what was found.
    """

    model: PowerFlowModel
    nodes: tuple[str, ...]
    hours: np.ndarray
    flows: HourlyFlows

    @classmethod
    def of(cls, model: PowerFlowModel, nodes: Sequence[str], injections: xr.Dataset) -> YearFlows:
        """The power flow of some injections, with the tap changers on their steps.

        Raises:
            KeyError: an injection at a bus outside the networks.
        """
        hours = injections.hour.values.astype(str)
        at = pd.Index(model.buses.bus.values).get_indexer(injections.bus.values)
        p, q = np.zeros((model.buses.sizes["bus"], len(hours))), np.zeros((model.buses.sizes["bus"], len(hours)))
        drawn, reactive = injections.p.transpose("bus", "hour").to_numpy(), injections.q.transpose("bus", "hour").to_numpy()
        outside = (at < 0) & ((drawn != 0).any(axis=1) | (reactive != 0).any(axis=1))
        if outside.any():
            raise KeyError(f"power flow: injections at buses outside the networks: {injections.bus.values[outside][:5].tolist()}")
        p[at[at >= 0]], q[at[at >= 0]] = drawn[at >= 0], reactive[at >= 0]
        return cls(model, tuple(nodes), hours, batch_power_flow(model, p, q))

    def take(self, other: YearFlows) -> None:
        """Replace the hours of another object by what it found."""
        at = pd.Index(self.hours).get_indexer(other.hours)
        for name, values in vars(self.flows).items():
            values[..., at] = getattr(other.flows, name)

    def overloaded(self) -> np.ndarray:
        """Where a rating is violated, (branch, hour)."""
        return self.flows.loading - 100.0 > OVERLOAD_TOLERANCE_PERCENT

    def outside_band(self) -> np.ndarray:
        """Where a voltage is outside its band or missing, (bus, hour); the buses at which the voltage is given are not judged."""
        excess = self._excess()
        found = self.flows.converged & (np.isnan(excess) | (excess > VOLTAGE_TOLERANCE_PU))
        found[self.model.roots] = False
        return found

    def _excess(self) -> np.ndarray:
        low, high = self.model.buses.v_min_pu.values[:, None], self.model.buses.v_max_pu.values[:, None]
        return np.fmax(low - self.flows.voltage, self.flows.voltage - high)

    def check(self) -> YearVerification:
        """Hold all hours against ratings and voltage bands."""
        model, flows, hours = self.model, self.flows, self.hours
        low, high = model.buses.v_min_pu.values[:, None], model.buses.v_max_pu.values[:, None]
        judged = np.ones(model.buses.sizes["bus"], dtype=bool)
        judged[model.roots] = False
        over, excess = flows.loading - 100.0, self._excess()
        overloaded, violated = self.overloaded(), self.outside_band()
        branch, bus = model.branches.branch.values, model.buses.bus.values
        rows = []
        for b in np.flatnonzero(overloaded.any(axis=1)):
            t = int(np.nanargmax(over[b]))
            rows.append(("branch", str(branch[b]), int(overloaded[b].sum()), hours[t], float(flows.loading[b, t]), 100.0, "%"))
        for b in np.flatnonzero(violated.any(axis=1)):
            t = int(np.where(violated[b], np.nan_to_num(excess[b], nan=np.inf), -np.inf).argmax())
            worst = float(flows.voltage[b, t])
            limit = float(high[b, 0]) if worst > high[b, 0] else float(low[b, 0])
            rows.append(("bus", str(bus[b]), int(violated[b].sum()), hours[t], worst, limit, "pu"))
        diverged = tuple(hours[~flows.converged].tolist())
        rows += [("power flow", ", ".join(self.nodes[:3]), 1, hour, np.nan, np.nan, "") for hour in diverged]
        violations = pd.DataFrame(rows, columns=["component", "identifier", "hours", "worst_hour", "value", "limit", "unit"])
        distance = (violations["value"] - violations["limit"]).abs().fillna(np.inf)
        order = distance.sort_values(ascending=False, kind="stable").index
        violations = violations.loc[order].sort_values("component", kind="stable").reset_index(drop=True)
        volts = np.where(judged[:, None], flows.voltage, np.nan)
        result = xr.Dataset(
            {
                "peak_loading": ("branch", np.fmax.reduce(flows.loading, axis=1), {"units": "%", "long_name": "largest loading of the year"}),
                "overloaded_hours": ("branch", overloaded.sum(axis=1), {"units": "h/a", "long_name": "hours of the year above the rating"}),
                "lowest_voltage": ("bus", np.fmin.reduce(volts, axis=1), {"units": "pu", "long_name": "lowest voltage of the year"}),
                "highest_voltage": ("bus", np.fmax.reduce(volts, axis=1), {"units": "pu", "long_name": "highest voltage of the year"}),
                "violated_hours": ("bus", violated.sum(axis=1), {"units": "h/a", "long_name": "hours of the year outside the voltage band"}),
                "violated": (
                    "hour",
                    (overloaded.any(axis=0) | violated.any(axis=0) | ~flows.converged).astype(int),
                    {"units": "1", "long_name": "1 where a limit is violated or the power flow diverged"},
                ),
            },
            coords={"branch": branch, "bus": bus, "hour": hours},
        )
        return YearVerification(result, violations, diverged)


def year_check(
    system: System,
    nodes: Sequence[str],
    injections: xr.Dataset,
    built: xr.Dataset | None = None,
    slack_voltage_pu: float | Mapping[str, float] | None = None,
) -> YearVerification:
    """AC power flow of every hour of some injections, with the tap changers on their steps, held against ratings and voltage bands.

    Args:
        system: owner of the networks.
        nodes: nodes whose networks are calculated together, e.g. a DSO and its platforms.
        injections: of ``year_injections``.
        built: options that are built (component ``option``), on branches of these networks; default: none.
        slack_voltage_pu: voltage at the slack buses, one value or by bus; default: as the table of buses says.

    Raises:
        KeyError: an unknown node or branch, or an injection at a bus outside the networks.
    """
    return YearFlows.of(power_flow_model(system, nodes, built, slack_voltage_pu), nodes, injections).check()
