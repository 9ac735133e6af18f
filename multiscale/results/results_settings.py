"""Settings of what is compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from multiscale.results.scenarios import HEADLINE, REFERENCES, SCENARIOS
from multiscale.settings import OneOf, Settings

_FURTHER = tuple(spec.name for spec in SCENARIOS if spec.name not in (*REFERENCES, HEADLINE))


class ResultsSettings(Settings):
    """What is compared in the report."""

    baseline: Annotated[str, OneOf([spec.name for spec in SCENARIOS if spec.name != HEADLINE])] = Field(
        "conventional", description="scenario that the plan is compared with first"
    )
    operated: tuple[Annotated[str, OneOf(_FURTHER)], ...] = Field(
        _FURTHER,
        description="scenarios that are operated besides existing, conventional and plan, to tell apart what the plan, response, trading and "
        "purchases bring; an empty list saves their time",
    )
    market_gains: bool = Field(
        False,
        description="whether it is found what members gain in their market, against none and against a community without fees: three more solves of "
        "every platform and day",
    )
