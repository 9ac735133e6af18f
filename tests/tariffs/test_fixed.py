"""The standing charge: it counts customers, however they are seen, and changes nothing that anybody does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from multiscale.markets import Community, TimeOfUse
from multiscale.operation import platform_program
from multiscale.operation.device_classes import OneMeter, device_classes
from multiscale.programs import solve
from multiscale.system import Economics
from multiscale.tariffs import BILLED, Fixed, Tariff, standard_components
from multiscale.timeline import Horizon


def standing(price):
    return Economics(tariff=Tariff(standard_components() | {"standing": Fixed(price=price)}))


def answer(fleet, price, market):
    free = np.full(fleet.horizon.periods, 0.1)
    return solve(
        platform_program(fleet, standing(price), market, agreements=False), {"import_price": free, "export_price": free, "network_charge": 0.05}
    )


@pytest.mark.parametrize("market", [Community(), TimeOfUse()], ids=lambda m: m.kind)
def test_every_customer_pays_for_every_day_whatever_it_does(fleets, market):
    fleet = fleets["north 1"]
    without, charged = answer(fleet, 0.0, market), answer(fleet, 0.4, market)
    days = float(fleet.horizon.hours_per_year.sum()) / 24.0
    assert charged.objective - without.objective == pytest.approx(0.4 * days * fleet.size, rel=1e-9)
    drawn = [one.output("exchange").values for one in (without, charged)]
    np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-6)


def test_customers_are_the_same_however_members_are_seen(fleets):
    fleet = fleets["north 1"]
    tariff = standing(1.0).tariff
    views = {
        "members": (fleet, Community()),
        "as one": (fleet.aggregate(np.full(fleet.size, "all")), Community()),
        "reduced": (Community().reduced(fleet, tariff), Community()),
        "device classes": (device_classes(fleet).fleet, OneMeter()),
    }
    for name, (seen, market) in views.items():
        program = answer(seen, 1.0, market).program
        counted = float((program.outputs[f"{BILLED}standing"].matrix @ np.where(program.lower == program.upper, program.lower, 0.0))[0])
        assert counted == pytest.approx(fleet.size * float(fleet.horizon.hours_per_year.sum()) / 24.0), name


def test_a_bus_with_passive_demand_is_a_customer_on_days_on_which_it_draws():
    horizon = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15")), (100.0, 266.0), 12.0)
    served = np.array([[1.0, 0.0, 0.0, 2.0], [0.0, 3.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    component = Fixed(price=1.0)
    assert float(component.passive(served, 0 * served, horizon)) == pytest.approx(2 * 100.0 + 266.0)
    by_day = [component.passive(served[:, [2 * k, 2 * k + 1]], 0 * served[:, :2], horizon.day(k)) for k in (0, 1)]
    assert float(sum(by_day)) == pytest.approx(466.0)
