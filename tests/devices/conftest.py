"""Fleets that own one kind of device only, from the EXAMPLE of its test file."""

from __future__ import annotations

import importlib

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.attribute import Attribute
from multiscale.system import COMPONENTS, System, table

SIZES = (1.0, 0.4, 2.5)


def example(key: str) -> dict[str, object]:
    """A row of the device table with a typical device of this kind."""
    return dict(importlib.import_module(f"tests.devices.test_{key}").EXAMPLE)


def with_temperature(system: System) -> System:
    """The system with a profile ``outdoor temperature`` [degC]: cold in winter and at night, below and above the set point of heating."""
    hours = np.arange(len(system.profiles.time))
    profile = 9.0 - 12.0 * np.cos(2 * np.pi * (hours / 24 - 15) / 366) - 5.0 * np.cos(2 * np.pi * (hours % 24 - 3) / 24)
    values = {v: (("time", "profile"), profile[:, None].astype("float32")) for v in ("p", "q")}
    more = xr.Dataset(values, coords={"time": system.profiles.time.values, "profile": ["outdoor temperature"]})
    return system.replace(profiles=xr.concat([system.profiles, more], dim="profile"))


def system_with(system: System, rows: dict[str, dict[str, object]]) -> System:
    """The system with these devices alone: name -> columns."""
    frame = pd.DataFrame.from_dict(rows, orient="index")
    return with_temperature(system).replace(devices=table("device", frame.index, {c: frame[c].to_numpy() for c in frame.columns}))


def sized(row: dict[str, object], size: float) -> dict[str, object]:
    """A device so many times as large."""
    declared: dict[str, Attribute] = dict(COMPONENTS["device"])
    return {name: value * size if declared[name].extensive else value for name, value in row.items()}


@pytest.fixture
def fleet_of(system):
    """Key of a device, horizon and settings -> the fleet of north 1, of which three prosumers own devices of one shape and different size."""

    def made(key, horizon, sizes=SIZES, settings=None, **columns):
        owners = system.prosumers.prosumer.values[system.prosumers.node.values == "north 1"].tolist()
        bus = dict(zip(system.prosumers.prosumer.values.tolist(), system.prosumers.bus.values.tolist(), strict=True))
        row = example(key) | columns
        rows = {f"{p} {key}": sized(row, s) | {"prosumer": p, "bus": bus[p]} for p, s in zip(owners, sizes, strict=False)}
        here = system_with(system, rows)
        return (here if settings is None else here.replace(device_settings=settings)).fleet("north 1", horizon)

    return made
