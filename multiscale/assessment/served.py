"""What the network does not carry of a platform's exchange: cut off at its connection by the operator."""

from __future__ import annotations

import numpy as np

from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree


def cut_off(tree: OperatingTree, outcome: Outcome, platform: str) -> tuple[np.ndarray, np.ndarray]:
    """Demand of a platform that its operator sheds, and feed-in that it refuses [kW], (period,).

    Bills, energy accounts and ledger all take it from here; the AC power flow takes the same columns at the platform's busbar.
    """
    own = next(own for own in tree.distribution.values() if platform in own.children)
    x, place = outcome.distribution_x[own.program.name], own.children.index(platform)
    shed, spilled = (own.program.columns.array(name, x).values[place] for name in ("shed", "spilled"))
    return shed, spilled
