"""The attributes of every component, declared once: type, unit, default, valid range, meaning.

The tables serve the datasets (units and long names), the validation (ranges) and the sources (which columns a file must have).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.attribute import Attribute, number, text
from multiscale.devices import DEVICES
from multiscale.devices.device import Role
from multiscale.measures import MEASURES

LEVELS = ("tso", "dso", "platform")
BRANCH_KINDS = ("line", "transformer")


def _kinds(role: Role) -> tuple[str, ...]:
    return tuple(kind for device in DEVICES.values() if device.role == role for kind in device.kinds)


LOAD_KINDS = ("load", *_kinds("consumption"))
"""Kinds of devices that draw power when uncontrolled."""
GENERATION_KINDS = _kinds("generation")
"""Kinds of devices that feed in what is available when uncontrolled."""
IDLE_KINDS = _kinds("storage")
"""Kinds of devices that stand idle when uncontrolled."""
DEVICE_KINDS = (*LOAD_KINDS, *GENERATION_KINDS, *IDLE_KINDS)

TABLES: Mapping[str, str] = {
    "node": "nodes",
    "bus": "buses",
    "branch": "branches",
    "prosumer": "prosumers",
    "device": "devices",
    "generator": "generators",
    "option": "options",
}
"""Component -> name of its table, as an attribute of ``System`` and as a file of a folder."""

COMPONENTS: Mapping[str, Mapping[str, Attribute]] = {
    "node": {
        "level": text("level of the hierarchy", choices=LEVELS),
        "parent": text("node above; empty for the top", "", refers_to="node"),
        "boundary_bus": text("bus of the parent's network at which this node exchanges energy; empty for the top", "", refers_to="bus"),
        "step_minutes": number("min", "time step at which the node operates", 60.0, lower=1.0, upper=1440.0),
    },
    "bus": {
        "node": text("node whose network the bus belongs to", refers_to="node"),
        "vn_kv": number("kV", "nominal voltage", positive=True, upper=1500.0),
        "v_min_pu": number("pu", "lowest permitted voltage", 0.9, lower=0.0, upper=1.5),
        "v_max_pu": number("pu", "highest permitted voltage", 1.1, lower=0.5, upper=2.0),
        "v_root_pu": number("pu", "voltage at which the grid above holds it, where it is the boundary bus of a DSO", 1.0, lower=0.5, upper=1.5),
        "shunt_p_kw": number("kW", "active power of constant shunts at nominal voltage, drawn", 0.0),
        "shunt_q_kvar": number("kvar", "reactive power of constant shunts at nominal voltage, drawn; below zero for capacitors", 0.0),
        "x": number("degree", "longitude, or schematic coordinate", np.nan),
        "y": number("degree", "latitude, or schematic coordinate", np.nan),
    },
    "branch": {
        "node": text("node that owns the branch", refers_to="node"),
        "kind": text("what it is", choices=BRANCH_KINDS),
        "from_bus": text("end towards the higher voltage", refers_to="bus"),
        "to_bus": text("other end", refers_to="bus"),
        "rating_kva": number("kVA", "apparent power it may carry continuously", positive=True),
        "r_ohm": number("ohm", "series resistance, on the side of to_bus", lower=-1e3),
        "x_ohm": number("ohm", "series reactance, on the side of to_bus", lower=-1e3),
        "c_nf": number("nF", "shunt capacitance of a line (at another frequency than 50 Hz, the one of equal susceptance)", 0.0, lower=0.0),
        "g_us": number("uS", "shunt conductance of a line", 0.0, lower=0.0),
        "length_km": number("km", "length of a line", 0.0, lower=0.0),
        "std_type": text("type name of cable, conductor or transformer", ""),
        "in_service": Attribute("flag", "", "whether it carries current (open switches included)", True),
        "charged_from": text(
            "end from which a line with one open end is still charged; empty for all others", "", choices=("", "from_bus", "to_bus")
        ),
        "vn_hv_kv": number("kV", "transformer: rated voltage of the high side", np.nan),
        "vn_lv_kv": number("kV", "transformer: rated voltage of the low side", np.nan),
        "pfe_kw": number("kW", "transformer: iron losses", 0.0, lower=0.0),
        "i0_percent": number("%", "transformer: open-loop current", 0.0, lower=0.0, upper=100.0),
        "shift_degree": number("degree", "transformer: phase shift", 0.0),
        "tap_side": text("transformer: side of the tap changer", "hv", choices=("hv", "lv")),
        "tap_pos": number("1", "transformer: tap position", 0.0, lower=-50, upper=50),
        "tap_min": number("1", "transformer: lowest tap position", 0.0, lower=-50, upper=50),
        "tap_max": number("1", "transformer: highest tap position", 0.0, lower=-50, upper=50),
        "tap_step_percent": number("%", "transformer: voltage per tap step", 0.0, lower=0.0, upper=20.0),
        "v_setpoint_pu": number("pu", "transformer: voltage an on-load tap changer holds at to_bus; NaN without one", np.nan),
    },
    "prosumer": {
        "node": text("platform it trades on", refers_to="node"),
        "bus": text("connection point", refers_to="bus"),
        "category": text("what kind of customer", "household"),
    },
    "device": {
        "bus": text("connection point", refers_to="bus"),
        "prosumer": text("prosumer behind whose meter it stands; empty for a passive device", "", refers_to="prosumer"),
        "kind": text("what it is", choices=DEVICE_KINDS),
        "profile": text("profile that its power follows; empty for a constant 1", "", refers_to="profile"),
        "p_kw": number("kW", "rated power (consumption of a load, production of a generator, converter of a battery)", lower=0.0, extensive=True),
        "q_kvar": number("kvar", "rated reactive power drawn (scaled by the reactive profile)", 0.0, extensive=True),
        "added_kw": number("kW", "part of the rated power that is not there today: what a growth scenario adds", 0.0, extensive=True),
        **{name: declared for device in DEVICES.values() for name, declared in device.columns.items()},
    },
    "generator": {
        "bus": text("connection point", refers_to="bus"),
        "fuel": text("fuel, key of the cost table"),
        "p_min_kw": number("kW", "least output; below zero where a grid above takes surplus at the same price", 0.0),
        "p_max_kw": number("kW", "largest output", positive=True),
        "cost_eur_per_kwh": number("EUR/kWh", "marginal cost", lower=-1.0, upper=10.0),
        "profile": text("availability profile; empty for a constant 1", "", refers_to="profile"),
    },
    "option": {
        "branch": text("branch on which it is built", refers_to="branch"),
        "kind": text("what it does", "added_rating", choices=tuple(MEASURES)),
        "cost_eur": number("EUR", "investment", lower=0.0),
        "lifetime_years": number("a", "depreciation time", 40.0, positive=True, upper=200.0),
        "measure": text("what is built, in words", ""),
        **{name: declared for measure in MEASURES.values() for name, declared in measure.columns.items()},
    },
}
"""Component -> attribute -> declaration. The identifier of a component is the coordinate of its dataset."""


def table(component: str, names: Any, columns: Mapping[str, Any]) -> xr.Dataset:
    """A component's dataset: one dimension named after the component, defaults filled in, units and long names attached.

    Args:
        component: key of COMPONENTS.
        names: identifiers.
        columns: attribute -> values.

    Raises:
        KeyError: unknown or missing attribute, all of them named in the message.
        ValueError: a column of text where numbers are declared, with the first such value.
    """
    attributes = COMPONENTS[component]
    unknown = sorted(set(columns) - set(attributes))
    missing = sorted(a for a, d in attributes.items() if d.default is None and a not in columns)
    if unknown or missing:
        parts = ([f"unknown columns {unknown}"] if unknown else []) + ([f"missing columns {missing}"] if missing else [])
        raise KeyError(f"{component} table: {' and '.join(parts)}; the columns are {sorted(attributes)}")
    ids = np.asarray(names, dtype=object).astype(str)
    data = {}
    for name, declared in attributes.items():
        given = columns.get(name, declared.default)
        data[name] = (component, _typed(component, name, declared, given, ids), _attrs(declared))
    return xr.Dataset(data, coords={component: ids})


def with_rows(component: str, frame: pd.DataFrame, added: pd.DataFrame) -> pd.DataFrame:
    """A component's table with more rows below it; columns the new ones do not have take their defaults.

    Raises:
        KeyError: a required column is missing in the new rows.
    """
    data = table(component, added.index, {column: added[column].to_numpy() for column in added.columns})
    return pd.concat([frame, data.to_dataframe()[list(frame.columns)]])


def _attrs(declared: Attribute) -> dict[str, str]:
    attrs = {"long_name": declared.meaning}
    return attrs | {"units": declared.unit} if declared.kind == "number" else attrs


def _typed(component: str, name: str, declared: Attribute, given: Any, ids: np.ndarray) -> np.ndarray:
    values = np.broadcast_to(np.asarray(given), ids.shape)
    if declared.kind == "text":
        return values.astype(object).astype(str)
    if declared.kind == "flag":
        return values.astype(bool)
    try:
        return values.astype(float)
    except (TypeError, ValueError):
        for identifier, value in zip(ids, values, strict=True):
            try:
                float(value)
            except (TypeError, ValueError):
                raise ValueError(f"{component} {identifier!r}: {name} is {value!r}; it must be a number in {declared.unit}") from None
        raise
