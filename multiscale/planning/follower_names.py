"""Names of the follower's parameters and outputs that planning relies on; they stand here and nowhere else in the methods."""

BUILT, CHARGE = "built", "network_charge"
"""Parameters: reinforcements built (option) [1]; volumetric charge () [EUR/kWh]."""

CHARGED_ENERGY, RESOURCE_COST = "charged_energy", "resource_cost"
"""Outputs: energy that pays the charge [kWh/a]; cost of operation without transfers [EUR/a]."""
