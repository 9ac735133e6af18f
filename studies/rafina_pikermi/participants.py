"""The participants of a scenario: members that are alike put together, with their consumption and generation in every hour of a year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from multiscale.sources.standard_profiles import standard_series

from .published import (
    CATEGORIES,
    CONSUMERS,
    OWNERS,
    OWNERS_COVERED,
    TOWN_HALL,
    TOWN_HALL_CONSUMPTION,
    TOWN_HALL_COVERED,
    TOWN_HALL_LARGE,
    Scenario,
)

SUBSTATIONS = ("lv_rural1", "lv_semiurb4", "lv_urban6")
"""SimBench's profiles of three low-voltage networks, in place of the three substations whose data are not published."""

PLANTS = ("PV1", "PV3", "PV5")
"""SimBench's profiles of three photovoltaic plants, in place of the three plants of the study."""

OFFICE = "G1-A"
"""SimBench's profile of a business that works on weekdays, in place of the data of the Town Hall."""

SPREAD = (0.75, 0.75, 1.5)
"""Flexibility of the members that follow each substation, of the average, where it differs between members: 15, 15 and 30 % of 20 %."""

STILL = 2
"""Owners of every category that are not flexible where only 50 members are."""


@dataclass(frozen=True)
class Participant:
    """Members that are alike: of one category, profile and plant.

    Attributes:
        kind: owners, consumers, or the Town Hall.
        members: how many they are.
        flexibility: share by which consumption of an hour may be more or less, its sum over a day being kept [1].
        load: consumption of all of them without flexibility [kW], (hour,).
        generation: of all of them [kW], (hour,).
        installed: of each [kW].
    """

    kind: str
    members: int
    flexibility: float
    load: np.ndarray
    generation: np.ndarray
    installed: float


def hourly_profiles() -> pd.DataFrame:
    """Profiles of the year, by hour, each with a mean of 1."""
    hourly = standard_series([*SUBSTATIONS, *PLANTS, OFFICE]).astype(float).resample("1h").mean()
    return hourly / hourly.mean()


def participants(scenario: Scenario, profiles: pd.DataFrame) -> list[Participant]:
    """The participants of a scenario.

    Members of a category follow the three substations and the three plants in turn. The yield of a plant is scaled so that the owners cover 80 % of
    their consumption; that of the Town Hall so that 99 kW cover 75 % (8 % more per kW: both cannot hold for the same plants).
    """
    hours = len(profiles)
    owned = sum(c.consumption * c.owners for c in CATEGORIES)
    full_load = OWNERS_COVERED * owned / sum(c.installed for c in CATEGORIES)
    found: dict[tuple[str, int, int, bool], int] = {}
    for number, category in enumerate(CATEGORIES):
        still = STILL if scenario.flexible < sum(c.members for c in CATEGORIES) else 0
        for k in range(category.members):
            owner = k < category.owners
            key = (OWNERS if owner else CONSUMERS, number, k % 3, not owner or k < category.owners - still)
            found[key] = found.get(key, 0) + 1
    flexible = sum(count for key, count in found.items() if key[3])
    if flexible != scenario.flexible:
        raise ValueError(f"a scenario with {scenario.flexible} flexible members; the categories make 50 or 60")
    out = []
    for (kind, number, profile, moves), count in found.items():
        category = CATEGORIES[number]
        installed = category.installed / category.owners if kind == OWNERS else 0.0
        load = count * category.consumption / hours * profiles[SUBSTATIONS[profile]].to_numpy()
        generation = count * installed * full_load / hours * profiles[PLANTS[profile]].to_numpy()
        share = scenario.flexibility * (SPREAD[profile] if scenario.spread else 1.0) if moves else 0.0
        out.append(Participant(kind, count, share, load, generation, installed))
    if scenario.town_hall_pv is not None:
        yields = TOWN_HALL_COVERED * TOWN_HALL_CONSUMPTION / TOWN_HALL_LARGE
        load = TOWN_HALL_CONSUMPTION / hours * profiles[OFFICE].to_numpy()
        generation = scenario.town_hall_pv * yields / hours * profiles[PLANTS[0]].to_numpy()
        out.append(Participant(TOWN_HALL, 1, scenario.town_hall_flexibility, load, generation, scenario.town_hall_pv))
    return out
