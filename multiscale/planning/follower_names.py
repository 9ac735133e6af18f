"""Names of the follower's parameters and outputs that planning relies on; those of prices and determinants are the tariff's."""

from multiscale.tariffs import BILLED

BUILT = "built"
"""Parameter: reinforcements built (option) [1]."""

RESOURCE_COST, UNSERVED = "resource_cost", "unserved"
"""Outputs: cost of operation without transfers [EUR/a]; energy that is not served [kWh/a]."""

RENEWABLE, DRAWN, TAKEN = "renewable", "drawn", "taken"
"""Outputs: renewable energy generated below the operator, energy exchanged with its parent, and that taken from it [kWh/a]."""

PASSIVE = "passive customers"
"""Group of the customers without a platform."""


def energy_value(group: str) -> str:
    """Output: value of the energy that a group of customers draws, at the forecast price [EUR/a]."""
    return f"{group}/energy value"


def determinant_of(group: str, component: str) -> str:
    """Output: determinant of a component of the tariff over a platform."""
    return f"{group}/{BILLED}{component}"
