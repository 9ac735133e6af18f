"""What costs are called: one definition for each, for report, summary and docs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """A quantity by its name.

    Attributes:
        name: as report and docs call it.
        unit: of the quantity.
        keys: where it stands in the summary; ``*`` for a scenario.
        meaning: what it is.
    """

    name: str
    unit: str
    keys: tuple[str, ...]
    meaning: str


GLOSSARY: tuple[Definition, ...] = (
    Definition(
        "real cost",
        "EUR/a",
        ("assess.production_*", "assess.wear_and_discomfort_*", "assess.unserved_demand_*", "assess.construction_*"),
        "resources used up: production of the wholesale market, wear and discomfort (curtailment included), unserved demand at the value of lost "
        "load, and construction (existing network, reinforcement, equipment bought by prosumers, each with its upkeep)",
    ),
    Definition(
        "transfer",
        "EUR/a",
        ("assess.transfer.*",),
        "money that one stakeholder pays another: energy at its price, every component of the tariff, payments for construction; it sums to zero "
        "over the stakeholders and is part of no social cost",
    ),
    Definition(
        "social cost",
        "EUR/a",
        ("assess.social_cost_*",),
        "sum of all real costs of a scenario as it was operated, over all stakeholders; minus the sum of their welfare",
    ),
    Definition(
        "cost of the plan",
        "EUR/a",
        ("plan.objective",),
        "what the planner minimises and its bound limits, summed over the operators. Of a social planner: real costs as it expects them, with energy "
        "at the forecast price in place of production. Of any other regime: minus the operator's profit",
    ),
    Definition(
        "cost of operation",
        "EUR/a",
        ("coordination.cost", "coordination.energy_cost", "coordination.flat_cost"),
        "what platforms and networks minimise together under the design: production, wear and discomfort, unserved demand, and what platforms "
        "owe under the tariff; without construction. Its optimum is the competitive equilibrium under the tariff",
    ),
    Definition(
        "worth of coordination",
        "EUR/a",
        ("coordination.value",),
        "cost of operation under the flat price less the proven bound of any coordination",
    ),
    Definition(
        "bill",
        "EUR/a",
        (),
        "what a prosumer pays in a year: for energy, under the tariff, and the annuity and upkeep of devices it bought",
    ),
    Definition(
        "welfare",
        "EUR/a",
        ("assess.gain.*",),
        "money a stakeholder receives less what it pays and less the real costs that it bears; a gain is its change against the baseline",
    ),
    Definition(
        "value of a category",
        "EUR/a",
        ("assess.value.*",),
        "real cost saved against the baseline that belongs to a category of what platforms are worth, each counted once; losses, money between "
        "members and what households with a high burden pay less are values outside the social cost",
    ),
    Definition(
        "cost shift",
        "EUR/a",
        ("assess.cost_shift",),
        "what customers without devices of their own pay more under the tariff than in the baseline: members without any, and passive customers",
    ),
    Definition(
        "energy burden",
        "1",
        ("assess.high_burden", "assess.high_burden_baseline"),
        "bill of a household as a share of its income; high above `results.burden_limit`, and then the share of households is stated",
    ),
)


def glossary_table() -> str:
    """The definitions as a Markdown table, as they stand in ``docs/results.md``."""
    rows = (f"| {one.name} | {one.unit} | {', '.join(f'`{key}`' for key in one.keys)} | {one.meaning} |" for one in GLOSSARY)
    return "\n".join(["| name | unit | summary | meaning |", "|---|---|---|---|", *rows]) + "\n"
