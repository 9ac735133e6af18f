"""The component ``time_of_use``: its blocks partition the day, and with equal prices it is the volumetric charge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve
from multiscale.system import Economics
from multiscale.tariffs import BILLED, Tariff, TimeOfUsePrice, Volumetric, standard_components
from multiscale.timeline import Horizon


def answer(fleet, component, prices=None):
    economics, free = Economics(tariff=Tariff(standard_components() | {"network_charge": component})), np.full(fleet.horizon.periods, 0.1)
    program = platform_program(fleet, economics, Community(peer_charge_share=0.3), agreements=False)
    given = {"import_price": free, "export_price": free} | ({} if prices is None else {"network_charge": prices})
    return economics.tariff, solve(program, given)


def test_equal_prices_are_the_volumetric_charge(fleets):
    fleet = fleets["north 1"]
    _, flat = answer(fleet, Volumetric(), 0.07)
    for component, prices in ((TimeOfUsePrice(), np.full(3, 0.07)), (TimeOfUsePrice(price=0.07), None)):
        tariff, blocks = answer(fleet, component, prices)
        assert blocks.objective == pytest.approx(flat.objective, rel=1e-9)
        paid = tariff.payments(blocks.program, blocks.x, {"network_charge": prices})["network_charge"]
        assert paid == pytest.approx(0.07 * float((flat.program.outputs[f"{BILLED}network_charge"].matrix @ flat.x)[0]), rel=1e-6)


def test_the_derivative_of_the_cost_by_a_price_is_the_energy_of_its_block(fleets):
    fleet, prices, step = fleets["north 1"], np.array([0.0213, 0.0571, 0.1193]), 1e-6
    _, at = answer(fleet, TimeOfUsePrice(), prices)
    energy = at.program.outputs[f"{BILLED}network_charge"].matrix @ at.x
    for block in range(3):
        moved = step * (np.arange(3) == block)
        up, down = (answer(fleet, TimeOfUsePrice(), prices + sign * moved)[1].objective for sign in (1, -1))
        assert (up - down) / (2 * step) == pytest.approx(energy[block], rel=1e-4)


def test_relative_prices_are_those_of_the_blocks(fleets):
    fleet = fleets["north 1"]
    _, decided = answer(fleet, TimeOfUsePrice(starts=(6, 18)), np.array([0.05, 0.10]))
    _, given = answer(fleet, TimeOfUsePrice(starts=(6, 18), price=0.05, relative=(1.0, 2.0)))
    assert given.objective == pytest.approx(decided.objective, rel=1e-9)


def test_hours_before_the_first_block_belong_to_the_last():
    horizon = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15")), (100.0, 266.0), 3.0)
    component = TimeOfUsePrice(starts=(6, 18))
    np.testing.assert_array_equal(component.blocks(horizon), np.tile([1, 1, 0, 0, 0, 0, 1, 1], 2))
    served = np.ones((2, horizon.periods))
    np.testing.assert_allclose(component.passive(served, 0 * served, horizon), [2 * 366 * 12.0, 2 * 366 * 12.0])


REFUSED = [
    {"starts": (8, 0)}, {"starts": (0, 24)}, {"starts": ()}, {"relative": (1.0, 2.0, 3.0)},
    {"price": 0.1, "relative": (1.0, 2.0)}, {"price": 0.1, "relative": (1.0, 2.0, -1.0)}, {"price": 0.1, "relative": (1.0, 2.0, float("nan"))},
]  # fmt: skip


@pytest.mark.parametrize("settings", REFUSED, ids=str)
def test_blocks_that_are_none_are_refused(settings):
    with pytest.raises(ValidationError, match=r"starts|relative"):
        TimeOfUsePrice(**settings)
