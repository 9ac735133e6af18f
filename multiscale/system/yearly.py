"""A year's series of what hangs below a node, straight from the factored profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.devices.device import Rows
from multiscale.system.schema import COMPONENTS, GENERATION_KINDS, IDLE_KINDS, LOAD_KINDS
from multiscale.system.system import System


def yearly_profiles(system: System, nodes: list[str]) -> pd.DataFrame:
    """Hourly power [kW] of all devices at the buses of some nodes and of all below them, over the whole year of profiles.

    Returns:
        Columns: one for each kind of device that occurs, ``demand`` (all loads) and ``net load`` (demand less all generation).
    """
    members, stack = set(nodes), list(nodes)
    while stack:
        children = system.children(stack.pop())
        members.update(children)
        stack += children
    own_bus = set(system.buses.bus.values[np.isin(system.buses.node.values, list(members))].tolist())
    devices = system.devices.to_dataframe()
    devices = devices[devices["bus"].isin(own_bus) & ~devices["kind"].isin(IDLE_KINDS)]
    series = {str(kind): _series(system, str(kind), group) for kind, group in devices.groupby("kind")}
    frame = pd.DataFrame(series, index=_hourly(system.profiles, []).index)
    loads = [k for k in LOAD_KINDS if k in frame]
    generation = [k for k in GENERATION_KINDS if k in frame]
    frame["demand"] = frame[loads].sum(axis=1)
    frame["net load"] = frame["demand"] - frame[generation].sum(axis=1)
    return frame


def hourly(profiles: xr.Dataset, variable: str, columns: np.ndarray) -> pd.DataFrame:
    """Hourly means of some profiles (by position) [1], hour x profile; a finer step is averaged, a coarser one held."""
    time = pd.DatetimeIndex(profiles.time.values)
    count = round(pd.Timedelta(hours=1) / (time[1] - time[0]))
    data = profiles[variable].transpose("time", "profile").to_numpy()
    if count > 1:
        whole = len(time) // count * count
        values = np.zeros((whole // count, len(columns)))
        for k, column in enumerate(columns.tolist()):
            values[:, k] = np.asarray(data[:whole, column], dtype=float).reshape(-1, count).mean(axis=1)
        return pd.DataFrame(values, index=time[:whole:count])
    frame = pd.DataFrame(np.asarray(data[:, columns], dtype=float), index=time)
    return frame if count == 1 else frame.resample("1h").ffill()


def _series(system: System, kind: str, devices: pd.DataFrame) -> np.ndarray:
    """Power of all devices of a kind when uncontrolled [kW], (hour,): as many rows as there are different profiles and parameters."""
    device = next((d for d in system.device_settings.values() if kind in d.kinds), None)
    declared = COMPONENTS["device"]
    shared = ["profile", *(c for c in (device.columns if device else ()) if not declared[c].extensive)]
    sizes = [column for column in devices if declared[column].extensive]
    total = devices.groupby(shared, as_index=False, dropna=False)[sizes].sum()
    columns = {name: total[name].to_numpy() for name in total.columns}

    def sample(column: str) -> np.ndarray:
        names = columns[column].tolist()
        hourly = _hourly(system.profiles, sorted({name for name in names if name}))
        return np.array([hourly[name].to_numpy() if name else np.ones(len(hourly)) for name in names])

    if device is None:
        return columns["p_kw"] @ sample("profile")
    return device.reference(Rows(columns, sample, np.zeros(len(total), dtype=int), 1)).sum(axis=0)


def _hourly(profiles: xr.Dataset, names: list[str]) -> pd.DataFrame:
    """Hourly means of some profiles, (hour, profile)."""
    values = profiles.p.transpose("time", "profile").to_numpy()
    column = {name: k for k, name in enumerate(profiles.profile.values.tolist())}
    chosen = values[:, [column[name] for name in names]].astype(float)
    return pd.DataFrame(chosen, index=pd.DatetimeIndex(profiles.time.values), columns=names).resample("1h").mean()
