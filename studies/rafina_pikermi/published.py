"""What is published of the energy community of Rafina-Pikermi.

Source: Chronis, Palaioiannis, Kouveliotis-Lysikatos, Kotsampopoulos, Hatziargyriou: Photovoltaics enabling sustainable energy communities:
technological drivers and emerging markets, Energies 14 (2021) 1862, Tables 1-5 and section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

IMPORT_PRICE, EXPORT_PRICE, LOCAL_PRICE = 0.119, 0.069, 0.094
"""Prices of energy bought from and sold to the grid, and traded inside the community [EUR/kWh]."""

FEED_IN_PRIVATE, FEED_IN_COMMUNITY, NET_METERING = 0.06573, 0.06886, 0.11936
"""Reference prices of feed-in for private and for community owners, and the retail price at which net metering settles [EUR/kWh]."""

PAID_EXCESS = 0.20
"""Under the scheme of self-consumption, share of the excess that is paid, at the reference price of feed-in [1]."""


@dataclass(frozen=True)
class Category:
    """A row of Table 1.

    Attributes:
        consumption: of each member [kWh/a].
        members, owners: members in all, and those with photovoltaics.
        installed: of all owners together [kW].
    """

    consumption: float
    members: int
    owners: int
    installed: float


CATEGORIES = (
    Category(1830.0, 10, 8, 8.0),
    Category(2520.0, 14, 12, 18.0),
    Category(3360.0, 16, 14, 28.0),
    Category(4220.0, 14, 12, 30.0),
    Category(5030.0, 6, 4, 12.0),
)
"""Table 1, without the Town Hall."""

TOWN_HALL_CONSUMPTION = 193_710.0
"""Consumption of the Town Hall [kWh/a]."""

OWNERS_COVERED, TOWN_HALL_COVERED, TOWN_HALL_LARGE = 0.80, 0.75, 99.0
"""Share of the consumption that photovoltaics yield: of the owners, and of the Town Hall with 99 kW."""


@dataclass(frozen=True)
class Scenario:
    """A row of Table 2.

    Attributes:
        flexibility: share by which consumption may move, of members on average and of the Town Hall [1].
        spread: whether it differs between members, from 15 to 30 %.
        town_hall_pv: installed at the Town Hall [kW]; None: it takes no part.
        flexible: members with flexibility.
    """

    flexibility: float
    town_hall_flexibility: float
    town_hall_pv: float | None
    flexible: int
    spread: bool = False


SCENARIOS = {
    "S1": Scenario(0.20, 0.20, 99.0, 50),
    "S2": Scenario(0.20, 0.20, 99.0, 60),
    "S3": Scenario(0.30, 0.30, 99.0, 60),
    "S4": Scenario(0.20, 0.20, 50.0, 50),
    "S5": Scenario(0.20, 0.20, 50.0, 60),
    "S6": Scenario(0.30, 0.30, 50.0, 60),
    "S7": Scenario(0.20, 0.30, 50.0, 60, spread=True),
    "S8": Scenario(0.20, 0.0, None, 60),
}
"""Table 2. For S6, Table 2 states a flexibility of members of 20 %, Tables 3-5 state 30 %; the latter is taken, since the self-consumption published
for S6 (61.2 %) is that of S3 with 30 % (61.3 %), not that of S5 with 20 % (58.4 %)."""

S6_OF_TABLE_2 = 0.20
"""The flexibility of members in S6 that Table 2 states [1]."""

OWNERS, CONSUMERS, TOWN_HALL = "members with PV", "members without PV", "Town Hall"

BENEFIT = {
    OWNERS: (6.6, 6.6, 7.0, 9.9, 9.8, 10.1, 10.3, 5.1),
    CONSUMERS: (9.1, 9.1, 9.5, 7.6, 7.5, 7.6, 7.5, 9.4),
    TOWN_HALL: (2.8, 2.7, 2.9, 3.6, 3.5, 3.5, 3.6, None),
}
"""Table 3: benefit of trade, of the cost without the market [%]; S1 to S8."""

TRADED = {
    OWNERS: (12.9, 12.9, 14.0, 19.4, 19.3, 20.5, 20.5, 9.8),
    CONSUMERS: (37.1, 37.2, 38.5, 30.7, 30.6, 31.1, 30.6, 37.0),
    TOWN_HALL: (5.6, 5.5, 6.2, 12.9, 12.5, 12.7, 13.3, None),
}
"""Table 4: share of what is traded inside, in all that is traded [%]; S1 to S8."""

SELF_CONSUMPTION = {
    OWNERS: (56.7, 58.0, 61.3, 57.1, 58.4, 61.2, 59.7, 57.8),
    TOWN_HALL: (66.2, 66.2, 68.8, 86.1, 86.1, 87.6, 87.6, None),
}
"""Table 5: share of the generation that its owner consumes [%]; S1 to S8."""

TABLES = {"Table 3, benefit": BENEFIT, "Table 4, traded inside": TRADED, "Table 5, self-consumption": SELF_CONSUMPTION}

ORDERINGS = (
    # table, participants, scenarios from the smaller value to the larger one, whether equal values are in order
    ("Table 3, benefit", OWNERS, ("S1", "S4"), False),
    ("Table 3, benefit", CONSUMERS, ("S4", "S1"), False),
    ("Table 3, benefit", OWNERS, ("S8", "S1"), False),
    ("Table 3, benefit", TOWN_HALL, ("S1", "S4"), False),
    ("Table 5, self-consumption", OWNERS, ("S1", "S2", "S3"), False),
    ("Table 5, self-consumption", OWNERS, ("S4", "S5", "S6"), False),
    ("Table 3, benefit", OWNERS, ("S2", "S1"), True),
    ("Table 3, benefit", OWNERS, ("S5", "S4"), True),
)
"""What the published tables say of scenarios against each other."""
