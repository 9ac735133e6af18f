"""The attributes of every component, declared once: type, unit, default, valid range, meaning.

The tables serve the datasets (units and long names), the validation (ranges) and the sources (which columns a file must have).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr


@dataclass(frozen=True)
class Attribute:
    """One attribute of a component.

    Attributes:
        kind: ``text``, ``number`` or ``flag``.
        unit: unit of a number, empty for the others.
        meaning: one line for people.
        default: value where a source is silent; ``None`` makes the attribute required.
        lower, upper: valid range of a number, ends included.
        choices: valid values of a text.
        positive: the number must be above zero.
        refers_to: component whose identifiers this text must name (empty text allowed unless required).
    """

    kind: str
    unit: str
    meaning: str
    default: Any = None
    lower: float = -np.inf
    upper: float = np.inf
    choices: tuple[str, ...] = ()
    positive: bool = False
    refers_to: str = ""


def _text(meaning: str, default: str | None = None, **more: Any) -> Attribute:
    return Attribute("text", "", meaning, default, **more)


def _number(unit: str, meaning: str, default: float | None = None, **more: Any) -> Attribute:
    return Attribute("number", unit, meaning, default, **more)


LEVELS = ("tso", "dso", "platform")
BRANCH_KINDS = ("line", "transformer")
LOAD_KINDS = ("load", "heat_pump", "ev")
GENERATION_KINDS = ("pv", "wind", "hydro", "biomass")
DEVICE_KINDS = (*LOAD_KINDS, *GENERATION_KINDS, "battery")

COMPONENTS: Mapping[str, Mapping[str, Attribute]] = {
    "node": {
        "level": _text("level of the hierarchy", choices=LEVELS),
        "parent": _text("node above; empty for the top", "", refers_to="node"),
        "boundary_bus": _text("bus of the parent's network at which this node exchanges energy; empty for the top", "", refers_to="bus"),
        "step_minutes": _number("min", "time step at which the node operates", 60.0, lower=1.0, upper=1440.0),
    },
    "bus": {
        "node": _text("node whose network the bus belongs to", refers_to="node"),
        "vn_kv": _number("kV", "nominal voltage", positive=True, upper=1500.0),
        "v_min_pu": _number("pu", "lowest permitted voltage", 0.9, lower=0.5, upper=1.0),
        "v_max_pu": _number("pu", "highest permitted voltage", 1.1, lower=1.0, upper=1.5),
        "x": _number("degree", "longitude, or schematic coordinate", np.nan),
        "y": _number("degree", "latitude, or schematic coordinate", np.nan),
    },
    "branch": {
        "node": _text("node that owns the branch", refers_to="node"),
        "kind": _text("what it is", choices=BRANCH_KINDS),
        "from_bus": _text("end towards the higher voltage", refers_to="bus"),
        "to_bus": _text("other end", refers_to="bus"),
        "rating_kva": _number("kVA", "apparent power it may carry for ever", positive=True),
        "r_ohm": _number("ohm", "series resistance, on the side of to_bus", lower=0.0),
        "x_ohm": _number("ohm", "series reactance, on the side of to_bus", lower=-1e3),
        "c_nf": _number("nF", "shunt capacitance of a line", 0.0, lower=0.0),
        "length_km": _number("km", "length of a line", 0.0, lower=0.0),
        "std_type": _text("type name of cable, conductor or transformer", ""),
        "in_service": Attribute("flag", "", "whether it carries current (open switches included)", True),
        "charged_from": _text(
            "end from which a line with one open end is still charged; empty for all others", "", choices=("", "from_bus", "to_bus")
        ),
        "vn_hv_kv": _number("kV", "transformer: rated voltage of the high side", np.nan),
        "vn_lv_kv": _number("kV", "transformer: rated voltage of the low side", np.nan),
        "pfe_kw": _number("kW", "transformer: iron losses", 0.0, lower=0.0),
        "i0_percent": _number("%", "transformer: open-loop current", 0.0, lower=0.0, upper=100.0),
        "shift_degree": _number("degree", "transformer: phase shift", 0.0),
        "tap_side": _text("transformer: side of the tap changer", "hv", choices=("hv", "lv")),
        "tap_pos": _number("1", "transformer: tap position", 0.0, lower=-50, upper=50),
        "tap_min": _number("1", "transformer: lowest tap position", 0.0, lower=-50, upper=50),
        "tap_max": _number("1", "transformer: highest tap position", 0.0, lower=-50, upper=50),
        "tap_step_percent": _number("%", "transformer: voltage per tap step", 0.0, lower=0.0, upper=20.0),
        "v_setpoint_pu": _number("pu", "transformer: voltage an on-load tap changer holds at to_bus; NaN without one", np.nan),
    },
    "prosumer": {
        "node": _text("platform it trades on", refers_to="node"),
        "bus": _text("connection point", refers_to="bus"),
        "category": _text("what kind of customer", "household"),
    },
    "device": {
        "bus": _text("connection point", refers_to="bus"),
        "prosumer": _text("prosumer behind whose meter it stands; empty for a passive device", "", refers_to="prosumer"),
        "kind": _text("what it is", choices=DEVICE_KINDS),
        "profile": _text("profile that its power follows; empty for a constant 1", "", refers_to="profile"),
        "p_kw": _number("kW", "rated power (consumption of a load, production of a generator, converter of a battery)", lower=0.0),
        "q_kvar": _number("kvar", "rated reactive power drawn (scaled by the reactive profile)", 0.0),
        "e_kwh": _number("kWh", "battery: usable energy", 0.0, lower=0.0),
        "efficiency": _number("1", "battery: one-way efficiency", 1.0, positive=True, upper=1.0),
        "loss_per_day": _number("1/d", "battery: share of the stored energy lost in a day", 0.0, lower=0.0, upper=1.0),
    },
    "generator": {
        "bus": _text("connection point", refers_to="bus"),
        "fuel": _text("fuel, key of the cost table"),
        "p_min_kw": _number("kW", "least output; below zero where a grid above takes surplus at the same price", 0.0),
        "p_max_kw": _number("kW", "largest output", positive=True),
        "cost_eur_per_kwh": _number("EUR/kWh", "marginal cost", lower=-1.0, upper=10.0),
        "profile": _text("availability profile; empty for a constant 1", "", refers_to="profile"),
    },
    "option": {
        "branch": _text("branch that is reinforced", refers_to="branch"),
        "added_rating_kva": _number("kVA", "rating added", positive=True),
        "cost_eur": _number("EUR", "investment", lower=0.0),
        "lifetime_years": _number("a", "depreciation time", 40.0, positive=True, upper=200.0),
        "measure": _text("what is built", ""),
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
