"""What a platform learns of the price at its connection from its own measurements alone.

After every day a platform knows the marginal price it was settled at and its own net load. From these it predicts the price of a day from its own
forecast, without a message:

    explicit       price_t = level_t + slope (z_t - mean z_t)   levels and slope by a Kalman filter, one observation a period
    learned        price_t = f(hour, z_t, pv_t)'w               weights by ridge regression over all days so far, its strength by leaving days out
    persistence    price_t = price of the last day in the same period    the naive forecast that the others are held against

``z`` is the net load [kW] of the platform without demand response, relative to its largest value so far.

Sources: Kalman, J. Basic Engineering 82 (1960) 35-45; Hoerl and Kennard, Technometrics 12 (1970) 55-67.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class OwnView:
    """What a platform knows or forecasts of itself for a day: ``load`` its net load without flexibility, ``pv`` its PV [kW], (period,)."""

    load: np.ndarray
    pv: np.ndarray

    def days(self, steps: int) -> list[OwnView]:
        """Day by day, of so many periods each."""
        return [OwnView(load, pv) for load, pv in zip(self.load.reshape(-1, steps), self.pv.reshape(-1, steps), strict=True)]


class PriceModel(Protocol):
    """Predicts the price at a platform's connection and learns from what it was settled at."""

    def predict(self, view: OwnView) -> np.ndarray:
        """Price of every period [EUR/kWh]."""

    def learn(self, view: OwnView, price: np.ndarray) -> None:
        """One day more: what the platform saw of itself, and the price it was settled at [EUR/kWh]."""

    def slope(self) -> float:
        """Change of the price with the platform's own net load [EUR/kWh per kW]."""


class KalmanPrice:
    """Levels of every period and one slope, updated observation by observation.

    Args:
        start: price before anything was measured [EUR/kWh], such as the retail price.
        periods: of a day.
        spread: standard deviation of the levels about the start, of a measured price about its level, and of the daily drift of a level [EUR/kWh].
    """

    def __init__(self, start: float, periods: int, spread: tuple[float, float, float] = (0.2, 0.1, 0.01)) -> None:
        self.state = np.concatenate([np.full(periods, start), [0.0]])
        self.covariance = np.diag(np.concatenate([np.full(periods, spread[0] ** 2), [spread[0] ** 2]]))
        self._noise, self._drift = spread[1] ** 2, spread[2] ** 2
        self._mean = np.zeros(periods)
        self._scale = 0.0
        self._days = 0

    def _relative(self, view: OwnView) -> np.ndarray:
        return (view.load - self._mean) / self._scale if self._scale > 0 else np.zeros_like(view.load)

    def predict(self, view: OwnView) -> np.ndarray:
        """See ``PriceModel``."""
        return self.state[:-1] + self.state[-1] * self._relative(view)

    def learn(self, view: OwnView, price: np.ndarray) -> None:
        """See ``PriceModel``; the filter's gain is P h / (h'P h + noise)."""
        self._days += 1
        self._mean += (view.load - self._mean) / self._days
        self._scale = max(self._scale, float(np.abs(view.load).max()))
        self.covariance[np.diag_indices(len(price))] += self._drift
        for t, z in enumerate(self._relative(view)):
            seen = np.zeros(len(self.state))
            seen[t], seen[-1] = 1.0, z
            moved = self.covariance @ seen
            gain = moved / (seen @ moved + self._noise)
            self.state = self.state + gain * (price[t] - seen @ self.state)
            self.covariance = self.covariance - np.outer(gain, moved)

    def slope(self) -> float:
        """See ``PriceModel``."""
        return float(self.state[-1]) / self._scale if self._scale > 0 else 0.0


STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Candidates for the strength of the ridge [1]."""


class RidgePrice:
    """Regression of the price on the time of day, the own net load and the own PV, refitted after every day.

    Args:
        start: price before anything was measured [EUR/kWh].
        periods: of a day.
    """

    def __init__(self, start: float, periods: int) -> None:
        self.start, self.periods = start, periods
        self.views: list[OwnView] = []
        self.prices: list[np.ndarray] = []
        self.weights: np.ndarray | None = None
        self.strength = STRENGTHS[-1]

    def _features(self, view: OwnView) -> np.ndarray:
        largest = float(np.abs([v.load for v in self.views]).max())
        scale = 1.0 if largest == 0.0 else largest
        angle = 2 * np.pi * (np.arange(self.periods) + 0.5) / self.periods
        waves = [f(k * angle) for k in (1, 2, 3) for f in (np.sin, np.cos)]
        z, pv = view.load / scale, view.pv / scale
        return np.column_stack([*waves, z, z**2, pv, *(z * w for w in waves[:4])])

    def predict(self, view: OwnView) -> np.ndarray:
        """See ``PriceModel``."""
        if self.weights is None:
            return np.full(self.periods, self.start)
        return self.weights[0] + self._features(view) @ self.weights[1:]

    def learn(self, view: OwnView, price: np.ndarray) -> None:
        """See ``PriceModel``."""
        self.views.append(view)
        self.prices.append(price)
        days = [self._features(v) for v in self.views]
        if len(days) >= 3:
            self.strength = min(STRENGTHS, key=lambda s: self._held_out_error(days, s))
        self.weights = _ridge(np.vstack(days), np.concatenate(self.prices), self.strength)

    def _held_out_error(self, days: list[np.ndarray], strength: float) -> float:
        """Squared error on days held out of the fit, one after the other."""
        total = 0.0
        for k in range(len(days)):
            rest = [i for i in range(len(days)) if i != k]
            weights = _ridge(np.vstack([days[i] for i in rest]), np.concatenate([self.prices[i] for i in rest]), strength)
            total += float(((weights[0] + days[k] @ weights[1:] - self.prices[k]) ** 2).sum())
        return total

    def slope(self) -> float:
        """See ``PriceModel``; at the mean of the days."""
        if self.weights is None:
            return 0.0
        mean = OwnView(np.mean([v.load for v in self.views], axis=0), np.mean([v.pv for v in self.views], axis=0))
        step = 1e-3 * max(float(np.abs(mean.load).max()), 1e-9)
        more = OwnView(mean.load + step, mean.pv)
        return float((self.predict(more) - self.predict(mean)).mean() / step)


def _ridge(features: np.ndarray, target: np.ndarray, strength: float) -> np.ndarray:
    """Weights (constant first, not shrunk): min |y - c - X w|^2 + strength |w|^2."""
    middle, mean = features.mean(axis=0), target.mean()
    centred = features - middle
    weights = np.linalg.solve(centred.T @ centred + strength * np.eye(features.shape[1]), centred.T @ (target - mean))
    return np.concatenate([[mean - middle @ weights], weights])


class LastPrice:
    """The price of the last day, whatever the platform sees of itself.

    Args:
        start: price before anything was measured [EUR/kWh].
        periods: of a day.
    """

    def __init__(self, start: float, periods: int) -> None:
        self.last = np.full(periods, start)

    def predict(self, view: OwnView) -> np.ndarray:  # noqa: ARG002
        """See ``PriceModel``."""
        return self.last

    def learn(self, view: OwnView, price: np.ndarray) -> None:  # noqa: ARG002
        """See ``PriceModel``."""
        self.last = price

    def slope(self) -> float:
        """See ``PriceModel``; it knows of none."""
        return 0.0


PRICE_MODELS: dict[str, Callable[[float, int], PriceModel]] = {"explicit": KalmanPrice, "learned": RidgePrice, "persistence": LastPrice}
"""Models by name; each is made from a start price and the number of periods."""
