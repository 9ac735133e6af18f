"""Electric vehicles: may charge later than on arrival."""

from __future__ import annotations

import numpy as np

from multiscale.devices.deferrable import Deferrable, deferrable_variables
from multiscale.devices.prosumers import Prosumers
from multiscale.settings import quantity


class ElectricVehicle(Deferrable):
    """Charging, on arrival or later: the backlog is what has arrived and is not charged yet."""

    kinds = ("ev",)
    name = "ev"
    variables = deferrable_variables("ev", "ev_power", "charging power of electric vehicles", "charging of electric vehicles on arrival")

    earlier_hours: float = quantity(0.0, "h", "how far charging may precede the reference profile", lower=0.0, upper=24.0)
    later_hours: float = quantity(6.0, "h", "how far charging may be put off", lower=0.0, upper=24.0)
    loss_per_hour: float = quantity(0.0, "1/h", "share of the backlog that fades in an hour", lower=0.0, upper=1.0)

    def notes(self, fleet: Prosumers) -> list[str]:
        """Members whose vehicles arrive with more than they can charge at their rated power before the latest hour.

        The energy that arrives in m periods has to be charged in these and the ``later_hours`` after them, for every m of a day:

            D sum of reference  <=  rated (m D + later)
        """
        horizon, profile, rated = fleet.horizon, fleet.arrays[self.name], fleet.arrays[self.rated]
        step, cycle = horizon.step_hours, horizon.cycle
        days = profile.reshape(len(profile), -1, cycle)
        running = np.concatenate([np.zeros((*days.shape[:2], 1)), np.cumsum(np.concatenate([days, days], axis=2), axis=2)], axis=2)
        later = min(round(self.later_hours / step), horizon.steps - 1)
        found = np.zeros(len(profile))
        for m in range(1, cycle + 1):
            arrives = step * (running[:, :, m : m + cycle] - running[:, :, :cycle]).max(axis=(1, 2))
            found = np.maximum(found, arrives - rated * step * min(m + later, cycle))
        return [
            f"prosumer {str(fleet.data.prosumer.values[k])!r}: p_kw {rated[k]:g} kW of its electric vehicles does not charge what arrives within "
            f"{self.later_hours:g} h ({found[k]:.3g} kWh are left): charging follows the profile, up to {profile[k].max():g} kW; raise p_kw or "
            "correct the profile"
            for k in np.flatnonzero(found > 1e-6 * (1.0 + profile.sum(axis=1))).tolist()
        ]
