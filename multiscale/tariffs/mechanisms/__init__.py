"""Policy mechanisms: who is paid for what, by whom, one file each."""

from multiscale.tariffs.mechanisms.contract_for_difference import ContractForDifference
from multiscale.tariffs.mechanisms.investment_grant import InvestmentGrant
from multiscale.tariffs.mechanisms.mechanism import Mechanism, Owned, owned
from multiscale.tariffs.mechanisms.premium import Premium
from multiscale.tariffs.mechanisms.pv_grant import PvGrant
from multiscale.tariffs.mechanisms.storage_grant import StorageGrant

MECHANISMS: dict[str, type[Mechanism]] = {
    "premium": Premium,
    "contract_for_difference": ContractForDifference,
    "pv_grant": PvGrant,
    "storage_grant": StorageGrant,
    "investment_grant": InvestmentGrant,
}
"""Kinds of policy mechanisms; a new one is a file and a line here."""

__all__ = ["MECHANISMS", "Mechanism", "Owned", "owned"]
