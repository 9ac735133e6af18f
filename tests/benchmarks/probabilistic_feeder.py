"""Probabilistic prices of a feeder of 100 buses: ``python -m tests.benchmarks.probabilistic_feeder``."""

import time

import numpy as np

from multiscale.coordination.publication.probabilistic import probabilistic_prices, violated_share
from tests.coordination.feeders import feeder, net_load, scenarios

BUSES, PERIODS, SCENARIOS, FRESH = 100, 24, 500, 2000


def main() -> None:
    """CPU time, exceeded limits, gap, and limits exceeded out of sample, by size of the forecast error."""
    tree, mean = feeder(BUSES), net_load(BUSES, PERIODS)
    reactive, upstream = 0.2 * np.maximum(mean, 0.0), np.linspace(0.08, 0.20, PERIODS)
    head = ("error", "CPU s", "scenario-hours over a limit", "mean gap, ct/kWh", "least expected surplus, EUR/h", "over a limit out of sample")
    print("| " + " | ".join(head) + " |")
    print("|---|---|---|---|---|---|")
    for size in (0.0, 0.1, 0.2):
        started = time.process_time()
        drawn = scenarios(mean, size, SCENARIOS)
        prices = probabilistic_prices(tree, drawn, reactive, upstream, upstream - 0.02, value_of_lost_load=5.0, curtailment_cost=0.001)
        seconds = time.process_time() - started
        over = violated_share(tree, scenarios(mean, size, FRESH, seed=99), reactive, prices)
        gap = 100 * float((prices.import_price - prices.export_price).mean())
        exceeding, surplus = 100 * (prices.relief_cost > 0).mean(), prices.surplus.mean(axis=0).min()
        outside = f"{100 * over.mean():.2f} % / {100 * over.max():.2f} %"
        print(f"| {100 * size:g} % | {seconds:.1f} | {exceeding:.0f} % | {gap:.2f} | {surplus:.3g} | {outside} |", flush=True)


if __name__ == "__main__":
    main()
