"""What a planner's cost of operation consists of, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from multiscale.devices.fleet import Fleet, purchasable
from multiscale.programs import ParametricProgram

BOUNDARY = ("import", "export")
"""Columns of the operator with which it trades with its parent."""
UNSERVED = "unserved"
"""Columns of the operator and of its platforms with demand that is not served."""


def planned_costs(program: ParametricProgram, x: np.ndarray, fleets: Mapping[str, Fleet], annuity: Callable[[float], float]) -> dict[str, float]:
    """Cost of operation without transfers in an answer of the follower, by kind [EUR/a].

    Args:
        program: the follower, with its output ``resource_cost``.
        x: its columns.
        fleets: platform -> participants that buy devices.
        annuity: lifetime [a] -> yearly payment per EUR invested [1/a].

    Returns:
        ``equipment``: annuities and upkeep of devices bought; ``energy``: exchange with the parent at the forecast price; ``unserved demand``: at the
        value of lost load; ``wear and discomfort``: everything else. They add up to the resource cost.
    """
    spent = program.outputs["resource_cost"].matrix.toarray().ravel() * x
    found = {"equipment": 0.0, "energy": 0.0, "unserved demand": 0.0, "wear and discomfort": program.d0}
    for block in program.columns:
        kind = "energy" if block.name in BOUNDARY else "unserved demand" if block.name.rsplit("/", 1)[-1] == UNSERVED else "wear and discomfort"
        found[kind] += float(spent[block.positions].sum())
    for platform, fleet in fleets.items():
        for device in purchasable(fleet.devices).values():
            column = f"{platform}/{device.capacity.column}"
            if column in program.columns:
                yearly = device.yearly_cost(annuity) * float(x[program.columns[column].positions].sum())
                found["equipment"] += yearly
                found["wear and discomfort"] -= yearly
    return found
