"""How the report speaks of what was planned, and by whom."""

from __future__ import annotations

from multiscale.results.run.run_result import RunResult

MODELS = {
    "none": "Nothing is planned: the network stays as it is, and the charge recovers its cost.",
    "dso": (
        "The planner, the distribution system operator, chooses reinforcements (yes or no for each option) and the prices of the tariff that are "
        "left open, which recover the cost of the network, knowing how the platforms will answer: a bilevel program. Bound and plan are found by "
        "the method named in the table of plans, and the plan is certified by solving every platform again at it."
    ),
    "tso": (
        "The planner, the transmission operator, chooses reinforcements (yes or no for each option) under DC power flow, knowing how platforms "
        "answer nodal prices. Distribution networks stay as they are. Bound and plan come from branch and cut over what distribution operators offer."
    ),
    "nested": (
        "The transmission operator and the distribution operators choose reinforcements together: the latter offer how their plans respond to "
        "nodal prices, which bounds every joint plan. Each distribution operator then finds the prices of the tariff that recover the cost of what "
        "it builds, knowing how its platforms will answer: a bilevel program, certified by solving every platform again at the plan."
    ),
}
"""Who plans (``planning.kind``) -> what is decided and how that is proven."""


def kind_of(result: RunResult) -> str:
    """Who plans; distribution operators where a run folder says nothing."""
    return str(result.config().get("planning", {}).get("kind", "dso"))


def is_planned(result: RunResult) -> bool:
    """Whether anybody plans."""
    return kind_of(result) != "none"


def plans_distribution(result: RunResult) -> bool:
    """Whether distribution operators plan."""
    return kind_of(result) in ("dso", "nested")


def left_open(result: RunResult) -> str:
    """What narrows the plans of which the bound of the plan is proven, in words; empty where nothing does."""
    if kind_of(result) == "nested":
        return "that build what the joint plan builds"
    # Where years are linked the plan of one is the best of those that the others leave open.
    return "" if result.value("stages.cost") is None else "that the other years leave open"


def may_buy(result: RunResult) -> bool:
    """Whether prosumers may buy devices in answer to the plan."""
    return bool(result.config().get("planning", {}).get("adoption", plans_distribution(result)))
