"""The registry of devices: one line per device; nothing else lists the kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multiscale.devices.battery import Battery
from multiscale.devices.device import Device
from multiscale.devices.electric_vehicle import ElectricVehicle
from multiscale.devices.heat_pump import HeatPump
from multiscale.devices.photovoltaics import Photovoltaics
from multiscale.devices.thermal_heat_pump import ThermalHeatPump

DEVICES: dict[str, type[Device]] = {
    "photovoltaics": Photovoltaics,
    "battery": Battery,
    "electric_vehicle": ElectricVehicle,
    "heat_pump": HeatPump,
    "thermal_heat_pump": ThermalHeatPump,
}
"""Key of a device, as in the configuration -> its settings, with what it does. Nothing else lists the kinds."""


def device_settings(**changes: Mapping[str, Any]) -> dict[str, Device]:
    """Settings of all devices: the defaults with the given changes, e.g. ``device_settings(battery={"wear": 0.0})``.

    Raises:
        KeyError: a device that is not in the registry.
    """
    unknown = sorted(set(changes) - set(DEVICES))
    if unknown:
        raise KeyError(f"no devices {unknown}; there are {sorted(DEVICES)}")
    return {key: kind(**changes.get(key, {})) for key, kind in DEVICES.items()}
