"""What is charged for: a tariff is made of components, each a price on a billing determinant, one file each."""

from multiscale.tariffs.capacity import Capacity
from multiscale.tariffs.component import Component
from multiscale.tariffs.export import Export
from multiscale.tariffs.fixed import Fixed
from multiscale.tariffs.metering import Charge, Metering
from multiscale.tariffs.peer import Peer
from multiscale.tariffs.policies import POLICIES, Owned, Policy, owned
from multiscale.tariffs.tariff import BILLED, NOT_PASSED_ON, Prices, Tariff, standard_components, with_standard, written_out
from multiscale.tariffs.time_of_use import TimeOfUsePrice
from multiscale.tariffs.volumetric import Volumetric

COMPONENTS: dict[str, type[Component]] = {
    "volumetric": Volumetric,
    "export": Export,
    "peer": Peer,
    "capacity": Capacity,
    "fixed": Fixed,
    "time_of_use": TimeOfUsePrice,
}
"""Kinds of components; a new one is a file and a line here."""

__all__ = [
    "BILLED",
    "COMPONENTS",
    "NOT_PASSED_ON",
    "POLICIES",
    "Capacity",
    "Charge",
    "Component",
    "Export",
    "Fixed",
    "Metering",
    "Owned",
    "Peer",
    "Policy",
    "Prices",
    "Tariff",
    "TimeOfUsePrice",
    "Volumetric",
    "owned",
    "standard_components",
    "with_standard",
    "written_out",
]
