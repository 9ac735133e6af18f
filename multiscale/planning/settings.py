"""Settings of the plan: nothing is built, or the distribution system operator chooses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from multiscale.bilevel.reformulate.assemble import REFORMULATIONS
from multiscale.settings import OneOf, Settings, count, quantity


class PlanningSettings(Settings):
    """What the distribution system operator decides."""

    candidates: int = count(16, "largest number of reinforcement options per distribution system", 0, 1000)


class NoPlanSettings(PlanningSettings):
    """Nothing is built; the charge recovers the cost of the existing network."""

    kind: Literal["none"] = "none"


class DsoPlanSettings(PlanningSettings):
    """The operator chooses reinforcements and the network charge, knowing how platforms respond."""

    kind: Literal["dso"] = "dso"
    method: Annotated[str, OneOf(["auto", *REFORMULATIONS])] = Field("branch_and_cut", description="how the platforms' optimality enters the plan")
    gap: float = quantity(0.001, "1", "relative gap between plan and proven bound at which the search ends", lower=0.0, upper=1.0)
    time_limit_s: float = quantity(75.0, "s", "time limit of the search for a plan", above=0.0)
    adoption: bool = Field(True, description="whether prosumers may buy photovoltaics and batteries in answer to the charge")
    recovery_tolerance: float = quantity(0.001, "1", "relative tolerance of cost recovery by the charge", above=0.0, upper=0.1)
