"""How to negotiate, all that is known while it lasts, and what it led to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from multiscale.coordination.common.convergence import Step
from multiscale.coordination.common.messages import Traffic
from multiscale.coordination.negotiation.children.request import Request
from multiscale.coordination.negotiation.parent import MasterPoint

METHODS = ("columns", "level", "admm", "hybrid")


@dataclass(frozen=True)
class NegotiationOptions:
    """How to negotiate.

    Attributes:
        method: one of METHODS.
        gap: relative gap (to the cost) at which to stop [1].
        target: gap at which to stop in money [EUR/a]; the larger of both counts.
        rounds: at most.
        level: where between bound and cost the level lies [1].
        slope: first slope of the targets, as a share of mean price / mean exchange [1].
        quorum: share of the children whose answers end a round [1].
        patience: steps without an answer to a later request than before, after which a child is excluded; repeated answers are none.
        share_of_gap: part of the present gap that the children's own answers may miss [1].
    """

    method: str = "hybrid"
    gap: float = 1e-3
    target: float = 0.0
    rounds: int = 60
    level: float = 0.5
    slope: float = 0.3
    quorum: float = 1.0
    patience: int = 25
    share_of_gap: float = 0.1

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method {self.method!r} is unknown; there are {METHODS}")


@dataclass
class NegotiationState:
    """All that is known in a negotiation; what is kept between rounds, and all that a restart needs.

    Attributes:
        round, step: numbers; first_round: of the present negotiation.
        asked: requests by round.
        known: child -> (price, value) of every answer.
        valid_from: child -> first round whose answers count, where earlier ones were withdrawn.
        bound, centre: best proven bound [EUR/a] and its prices [EUR/kWh], (child, period).
        cost: of the best feasible point [EUR/a].
        point: the master's answer.
        price, target_price: level price, and price at the target.
        plan: exchange the parent prefers [kW]; slope: of leaving it.
        silent: steps in which each child was asked since it answered a later request than before; heard: the number of that request.
        excluded: child -> why it is excluded.
        engines: child -> what computed its last reply, as it said.
        history: steps.
        traffic: messages.
    """

    round: int = 0
    first_round: int = 0
    step: int = 0
    asked: dict[int, dict[str, Request]] = field(default_factory=dict)
    known: dict[str, list[tuple[np.ndarray, float]]] = field(default_factory=dict)
    valid_from: dict[str, int] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    bound: float = -np.inf
    centre: np.ndarray | None = None
    cost: float = np.inf
    point: MasterPoint | None = None
    prices: np.ndarray = field(default_factory=lambda: np.zeros(0))
    target_price: np.ndarray | None = None
    plan: np.ndarray | None = None
    near: np.ndarray | None = None
    slope: float = 0.0
    silent: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, str] = field(default_factory=dict)
    engines: dict[str, str] = field(default_factory=dict)
    history: list[Step] = field(default_factory=list)
    traffic: Traffic = field(default_factory=Traffic)
    steps_failed: int = 0

    @property
    def gap(self) -> float:
        """(cost - bound) / |cost|."""
        return (self.cost - self.bound) / max(abs(self.cost), 1.0)


@dataclass(frozen=True)
class NegotiationResult:
    """What a negotiation led to.

    Attributes:
        status: ``agreed`` (gap reached), ``open`` (rounds used up; the gap says how far), ``partial`` (children were excluded).
        cost, bound: of the whole (without what excluded children cost) [EUR/a].
        point: weights of all offers, exchanges, prices, the parent's columns.
        prices: price lists that were asked, for the next day's first round.
        history: steps; traffic: messages; excluded: child -> reason.
        state: everything, to go on later.
        shortfall: where the gap was not reached, by how much and after how many rounds; else empty.
    """

    status: str
    cost: float
    bound: float
    point: MasterPoint
    prices: tuple[np.ndarray, ...]
    history: tuple[Step, ...]
    traffic: Traffic
    excluded: Mapping[str, str]
    state: NegotiationState
    shortfall: str = ""

    @property
    def gap(self) -> float:
        """(cost - bound) / |cost|."""
        return (self.cost - self.bound) / max(abs(self.cost), 1.0)
