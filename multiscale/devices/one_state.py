"""Devices whose past matters through one number only, the energy they hold: what a batched solution of very many of them works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

ARRAYS = ("power_in", "power_out", "presence", "gain_in", "gain_out", "keep", "shift", "low", "high", "kink_below", "kink_above")
"""Fields of ``OneState`` over (owner, period)."""


@dataclass(frozen=True)
class InProgram:
    """A schedule of devices as columns of a program.

    Attributes:
        columns: name -> values, (owner, period).
        row: the rows of the energy balance; empty where there are none.
        sign: what a dual of them is per value of a unit of the state [1], (owner, period) or a number.
    """

    columns: Mapping[str, np.ndarray]
    row: str = ""
    sign: np.ndarray | float = 1.0


@dataclass(frozen=True)
class OneState:
    """Devices with one state each, cyclic over the horizon's cycle, and costs that are piecewise linear.

        x_t = keep x_(t-1) + D (gain_in drawn_t - gain_out supplied_t) + shift_t,    low <= x <= high      [kWh]
        0 <= drawn_t <= power_in presence_t,   0 <= supplied_t <= power_out presence_t                     [kW]
        cost = sum_t h_t [ wear (drawn_t + supplied_t) + cost_below max(kink_below - x_t, 0) + cost_above max(x_t - kink_above, 0) ]

    with D the step [h] and h_t the hours of the year of a period [h/a]. Arrays are over (owner, period); each dimension may have length 1, for all.

    Attributes:
        owners: position of each owner among the prosumers, (owner,).
        power_in, power_out: most power drawn and supplied [kW].
        presence: share of it that is at hand [1].
        gain_in: state gained per energy drawn [1].
        gain_out: state given up per energy supplied [1].
        keep: share of the state left a period later [1], above 0.
        shift: state gained from elsewhere in a period [kWh].
        low, high: bounds of the state [kWh].
        wear: cost of each kWh drawn or supplied [EUR/kWh].
        kink_below, kink_above: states beyond which holding costs [kWh]; the first is not above the second.
        cost_below, cost_above: what it costs [EUR/kWh per h].
    """

    owners: np.ndarray
    power_in: np.ndarray
    power_out: np.ndarray
    presence: np.ndarray
    gain_in: np.ndarray
    gain_out: np.ndarray
    keep: np.ndarray
    shift: np.ndarray
    low: np.ndarray
    high: np.ndarray
    wear: float = 0.0
    kink_below: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))
    kink_above: np.ndarray = field(default_factory=lambda: np.zeros((1, 1)))
    cost_below: float = 0.0
    cost_above: float = 0.0

    def __post_init__(self) -> None:
        for name in ARRAYS:
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=float))

    def rows(self, chosen: np.ndarray | slice) -> OneState:
        """Some of the owners, as a mask, positions or a slice."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        parts: dict[str, Any] = {name: values if values.shape[0] == 1 else values[chosen] for name, values in arrays.items()}
        return replace(self, owners=self.owners[chosen], **parts)

    def states(self, drawn: np.ndarray, supplied: np.ndarray, start: np.ndarray, step_hours: float) -> np.ndarray:
        """State at the end of every period [kWh], (owner, period), from power drawn and supplied [kW] and the state at the start [kWh], (owner,)."""
        gained = step_hours * (self.gain_in * drawn - self.gain_out * supplied) + self.shift
        keep = np.broadcast_to(self.keep, gained.shape)
        state, out = start, np.empty_like(gained)
        for t in range(gained.shape[1]):
            state = out[:, t] = keep[:, t] * state + gained[:, t]
        return out

    def cost(self, drawn: np.ndarray, supplied: np.ndarray, state: np.ndarray, hours: np.ndarray) -> float:
        """Cost of a schedule [EUR/a]; ``hours``: of the year, of every period [h/a], (period,)."""
        worn = self.wear * (drawn + supplied).sum(axis=0)
        below = self.cost_below * np.maximum(self.kink_below - state, 0.0).sum(axis=0)
        above = self.cost_above * np.maximum(state - self.kink_above, 0.0).sum(axis=0)
        return float(hours @ (worn + below + above))
