"""What the planner sees of the members of a platform."""

import numpy as np
import pytest

from multiscale.markets import Community, TimeOfUse
from multiscale.operation import platform_program
from multiscale.planning.participants import chosen_view, owned_devices, participants
from multiscale.programs import solve
from multiscale.system import Economics
from multiscale.tariffs import BILLED


def charged_energy(fleet, market):
    price = 0.08 + 0.04 * np.sin(np.arange(fleet.horizon.periods))
    program = platform_program(fleet, Economics(), market, agreements=False)
    solution = solve(program, {"import_price": price, "export_price": price, "network_charge": 0.05})
    return float((program.outputs[BILLED + "network_charge"].matrix @ solution.x)[0]), solution.objective


@pytest.mark.parametrize("market", [Community(), TimeOfUse()], ids=lambda m: m.kind)
def test_reduced_members_cost_what_members_cost(fleets, market):
    fleet = fleets["south 2"]
    seen = participants(fleet, "members", market, Economics().tariff, None)
    assert charged_energy(seen.fleet, market)[1] == pytest.approx(charged_energy(fleet, market)[1], rel=1e-7)


def test_one_participant_answers_alike_under_every_market_and_members_do_not(fleets):
    fleet = fleets["south 2"]
    one = participants(fleet, "platform", Community(), Economics().tariff, None).fleet
    assert charged_energy(one, Community())[0] == pytest.approx(charged_energy(one, TimeOfUse())[0], rel=1e-9)
    assert charged_energy(fleet, TimeOfUse())[0] > 1.001 * charged_energy(fleet, Community())[0]


def test_trade_that_pays_charges_and_levies_in_full_saves_nothing(fleets):
    """Charged energy is then that of members who do not trade."""
    fleet = fleets["south 2"]
    full = Community(peer_charge_share=1.0, peer_levy_share=1.0)
    assert charged_energy(fleet, full)[0] == pytest.approx(charged_energy(fleet, TimeOfUse())[0], rel=1e-6)


def test_classes_are_members_with_the_same_devices(fleets):
    fleet = fleets["south 2"]
    seen = participants(fleet, "classes", Community(), Economics().tariff, None)
    assert seen.fleet.size == len(set(owned_devices(fleet).tolist()))
    assert seen.fleet.yearly_reference_demand() == pytest.approx(fleet.yearly_reference_demand(), rel=1e-9)


def test_capacity_of_a_class_is_shared_among_its_members(fleets):
    fleet = fleets["south 2"]
    seen = participants(fleet, "classes", Community(), Economics().tariff, None)
    sizes = np.arange(1.0, seen.fleet.size + 1)
    shared = seen.shared(sizes, fleet)
    np.testing.assert_allclose(np.bincount(seen.group, shared), sizes)


def test_few_members_are_seen_one_by_one(fleets):
    assert chosen_view("auto", fleets, 1000) == "members"
    assert chosen_view("auto", fleets, 1) == "classes"
    with pytest.raises(ValueError, match="view 'some' of members is unknown"):
        chosen_view("some", fleets, 1)
