"""Gap after every round of the negotiation, for more and more distribution systems below one transmission system.

All cases have as many networks in all (``NETWORKS``): a single network draws 5 to 20 MW, which moves no price in a system of 70 GW, so with a fixed
size of each the negotiations of few would be over in one round. With few distribution systems each of them is large, with many each is small.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from multiscale.compare_mechanisms.enlarged import many_dsos, one_day, tree_of
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of

NETWORKS = 280
"""Networks of all distribution systems together."""


def rounds_table(kind: str, counts: Sequence[int], gap: float = 1e-4, rounds: int = 100) -> pd.DataFrame:
    """Certified gap and messages after every round, until ``gap`` is reached; ``kind`` and the case: see ``enlarged``."""
    rows = []
    for count in counts:
        begun = time.process_time()
        tree = tree_of(*many_dsos(kind, count, parallel=NETWORKS / count), one_day(), aggregated=True)
        run = negotiation_of(tree, SerialEngine(), NegotiationOptions(gap=gap, rounds=rounds))
        messages: list[int] = []
        agreement = run.run(watch=lambda _step, run=run, messages=messages: messages.append(run.traffic().messages))  # type: ignore[misc]
        for step, sent in zip(agreement.history, messages, strict=True):
            rows.append((count, step.round, step.cost, step.bound, step.gap if np.isfinite(step.bound) else np.nan, sent))
        print(f"{kind}, {count} DSOs: {len(messages)} rounds ({time.process_time() - begun:.0f} CPU s)", file=sys.stderr, flush=True)
    return pd.DataFrame(rows, columns=["DSOs", "round", "cost", "bound", "gap", "messages"])
