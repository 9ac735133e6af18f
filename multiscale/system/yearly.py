"""A year's course of what hangs below a node, straight from the factored profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.system.schema import GENERATION_KINDS, LOAD_KINDS
from multiscale.system.system import System


def yearly_courses(system: System, nodes: list[str]) -> pd.DataFrame:
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
    devices = devices[devices["bus"].isin(own_bus) & (devices["kind"] != "battery")]
    time = pd.DatetimeIndex(system.profiles.time.values)
    profile = {name: k for k, name in enumerate(system.profiles.profile.values.tolist())}
    values = system.profiles.p.transpose("time", "profile").to_numpy()
    courses = {}
    for kind, group in devices.groupby("kind"):
        rating = group.groupby("profile")["p_kw"].sum()
        constant = float(rating.get("", 0.0))
        rating = rating.drop("", errors="ignore")
        columns = [profile[name] for name in rating.index]
        courses[str(kind)] = values[:, columns].astype(float) @ rating.to_numpy() + constant
    frame = pd.DataFrame(courses, index=time).resample("1h").mean()
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
