"""Import and export prices of the networks of the DSOs from a probabilistic dispatch: their gap, what it earns, and what the limits prevent."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.publication.probabilistic import probabilistic_prices, violated_share

FRESH = 7919
"""Added to the seed of the scenarios: those out of sample are others."""

COLUMNS = [
    "DSO",
    "forecast error",
    "scenario-hours over a limit",
    "mean gap [EUR/kWh]",
    "least expected surplus [EUR/h]",
    "over a limit out of sample",
]


def feeder_table(day: PreparedDay, errors: Sequence[float], *, scenarios: int = 200, seed: int = 0) -> pd.DataFrame:
    """Prices of every DSO's network on a day by size of the forecast error, see ``probabilistic``.

    The forecast is the integrated optimum of the parents' model. Net loads err relative to the largest one of their bus. Energy upstream has one
    price, that of the forecast, so the gap pays for congestion, losses and errors only.

    Args:
        day: the day.
        errors: standard deviations of the relative forecast error [1].
        scenarios: number of scenarios; as many fresh ones are looked at out of sample.
        seed: of the scenarios.
    """
    rows = []
    for dso in day.model.distribution:
        mean, reactive = forecast_net_load(day, dso)
        tree, price = day.model.distribution[dso].reduced.tree, day.forecast.energy_price[dso]
        for size in errors:
            begun = time.process_time()
            drawn, fresh = (_scenarios(mean, ErrorModel(size, seed=s), scenarios, day.model.horizon.step_hours) for s in (seed, seed + FRESH))
            lost, curtailed = day.model.economics.value_of_lost_load, day.model.system.curtailment_cost
            prices = probabilistic_prices(tree, drawn, reactive, price, price, value_of_lost_load=lost, curtailment_cost=curtailed)
            gap = float((prices.import_price - prices.export_price).mean())
            over = violated_share(tree, fresh, reactive, prices)
            rows.append((dso, size, float((prices.relief_cost > 0).mean()), gap, float(prices.surplus.mean(axis=0).min()), float(over.mean())))
            print(f"{dso}, error {size:g}: gap {100 * gap:.3g} ct/kWh ({time.process_time() - begun:.0f} CPU s)", file=sys.stderr, flush=True)
    return pd.DataFrame(rows, columns=COLUMNS)


def forecast_net_load(day: PreparedDay, dso: str) -> tuple[np.ndarray, np.ndarray]:
    """Net load [kW] and reactive power less line charging [kvar] that are forecast at every bus of a DSO's network, (bus, period)."""
    model, own = day.model, day.model.distribution[dso]
    buses = own.reduced.tree.buses.tolist()
    passive = model.system.passive(dso, model.horizon)
    net, reactive = np.zeros((2, len(buses), model.horizon.periods))
    at = {bus: i for i, bus in enumerate(buses)}
    for k, bus in enumerate(passive.bus.values.tolist()):
        if bus in at:
            net[at[bus]] += passive.demand.values[k] - passive.generation.values[k]
            reactive[at[bus]] += passive.reactive.values[k]
    for child, i in zip(own.children, own.child_bus.tolist(), strict=True):
        net[i] += day.forecast.exchange[child]
        reactive[i] += model.fleets[child].data.reactive.values.sum(axis=0)
    return net, reactive - own.reduced.tree.charging[:, None]


def _scenarios(mean: np.ndarray, error: ErrorModel, count: int, step_hours: float) -> np.ndarray:
    """Net loads around a forecast [kW], (scenario, bus, period)."""
    drawn = error.draw(mean.shape[0], mean.shape[1], step_hours, count)
    return mean + error.size * np.abs(mean).max(axis=1)[None, :, None] * drawn
