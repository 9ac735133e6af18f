"""What a repair of a plan looks at: the violations of an AC power flow at their worst."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multiscale.planning.repair import Violations
from multiscale.system.system import System
from multiscale.verification.ac import VOLTAGE_TOLERANCE_PU, Verification


def violations_of(system: System, platforms: Sequence[str], checked: Verification) -> Violations:
    """Violations of the operated periods, with the voltages at the busbars of the platforms concerned.

    Args:
        system: owner of the networks.
        platforms: those whose networks were checked.
        checked: AC power flow of the operated periods.
    """
    result = checked.result
    low, high = (system.buses[name].sel(bus=result.bus).values[:, None] for name in ("v_min_pu", "v_max_pu"))
    excess = np.fmax(low - result.voltage.values, result.voltage.values - high)
    busbar = {}
    for platform in platforms:
        own = np.isin(result.bus.values, system.network(platform).buses.bus.values) & ~result.slack.values
        periods = (excess[own] > VOLTAGE_TOLERANCE_PU).any(axis=0)
        if periods.any():
            volts = result.voltage.sel(bus=system.boundary_bus(platform)).values[periods]
            busbar[platform] = float(volts.min()), float(volts.max())
    return Violations(checked.overloaded, checked.outside_band, busbar)
