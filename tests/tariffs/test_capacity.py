import numpy as np
import pytest

from multiscale.markets import Community, TimeOfUse
from multiscale.operation import platform_program
from multiscale.programs import solve
from multiscale.system import Economics
from multiscale.tariffs import Capacity, Tariff, standard_components


def charged(price):
    return Economics(tariff=Tariff(standard_components() | {"peak": Capacity(price=price)}))


def answer(fleet, price, market):
    economics, free = charged(price), np.full(fleet.horizon.periods, 0.1)
    solution = solve(
        platform_program(fleet, economics, market, agreements=False), {"import_price": free, "export_price": free, "network_charge": 0.05}
    )
    return economics, solution


@pytest.mark.parametrize("market", [Community(), TimeOfUse()], ids=lambda m: m.kind)
def test_the_peak_is_the_highest_import_of_every_metering_point(fleets, market):
    _, solution = answer(fleets["north 1"], 20.0, market)
    imported = solution.primal("import").values if market.kind == "community" else solution.primal("buy").values
    np.testing.assert_allclose(solution.primal("peak peak").values.sum(), imported.max(axis=-1).sum(), rtol=1e-6)


def test_payments_are_price_times_peak_and_a_dearer_peak_is_lower(fleets):
    peaks = []
    for price in (0.0, 20.0, 200.0):
        economics, solution = answer(fleets["north 1"], price, Community())
        paid = economics.tariff.payments(solution.program, solution.x, {"network_charge": np.asarray(0.05)})["peak"]
        assert paid == pytest.approx(price * float(solution.primal("peak peak").sum()), rel=1e-9)
        peaks.append(float(solution.primal("import").max()))
    assert peaks[2] < peaks[0] - 0.1
    assert peaks[0] >= peaks[1] - 1e-6
    assert peaks[1] >= peaks[2] - 1e-6


def test_a_charge_on_the_peak_couples_days():
    assert charged(1.0).tariff.couples_days
    assert not Economics().tariff.couples_days


def test_a_passive_customer_pays_for_the_peak_of_its_net_demand(winter):
    served, generation = np.zeros((2, winter.periods)), np.zeros((2, winter.periods))
    served[0, 3], served[1, :], generation[1, 5] = 7.0, 2.0, 2.0
    assert float(Capacity(price=1.0).passive(served, generation, winter)) == pytest.approx(9.0)
