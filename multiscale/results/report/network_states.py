"""What the interactive map shows: loading and voltage of what is drawn at every step, in one or several states of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from multiscale.results.data.dataset import compared_scenarios, has, scenario_names, scenario_title
from multiscale.results.figures.layout import Layout
from multiscale.results.figures.voltages import furthest

MOST_VALUES = 1_500_000
"""Values that a map may hold: about 5 MB of the file."""


@dataclass(frozen=True)
class State:
    """One state of the network.

    Attributes:
        title: in plain words.
        loading: of every branch of the dataset under AC power flow [%], dims (branch, period).
        voltage: of every bus [pu], dims (bus, period); NaN where not known.
        built: branch -> what is built there.
    """

    title: str
    loading: xr.DataArray
    voltage: xr.DataArray
    built: Mapping[str, str]


def states_of(data: xr.Dataset) -> list[State]:
    """The scenarios of a run: the headline scenario first, then the baseline, then the others."""
    pair = compared_scenarios(data)
    names = list(dict.fromkeys([*(reversed(pair) if pair else ()), *scenario_names(data)]))
    return [state_of(data, name, scenario_title(data, name)) for name in names]


def state_of(data: xr.Dataset, scenario: str, title: str) -> State:
    """One scenario of a run."""
    loading = data.loading.sel(scenario=scenario)
    unknown = xr.DataArray(np.full((data.sizes["bus"], data.sizes["period"]), np.nan), dims=("bus", "period"))
    voltage = data.voltage.sel(scenario=scenario) if has(data, "voltage") else unknown
    built: dict[str, str] = {}
    if has(data, "built", "option_branch"):
        measures = data.option_measure.values if has(data, "option_measure") else np.full(data.sizes["option"], "reinforcement")
        for k in np.flatnonzero(data.built.sel(scenario=scenario).values > 0.5).tolist():
            branch = str(data.option_branch.values[k])
            built[branch] = "; ".join(filter(None, [built.get(branch, ""), str(measures[k])]))
    return State(title, loading, voltage, built)


@dataclass(frozen=True)
class Shown:
    """The values of the map, step 0 being the whole of the representative days.

    Attributes:
        branches: drawn branches, by position in the dataset: lines first, then transformers at their sites.
        lines: how many of them are drawn as lines.
        buses: drawn buses, by position.
        steps: labels of the steps.
        titles: of the states.
        loading: dims (state, step, branch) [%]; at step 0 the largest of all steps.
        voltage: dims (state, step, bus) [pu]; at step 0 the one furthest from nominal.
        built: for every state, what is built at each branch; empty texts for nothing.
        omitted: what the map does not hold, in words; empty where it holds all.
    """

    branches: np.ndarray
    lines: int
    buses: np.ndarray
    steps: tuple[str, ...]
    titles: tuple[str, ...]
    loading: np.ndarray
    voltage: np.ndarray
    built: tuple[tuple[str, ...], ...]
    omitted: str


ALL_STEPS = "extremes of all steps"


def values_of(data: xr.Dataset, layout: Layout, states: Sequence[State], most: int = MOST_VALUES) -> Shown:
    """The values of what is drawn, as many states as ``most`` values allow; where not even two fit, extremes instead of steps."""
    lines, points = np.flatnonzero(layout.branches), np.flatnonzero((layout.sites | layout.substations) & ~layout.branches)
    branches, buses = np.concatenate([lines, points]), np.flatnonzero(layout.buses)
    periods = [str(p) for p in data.period.values]
    each = (len(branches) + len(buses)) * (len(periods) + 1)
    kept = list(states)[: max(most // each, min(2, len(states)))]
    steps = periods if len(kept) * each <= most else []
    omitted = [f"the states {', '.join(s.title for s in states[len(kept) :])}"] if len(kept) < len(states) else []
    omitted += ["single steps"] if periods and not steps else []
    names = data.branch.values.astype(str)[branches].tolist()
    days = data.day.values.astype(str) if "day" in data.coords and data.day.dtype.kind in "OUS" else np.full(len(periods), "")
    labels = [f"{p} ({d})" if d and not p.startswith(d) else p for p, d in zip(periods, days.tolist(), strict=True)] if steps else []
    return Shown(
        branches,
        len(lines),
        buses,
        (ALL_STEPS, *labels),
        tuple(state.title for state in kept),
        np.stack([_steps(state.loading.transpose("period", "branch"), branches, _largest(state.loading), bool(steps)) for state in kept]),
        np.stack([_steps(state.voltage.transpose("period", "bus"), buses, furthest(state.voltage), bool(steps)) for state in kept]),
        tuple(tuple(state.built.get(name, "") for name in names) for state in kept),
        f"To keep the file small the map holds no values of {' and '.join(omitted)}." if omitted else "",
    )


def _largest(loading: xr.DataArray) -> np.ndarray:
    return loading.max("period").values.astype(float)


def _steps(values: xr.DataArray, chosen: np.ndarray, extreme: np.ndarray, single: bool) -> np.ndarray:
    rows = [extreme[None, chosen], values.values[:, chosen].astype(float)] if single else [extreme[None, chosen]]
    return np.concatenate(rows).astype(np.float32)
