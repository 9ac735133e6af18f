"""Categories of value that trading platforms may create: what each is worth from one scenario to the next, none counted twice.

    social cost of a scenario  =  sum over PARTS of its cost parts
    value(stream, step)        =  sum of the parts of the stream, before less after the step        [EUR/a]

Every part of every step belongs to one stream: that of the part (``Stream.part``), or ``ADOPTION`` in the step in which prosumers buy devices. So the
streams in the sum, over all steps, are the difference of the social costs of the first and the last scenario. Streams outside the sum are money that
changes hands, or energy that no program of the run counts; they are never added.

Source of the categories: Morstyn, Savelli, Hepburn, *Multiscale design for system-wide peer-to-peer energy trading*, One Earth 4 (2021), Fig. 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from multiscale.assessment.accounts import REAL_COSTS, STAKEHOLDERS, Ledger
from multiscale.assessment.operated import Operation

PARTS = ("unserved demand", "curtailment", "networks", "transmission", "equipment", "production", "wear and discomfort", "reserves")
"""Parts of the social cost of a scenario, which sum to it."""


@dataclass(frozen=True)
class Stream:
    """A category of value.

    Attributes:
        name: of it.
        category: its number in Fig. 1; empty where the figure has none.
        part: part of the social cost in which it shows; empty where it is outside the social cost, or a step.
        quantity, unit: what goes with it in kind.
        meaning: how the value is found, against which counterfactual.
    """

    name: str
    category: str
    part: str
    quantity: str
    unit: str
    meaning: str


RELIABILITY, CURTAILMENT, LOSSES, LOCAL, POVERTY, ADOPTION, DISTRIBUTION, TRANSMISSION = (
    "reliability",
    "renewable curtailment",
    "losses",
    "local economies",
    "energy poverty",
    "adoption of devices",
    "distribution upgrades",
    "generation and transmission upgrades",
)

STREAMS: tuple[Stream, ...] = (
    Stream(RELIABILITY, "(i)", "unserved demand", "demand not served", "kWh/a", "demand served that was not before, at the value of lost load"),
    Stream(CURTAILMENT, "(ii)", "curtailment", "curtailed energy", "kWh/a", "less of it, at nodal prices of the baseline and its own cost"),
    Stream(LOSSES, "(iii)", "", "losses", "kWh/a", "less losses of the AC power flow, at nodal prices of the baseline"),
    Stream(LOCAL, "(iv)", "", "traded between members", "kWh/a", "what members receive for energy from each other instead of from outside"),
    Stream(POVERTY, "(v)", "", "households above the limit", "1", "what households above the limit of energy burden in the baseline pay less"),
    Stream(ADOPTION, "(vi)", "", "investment in devices", "EUR", "all real costs with what prosumers buy, against the same without it"),
    Stream(DISTRIBUTION, "(vii)", "networks", "investment in reinforcement", "EUR", "yearly cost of distribution, annuities of reinforcements"),
    Stream(TRANSMISSION, "(viii)", "transmission", "peak drawn from transmission", "kW", "annuities of reinforcements there; generation is as given"),
    Stream("production", "", "production", "", "", "production of energy, less what is counted as curtailment"),
    Stream("wear and discomfort", "", "wear and discomfort", "", "", "wear of batteries, discomfort of shifted demand: the price of response"),
    Stream("reserves for forecast errors", "", "reserves", "", "", "flexibility held back"),
    Stream("equipment of prosumers", "", "equipment", "", "", "annuity and upkeep of devices bought, where adoption has no step of its own"),
)
"""All streams in the order of tables."""

IN_SUM = tuple(bool(stream.part) or stream.name == ADOPTION for stream in STREAMS)
"""Whether each stream is part of the difference of the social costs, (stream,)."""


def cost_parts(
    ledger: Ledger, operation: Operation, prices: Mapping[str, np.ndarray], curtailment_cost: float, excluded: Mapping[int, Collection[str]]
) -> dict[str, float]:
    """The social cost of a scenario in its ``PARTS`` [EUR/a].

        curtailment = sum_t h_t (price_t + curtailment cost) curtailed_t,        taken off production and off wear and discomfort

    Args:
        ledger: of the scenario, construction included.
        operation: of all its days.
        prices: DSO -> price at which curtailed energy is valued, the same in all scenarios [EUR/kWh], (period,) of all days.
        curtailment_cost: of each kWh [EUR/kWh].
        excluded: day -> platforms of which the ledger books only what crosses their boundary.
    """
    real = dict(zip(REAL_COSTS, ledger.real.sum(axis=0).tolist(), strict=True))
    reserves = {kind: sum(day.reserve_cost[kind] for day in operation.days) for kind in operation.days[0].reserve_cost}
    energy, worth = curtailed_energy(operation, prices, excluded)
    nothing = np.zeros(len(STAKEHOLDERS))
    equipment = float(np.maximum(ledger.money.get("equipment", nothing), 0.0).sum())
    # What is built on the transmission level is paid by the wholesale market.
    transmission = -float(ledger.money.get("investment", nothing)[STAKEHOLDERS.index("wholesale market")])
    return {
        "unserved demand": real["unserved demand"] - reserves.get("unserved demand", 0.0),
        "curtailment": worth + curtailment_cost * energy,
        "networks": real["construction"] - transmission - equipment,
        "transmission": transmission,
        "equipment": equipment,
        "production": real["production"] - reserves.get("production", 0.0) - worth,
        "wear and discomfort": real["wear and discomfort"] - reserves.get("wear and discomfort", 0.0) - curtailment_cost * energy,
        "reserves": sum(reserves.values()),
    }


def curtailed_energy(operation: Operation, prices: Mapping[str, np.ndarray], excluded: Mapping[int, Collection[str]]) -> tuple[float, float]:
    """Energy that is curtailed in a year [kWh/a], and its worth at given prices [EUR/a]; arguments as of ``cost_parts``."""
    energy, worth, start = 0.0, 0.0, 0
    for number, day in enumerate(operation.days):
        hours = day.horizon.hours_per_year
        for dso, by_node in day.curtailed.items():
            price = prices[dso][start : start + len(hours)]
            for node, power in by_node.items():
                if node not in excluded.get(number, ()):
                    energy += float(hours @ power)
                    worth += float((hours * price) @ power)
        start += len(hours)
    return energy, worth


def stream_values(parts: Sequence[Mapping[str, float]], adoption_step: int | None) -> np.ndarray:
    """Values of the streams that are in the sum [EUR/a], (stream, step); NaN for all others.

    Args:
        parts: ``cost_parts`` of the scenarios, from the baseline to the headline.
        adoption_step: number of the step in which prosumers buy devices and nothing else changes; None: there is none.
    """
    values = np.full((len(STREAMS), len(parts) - 1), np.nan)
    for k, (before, after) in enumerate(pairwise(parts)):
        for s, stream in enumerate(STREAMS):
            if stream.part:
                values[s, k] = 0.0 if k == adoption_step else before[stream.part] - after[stream.part]
            elif stream.name == ADOPTION and adoption_step is not None:
                values[s, k] = sum(before.values()) - sum(after.values()) if k == adoption_step else 0.0
    return values
