"""There is no plan, or none was found in time."""

from __future__ import annotations

from multiscale import bilevel


class NoPlanError(bilevel.BilevelError):
    """There is no plan, or none was found in time.

    Attributes:
        status: ``infeasible``, ``time_limit`` or ``error``.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
