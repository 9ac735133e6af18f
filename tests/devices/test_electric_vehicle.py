"""Electric vehicles: how late they may charge is a setting."""

import numpy as np
import pytest

from multiscale.devices import device_settings
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve

EXAMPLE = {"kind": "ev", "profile": "vehicle", "p_kw": 11.0}


@pytest.mark.parametrize("hours", [0.0, 4.0, 8.0])
def test_charging_is_put_off_by_no_more_than_allowed(fleet_of, winter, economics, hours):
    free = {"later_hours": hours, "discomfort": 0.0}
    fleet = fleet_of("electric_vehicle", winter, settings=device_settings(electric_vehicle=free))
    price = np.linspace(0.5, 0.1, winter.periods)  # later is always cheaper
    solution = solve(
        platform_program(fleet, economics, Community(), agreements=False), {"import_price": price, "export_price": 0.0, "network_charge": 0.0}
    )
    power, reference = solution.primal("ev").values, fleet.data.ev.values[:3]
    assert power.sum() == pytest.approx(reference.sum(), rel=1e-9)
    if hours == 0:
        np.testing.assert_allclose(power, reference, atol=1e-7)
    else:
        late = solution.primal("ev_late").values
        steps = round(hours / winter.step_hours)
        recent = sum(winter.step_hours * np.roll(reference, k, axis=1) for k in range(steps))
        assert (late <= recent + 1e-7).all()
        assert late.max() > 0.5 * recent.max()
