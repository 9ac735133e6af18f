"""Standard profiles by customer class, for networks that come without any: those of the installed package SimBench.

The elements of a class follow its profiles one after the other, and again from the first. Those of loads are scaled to a peak of 1, so the power that
a network states is what an element draws at its peak; reactive power follows active power (a constant power factor). Those of generation are shares
of the installed power, as they are.
Profiles: S. Meinecke et al., SimBench - A Benchmark Dataset of Electric Power Systems, Energies 13 (2020) 3290; quarter hours of 2016, UTC+1.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from multiscale.sources.pandapower_hierarchy import HIGH_VOLTAGE_KV, LOW_VOLTAGE_KV

CASE = "1-complete_data-mixed-all-2-sw"
STEP = pd.Timedelta(minutes=15)

CLASSES: Mapping[str, tuple[str, ...]] = {
    "household": ("H0-A", "H0-B", "H0-C", "H0-G", "H0-L"),
    "business": ("G0-A", "G1-A", "G2-A", "G4-A"),
    "industry": ("G3-A", "BL-H"),
    "agriculture": ("L0-A", "L1-A", "L2-A"),
    "heat pump": ("Air_Parallel_1", "Soil_Alternative_1", "Air_Parallel_2", "Soil_Alternative_2"),
    "charging point": ("HLS_A_11.0", "HLS_B_11.0", "HLS_A_3.7", "HLS_B_3.7", "HLS_C_3.7"),
    "substation": ("lv_semiurb4",),
    "region": ("mv_semiurb",),
    "pv": ("PV5",),
    "wind": ("WP4",),
    "hydro": ("Hydro1",),
}
"""Class -> its profiles in SimBench. A substation is a low-voltage network as one load, a region a medium-voltage one."""

GENERATION = ("pv", "wind", "hydro")
"""Classes of generation; kinds of generation that are not in the list run as constant as the network states."""

_WORDS: Mapping[str, tuple[str, ...]] = {
    "household": ("household", "residential", "home", "house", "dwelling", "h0"),
    "business": ("business", "commercial", "office", "shop", "trade", "g0", "g1", "g2", "g4", "g5", "g6"),
    "industry": ("industry", "industrial", "motor", "g3"),
    "agriculture": ("agriculture", "agricultural", "farm", "l0", "l1", "l2"),
    "heat pump": ("heat pump", "heat_pump", "heatpump", "hp"),
    "charging point": ("charging point", "charging_point", "ev", "electric vehicle", "wallbox"),
    "substation": ("substation", "mv/lv station", "mv/lv substation", "lv network"),
    "region": ("region", "mv network", "hv/mv station", "hv/mv substation"),
}
HOUSEHOLD_KW = 30.0
"""Largest power of a low-voltage load that is taken for a household where nothing says what it is; above it, it is taken for a business."""


def class_of_word(word: str) -> str:
    """The class that a word of a network's table means; empty where it means none."""
    small = word.strip().lower()
    return next((name for name, words in _WORDS.items() if small in words), "")


def assumed_class(vn_kv: float, p_kw: float) -> str:
    """The class of a load of which nothing is known but voltage and power."""
    if vn_kv <= LOW_VOLTAGE_KV:
        return "household" if p_kw <= HOUSEHOLD_KW else "business"
    return "substation" if vn_kv < HIGH_VOLTAGE_KV else "region"


@cache
def _columns(kind: str) -> Mapping[str, str]:
    """Profile -> its column in SimBench's table of loads or of renewables."""
    header = pd.read_csv(_file(kind), sep=";", nrows=0).columns
    if kind == "RES":
        return {name: name for name in header if name[:2] in ("PV", "WP") or name.startswith("Hydro")}
    return {name.removesuffix("_pload"): name for name in header if name.endswith("_pload")}


def _file(kind: str) -> str:
    return str(importlib.resources.files("simbench") / "networks" / CASE / f"{kind}Profile.csv")


def known_profiles() -> frozenset[str]:
    """Names of SimBench's profiles of loads, photovoltaics, wind and hydro power."""
    return frozenset([*_columns("Load"), *_columns("RES")])


def standard_series(names: Sequence[str]) -> pd.DataFrame:
    """Some of SimBench's profiles [1] in the quarter hours of 2016 (standard time), by name; not below zero.

    Raises:
        KeyError: an unknown profile.
    """
    parts = []
    for kind in ("Load", "RES"):
        columns = {_columns(kind)[name]: name for name in dict.fromkeys(names) if name in _columns(kind)}
        if columns:
            parts.append(pd.read_csv(_file(kind), sep=";", usecols=list(columns), dtype=np.float32).rename(columns=columns))
    frame = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=range(366 * 96))
    # SimBench's stamps jump with daylight saving time; its rows are evenly spaced.
    frame.index = pd.date_range("2016-01-01", periods=len(frame), freq=STEP, name="time")
    return frame[list(dict.fromkeys(names))].clip(lower=0.0)


def on_axis(series: pd.DataFrame, time: pd.DatetimeIndex, step: pd.Timedelta) -> pd.DataFrame:
    """Time series of 2016 at other times: the same day of the calendar and time of day, means over longer steps, held over shorter ones.

    Args:
        series: quarter hours of 2016.
        time: where they are wanted; of any year.
        step: of that axis.
    """
    moment = pd.DatetimeIndex(time)
    same = pd.to_datetime({"year": 2016, "month": moment.month, "day": moment.day}) + (moment - moment.normalize())
    first = ((pd.DatetimeIndex(same) - series.index[0]) // STEP).to_numpy()
    count = max(round(step / STEP), 1)
    wrapped = np.vstack([series.to_numpy(float), series.to_numpy(float)[:count]])
    total = np.vstack([np.zeros((1, series.shape[1])), np.cumsum(wrapped, axis=0)])
    return pd.DataFrame((total[first + count] - total[first]) / count, index=time, columns=series.columns)
