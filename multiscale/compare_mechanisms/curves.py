"""Value, messages and bytes of every mechanism at every forecast error, each played forward hour by hour; and what forecasts cannot spoil."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import pandas as pd

from multiscale.compare_mechanisms.mechanisms import playable
from multiscale.coordination.common.forecast import ErrorModel, day_errors
from multiscale.coordination.common.prepared import PreparedDay
from multiscale.coordination.common.simulation import PlayedDay, play_day
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.bidirectional import negotiated_outcome
from multiscale.coordination.negotiation.state import NegotiationOptions

COLUMNS = ["mechanism", "forecast error", "seed", "cost", "value reached", "messages a day", "bytes a day"]


def curves_table(days: Sequence[PreparedDay], errors: Sequence[float], seeds: Sequence[int], history: int) -> pd.DataFrame:
    """Each day is played alone, with what was learned from the days before it; as many draws of each error as ``seeds`` says (one without).

    The integrated optimum and the bidirectional negotiation know the day as it happens: they are the most that coordination could achieve, and their
    rows hold at every error.
    """
    rows = []
    bound, per_day = sum(day.optimum.bound for day in days), 1.0 / len(days)
    agreed = [negotiated_outcome(day.tree, SerialEngine(), NegotiationOptions(gap=1e-4)) for day in days]
    together = sum(a.cost for a in agreed)
    sent = [per_day * sum(getattr(a.traffic, n) for a in agreed) for n in ("messages", "bytes")]
    for error, draws in zip(errors, seeds, strict=True):
        for seed in range(draws if error > 0 else 1):
            model = ErrorModel(error, seed=seed)
            found: dict[str, list[PlayedDay]] = {}
            for day in days:
                for name, mechanism in playable(day, model, history):
                    found.setdefault(name, []).append(play_day(day, mechanism, day_errors(model, day.tree, day.name)))
                    said = f"{name}, error {error:g}, seed {seed}, {day.name}: {found[name][-1].outcome.cost:.0f}"
                    print(f"{said} ({time.process_time():.0f} CPU s)", file=sys.stderr, flush=True)
            flat = sum(p.outcome.cost for p in found["flat"])
            rows.append(("integrated", error, seed, sum(day.optimum.cost for day in days), 1.0, 0.0, 0.0))
            rows.append(("bidirectional", error, seed, together, (flat - together) / (flat - bound), *sent))
            for name, played in found.items():
                cost = sum(p.outcome.cost for p in played)
                traffic = [p.outcome.traffic for p in played]
                messages, size = (per_day * sum(getattr(t, a) for t in traffic) for a in ("messages", "bytes"))
                rows.append((name, error, seed, cost, (flat - cost) / (flat - bound), messages, size))
    return pd.DataFrame(rows, columns=COLUMNS)
