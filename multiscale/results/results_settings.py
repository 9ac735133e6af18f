"""Settings of what is compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from multiscale.assessment.incomes import read_incomes
from multiscale.results.scenarios import HEADLINE, REFERENCES, SCENARIOS
from multiscale.settings import OneOf, Settings, count, quantity

ALL_SCENARIOS = "all"
"""Value of ``ledger``."""

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
    ledger: Literal["all", "headline"] = Field(
        "all", description="scenarios of which every trade is in the ledger: all that are operated, or the plan alone (smaller files)"
    )
    incomes: Path | None = Field(
        None,
        description="CSV table of yearly incomes of households (columns prosumer, income_eur), for the energy burden by income group; empty: not "
        "evaluated",
    )
    income_groups: int = count(5, "number of groups of equal size in which incomes are shown", 1, 100)
    burden_limit: float = quantity(0.1, "1", "share of its income above which the bill of a household is a high energy burden", above=0.0, upper=1.0)

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read from outside."""
        return () if self.incomes is None else (self.incomes,)

    @field_validator("incomes")
    @classmethod
    def _incomes_readable(cls, path: Path | None) -> Path | None:
        if path is not None:
            read_incomes(path)
        return path
