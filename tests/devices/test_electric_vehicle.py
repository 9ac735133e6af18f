"""Electric vehicles: how late they may charge is a setting."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

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


def test_a_vehicle_that_cannot_be_charged_in_its_window_is_named(system, winter):
    """With the rating that a program without deviations from the window needs, nothing is said; with a little less, the member is named."""
    fleet = system.fleet("north 1", winter)
    device = fleet.devices["electric_vehicle"]
    assert device.notes(fleet) == []
    owner = int(np.argmax(fleet.data.ev.values.max(axis=1)))
    reference, step = fleet.data.ev.values[owner], winter.step_hours
    steps, n = round(device.later_hours / step), winter.periods
    # min P  s.t.  0 <= power <= P,  0 <= backlog <= reference energy of the last hours, cyclic: written out.
    late = step * sum(np.roll(reference, k) for k in range(steps))
    balance = np.hstack([step * np.eye(n), np.eye(n) - np.roll(np.eye(n), -1, axis=1), np.zeros((n, 1))])
    below = np.hstack([np.eye(n), np.zeros((n, n)), -np.ones((n, 1))])
    bounds = [(0, None)] * n + [(0, most) for most in late] + [(0, None)]
    cost = np.append(np.zeros(2 * n), 1.0)
    least = linprog(cost, A_ub=below, b_ub=np.zeros(n), A_eq=balance, b_eq=step * reference, bounds=bounds).fun
    for rated, named in ((1.001 * least, False), (0.999 * least, True)):
        rating = fleet.data.ev_power.copy()
        rating[owner] = rated
        notes = device.notes(replace(fleet, data=fleet.data.assign(ev_power=rating)))
        assert bool(notes) == named
    name = str(fleet.data.prosumer.values[owner])
    assert notes[0].startswith(f"prosumer {name!r}: p_kw {rated:g} kW of its electric vehicles does not charge what arrives within 6 h")
