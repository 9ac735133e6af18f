"""Which profile every device of a network follows: a column of the user's file, or the standard profile of its customer class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.sources.profile_files import ProfileFile
from multiscale.sources.standard_profiles import CLASSES, GENERATION, STEP, assumed_class, class_of_word, known_profiles, on_axis, standard_series
from multiscale.system.schema import GENERATION_KINDS, IDLE_KINDS

CONSTANT = "constant"
STANDARD = "standard"
NOTED = ("standard profiles", "profiles", "constant:")
"""How the notes begin that say which profiles devices follow."""
_KINDS = {"heat pump": "heat_pump", "charging point": "ev"}


def constant_profiles() -> xr.Dataset:
    """A constant over the hours of 2016, for representative days to be taken from."""
    time = pd.date_range("2016-01-01", periods=366 * 24, freq="h")
    return _dataset(time, {CONSTANT: (np.ones(len(time)), np.ones(len(time)))})


def followed(devices: pd.DataFrame, vn_kv: pd.Series, given: ProfileFile | None, notes: list[str]) -> tuple[pd.DataFrame, xr.Dataset]:
    """The devices with the profiles they follow, and these profiles.

    A device follows the column that its ``profile`` names, else the column of its own name, else that of its customer class, else (without a file)
    the profile of SimBench that it names, else the standard profile of its class. A column in kW is what each device that follows it draws: its peak
    becomes the rating. Reactive power in kvar is, as active power, what a load draws and what generation feeds in.

    Args:
        devices: index: name; columns ``bus``, ``kind``, ``p_kw``, ``q_kvar``, ``profile`` (a name, or empty) and ``class`` (a word of the network's
            table, or empty).
        vn_kv: nominal voltage of every bus.
        given: the user's file, or None.
        notes: extended by who follows what.

    Returns:
        The table without ``class``, and the profiles.
    """
    time = given.time if given else pd.date_range("2016-01-01", periods=366 * 96, freq=STEP)
    step = given.step if given else STEP
    columns = {profile for profile, variable in given.series if variable == "p"} if given else set()
    out = devices.drop(columns="class").copy()
    out["profile"] = out["profile"].astype(object)
    varying = ~out["kind"].isin(IDLE_KINDS).to_numpy()
    classes, assumed = _classes(devices, vn_kv)
    own = _own(devices, classes, columns)
    if given:
        _follow_file(out, varying, own, given, notes)
    rest = np.flatnonzero(varying & np.array([not name for name in own], dtype=bool))
    named = devices["profile"].astype(str).to_numpy()
    wrong = [k for k in rest if named[k] and given is not None]
    # A name that the file lacks stays, for the validation to report.
    out.iloc[wrong, out.columns.get_loc("profile")] = named[wrong]
    rest = np.setdiff1d(rest, wrong)
    standard = _follow_standard(out, rest, classes, assumed, named, notes)
    series: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if given:
        series |= {name: _shares(given, name) for name in sorted(columns)}
    if standard:
        if (time.year != 2016).any():
            years = ", ".join(str(year) for year in time.year.unique())
            notes.append(f"standard profiles: of the same day of the calendar in 2016, which is another weekday than in {years}")
        frame = on_axis(standard_series(sorted({name for name, _ in standard.values()})), time, step)
        for label, (name, scale) in standard.items():
            shares = frame[name].to_numpy(float) / scale
            series[label] = (shares, shares)
    if not series:
        return out, constant_profiles()
    return out, _dataset(pd.DatetimeIndex(time), series)


def _own(devices: pd.DataFrame, classes: list[str], columns: set[str]) -> list[str]:
    """The column of the file that every device follows; empty for none."""
    by_class = {class_of_word(column): column for column in sorted(columns, reverse=True) if class_of_word(column)}
    found = []
    for device, row, group in zip(devices.index, devices[["profile", "class", "kind"]].astype(str).itertuples(index=False), classes, strict=True):
        named, word, kind = row
        if named:
            found.append(named if named in columns else "")
            continue
        choices = (str(device), word, group, by_class.get(group, ""), kind if kind != "load" else "")
        found.append(next((name for name in choices if name and name in columns), ""))
    return found


def _classes(devices: pd.DataFrame, vn_kv: pd.Series) -> tuple[list[str], np.ndarray]:
    """Customer class of every device (empty: constant), and where it is assumed from voltage and power."""
    kinds = devices["kind"].astype(str).tolist()
    said = [class_of_word(str(word)) for word in devices["class"]]
    volts = vn_kv.reindex(devices["bus"]).fillna(0.4).to_numpy(float)
    steady = (devices["class"] == CONSTANT).tolist()
    found = [
        (kind if kind in GENERATION else "") if kind != "load" else "" if same else word or assumed_class(v, p)
        for kind, word, same, v, p in zip(kinds, said, steady, volts, devices["p_kw"].to_numpy(float), strict=True)
    ]
    return found, np.array([kind == "load" and not word for kind, word in zip(kinds, said, strict=True)], dtype=bool)


def _shares(given: ProfileFile, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Active and reactive time series of a column, as shares of the rating or of the peak."""
    active, reactive = given.series[name, "p"], given.series.get((name, "q"))
    scale = _peak(active.values) if active.unit != "1" else 1.0
    p = active.values / scale
    if reactive is None:
        return p, p
    return p, reactive.values / (_peak(np.abs(reactive.values)) if reactive.unit != "1" else 1.0)


