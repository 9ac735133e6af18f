"""Names of the follower's parameters and outputs that planning relies on; those of prices and determinants are the tariff's."""

BUILT = "built"
"""Parameter: reinforcements built (option) [1]."""

RESOURCE_COST, UNSERVED = "resource_cost", "unserved"
"""Outputs: cost of operation without transfers [EUR/a]; energy that is not served [kWh/a]."""
