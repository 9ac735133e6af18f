"""A battery: it works once the spread pays both conversions and the wear."""

import numpy as np
import pytest

from multiscale.devices import device_settings
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve

EXAMPLE = {"kind": "battery", "p_kw": 3.0, "e_kwh": 6.0, "efficiency": 0.95, "loss_per_day": 0.01}


def test_it_works_once_the_spread_pays_conversions_and_wear(fleet_of, winter, economics):
    """Break-even of a round trip without losses at rest: sold eta - wear eta = (bought + wear) / eta per kWh stored."""
    wear, eta = 0.02, 0.9
    fleet = fleet_of("battery", winter, sizes=(1.0,), settings=device_settings(battery={"wear": wear}), efficiency=eta, loss_per_day=0.0)
    one = fleet.aggregate(np.full(fleet.size, "all"))
    bought = 0.05
    given = {name: component.price for name, component in economics.tariff.components.items()}
    even = (bought + given["levy"] + wear) / eta**2 + wear + given["export_deduction"]
    for margin, works in ((-1e-3, False), (1e-3, True)):
        price = np.where(np.arange(winter.periods) < 6, bought, even + margin)
        solution = solve(
            platform_program(one, economics, Community(), agreements=False), {"import_price": price, "export_price": price, "network_charge": 0.0}
        )
        assert float(solution.primal("stored").max()) == pytest.approx(6.0 if works else 0.0, abs=1e-6)
