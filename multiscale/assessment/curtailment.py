"""Generation that is available and not used, period by period."""

from __future__ import annotations

import numpy as np

from multiscale.assessment.served import cut_off
from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree


def curtailed_power(tree: OperatingTree, outcome: Outcome) -> dict[str, dict[str, np.ndarray]]:
    """DSO -> itself and its platforms -> power that is available and not used [kW], (period,).

    Of a DSO: of its passive customers, and what it refuses at the connections of its platforms. Of a platform: of its members; platforms that were
    excluded are omitted, since what they do inside is not known. The ledger books the curtailment cost of exactly these.
    """
    found = {}
    for dso, own in tree.distribution.items():
        refused = [cut_off(tree, outcome, platform)[1] for platform in own.children]
        passive = _total(own.program.columns.values("curtailed", outcome.distribution_x[dso]), tree)
        known = [platform for platform in own.children if platform not in outcome.excluded]
        found[dso] = {dso: sum(refused, passive)} | {p: _of_members(tree, p, outcome.platform_x[p]) for p in known}
    return found


def _of_members(tree: OperatingTree, platform: str, schedule: np.ndarray) -> np.ndarray:
    fleet, columns = tree.fleets[platform], tree.platforms[platform].columns

    def power(name: str) -> np.ndarray:
        return _total(columns.values(name, schedule), tree) if name in columns else np.zeros(tree.horizon.periods)

    return sum((np.asarray(device.curtailed(fleet, power)) for device in fleet.devices.values()), np.zeros(tree.horizon.periods))


def _total(values: np.ndarray, tree: OperatingTree) -> np.ndarray:
    """Sum over all dimensions but the last, the period."""
    return np.asarray(values).reshape(-1, tree.horizon.periods).sum(axis=0)
