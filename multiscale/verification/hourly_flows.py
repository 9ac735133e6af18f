"""What an AC power flow of many hours finds, whichever solver computes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.verification.pandapower_model import PowerFlowModel


@dataclass(frozen=True)
class HourlyFlows:
    """AC power flow of many hours (or periods).

    Attributes:
        loading: (branch, hour) [% of the reinforced rating, by current; 0 out of service, NaN without supply].
        voltage: (bus, hour) [pu]; NaN without supply.
        tap: (transformer, hour) [1].
        losses: of lines and transformers, (hour) [kW].
        exchange, exchange_reactive: drawn from above, (hour) [kW, kvar].
        converged: (hour); the other values of an hour that does not converge are NaN, its taps those last tried.
    """

    loading: np.ndarray
    voltage: np.ndarray
    tap: np.ndarray
    losses: np.ndarray
    exchange: np.ndarray
    exchange_reactive: np.ndarray
    converged: np.ndarray

    @classmethod
    def empty(cls, model: PowerFlowModel, hours: int) -> HourlyFlows:
        """Nothing computed yet: taps on the positions of the branch table, all else NaN."""
        taps = model.branches.tap_pos.values[model.transformer].astype(float)
        return cls(
            np.full((model.branches.sizes["branch"], hours), np.nan),
            np.full((model.buses.sizes["bus"], hours), np.nan),
            np.repeat(taps[:, None], hours, axis=1),
            np.full(hours, np.nan),
            np.full(hours, np.nan),
            np.full(hours, np.nan),
            np.zeros(hours, dtype=bool),
        )
