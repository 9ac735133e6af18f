"""Settings of the plan: nothing is built, or distribution operators, the transmission operator, or all of them together choose."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from multiscale.bilevel.reformulate.methods.registry import REFORMULATIONS
from multiscale.planning.participants import VIEWS
from multiscale.settings import OneOf, Settings, count, quantity


class PlanningSettings(Settings):
    """What operators decide."""

    candidates: int = count(32, "largest number of reinforcement options per distribution system", 0, 1000)


class NoPlanSettings(PlanningSettings):
    """Nothing is built; the charge recovers the cost of the existing network."""

    kind: Literal["none"] = "none"


class ProvenPlanSettings(PlanningSettings):
    """How exact a plan has to be, and how members of platforms are seen."""

    gap_eur: float = quantity(50.0, "EUR/a", "distance of plan and proven bound at which the search ends", lower=0.0)
    gap: float = quantity(0.0, "1", "the same relative to the objective; whichever is reached first", lower=0.0, upper=1.0)
    participants: Annotated[str, OneOf(VIEWS)] = Field(
        "auto", description="how members are seen: members: one by one; classes: by the devices they own; platform: as one; auto: members if few"
    )
    members_limit: int = count(100, "largest number of members that participants=auto sees one by one", 0)


class DistributionPlanSettings(ProvenPlanSettings):
    """How distribution operators choose reinforcements and the network charge, knowing how platforms respond."""

    method: Annotated[str, OneOf(["auto", "decomposition", *REFORMULATIONS])] = Field(
        "auto", description="auto: decomposition where it applies, else that of the regime; the others: how the platforms' optimality enters the plan"
    )
    solve_limit: int = count(
        4_000, "largest number of linear programs (decomposition), boxes of prices (several prices) or nodes (other methods) of the search", 1
    )
    time_limit_s: float | None = quantity(None, "s", "time limit of the search for a plan; empty: work alone limits it", above=0.0)
    adoption: bool = Field(True, description="whether prosumers may buy photovoltaics and batteries in answer to the charge")
    repair_rounds: int = count(
        3, "largest number of times a plan is made anew under tighter limits, because the AC power flow of its operation violates limits", 0, 50
    )
    recovery_tolerance: float = quantity(1e-5, "1", "largest surplus of revenue over the cost to recover, relative to it", above=0.0, upper=0.1)


class DsoPlanSettings(DistributionPlanSettings):
    """The operator chooses reinforcements and the network charge, knowing how platforms respond."""

    kind: Literal["dso"] = "dso"
    linked_plans: int = count(
        100,
        "largest number of plans made for one operator so that what one year builds (horizon.years) stays built in the next, one a year at least",
        1,
    )
    social_reference: bool = Field(
        True, description="whether the plan of least social cost is found too where the regime is another one, for capex bias and welfare loss"
    )


class TsoPlanSettings(ProvenPlanSettings):
    """The transmission operator chooses reinforcements under DC power flow; distribution networks stay as they are, and their platforms respond."""

    kind: Literal["tso"] = "tso"
    rounds: int = count(200, "largest number of rounds in which distribution operators are asked how they respond", 1)
    node_limit: int = count(100_000, "largest number of nodes of each search for a plan", 1)


class NestedPlanSettings(DistributionPlanSettings):
    """Transmission and distribution operators plan together: the latter offer how their plans respond to nodal prices, not their networks."""

    kind: Literal["nested"] = "nested"
    rounds: int = count(200, "largest number of rounds in which distribution operators offer plans", 1)
    node_limit: int = count(100_000, "largest number of nodes of each search for a plan by prices and offers", 1)


TransmissionPlanning = TsoPlanSettings | NestedPlanSettings
"""Settings under which the transmission operator plans."""
