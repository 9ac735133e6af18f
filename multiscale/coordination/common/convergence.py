"""How a negotiation converged, step by step: what the terminal shows and the report plots."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step of a negotiation.

    Attributes:
        step, round: numbers; without late answers a step is a round.
        cost: of the best feasible point [EUR/a].
        bound: best proven lower bound [EUR/a].
        answered: children that have answered the present request.
        messages, bytes: sent so far, both ways, at the parent's own boundary.
        seconds: since the start.
    """

    step: int
    round: int
    cost: float
    bound: float
    answered: int
    messages: int
    bytes: int
    seconds: float

    @property
    def gap(self) -> float:
        """(cost - bound) / |cost|."""
        return (self.cost - self.bound) / max(abs(self.cost), 1.0)

    def __str__(self) -> str:
        shown = f"gap {100 * self.gap:.2g} %" if abs(self.gap) < float("inf") else "no bound yet"
        return f"round {self.round}, {shown}, {self.messages:,} messages"
