"""Representative days of a year: extreme days at weight 1, the others chosen for energies and for energy above the usable ratings.

Reinforcement is worth the energy that would exceed the ratings without it. Days that only resemble the year's profiles say little about that
energy, which arises in a few hundred hours; and an extreme day that stands for a whole season says far too much. So the peak days count once,
as in the year, and the other days and all their weights are chosen so that

    sum over days of w_d f_d  =  sum over the year of f          as well as possible, in weighted least squares

for the features ``f`` of a day: its energies (demand, generation of every kind, net load) and its energy above the usable rating of every branch
that is overloaded in the year. Days are added greedily, then exchanged until no exchange helps. Equal input gives equal days: there is no random
start, and ties go to the earlier date.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize

from multiscale.aggregation import Aggregation, profile_errors, represented_overload
from multiscale.system.schema import LOAD_KINDS
from multiscale.timeline import Horizon

ENERGY_WEIGHT = 3.0
NET_WEIGHT = 1.0
PART_WEIGHT = 0.3
"""Weight of each kind of load: together they are the demand."""
OVERLOAD_WEIGHT = 1.5
"""Weight of all overloaded branches together, relative to that of one energy; each counts by its share 1/sqrt(number)."""
PROFILE_WEIGHT = 0.3
"""Weight of the mean distance of the year's days to their nearest chosen day: it decides where the sums leave a choice."""
SIZE_WEIGHT = 0.01
"""Weight of the distance of the days' weights to the numbers of days they resemble most."""
EXACT = 1e3
"""Weight of what must hold exactly."""
LEAST_WEIGHT = 0.5
"""Least weight of a chosen day [d/a]: a day of no weight would be computed for nothing."""
MET = 1e-3
"""Rest of the weighted sums at which they are met."""
SEARCHED = 12
"""Typical days up to which the best are searched for in any case; where the sums are met, further ones are those that resemble no chosen day."""
_TIE = 10
"""Digits to which two choices are compared."""


def representative_days(
    profiles: pd.DataFrame,
    count: int,
    step_hours: float,
    overload: pd.DataFrame | None = None,
    *,
    extremes: bool = True,
    given: Horizon | None = None,
) -> Aggregation:
    """Choose days of a year that stand for all of it.

    With ``extremes`` and at least two days the day of the peak demand is one of them, at weight 1; with three or more also the day of the least
    net load (the peak feed-in). Without them, or where a single day is asked for, all days are typical ones: what then is missed stands in the
    errors. Where as many days are asked for as there are, all of them are taken.

    Args:
        profiles: hourly profiles over whole days [kW]; columns ``demand``, ``net load`` and any others.
        count: number of days, extreme days included.
        step_hours: period length of the horizon.
        overload: power above the usable rating of every branch that is overloaded in the year [kW], the same hours x (branch, direction).
        extremes: whether the extreme days are taken.
        given: days and weights that are decided already; then only what they miss is found.

    Returns:
        Days by date behind the extreme ones; weights sum to the number of days of the data, typical days weigh at least 0.5.

    Raises:
        ValueError: a profile without a value at some hour, or no whole day of data.
    """
    for frame in (profiles, overload if overload is not None else profiles):
        if frame.isna().any().any():
            column = frame.columns[frame.isna().any()][0]
            raise ValueError(f"feature {column!r} has no value at {frame.index[frame[column].isna()][0]}")
    days = pd.DatetimeIndex(profiles.index[::24])
    n = len(profiles) // 24
    if n == 0:
        raise ValueError(f"representative days: {len(profiles)} hours of data hold no whole day")
    days = days[:n]
    values = profiles.to_numpy(float)[: n * 24].reshape(n, 24, -1)
    excess = np.zeros((n, 24, 0)) if overload is None else overload.to_numpy(float)[: n * 24].reshape(n, 24, -1)

    fixed = _extreme_days(profiles, values) if extremes and 1 < count < n else {}
    fixed = dict(list(fixed.items())[: max(count - 1, 0)])
    features, target = _features(list(profiles.columns), values, excess)
    shape = _distances(values)
    if given is not None:
        chosen, weights = days.get_indexer(pd.DatetimeIndex(given.days)), np.array(given.weights)
        if (chosen < 0).any():
            raise ValueError(f"representative days: the data have no {given.days[int((chosen < 0).argmax())].date()}")
    elif count >= n:
        chosen, weights = np.arange(n), np.ones(n)
        fixed = _extreme_days(profiles, values) if extremes else {}
    else:
        typical = _Choice(features, target, shape, tuple(fixed)).exchange(count - len(fixed))
        chosen = np.array([*fixed, *typical], dtype=int)
        weights = np.concatenate([np.ones(len(fixed)), _weights(features, target, shape, tuple(fixed), typical)[0]])
        weights[weights.argmax()] += n - weights.sum()
    names = tuple(fixed.get(int(d), "typical") for d in chosen)
    horizon = given or Horizon(tuple(days[chosen]), tuple(weights.tolist()), step_hours, names)
    nearest = dict(zip(days, shape[:, chosen].argmin(axis=1).tolist(), strict=True)) | {day: k for k, day in enumerate(horizon.days)}
    above = pd.DataFrame(excess.sum(axis=1), columns=overload.columns) if overload is not None else pd.DataFrame(np.zeros((n, 0)))
    error = profile_errors(list(profiles.columns), values, chosen, weights)
    return Aggregation(horizon, error, represented_overload(above, (excess > 0).sum(axis=(0, 1)), chosen, weights), nearest)


