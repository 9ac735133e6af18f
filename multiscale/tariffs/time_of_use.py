"""A price on imported energy that differs between blocks of hours of the day."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from multiscale.programs import ProgramBuilder
from multiscale.tariffs.component import EnergyPrice
from multiscale.tariffs.metering import Charge, Metering
from multiscale.timeline import Horizon


class TimeOfUsePrice(EnergyPrice):
    """A price on imported energy for every block of hours: ``sum_b price_b sum_(t in b) h_t (import_t + share * traded_t)`` [EUR/a].

    A block begins at each hour of ``starts`` and ends where the next begins, every day; hours before the first belong to the last. A period
    belongs to the block in which it starts. Decided prices are one for each block; a given price is ``price * relative_b``. ``share`` is the part
    of the charge that trade between peers pays too (a setting of the market).
    """

    kind: Literal["time_of_use"] = "time_of_use"
    starts: tuple[int, ...] = Field((0, 8, 16), description="hours of the day at which blocks begin, rising [h]")
    relative: tuple[float, ...] = Field((), description="given price of every block relative to price [1]; empty: all alike")

    @model_validator(mode="after")
    def _blocks(self) -> TimeOfUsePrice:
        if not self.starts or any(not 0 <= hour < 24 for hour in self.starts) or any(b <= a for a, b in pairwise(self.starts)):
            raise ValueError(f"starts {list(self.starts)} are not hours of the day that rise; give hours from 0 to 23, each once, e.g. [0, 8, 16]")
        if self.relative and self.price is None:
            raise ValueError("relative has no effect on prices that are decided; give price, or leave relative empty")
        if self.relative and (len(self.relative) != len(self.starts) or not all(0 <= factor < np.inf for factor in self.relative)):
            raise ValueError(f"relative {list(self.relative)} does not give one factor of at least 0 for each of the {len(self.starts)} blocks")
        return self

    @property
    def given(self) -> np.ndarray | float | None:
        """See ``Component``."""
        return None if self.price is None else self.price * np.asarray(self.relative or np.ones(len(self.starts)))

    def coordinates(self, horizon: Horizon) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Blocks, each named after its first hour."""
        return {"block": np.array([f"{hour:02d}:00" for hour in self.starts])}

    def blocks(self, horizon: Horizon) -> np.ndarray:
        """Position of the block of every period, (period,)."""
        hours = np.tile(np.arange(horizon.steps) * horizon.step_hours, len(horizon.days))
        return np.asarray((np.searchsorted(self.starts, hours, side="right") - 1) % len(self.starts))

    def determinant(self, builder: ProgramBuilder, name: str, metering: Metering) -> list[Charge]:  # noqa: ARG002
        """Energy imported at all metering points in every block, and the share of peer trade that pays [kWh/a]."""
        hours, block = metering.horizon.hours_per_year, self.blocks(metering.horizon)
        charges = [Charge(metering.imported, hours, block)]
        share = metering.peer_shares.get(self.receiver, 0.0)
        if share > 0 and metering.bought is not None:
            charges += [Charge(metering.bought, share * hours, block), Charge(metering.imported, -share * hours, block)]
        return charges

    def passive(self, served: np.ndarray, generation: np.ndarray, horizon: Horizon) -> np.ndarray:  # noqa: ARG002
        """Energy served to passive customers in every block [kWh/a], (block,)."""
        energy = (served * horizon.hours_per_year).sum(axis=0)
        return np.bincount(self.blocks(horizon), weights=energy, minlength=len(self.starts))
