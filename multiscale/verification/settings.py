"""Settings of the verification."""

from __future__ import annotations

from pydantic import Field

from multiscale.settings import Settings, count


class VerificationSettings(Settings):
    """What is checked beyond the representative days."""

    year: bool = Field(
        True, description="whether the plan is checked by AC power flow in every hour of the year (where the profiles span 365 days or more)"
    )
    outages: bool = Field(
        True,
        description="whether the plan is checked by AC power flow under every single outage of a medium-voltage line on the representative days, and "
        "made anew where a branch that keeps a reserve would be overloaded (where system.limits.mv_load keeps one)",
    )
    further_days: int = count(
        400,
        "largest number of dispatches of days beyond the representative ones, where the AC power flow of the year is violated on the response they "
        "have; 0: none",
        0,
        10_000,
    )
