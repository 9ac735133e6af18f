"""Heat pumps: heating in advance costs the heat that fades."""

import numpy as np
import pytest

from multiscale.devices import device_settings
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve

EXAMPLE = {"kind": "heat_pump", "profile": "heat pump", "p_kw": 4.0}


@pytest.mark.parametrize("fading", [0.0, 0.1])
def test_energy_drawn_is_the_reference_and_what_has_faded(fleet_of, winter, economics, fading):
    free = {"loss_per_hour": fading, "discomfort": 0.0}
    fleet = fleet_of("heat_pump", winter, settings=device_settings(heat_pump=free))
    price = 0.2 + 0.15 * np.sin(np.arange(winter.periods))
    solution = solve(
        platform_program(fleet, economics, Community(), agreements=False), {"import_price": price, "export_price": 0.0, "network_charge": 0.0}
    )
    kept = float(solution.primal("heat_pump_early").sum() - solution.primal("heat_pump_late").sum())
    power = float(solution.primal("heat_pump").sum())
    assert power == pytest.approx(float(fleet.data.heat_pump.sum()) + fading * kept, rel=1e-9)
