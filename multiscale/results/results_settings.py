"""Settings of what is compared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from multiscale.settings import Settings


class ResultsSettings(Settings):
    """What is compared in the report."""

    baseline: Literal["existing", "conventional"] = Field(
        "conventional", description="scenario that the plan is compared with: the existing network, or that with conventional reinforcement"
    )
