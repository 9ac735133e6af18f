"""A year's series of what hangs below a node, straight from the factored profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.devices.device import Rows
from multiscale.system.problem import InvalidSystemError, Problem
from multiscale.system.schema import COMPONENTS, GENERATION_KINDS, IDLE_KINDS, LOAD_KINDS
from multiscale.system.system import System

_NO_COLUMNS = np.zeros(0, dtype=int)


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
    frame = pd.DataFrame(series, index=hourly(system.profiles, "p", _NO_COLUMNS).index)
    loads = [k for k in LOAD_KINDS if k in frame]
    generation = [k for k in GENERATION_KINDS if k in frame]
    frame["demand"] = frame[loads].sum(axis=1)
    frame["net load"] = frame["demand"] - frame[generation].sum(axis=1)
    return frame


def hourly(profiles: xr.Dataset, variable: str, columns: np.ndarray) -> pd.DataFrame:
    """Hourly means of some profiles (by position) [1], hour x profile; a finer step is averaged, a coarser one held.

    Raises:
        InvalidSystemError: the step neither divides an hour nor is a whole number of hours.
    """
    time = pd.DatetimeIndex(profiles.time.values)
    hour, step = pd.Timedelta(hours=1), time[1] - time[0]
    if max(hour, step) % min(hour, step):
        message = "neither divides an hour nor is a whole number of hours; give profiles in steps of 60, 30, 15 min or the like"
        raise InvalidSystemError([Problem("profile", "time", "step", f"{step / pd.Timedelta(minutes=1):g}", "min", message)])
    finer, coarser = max(round(hour / step), 1), max(round(step / hour), 1)
    data = profiles[variable].transpose("time", "profile").to_numpy()
    whole = len(time) // finer * finer
    values = np.zeros((whole // finer, len(columns)))
    for k, column in enumerate(columns.tolist()):
        values[:, k] = np.asarray(data[:whole, column], dtype=float).reshape(-1, finer).mean(axis=1)
    values = np.repeat(values, coarser, axis=0)
    return pd.DataFrame(values, index=pd.date_range(time[0], periods=len(values), freq="h"))


def _series(system: System, kind: str, devices: pd.DataFrame) -> np.ndarray:
    """Power of all devices of a kind when uncontrolled [kW], (hour,): as many rows as there are different profiles and parameters."""
    device = next((d for d in system.device_settings.values() if kind in d.kinds), None)
    declared = COMPONENTS["device"]
    shared = ["profile", *(c for c in (device.columns if device else ()) if not declared[c].extensive)]
    sizes = [column for column in devices if declared[column].extensive]
    total = devices.groupby(shared, as_index=False, dropna=False)[sizes].sum()
    columns = {name: total[name].to_numpy() for name in total.columns}
    known = {name: k for k, name in enumerate(system.profiles.profile.values.tolist())}

    def sample(column: str) -> np.ndarray:
        names = columns[column].tolist()
        followed = sorted({name for name in names if name})
        found = hourly(system.profiles, "p", np.array([known[name] for name in followed], dtype=int)).set_axis(followed, axis=1)
        return np.array([found[name].to_numpy() if name else np.ones(len(found)) for name in names])

    if device is None:
        return columns["p_kw"] @ sample("profile")
    return device.reference(Rows(columns, sample, np.zeros(len(total), dtype=int), 1)).sum(axis=0)
