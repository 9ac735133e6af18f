"""What a coordination mechanism led to, in one form for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.coordination.common.convergence import Step
from multiscale.coordination.common.messages import Signal, Traffic
from multiscale.operation import Dispatch, OperatingTree


@dataclass(frozen=True)
class Reserves:
    """Reserves for forecast errors, as negotiated together with energy (see ``operation.reserves``); at a boundary in the periods of the upper side.

    Attributes:
        cost: node -> cost of the flexibility it holds back [EUR/a], (period,); of the TSO beyond what its own errors alone would cost; not of
            platforms that were excluded.
        handed: node -> standard deviation it hands to its parent [kW], (period,).
        price: node -> price of handing over [EUR/kWh per kW of standard deviation], (period,).
        coverage: standard deviations for which they are held [1].
    """

    cost: Mapping[str, np.ndarray]
    handed: Mapping[str, np.ndarray]
    price: Mapping[str, np.ndarray]
    coverage: float

    @property
    def total(self) -> float:
        """Cost of all flexibility held back [EUR/a]."""
        return float(sum(c.sum() for c in self.cost.values()))


@dataclass(frozen=True)
class Outcome:
    """Operation of the whole tree over one horizon (one representative day) under one mechanism.

    Costs are those of supplying the networks below the transmission level: the TSO's cost is counted from its dispatch without them.

    Attributes:
        mechanism: name.
        cost: total, with the cost of flexibility held back for forecast errors where that was negotiated [EUR/a].
        bound: proven lower bound on the cost of any operation under the same design [EUR/a].
        platform_x: platform -> columns of its program.
        platform_y: platform -> row duals of its program.
        distribution_x: DSO -> columns of its program.
        exchange: node -> power drawn from its parent [kW], (period,).
        signals: platform -> what was published to it (empty for the integrated optimum).
        energy_price: DSO -> nodal price at its boundary [EUR/kWh], (period,).
        platform_price: platform -> nodal price at its boundary [EUR/kWh], (period,).
        dispatch: of the TSO.
        transmission_cost: of the dispatch, counted from the one in which no DSO draws anything [EUR/a].
        rounds: messages to and fro.
        traffic: messages.
        history: how a negotiation converged, step by step; empty for the others.
        reserves: who holds them for forecast errors, where it was negotiated together with energy.
        excluded: platform -> why it is excluded: its exchange is given, and what it does inside is not known. It has no columns and no
            row duals; cost and bound are those of the others.
        shortfall: what was asked of the mechanism and not achieved, e.g. the gap of a negotiation whose rounds ran out; else empty.
    """

    mechanism: str
    cost: float
    bound: float
    platform_x: Mapping[str, np.ndarray]
    platform_y: Mapping[str, np.ndarray]
    distribution_x: Mapping[str, np.ndarray]
    exchange: Mapping[str, np.ndarray]
    signals: Mapping[str, Signal]
    energy_price: Mapping[str, np.ndarray]
    platform_price: Mapping[str, np.ndarray]
    dispatch: Dispatch
    transmission_cost: float
    rounds: int
    traffic: Traffic = field(default_factory=Traffic)
    history: tuple[Step, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    reserves: Reserves | None = None
    shortfall: str = ""

    @property
    def energy_cost(self) -> float:
        """The cost without that of flexibility held back for forecast errors [EUR/a]."""
        return self.cost - (self.reserves.total if self.reserves is not None else 0.0)

    @property
    def gap(self) -> float:
        """(cost - bound) / cost."""
        return (self.cost - self.bound) / max(abs(self.cost), 1.0)


def transmission_cost(tree: OperatingTree, dispatch: Dispatch) -> float:
    """Cost of a dispatch [EUR/a], counted from the one in which no DSO draws anything."""
    return float((dispatch.cost - tree.transmission.idle_cost).sum())