def _extreme_days(profiles: pd.DataFrame, values: np.ndarray) -> dict[int, str]:
    """Day -> what it is the extreme of: the peak demand first, then the least net load."""
    demand, net = (values[:, :, profiles.columns.get_loc(name)] for name in ("demand", "net load"))
    peak, least = int(demand.max(axis=1).argmax()), int(net.min(axis=1).argmin())
    lowest = "peak feed-in" if net.min() < 0 else "least net load"
    return {peak: f"peak demand, {lowest}"} if peak == least else {peak: "peak demand", least: lowest}


def _features(names: list[str], values: np.ndarray, excess: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted features of every day (feature, day) and their sums over the year (feature,)."""
    rows = []
    for k, name in enumerate(names):
        energy = values[:, :, k].sum(axis=1)
        scale = np.abs(energy).sum()
        if scale > 0:
            weight = PART_WEIGHT if name in LOAD_KINDS else NET_WEIGHT if name == "net load" else ENERGY_WEIGHT
            rows.append(weight * energy / scale)
    above = excess.sum(axis=1)
    rows += [OVERLOAD_WEIGHT / np.sqrt(above.shape[1]) * above[:, k] / above[:, k].sum() for k in range(above.shape[1]) if above[:, k].any()]
    features = np.array(rows).reshape(len(rows), len(values))
    return features, features.sum(axis=1)


def _distances(values: np.ndarray) -> np.ndarray:
    """Distance of every two days' profiles, each profile scaled by its largest magnitude; (day, day)."""
    scale = np.abs(values).max(axis=(0, 1))
    flat = (values / np.where(scale > 0, scale, 1.0)).reshape(len(values), -1)
    squared = (flat**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squared[:, None] + squared[None, :] - 2 * flat @ flat.T, 0.0) / flat.shape[1])
    np.fill_diagonal(distance, 0.0)
    return distance


def _weights(
    features: np.ndarray, target: np.ndarray, distance: np.ndarray, fixed: tuple[int, ...], typical: tuple[int, ...]
) -> tuple[np.ndarray, float]:
    """Weights of the typical days and what remains of the target, in the norm of the features.

    Non-negative least squares above the least weight; the sum is a row of its own, and then exact. Where the sums leave a choice, weights are
    near the number of days that resemble the day most.
    """
    n, k = features.shape[1], len(typical)
    total = n - len(fixed) - LEAST_WEIGHT * k
    own = features[:, list(typical)]
    rest = target - features[:, list(fixed)].sum(axis=1) - LEAST_WEIGHT * own.sum(axis=1)
    alike = np.bincount(distance[:, list(typical)].argmin(axis=1), minlength=k) / n
    rows = np.vstack([own * n, np.full((1, k), EXACT), SIZE_WEIGHT * np.eye(k)])
    above = optimize.nnls(rows, np.concatenate([rest, [EXACT * total / n], SIZE_WEIGHT * alike]))[0] * n
    above *= total / above.sum()
    return LEAST_WEIGHT + above, float(np.linalg.norm(own @ above - rest))


@dataclass(frozen=True)
class _Choice:
    """The search for typical days in addition to the fixed ones."""

    features: np.ndarray
    target: np.ndarray
    distance: np.ndarray
    fixed: tuple[int, ...]

    def cost(self, typical: tuple[int, ...]) -> float:
        """What remains of the sums, and a little of the distance to the nearest chosen day."""
        profile = self.distance[:, [*self.fixed, *typical]].min(axis=1).mean()
        return round(_weights(self.features, self.target, self.distance, self.fixed, typical)[1] + PROFILE_WEIGHT * float(profile), _TIE)

    def met(self, typical: tuple[int, ...]) -> bool:
        """Whether enough days are chosen to look no further, and the sums are met."""
        return len(typical) >= SEARCHED and _weights(self.features, self.target, self.distance, self.fixed, typical)[1] <= MET

    def exchange(self, count: int) -> tuple[int, ...]:
        """The typical days, by date: added one by one, then exchanged as long as an exchange helps."""
        n = self.features.shape[1]
        typical: tuple[int, ...] = ()
        while len(typical) < count:
            if self.met(typical):
                farthest = int(self.distance[:, [*self.fixed, *typical]].min(axis=1).argmax())
                typical = tuple(sorted((*typical, farthest)))
            else:
                typical = self._best(typical, [d for d in range(n) if d not in typical and d not in self.fixed])[0]
        best, unchanged, place = self.cost(typical), 0, 0
        while unchanged < count and not self.met(typical):
            others = typical[:place] + typical[place + 1 :]
            found, cost = self._best(others, [d for d in range(n) if d not in typical and d not in self.fixed])
            unchanged += 1
            if cost < best:
                typical, best, unchanged = found, cost, 0
            place = (place + 1) % count
        return typical

    def _best(self, others: tuple[int, ...], candidates: list[int]) -> tuple[tuple[int, ...], float]:
        """The best of the candidates as one more day, and its cost; the earliest of equal ones."""
        costs = [self.cost(tuple(sorted((*others, d)))) for d in candidates]
        at = int(np.argmin(costs))
        return tuple(sorted((*others, candidates[at]))), costs[at]
