"""Policy mechanisms: who is paid for what, by whom, one file each."""

from multiscale.tariffs.policies.capacity_payment import CapacityPayment
from multiscale.tariffs.policies.contract_for_difference import ContractForDifference
from multiscale.tariffs.policies.flexibility import Flexibility
from multiscale.tariffs.policies.investment_grant import InvestmentGrant
from multiscale.tariffs.policies.policy import Owned, Policy, owned
from multiscale.tariffs.policies.premium import Premium
from multiscale.tariffs.policies.pv_grant import PvGrant
from multiscale.tariffs.policies.quota import Quota
from multiscale.tariffs.policies.storage_grant import StorageGrant

POLICIES: dict[str, type[Policy]] = {
    "premium": Premium,
    "contract_for_difference": ContractForDifference,
    "pv_grant": PvGrant,
    "storage_grant": StorageGrant,
    "investment_grant": InvestmentGrant,
    "quota": Quota,
    "capacity_payment": CapacityPayment,
    "flexibility": Flexibility,
}
"""Kinds of policy mechanisms; a new one is a file and a line here."""

__all__ = ["POLICIES", "Owned", "Policy", "owned"]
