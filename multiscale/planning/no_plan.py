"""There is no plan, or none was found in time."""

from __future__ import annotations

from dataclasses import dataclass

from multiscale import bilevel


@dataclass(frozen=True)
class Relaxation:
    """A limit of the study that has to move before there can be a plan.

    Attributes:
        of: whose plan.
        setting: key of the limit in the configuration.
        value: what it is.
        needed: what it has to be at least; proven to be necessary, not to be enough.
        unit: of both.
    """

    of: str
    setting: str
    value: float
    needed: float
    unit: str


class NoPlanError(bilevel.BilevelError):
    """There is no plan, or none was found in time.

    Attributes:
        status: ``infeasible``, ``time_limit`` or ``error``.
        relaxation: the limit that has to move, where it is known.
    """

    def __init__(self, status: str, message: str, relaxation: Relaxation | None = None) -> None:
        super().__init__(message)
        self.status, self.relaxation = status, relaxation
