"""Feeders made up from formulas, of any size."""

from __future__ import annotations

import numpy as np

from multiscale.coordination.common.forecast import ErrorModel
from multiscale.operation.radial import RadialTree


def feeder(buses: int, seed: int = 0, rating: float = 1.0) -> RadialTree:
    """A 20 kV feeder: every bus hangs on one of the last three before it; cables thin out with what they carry."""
    draw = np.random.default_rng(seed)
    above = np.array([-1] + [max(0, i - 1 - int(draw.integers(3))) for i in range(1, buses)])
    below = np.ones(buses)
    for i in range(buses - 1, 0, -1):
        below[above[i]] += below[i]
    everywhere = np.ones(buses)
    return RadialTree(
        node="feeder",
        buses=np.array([f"bus {i}" for i in range(buses)]),
        feeder=above,
        rating=np.concatenate([[np.inf], rating * 60.0 * below[1:] ** 0.9]),
        load_share=everywhere,
        feed_in_share=everywhere,
        resistance=np.concatenate([[0.0], draw.uniform(0.05, 0.3, buses - 1)]),
        reactance=np.concatenate([[0.0], draw.uniform(0.05, 0.2, buses - 1)]),
        vn_kv=20.0 * everywhere,
        v_min=0.95 * everywhere,
        v_max=1.05 * everywhere,
        charging=0.0 * everywhere,
        boost=0.0 * everywhere,
        reference=np.arange(buses) == 0,
        held=everywhere,
        v_reference=everywhere[:, None],
        members=((), *((f"line {i}",) for i in range(1, buses))),
    )


def net_load(buses: int, periods: int, seed: int = 0) -> np.ndarray:
    """Forecast net load [kW] (bus, period): households with an evening peak, a third of them with PV; nothing at the root."""
    draw = np.random.default_rng(seed + 1)
    hour = (np.arange(periods) + 0.5) * 24.0 / periods
    evening = 0.5 + np.exp(-0.5 * ((hour - 19.0) / 2.5) ** 2)
    noon = np.clip(np.cos(np.pi * (hour - 12.5) / 12.0), 0.0, None)
    pv = draw.uniform(20, 120, buses) * (draw.random(buses) < 0.35)
    load = draw.uniform(10, 50, buses)[:, None] * evening - pv[:, None] * noon
    load[0] = 0.0
    return load


def scenarios(mean: np.ndarray, size: float, count: int, seed: int = 0) -> np.ndarray:
    """Net loads around a forecast, (scenario, bus, period); errors relative to the largest net load of each bus."""
    error = ErrorModel(0.1, seed=seed).draw(mean.shape[0], mean.shape[1], 24.0 / mean.shape[1], count)
    return mean + size * np.abs(mean).max(axis=1)[None, :, None] * error
