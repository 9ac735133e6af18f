"""Hours of the day in which something holds."""

from __future__ import annotations

import numpy as np

from multiscale.timeline import Horizon


def inside(horizon: Horizon, begins: float, ends: float) -> np.ndarray:
    """Share of every period that lies between two hours of the day [1], (period,); where they end before they begin, on the next day."""
    start = np.arange(horizon.steps) * horizon.step_hours
    last = ends if ends > begins else ends + 24.0
    hours = np.zeros(horizon.steps)
    for day in (-24.0, 0.0, 24.0):
        hours += np.clip(np.minimum(start + horizon.step_hours, last + day) - np.maximum(start, begins + day), 0.0, None)
    return np.tile(hours / horizon.step_hours, len(horizon.days))
