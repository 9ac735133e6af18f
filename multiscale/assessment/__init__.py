"""Who pays and who gains: money between stakeholders, bills of prosumers, energy accounts."""

from multiscale.assessment.accounts import REAL_COSTS, STAKEHOLDERS, Ledger, settle_day
from multiscale.assessment.bills import prosumer_bills
from multiscale.assessment.energy import ENERGY_TERMS, energy_account

__all__ = ["ENERGY_TERMS", "REAL_COSTS", "STAKEHOLDERS", "Ledger", "energy_account", "prosumer_bills", "settle_day"]
