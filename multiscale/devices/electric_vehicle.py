"""Electric vehicles: may charge later than on arrival."""

from __future__ import annotations

from multiscale.devices.deferrable import Deferrable, deferrable_variables
from multiscale.settings import quantity


class ElectricVehicle(Deferrable):
    """Charging, on arrival or later: the backlog is what has arrived and is not charged yet."""

    kinds = ("ev",)
    name = "ev"
    variables = deferrable_variables("ev", "ev_power", "charging power of electric vehicles", "charging of electric vehicles on arrival")

    earlier_hours: float = quantity(0.0, "h", "how far charging may precede the reference profile", lower=0.0, upper=24.0)
    later_hours: float = quantity(6.0, "h", "how far charging may be put off", lower=0.0, upper=24.0)
    loss_per_hour: float = quantity(0.0, "1/h", "share of the backlog that fades in an hour", lower=0.0, upper=1.0)
