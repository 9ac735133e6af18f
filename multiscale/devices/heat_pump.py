"""Heat pumps with a given consumption: may heat a little earlier or later, the building being the storage."""

from __future__ import annotations

from multiscale.devices.deferrable import Deferrable, deferrable_variables
from multiscale.settings import quantity


class HeatPump(Deferrable):
    """Heating earlier or later: the backlog is heat owed to (positive) or kept in (negative) the building, which fades."""

    kinds = ("heat_pump",)
    name = "heat_pump"
    variables = deferrable_variables("heat_pump", "heat_pump_power", "electric power of heat pumps", "consumption of heat pumps without flexibility")

    earlier_hours: float = quantity(2.0, "h", "how far heating may precede the reference profile", lower=0.0, upper=24.0)
    later_hours: float = quantity(2.0, "h", "how far heating may be put off", lower=0.0, upper=24.0)
    loss_per_hour: float = quantity(0.02, "1/h", "share of the heat kept (or owed) that fades in an hour", lower=0.0, upper=1.0)
