"""Targets that a plan has to reach in the answer of the platforms, one file each."""

from multiscale.planning.targets.bill_cap import BillCap
from multiscale.planning.targets.budget import Budget
from multiscale.planning.targets.emissions import Emissions
from multiscale.planning.targets.renewable_share import RenewableShare
from multiscale.planning.targets.target import OPERATED, Answer, Reached, Target, Targets, groups
from multiscale.planning.targets.unserved_energy import UnservedEnergy

TARGETS: dict[str, type[Target]] = {
    "renewable_share": RenewableShare,
    "emissions": Emissions,
    "unserved_energy": UnservedEnergy,
    "bill_cap": BillCap,
    "budget": Budget,
}
"""Kinds of targets; a new one is a file and a line here."""

__all__ = [
    "OPERATED",
    "TARGETS",
    "Answer",
    "BillCap",
    "Budget",
    "Emissions",
    "Reached",
    "RenewableShare",
    "Target",
    "Targets",
    "UnservedEnergy",
    "groups",
]