def _peak(values: np.ndarray) -> float:
    return float(values.max()) or 1.0


def _follow_file(out: pd.DataFrame, varying: np.ndarray, own: list[str], given: ProfileFile, notes: list[str]) -> None:
    """Sets the profile of the devices that follow a column, and their ratings where the column is in kW or kvar."""
    followers = Counter(name for name, on in zip(own, varying, strict=True) if name and on)
    for k in np.flatnonzero(varying):
        name = own[k]
        if not name:
            continue
        device = out.index[k]
        out.loc[device, "profile"] = name
        active, reactive = given.series[name, "p"], given.series.get((name, "q"))
        if active.unit != "1":
            peak, before = _peak(active.values), float(out.loc[device, "p_kw"])
            out.loc[device, "p_kw"] = float(active.values.max())
            if before > 0:
                out.loc[device, "q_kvar"] *= peak / before
        if reactive is not None and reactive.unit != "1":
            # As its active power: of a load what it draws, of generation what it feeds in. The table holds what is drawn.
            sign = -1.0 if out.loc[device, "kind"] in GENERATION_KINDS else 1.0
            out.loc[device, "q_kvar"] = sign * _peak(np.abs(reactive.values))
    powers = [name for name in followers if given.series[name, "p"].unit != "1"]
    parts = [f"{name!r} ({count})" for name, count in sorted(followers.items())]
    if parts:
        notes.append(f"profiles: {sum(followers.values())} devices follow columns of the file: {_listed(parts)}")
    if powers:
        notes.append(f"profiles in kW: every device that follows one has the peak of the column as its rated power ({_listed(sorted(powers))})")
    idle = sorted({profile for profile, _ in given.series} - set(followers))
    if idle:
        notes.append(f"profiles: no device follows the columns {_listed([repr(name) for name in idle])}; name elements or classes as the columns")


def _follow_standard(
    out: pd.DataFrame, rest: np.ndarray, classes: list[str], assumed: np.ndarray, named: np.ndarray, notes: list[str]
) -> dict[str, tuple[str, float]]:
    """Sets standard profiles; returns of each its name in SimBench and the number it is divided by."""
    used: dict[str, tuple[str, float]] = {}
    dealt: Counter[str] = Counter()
    unknown: list[str] = []
    own = 0
    known = known_profiles() if any(named[k] for k in rest) else frozenset()
    for k in rest:
        device, name, group = out.index[k], str(named[k]), classes[k]
        if name in known:
            out.loc[device, "profile"] = name
            used[name] = (name, 1.0)
            own += 1
            continue
        if name:
            unknown.append(name)
        if not group:
            out.loc[device, "profile"] = ""
            dealt[""] += 1
            continue
        choice = CLASSES[group]
        profile = choice[dealt[group] % len(choice)]
        label = f"standard {profile}"
        out.loc[device, "profile"] = label
        out.loc[device, "kind"] = _KINDS.get(group, out.loc[device, "kind"])
        used[label] = (profile, 1.0 if group in GENERATION else np.nan)
        dealt[group] += 1
    peaks = standard_series([name for name, scale in used.values() if np.isnan(scale)]).max()
    used = {label: (name, float(peaks[name]) if np.isnan(scale) else scale) for label, (name, scale) in used.items()}
    if own:
        notes.append(f"standard profiles: {own} devices follow the profiles of SimBench that the network names, relative to the powers it states")
    for group, count in sorted(dealt.items()):
        if not group:
            kinds = sorted({str(out["kind"].iloc[k]) for k in rest if not classes[k]})
            what = f"{count} devices ({_listed(kinds)})"
            notes.append(f"constant: {what} run at the power that the network states; give system.profiles for another profile")
            continue
        guess = sum(bool(assumed[k]) for k in rest if classes[k] == group and str(named[k]) not in known)
        why = f"; {guess} of them by voltage and power, as the network names no class (column customer_class)" if guess else ""
        peak = "" if group in GENERATION else ", the power of the network being the peak"
        notes.append(f"standard profiles: {count} devices of class {group} follow {_listed(CLASSES[group][:count])} of SimBench{peak}{why}")
    if unknown:
        names = _listed(sorted({repr(name) for name in unknown}))
        notes.append(f"profiles {names} that the network names are in no file; system.profiles gives them")
    return used


def _listed(parts: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(parts[:most])
    return shown + (f" and {len(parts) - most} more" if len(parts) > most else "")


def _dataset(time: pd.DatetimeIndex, series: dict[str, tuple[np.ndarray, np.ndarray]]) -> xr.Dataset:
    names = list(series)
    data = {
        v: (("time", "profile"), np.stack([series[n][j] for n in names], axis=1).astype(np.float32),
            {"units": "1", "long_name": f"{kind} power relative to the rating"})
        for j, (v, kind) in enumerate((("p", "active"), ("q", "reactive")))
    }  # fmt: skip
    return xr.Dataset(data, coords={"time": time.to_numpy().astype("datetime64[ns]"), "profile": np.array(names, dtype=str)})
