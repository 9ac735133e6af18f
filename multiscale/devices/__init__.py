"""What a prosumer owns: one file per device, one line in the registry (``registry.py``)."""

from multiscale.devices.battery import Battery
from multiscale.devices.device import Device, Variable
from multiscale.devices.electric_vehicle import ElectricVehicle
from multiscale.devices.heat_pump import HeatPump
from multiscale.devices.photovoltaics import Photovoltaics
from multiscale.devices.purchasable import Adoption, Offer, PurchasableDevice
from multiscale.devices.registry import DEVICES, device_settings

__all__ = [
    "DEVICES",
    "Adoption",
    "Battery",
    "Device",
    "ElectricVehicle",
    "HeatPump",
    "Offer",
    "Photovoltaics",
    "PurchasableDevice",
    "Variable",
    "device_settings",
]
