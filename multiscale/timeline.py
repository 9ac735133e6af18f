"""Time: days in even steps, their weights in the year, and the sampling of profiles onto them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator, model_validator

from multiscale.settings import Settings, count, quantity

EARLIEST_YEAR, LATEST_YEAR = 1990, 2200


class HorizonSettings(Settings):
    """Which days of the year are computed, and in which steps."""

    years: tuple[int, ...] = Field((2030,), description="years studied, rising; the growth of the system is complete in the last of them")
    days: int = count(8, "number of representative days", 1, 366)
    step_hours: float = quantity(1.0, "h", "length of a time step; it divides a day", lower=0.25, upper=24.0)
    peaks: bool = Field(True, description="whether the day of the peak demand (and, of three or more days, that of the peak feed-in) is one of them")
    energy_warning: float = quantity(0.05, "1", "error of a yearly energy by the representative days above which the run warns", lower=0.0)
    peak_warning: float = quantity(0.01, "1", "error of peak demand or peak feed-in above which the run warns", lower=0.0)
    overload_warning: float = quantity(0.25, "1", "error of a branch's energy above its usable rating above which the run warns", lower=0.0)
    duration_warning: float = quantity(0.1, "1", "root mean square error of a duration curve, of its peak, above which the run warns", lower=0.0)

    @field_validator("years")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value:
            raise ValueError("no year is given; name at least one, e.g. [2030]")
        if any(not EARLIEST_YEAR <= year <= LATEST_YEAR for year in value):
            raise ValueError(f"{list(value)} holds a year outside {EARLIEST_YEAR} to {LATEST_YEAR}; give calendar years, e.g. [2030, 2035]")
        if any(later <= earlier for earlier, later in pairwise(value)):
            raise ValueError(f"{list(value)} do not rise; give each year once, the earliest first")
        return value

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
        consecutive: whether the days follow each other in the calendar and are operated in a row: states pass midnight.
    """

    days: tuple[pd.Timestamp, ...]
    weights: tuple[float, ...]
    step_hours: float
    names: tuple[str, ...] = ()
    consecutive: bool = False

    def __post_init__(self) -> None:
        if self.step_hours <= 0 or abs(24.0 / self.step_hours - round(24.0 / self.step_hours)) > 1e-9:
            raise ValueError(f"horizon: a step of {self.step_hours} h does not divide a day; use e.g. 0.25, 0.5, 1, 2, 3 h")
        if len(self.days) != len(self.weights):
            raise ValueError(f"horizon: {len(self.days)} days but {len(self.weights)} weights")
        if self.consecutive and any(later - earlier != pd.Timedelta(days=1) for earlier, later in pairwise(self.days)):
            raise ValueError(f"horizon: the days {[str(d.date()) for d in self.days]} do not follow each other; give every date of the span once")

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
    def cycle(self) -> int:
        """Periods after which states return to where they began: those of a day, or of the whole span where days are consecutive."""
        return self.periods if self.consecutive else self.steps

    @property
    def previous(self) -> np.ndarray:
        """Position of the period before, around the end of a ``cycle``."""
        first = np.arange(self.periods) // self.cycle * self.cycle
        return first + (np.arange(self.periods) - first - 1) % self.cycle

    def day(self, number: int) -> Horizon:
        """The horizon of one of the days, with its weight."""
        name = self.names[number : number + 1]
        return Horizon((self.days[number],), (self.weights[number],), self.step_hours, name)

    def episodes(self, *, coupled: bool) -> list[tuple[Horizon, np.ndarray]]:
        """What is operated together: every day by itself, or all days where something couples them (states, or a charge on the peak of the year).

        Returns:
            Of each episode its horizon, and its periods as positions in this one.
        """
        if (coupled or self.consecutive) and len(self.days) > 1:
            return [(self, np.arange(self.periods))]
        return [(self.day(k), np.flatnonzero(self.day_of == k)) for k in range(len(self.days))]

    @property
    def title(self) -> str:
        """The date of a single day; for several, the first of them and their number."""
        first = str(self.days[0].date())
        return first if len(self.days) == 1 else f"{first} and {len(self.days) - 1} more days"

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
