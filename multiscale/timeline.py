"""Time: representative days of a year, their weights, and the sampling of profiles onto them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator, model_validator
from scipy import optimize

from multiscale.settings import LARGEST_SEED, Settings, count, quantity


class HorizonSettings(Settings):
    """Which days of the year are computed, and in which steps."""

    days: int = count(2, "number of representative days", 1, 366)
    step_hours: float = quantity(1.0, "h", "length of a time step; it divides a day", lower=0.25, upper=24.0)
    peaks: bool = Field(True, description="whether the peak day is one of the days")
    seed: int = count(0, "seed of the choice of typical days", 0, LARGEST_SEED)

    @field_validator("step_hours")
    @classmethod
    def _whole_steps(cls, value: float) -> float:
        if abs(24.0 / value - round(24.0 / value)) > 1e-9:
            raise ValueError(f"{value:g} h does not divide a day; use e.g. 0.25, 0.5, 1, 2, 3 h")
        return value

    @model_validator(mode="after")
    def _room_for_typical(self) -> HorizonSettings:
        if self.peaks and self.days < 2:
            raise ValueError("days 1 cannot hold the peak day and a typical day; use days=2 or more, or peaks=false")
        return self


@dataclass(frozen=True)
class Horizon:
    """Representative days in even steps; periods run day after day in one flat axis.

    Attributes:
        days: dates of the representative days.
        weights: days of the year that each stands for [d/a]; they sum to the days of the year.
        step_hours: length of a period [h]; a day has ``24 / step_hours`` of them.
        names: what each day is there for, e.g. ``peak demand`` or ``typical``.
    """

    days: tuple[pd.Timestamp, ...]
    weights: tuple[float, ...]
    step_hours: float
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.step_hours <= 0 or abs(24.0 / self.step_hours - round(24.0 / self.step_hours)) > 1e-9:
            raise ValueError(f"horizon: a step of {self.step_hours} h does not divide a day; use e.g. 0.25, 0.5, 1, 2, 3 h")
        if len(self.days) != len(self.weights):
            raise ValueError(f"horizon: {len(self.days)} days but {len(self.weights)} weights")

    @property
    def steps(self) -> int:
        """Periods in a day."""
        return round(24.0 / self.step_hours)

    @property
    def periods(self) -> int:
        """Periods in all."""
        return self.steps * len(self.days)

    @cached_property
    def labels(self) -> np.ndarray:
        """Start of every period as text, e.g. ``2016-01-20T17:00``."""
        return np.array([t.strftime("%Y-%m-%dT%H:%M") for t in self._starts()])

    def _starts(self) -> pd.DatetimeIndex:
        offsets = pd.to_timedelta(np.arange(self.steps) * self.step_hours, unit="h")
        return pd.DatetimeIndex(np.concatenate([(day + offsets).to_numpy() for day in self.days]))

    @property
    def day_of(self) -> np.ndarray:
        """Number of the day of every period."""
        return np.repeat(np.arange(len(self.days)), self.steps)

    @property
    def hours_per_year(self) -> np.ndarray:
        """Hours of the year that every period stands for: weight x step [h/a]; sums to 8,760 or 8,784."""
        return np.repeat(np.asarray(self.weights), self.steps) * self.step_hours

    @property
    def previous(self) -> np.ndarray:
        """Position of the period before, within the same day and around midnight: states are cyclic per day."""
        first = self.day_of * self.steps
        return first + (np.arange(self.periods) - first - 1) % self.steps

    def day(self, number: int) -> Horizon:
        """The horizon of one of the days, with its weight."""
        name = self.names[number : number + 1]
        return Horizon((self.days[number],), (self.weights[number],), self.step_hours, name)

    def sample(self, profiles: xr.Dataset, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the profiles ``p`` and ``q`` over every period.

        Args:
            profiles: dataset with ``p`` and ``q``, dims (time, profile), evenly spaced in time.
            names: profile of each row; an empty name means a constant 1.

        Returns:
            Two arrays (len(names), periods).

        Raises:
            KeyError: an unknown profile.
            ValueError: the profiles are coarser than a period, or do not cover the days.
        """
        time = pd.DatetimeIndex(profiles.time.values)
        spacing = (time[1] - time[0]) / pd.Timedelta(hours=1)
        per_period = self.step_hours / spacing
        if per_period < 1 - 1e-9 or abs(per_period - round(per_period)) > 1e-9:
            raise ValueError(f"profiles step {spacing:g} h: a period of {self.step_hours:g} h is not a multiple of it")
        count = round(per_period)
        starts = time.get_indexer(self._starts())
        if (starts < 0).any():
            raise ValueError(f"profiles run from {time[0]} to {time[-1]}: they do not cover {self._starts()[starts < 0][0]}")
        wanted, inverse = np.unique(np.asarray(names, dtype=str), return_inverse=True)
        column = {name: i for i, name in enumerate(profiles.profile.values.tolist())}
        unknown = [name for name in wanted.tolist() if name and name not in column]
        if unknown:
            raise KeyError(f"unknown profiles {unknown}; there are {sorted(column)[:10]} ...")
        rows = (starts[:, None] + np.arange(count)).ravel()
        chosen = [column[name] for name in wanted.tolist() if name]
        sampled = []
        for variable in ("p", "q"):
            values = np.ones((len(wanted), self.periods))
            if chosen:
                data = profiles[variable].isel(time=rows, profile=chosen).to_numpy().astype(float)
                values[wanted != ""] = data.reshape(self.periods, count, len(chosen)).mean(axis=1).T
            sampled.append(values[inverse] if len(inverse) else np.zeros((0, self.periods)))
        return sampled[0], sampled[1]


