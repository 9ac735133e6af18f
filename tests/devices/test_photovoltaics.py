"""Photovoltaics: all of it is used as long as the price is above minus the cost of curtailing it."""

import numpy as np
import pytest

from multiscale.devices import device_settings
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve

EXAMPLE = {"kind": "pv", "profile": "pv", "p_kw": 6.0}


@pytest.mark.parametrize("cost", [0.0, 0.03])
def test_it_is_curtailed_below_minus_its_curtailment_cost(fleet_of, summer, economics, cost):
    fleet = fleet_of("photovoltaics", summer, settings=device_settings(photovoltaics={"curtailment_cost": cost}))
    one = fleet.aggregate(np.full(fleet.size, "all"))
    available = one.reference_generation[0]
    for margin, used in ((1e-3, available), (-1e-3, 0 * available)):
        price = economics.tariff.components["export_deduction"].price - cost + margin
        signals = {"import_price": price, "export_price": price, "network_charge": 0.0}
        solution = solve(platform_program(one, economics, Community(), agreements=False), signals)
        np.testing.assert_allclose(solution.primal("pv").values[0], used, atol=1e-7)
        # Whoever feeds in at a negative price pays almost what curtailing would cost.
        expected = cost * available - margin * used
        assert solution.objective == pytest.approx(float((expected * summer.hours_per_year).sum()), abs=1e-6)
