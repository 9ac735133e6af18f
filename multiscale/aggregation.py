"""What representative days miss of the year: errors of energies, peaks, duration curves and overloads, and when to warn of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.timeline import Horizon, HorizonSettings


@dataclass(frozen=True)
class ErrorLimits:
    """Errors of representative days [1] above which a warning is due.

    Attributes:
        energy: of the year's energy of demand, generation of every kind, or net load.
        peak: of the peak demand, or of the peak feed-in.
        overload: of the energy above the usable rating of the branch that is met worst.
        duration: root mean square error of a duration curve.
    """

    energy: float = 0.05
    peak: float = 0.01
    overload: float = 0.25
    duration: float = 0.1


@dataclass(frozen=True)
class Aggregation:
    """Representative days and what they miss of the year.

    Attributes:
        horizon: the days and weights.
        error: dataset (feature): ``energy`` relative error of the year's sum [%], ``peak`` relative error of the largest value [%], ``lowest``
            error of the least value relative to the largest magnitude [%], ``duration`` root mean square error of the duration curve in % of
            the largest magnitude.
        overload: dataset (overloaded_branch): ``direction``, ``hours`` of the year above the usable rating [h/a], and energy above it over
            the ``year`` and as ``represented`` by the
            weighted days [kWh/a]; empty where no branch is overloaded.
        nearest: calendar day -> position of the representative day whose profiles resemble it most; a representative day is its own.
    """

    horizon: Horizon
    error: xr.Dataset
    overload: xr.Dataset = field(default_factory=lambda: represented_overload(pd.DataFrame(), np.zeros(0), np.zeros(0, dtype=int), np.zeros(0)))
    nearest: Mapping[pd.Timestamp, int] = field(default_factory=dict)

    @property
    def overload_error(self) -> float:
        """Relative error of the energy above usable ratings, all branches together [%]; 0 without an overload."""
        total = float(self.overload.year.sum())
        return 100.0 * (float(self.overload.represented.sum()) / total - 1.0) if total > 0 else 0.0

    @property
    def worst_overload_error(self) -> tuple[str, float]:
        """The overloaded branch whose energy above its usable rating is met worst, and its relative error [%]; ``("", 0)`` without an overload."""
        if not self.overload.sizes["overloaded_branch"]:
            return "", 0.0
        error = 100.0 * (self.overload.represented.values / self.overload.year.values - 1.0)
        worst = int(np.abs(error).argmax())
        return str(self.overload.overloaded_branch.values[worst]), float(error[worst])

    @property
    def peak_demand_error(self) -> float:
        """Error of the largest demand [%]."""
        return float(self.error.peak.sel(feature="demand"))

    @property
    def peak_feed_in_error(self) -> float:
        """Error of the least net load, of the largest magnitude of the net load [%]; positive where feed-in is missed."""
        return float(self.error.lowest.sel(feature="net load"))

    @property
    def unseen(self) -> tuple[str, ...]:
        """Branches overloaded in the year and on none of the days."""
        return tuple(self.overload.overloaded_branch.values[self.overload.represented.values == 0].astype(str).tolist())


def profile_errors(names: list[str], values: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> xr.Dataset:
    """Errors of the weighted days against the year, feature by feature; see ``Aggregation.error``."""
    n, count = len(values), values.shape[2]
    full = np.sort(values.reshape(-1, count), axis=0)[::-1]
    kept = values[chosen].reshape(-1, count)
    largest = np.abs(full).max(axis=0, initial=0.0)
    scale = np.where(largest > 0, largest, 1.0)
    order = np.argsort(-kept, axis=0, kind="stable")
    share = np.cumsum(np.repeat(weights, 24)[order], axis=0)
    hours = np.arange(n * 24) + 0.5
    duration = np.zeros(count)
    for f in range(count):
        curve = kept[order[:, f], f][np.minimum(np.searchsorted(share[:, f], hours), len(kept) - 1)]
        duration[f] = 100 * float(np.sqrt(np.mean((curve - full[:, f]) ** 2))) / scale[f]
    total = full.sum(axis=0)
    weighted = (values[chosen].sum(axis=1) * weights[:, None]).sum(axis=0)
    magnitude = np.where(np.abs(total) > 0, np.abs(total), 1.0)
    errors = {
        "energy": (100 * (weighted - total) / magnitude, "relative error of the year's energy"),
        "peak": (100 * (kept.max(axis=0) - full[0]) / np.where(full[0] != 0, np.abs(full[0]), scale), "relative error of the year's largest value"),
        "lowest": (100 * (kept.min(axis=0) - full[-1]) / scale, "error of the year's least value, of the largest magnitude"),
        "duration": (duration, "RMS error of the duration curve, of the largest magnitude"),
    }
    data = {name: ("feature", found, {"units": "%", "long_name": meaning}) for name, (found, meaning) in errors.items()}
    return xr.Dataset(data, coords={"feature": [str(name) for name in names]})


def represented_overload(energy: pd.DataFrame, hours: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> xr.Dataset:
    """Energy above the usable rating of every overloaded branch, of the year and of the weighted days.

    Args:
        energy: day x branch [kWh].
        hours: of the year in which each branch is above its usable rating [h/a], (branch,).
        chosen, weights: the representative days, and days of the year that each stands for.
    """
    pairs = [(str(branch), str(direction)) for branch, direction in energy.columns]
    values = energy.to_numpy(float).reshape(-1, len(pairs)) if pairs else np.zeros((1, 0))
    represented = weights @ values[chosen] if pairs else np.zeros(0)
    dim = "overloaded_branch"
    return xr.Dataset(
        {
            "direction": (dim, np.array([d for _, d in pairs], dtype=str), {"long_name": "direction in which the branch is overloaded"}),
            "hours": (dim, np.asarray(hours, dtype=float), {"units": "h/a", "long_name": "hours of the year above the usable rating"}),
            "year": (dim, values.sum(axis=0), {"units": "kWh/a", "long_name": "energy above the usable rating over the year"}),
            "represented": (dim, represented, {"units": "kWh/a", "long_name": "energy above the usable rating by the representative days"}),
        },
        coords={dim: np.array([b for b, _ in pairs], dtype=str)},
    )


def error_limits(settings: HorizonSettings) -> ErrorLimits:
    """The limits as the settings give them."""
    return ErrorLimits(settings.energy_warning, settings.peak_warning, settings.overload_warning, settings.duration_warning)


def aggregation_warnings(aggregation: Aggregation, limits: ErrorLimits) -> list[str]:
    """One phrase for every kind of error above its limit, and for overloaded branches that no day shows; empty where all is within limits."""
    error, found = aggregation.error, []
    for measure, limit, what in (("energy", limits.energy, "energy over the year"), ("duration", limits.duration, "duration curve")):
        off = {str(f): float(v) for f, v in zip(error.feature.values, error[measure].values, strict=True) if abs(v) > 100 * limit}
        if off:
            named = ", ".join(f"{feature} {_percent(value)}" for feature, value in off.items())
            found.append(f"{what}: error of {named} (limit {100 * limit:g} %)")
    for value, what in ((aggregation.peak_demand_error, "peak demand"), (aggregation.peak_feed_in_error, "peak feed-in")):
        if abs(value) > 100 * limits.peak:
            found.append(f"{what}: missed by {abs(value):.1f} % (limit {100 * limits.peak:g} %)")
    unseen, total = aggregation.unseen, aggregation.overload.sizes["overloaded_branch"]
    if unseen:
        named = ", ".join(unseen[:3]) + (f" and {len(unseen) - 3} more" if len(unseen) > 3 else "")
        found.append(f"{len(unseen)} of the {total} branches overloaded in the year are overloaded on none of the days ({named})")
    branch, value = aggregation.worst_overload_error
    if abs(value) > 100 * limits.overload:
        all_of_them = f"{_percent(aggregation.overload_error)} over all branches, {_percent(value)} on {branch}"
        found.append(f"energy above usable ratings: error of {all_of_them} (limit {100 * limits.overload:g} %)")
    return found


def _percent(value: float) -> str:
    return f"{value:+.1f} %"
