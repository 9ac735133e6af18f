"""A built-in case: five transmission buses, three feeders, six platforms. Everything in it solves in less than a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.sources.defaults import with_defaults
from multiscale.sources.settings import SystemSettings
from multiscale.system.schema import table
from multiscale.system.system import System

_LINES = (("A", "B", 0.0281, 40.0), ("A", "D", 0.0304, 100.0), ("A", "E", 0.0064, 100.0), ("B", "C", 0.0108, 100.0), ("C", "D", 0.0297, 100.0))
_CONGESTED = ("D", "E", 0.0297, 24.0)
"""From, to, reactance [pu of 100 MVA], rating [MVA]: the last one congests when the cheap units run."""

_UNITS = (
    ("brighton", "E", 60.0, 12.0),
    ("alta", "A", 4.0, 18.0),
    ("park city", "A", 17.0, 20.0),
    ("solitude", "C", 52.0, 45.0),
    ("sundance", "D", 20.0, 60.0),
)
"""Name, bus, largest output [MW], marginal cost [EUR/MWh]."""

_FEEDERS = {"north": "B", "east": "C", "south": "D"}
_KW = {"household A": 3.0, "household B": 4.0, "business": 6.0}


class TinySettings(SystemSettings):
    """The built-in case: five transmission buses, three feeders."""

    kind: Literal["tiny"] = "tiny"


def tiny_source(settings: TinySettings, co2_price: float) -> System:  # noqa: ARG001  its generators have costs of their own
    """The built-in case."""
    return tiny_system()


def tiny_system() -> System:
    """The case ``tiny``: 5-bus meshed transmission, 3 radial MV feeders, 2 platforms of 5 prosumers at each.

    The transmission level is the five-bus system of Li and Bo at a tenth of its size (F. Li, R. Bo, Small test systems for power system
    economic studies, IEEE PES General Meeting 2010): the line D-E congests. The feeders and the profiles of load, PV, heat pumps and
    vehicles are made up, by formulas without a random number: the same on every machine.
    """
    nodes = [("transmission", "tso", "", "", 60.0)]
    buses = [(f"bus {b}", "transmission", 110.0, 0.9, 1.1, x, y) for b, x, y in (("A", 0, 1), ("B", 1, 1), ("C", 2, 1), ("D", 2, 0), ("E", 0, 0))]
    branches = [_transmission_line(*line) for line in (*_LINES, _CONGESTED)]
    devices = [_device(f"city {bus}", f"bus {bus}", "", "load", "city", 29_000.0) for bus in ("B", "C", "D")]
    prosumers: list[tuple[str, str, str, str]] = []
    for k, (name, above) in enumerate(_FEEDERS.items()):
        nodes.append((name, "dso", "transmission", f"bus {above}", 60.0))
        _add_feeder(k, name, f"bus {above}", buses, branches, devices)
        for side in (1, 2):
            platform = f"{name} {side}"
            nodes.append((platform, "platform", name, f"{platform} busbar", 60.0))
            _add_platform(2 * k + side - 1, platform, f"{name} bus {2 * side}", name, buses, branches, devices, prosumers)
    units = [(u, f"bus {b}", size * 1e3, cost / 1e3) for u, b, size, cost in _UNITS]
    return System(
        name="tiny",
        nodes=_table("node", nodes, ("level", "parent", "boundary_bus", "step_minutes")),
        buses=_table("bus", buses, ("node", "vn_kv", "v_min_pu", "v_max_pu", "x", "y")),
        branches=_frame("branch", branches),
        prosumers=_table("prosumer", prosumers, ("node", "bus", "category")),
        devices=_frame("device", devices),
        generators=_table("generator", [(n, b, n, p, c) for n, b, p, c in units], ("bus", "fuel", "p_max_kw", "cost_eur_per_kwh")),
        options=table("option", [], {"branch": [], "added_rating_kva": [], "cost_eur": []}),
        profiles=_profiles(),
        notes=("a made-up case for tests and first steps; its transmission level is the five-bus system of Li and Bo (2010) at a tenth of its size",),
    )


def _table(component: str, rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> xr.Dataset:
    names, *values = zip(*rows, strict=True)
    return table(component, names, dict(zip(columns, (np.array(v) for v in values), strict=True)))


def _frame(component: str, rows: Sequence[dict[str, object]]) -> xr.Dataset:
    frame = with_defaults(component, pd.DataFrame(rows).set_index("name"))
    return table(component, frame.index, {str(c): frame[c].to_numpy() for c in frame.columns})


def _transmission_line(start: str, end: str, x_pu: float, rating_mva: float) -> dict[str, object]:
    x = x_pu * 110.0**2 / 100.0
    ends = {"from_bus": f"bus {start}", "to_bus": f"bus {end}"}
    return _branch(f"line {start}-{end}", "transmission", "line", **ends, rating_kva=rating_mva * 1e3, r_ohm=0.1 * x, x_ohm=x, length_km=x / 0.4)


def _branch(name: str, node: str, kind: str, **values: object) -> dict[str, object]:
    return {"name": name, "node": node, "kind": kind} | values


def _transformer(
    name: str, node: str, ends: tuple[str, str], volts: tuple[float, float], kva: float, vk: float, vkr: float, **more: object
) -> dict[str, object]:
    base = volts[1] ** 2 / (kva / 1e3)
    z, r = vk / 100 * base, vkr / 100 * base
    impedance = {"r_ohm": r, "x_ohm": float(np.sqrt(z**2 - r**2))}
    return _branch(
        name, node, "transformer", from_bus=ends[0], to_bus=ends[1], rating_kva=kva, **impedance, vn_hv_kv=volts[0], vn_lv_kv=volts[1], **more
    )


def _cable(name: str, node: str, start: str, end: str, km: float, r: float, x: float, c: float, kva: float, kind: str) -> dict[str, object]:
    values = {"rating_kva": kva, "r_ohm": r * km, "x_ohm": x * km, "c_nf": c * km, "length_km": km, "std_type": kind}
    return _branch(name, node, "line", from_bus=start, to_bus=end, **values)


def _device(name: str, bus: str, prosumer: str, kind: str, profile: str, p_kw: float, **more: float) -> dict[str, object]:
    values: dict[str, object] = {"q_kvar": 0.3 * p_kw if kind == "load" else 0.0, "e_kwh": 0.0, "efficiency": 1.0, "loss_per_day": 0.0}
    return {"name": name, "bus": bus, "prosumer": prosumer, "kind": kind, "profile": profile, "p_kw": p_kw} | values | more


def _add_feeder(k: int, name: str, above: str, buses: list, branches: list, devices: list) -> None:
    """HV/MV transformer with an on-load tap changer, busbar, and two branches of two buses each."""
    x, y = 0.5 + k, 2.0 - 2.5 * (k == 2)
    places = (("busbar", 0.0, 0.0), ("bus 1", -0.2, 0.3), ("bus 2", -0.2, 0.6), ("bus 3", 0.2, 0.3), ("bus 4", 0.2, 0.6))
    buses += [(f"{name} {b}", name, 20.0, 0.965, 1.055, x + dx, y + dy) for b, dx, dy in places]
    changer = {"pfe_kw": 8.0, "i0_percent": 0.06, "tap_min": -9.0, "tap_max": 9.0, "tap_step_percent": 1.5, "v_setpoint_pu": 1.025}
    unit = _transformer(
        f"{name} HV/MV transformer", name, (above, f"{name} busbar"), (110.0, 20.0), 5000.0, 10.0, 0.6, **changer, std_type="5 MVA 110/20 kV"
    )
    branches.append(unit)
    for number, (start, end, km) in enumerate(
        (("busbar", "bus 1", 4.0), ("bus 1", "bus 2", 3.0), ("busbar", "bus 3", 5.0), ("bus 3", "bus 4", 2.0)), 1
    ):
        branches.append(_cable(f"{name} line {number}", name, f"{name} {start}", f"{name} {end}", km, 0.36, 0.12, 210.0, 5900.0, "MV cable 95 mm2"))
    devices.append(_device(f"{name} town", f"{name} bus 1", "", "load", "city", 900.0 + 100.0 * k))
    devices.append(_device(f"{name} solar park", f"{name} bus 3", "", "pv", "pv", 400.0 + 200.0 * k))


def _add_platform(k: int, platform: str, above: str, dso: str, buses: list, branches: list, devices: list, prosumers: list) -> None:
    """MV/LV transformer (of the DSO) and a feeder of four cables with five prosumers."""
    x, y = next((b[5], b[6]) for b in buses if b[0] == above)
    buses += [
        (f"{platform} {b}", platform, 0.4, 0.9, 1.1, x + 0.04 * i, y + 0.1) for i, b in enumerate(("busbar", "bus 1", "bus 2", "bus 3", "bus 4"))
    ]
    kva = 63.0 if k % 2 == 0 else 100.0
    taps = {"pfe_kw": 0.2, "i0_percent": 0.3, "tap_min": -2.0, "tap_max": 2.0, "tap_step_percent": 2.5}
    ends = (above, f"{platform} busbar")
    branches.append(_transformer(f"{platform} MV/LV transformer", dso, ends, (20.0, 0.4), kva, 4.0, 1.8, **taps, std_type=f"{kva:g} kVA 20/0.4 kV"))
    stations = ("busbar", "bus 1", "bus 2", "bus 3", "bus 4")
    for i in range(4):
        start, end = f"{platform} {stations[i]}", f"{platform} {stations[i + 1]}"
        branches.append(_cable(f"{platform} line {i + 1}", platform, start, end, 0.08, 0.642, 0.083, 210.0, 98.4, "NAYY 4x50"))
    for i, profile in enumerate(("household A", "household B", "business", "household A", "household B")):
        bus = f"{platform} bus {min(i + 1, 4)}"
        who = f"{platform} prosumer {i + 1}"
        prosumers.append((who, platform, bus, profile.split()[0]))
        devices.append(_device(f"{who} load", bus, who, "load", profile, _KW[profile] + 0.5 * (k % 3)))
        if i in (0, 2, 4):
            devices.append(_device(f"{who} PV", bus, who, "pv", "pv", 5.0 + 2.5 * i + k % 2))
        if i in (0, 2):
            devices.append(_device(f"{who} battery", bus, who, "battery", "", 3.0 + i, e_kwh=6.0 + 2.0 * i, efficiency=0.95, loss_per_day=0.0013))
        if i in (1, 4):
            devices.append(_device(f"{who} vehicle", bus, who, "ev", "vehicle", 11.0))
        if i in (0, 3):
            devices.append(_device(f"{who} heat pump", bus, who, "heat_pump", "heat pump", 4.0))


def _profiles() -> xr.Dataset:
    """Hourly profiles of the leap year 2016: season x time of day x weather, the weather a sum of incommensurable sines."""
    hours = np.arange(366 * 24)
    hour, day = hours % 24 + 0.5, hours // 24
    season = np.cos(2 * np.pi * (day - 15) / 366)  # 1 in mid-January, -1 in mid-July
    weekend = np.isin((day + 4) % 7, (5, 6)).astype(float)  # 1 January 2016 was a Friday
    weather = 0.5 + 0.25 * np.sin(2 * np.pi * day / 7.3) + 0.25 * np.sin(2 * np.pi * day / 3.1 + 1.0)

    def bump(at: float, width: float) -> np.ndarray:
        away = np.abs((hour - at + 12) % 24 - 12)
        return np.exp(-0.5 * (away / width) ** 2)

    length = 12.0 - 4.4 * season
    sun = np.clip(np.cos(np.pi * (hour - 12.5) / length), 0.0, None) * (np.abs(hour - 12.5) < length / 2)
    cold = np.clip(0.5 + 0.5 * season + 0.15 * (weather - 0.5), 0.0, None)
    raw = {
        "household A": (0.18 + 0.35 * bump(7.5, 1.2) + 0.75 * bump(19.0, 2.2) + 0.15 * bump(12.5, 2.0)) * (1 + 0.15 * season),
        "household B": (0.15 + 0.25 * bump(8.5, 1.5) + 0.65 * bump(20.5, 2.5) + 0.30 * bump(13.0, 2.0) * (1 + weekend)) * (1 + 0.15 * season),
        "business": (0.20 + 0.80 * bump(11.0, 3.5)) * (1 - 0.6 * weekend),
        "city": 0.55 + 0.25 * bump(11.0, 3.5) * (1 - 0.3 * weekend) + 0.25 * bump(19.0, 2.5) + 0.08 * season,
        "pv": sun * (0.75 - 0.25 * season) * (0.35 + 0.65 * weather),
        "heat pump": cold * (0.55 + 0.25 * bump(6.5, 2.0) + 0.25 * bump(20.0, 3.0)) + 0.05,
        "vehicle": 0.02 + 0.5 * bump(18.5, 1.5) * (1 - 0.4 * weekend) + 0.2 * weekend * bump(14.0, 2.5),
    }
    names = sorted(raw)
    p = np.stack([raw[n] / raw[n].max() for n in names], axis=1).astype(np.float32)
    time = pd.date_range("2016-01-01", periods=len(hours), freq="h").to_numpy()
    data = {
        "p": (("time", "profile"), p, {"units": "1", "long_name": "active power relative to the rating"}),
        "q": (("time", "profile"), p.copy(), {"units": "1", "long_name": "reactive power relative to the rating"}),
    }
    return xr.Dataset(data, coords={"time": time, "profile": names})