@dataclass(frozen=True)
class Aggregation:
    """Representative days and what they miss of the year.

    Attributes:
        horizon: the days and weights.
        error: dataset (feature): ``energy`` relative error of the year's sum [%], ``peak`` relative error of the largest value [%],
            ``duration`` root mean square error of the duration curve in % of the peak.
    """

    horizon: Horizon
    error: xr.Dataset


def representative_days(features: pd.DataFrame, count: int, step_hours: float, peaks: dict[str, str] | None = None, seed: int = 0) -> Aggregation:
    """Choose days of a year that stand for all of it.

    The peak days are kept as they are; the others start as k-medoids (best swaps) of the remaining days in the space of their daily
    courses, each feature scaled by its peak. Weights are fitted, at least 1 each and summing to the number of days, so that the
    energies of the features over the year are met as well as possible (least squares, near the cluster sizes). A day of a cluster is
    then exchanged for another one of the same cluster as long as that lowers the mean of the energy and duration-curve errors.

    Args:
        features: evenly spaced time series over whole days (columns = features, e.g. demand, PV, residual load).
        count: number of days, peak days included.
        step_hours: period length of the horizon.
        peaks: column (or ``-column`` for its minimum) -> name of the day on which it is reached; default: none.
        seed: of the k-medoids start.

    Raises:
        ValueError: fewer days asked for than there are distinct peaks (at least one more is needed), NaN in a feature.

    Source: k-medoids for representative periods: Schütz et al., Renewable Energy 129 (2018) 570-582.
    """
    if features.isna().any().any():
        column = features.columns[features.isna().any()][0]
        raise ValueError(f"feature {column!r} has no value at {features.index[features[column].isna()][0]}")
    time = pd.DatetimeIndex(features.index)
    per_day = round(pd.Timedelta(days=1) / (time[1] - time[0]))
    n = len(features) // per_day
    days = [pd.Timestamp(t) for t in time[: n * per_day : per_day]]
    courses = features.to_numpy(float)[: n * per_day].reshape(n, per_day, -1)
    scale = np.abs(courses).max(axis=(0, 1))
    courses = courses / np.where(scale > 0, scale, 1.0)

    fixed: dict[int, str] = {}
    for column, name in (peaks or {}).items():
        sign = -1.0 if column.startswith("-") else 1.0
        best = int((sign * courses[:, :, features.columns.get_loc(column.removeprefix("-"))]).max(axis=1).argmax())
        fixed[best] = f"{fixed[best]}, {name}" if best in fixed else name
    if count <= len(fixed) and count < n:
        raise ValueError(f"{count} representative days are too few for {len(fixed)} peak days {sorted(fixed.values())} and at least one typical day")

    flat = courses.reshape(n, -1)
    squared = (flat**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squared[:, None] + squared[None, :] - 2 * flat @ flat.T, 0.0))
    rest = np.setdiff1d(np.arange(n), list(fixed))
    k = min(count, n) - len(fixed)
    medoids = rest[_medoids(distance[np.ix_(rest, rest)], k, seed)]
    chosen = np.concatenate([np.array(sorted(fixed), dtype=int), np.sort(medoids)])
    names = tuple(fixed.get(int(i), "typical") for i in chosen)
    cluster = distance[:, chosen].argmin(axis=1)
    sizes = np.bincount(cluster, minlength=len(chosen)).astype(float)
    chosen = _exchanged(courses, chosen, cluster, sizes, len(fixed))
    weights = _fit_weights(courses, chosen, sizes, n)
    horizon = Horizon(tuple(days[i] for i in chosen), tuple(weights), step_hours, names)
    return Aggregation(horizon, _aggregation_error(courses, chosen, weights, list(features.columns)))


