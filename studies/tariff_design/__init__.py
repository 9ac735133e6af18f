"""Who pays for the network: fixed and nodal customers, and what every design of a tariff costs society and each group of customers."""
