"""Settings of the verification."""

from __future__ import annotations

from pydantic import Field

from multiscale.settings import Settings


class VerificationSettings(Settings):
    """What is checked beyond the representative days."""

    year: bool = Field(
        True, description="whether the plan is checked by AC power flow in every hour of the year (where the profiles span 365 days or more)"
    )