def _medoids(distance: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Medoids of a distance matrix: from a random start, the best swap of a medoid and another point as long as one helps.

    Source: partitioning around medoids, Kaufman and Rousseeuw, Finding Groups in Data (1990), ch. 2.
    """
    n = len(distance)
    chosen = np.sort(np.random.default_rng(seed).choice(n, size=min(count, n), replace=False))
    if not count:
        return chosen
    cost = distance[:, chosen].min(axis=1).sum()
    while True:
        best, swap = cost, None
        for k in range(len(chosen)):
            others = np.delete(chosen, k)
            nearest = distance[:, others].min(axis=1) if len(others) else np.full(n, np.inf)
            totals = np.minimum(distance, nearest[:, None]).sum(axis=0)
            candidate = int(totals.argmin())
            if totals[candidate] < best - 1e-12 * max(cost, 1.0):
                best, swap = float(totals[candidate]), (k, candidate)
        if swap is None:
            return np.sort(chosen)
        chosen[swap[0]], cost = swap[1], best


def _exchanged(courses: np.ndarray, chosen: np.ndarray, cluster: np.ndarray, sizes: np.ndarray, fixed: int) -> np.ndarray:
    """Exchange typical days within their clusters while the mean error falls; one pass over every cluster."""
    n, per_day, _ = courses.shape
    full = np.sort(courses.reshape(n * per_day, -1), axis=0)[::-1]

    def badness(days: np.ndarray) -> float:
        weights = _fit_weights(courses, days, sizes, n)
        energy, duration = _errors(courses, full, days, weights)
        return float(np.mean(np.abs(energy)) + np.mean(duration))

    best = badness(chosen)
    for k in range(fixed, len(chosen)):
        for day in np.flatnonzero(cluster == k):
            if day in chosen:
                continue
            trial = chosen.copy()
            trial[k] = day
            value = badness(trial)
            if value < best - 1e-9:
                best, chosen = value, trial
    return chosen


def _fit_weights(courses: np.ndarray, chosen: np.ndarray, sizes: np.ndarray, n: int) -> np.ndarray:
    """Weights >= 1 with sum n that meet the yearly energy of every feature in least squares, close to the cluster sizes."""
    energy = courses.sum(axis=1)
    year = energy.sum(axis=0)
    relevant = np.abs(year) > 1e-9
    fit = (energy[chosen][:, relevant] / year[relevant]).T
    closeness = 1e-3 * np.eye(len(chosen)) / n
    total = 1e4 * np.ones((1, len(chosen))) / n
    matrix = np.vstack([fit, closeness, total])
    target = np.concatenate([np.ones(int(relevant.sum())), 1e-3 * sizes / n, [1e4]])
    solution = optimize.lsq_linear(matrix, target, bounds=(1.0, float(n)) if len(chosen) > 1 else (0.0, n + 1.0), tol=1e-14).x
    room = solution - 1.0
    return 1.0 + room * (n - len(chosen)) / room.sum() if room.sum() > 0 else np.full(len(chosen), n / len(chosen))


def _errors(courses: np.ndarray, full: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Relative error of the year's energy and RMS error of the duration curve relative to the peak [%], of every feature."""
    n, per_day, features = courses.shape
    kept = courses[chosen].reshape(-1, features)
    order = np.argsort(-kept, axis=0)
    share = np.cumsum(np.repeat(weights, per_day)[order], axis=0)
    energy, duration = np.zeros(features), np.zeros(features)
    hours = np.arange(n * per_day) + 0.5
    for f in range(features):
        curve = kept[order[:, f], f][np.minimum(np.searchsorted(share[:, f], hours), len(kept) - 1)]
        total, peak = np.abs(full[:, f].sum()), np.abs(full[:, f]).max()
        energy[f] = 100 * (curve.sum() - full[:, f].sum()) / total if total > 0 else 0.0
        duration[f] = 100 * float(np.sqrt(np.mean((curve - full[:, f]) ** 2))) / max(peak, 1e-12)
    return energy, duration


def _aggregation_error(courses: np.ndarray, chosen: np.ndarray, weights: np.ndarray, names: list[str]) -> xr.Dataset:
    n, per_day, features = courses.shape
    full = np.sort(courses.reshape(n * per_day, features), axis=0)[::-1]
    energy, duration = _errors(courses, full, chosen, weights)
    largest = courses[chosen].reshape(-1, features).max(axis=0)
    peak = 100 * (largest - full[0]) / np.maximum(np.abs(full[0]), 1e-12)
    errors = {"energy": energy, "peak": peak, "duration": duration}
    meaning = {
        "energy": "relative error of the year's energy",
        "peak": "relative error of the year's peak",
        "duration": "RMS error of the duration curve, of peak",
    }
    data = {k: ("feature", np.asarray(v), {"units": "%", "long_name": meaning[k]}) for k, v in errors.items()}
    return xr.Dataset(data, coords={"feature": [str(c) for c in names]})
