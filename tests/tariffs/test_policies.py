"""What policy mechanisms pay owners of devices: quantities of a platform's answer, payments by owner, grants for what was bought."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.assessment.accounts import STAKEHOLDERS, Ledger
from multiscale.assessment.construction import book_construction, equipment_payments, grants
from multiscale.assessment.payments import paid_by_owner
from multiscale.config import ConfigError, load_config
from multiscale.devices import Offer
from multiscale.markets import Community
from multiscale.operation import platform_program
from multiscale.programs import solve
from multiscale.system import Economics
from multiscale.tariffs import BILLED, Component, Tariff, standard_components
from multiscale.tariffs.policies.capacity_payment import CapacityPayment
from multiscale.tariffs.policies.contract_for_difference import ContractForDifference
from multiscale.tariffs.policies.flexibility import Flexibility
from multiscale.tariffs.policies.investment_grant import InvestmentGrant
from multiscale.tariffs.policies.premium import Premium
from multiscale.tariffs.policies.pv_grant import PvGrant
from multiscale.tariffs.policies.quota import Quota
from multiscale.tariffs.policies.window import inside


def economics(support: dict[str, Component]) -> Economics:
    return Economics(tariff=Tariff(standard_components() | support))


def answered(fleet, support: dict[str, Component], price: float = 0.1, adoption=None):
    free = np.full(fleet.horizon.periods, price)
    program = platform_program(fleet, economics(support), Community(), agreements=False, adoption=adoption)
    solution = solve(program, {"import_price": free, "export_price": free, "network_charge": 0.05})
    return program, solution


def test_a_premium_is_paid_on_what_is_generated_to_its_owners(fleets):
    fleet = fleets["north 1"]
    program, solution = answered(fleet, {"support": Premium(price=0.02)})
    used = program.columns.values("pv", solution.x) * fleet.horizon.hours_per_year
    assert float((program.outputs[BILLED + "support"].matrix @ solution.x)[0]) == pytest.approx(-used.sum())
    paid = paid_by_owner(economics({"support": Premium(price=0.02)}).tariff, "support", program, solution.x, {}, fleet.data.prosumer.values)
    owners = np.isin(fleet.data.prosumer.values, program.columns["pv"].coords["pv_owner"])
    assert paid[~owners].tolist() == [0.0] * int((~owners).sum())
    np.testing.assert_allclose(paid[owners], -0.02 * used.sum(axis=1), rtol=1e-12)


def test_the_capability_form_pays_for_generation_that_prices_below_zero_curtail_and_the_energy_form_does_not(fleets):
    fleet = fleets["north 1"]
    available = float((fleet.data.pv.values * fleet.horizon.hours_per_year).sum())
    found = {}
    for form in ("used", "available"):
        # Levy and charge are saved by own use; what would be fed in costs 30 ct/kWh.
        program, solution = answered(fleet, {"support": Premium(price=0.02, form=form)}, price=-0.3)
        used = float((program.columns.values("pv", solution.x) * fleet.horizon.hours_per_year).sum())
        found[form] = used, -float((program.outputs[BILLED + "support"].matrix @ solution.x)[0])
    assert found["available"][0] == pytest.approx(found["used"][0])
    assert found["used"][1] == pytest.approx(found["used"][0])
    assert found["used"][0] < 0.9 * available
    assert found["available"][1] == pytest.approx(available)


def test_a_contract_for_difference_pays_the_strike_and_takes_the_reference_price_back(fleets):
    fleet, contract = fleets["north 1"], ContractForDifference(price=0.06, reference_price=0.05)
    parts = contract.components("sun")
    assert list(parts) == ["sun", "sun_reference"]
    two, one = (answered(fleet, support)[1].objective for support in (parts, {"sun": Premium(price=0.01)}))
    assert two == pytest.approx(one, rel=1e-9)


def test_grants_are_paid_to_buyers_out_of_the_state_and_no_cost(fleets, system):
    fleet = fleets["north 1"]
    support: dict[str, Component] = {"sun": PvGrant(price=500.0), "store": InvestmentGrant(price=0.25, device="battery")}
    terms = economics(support)
    bought = {"north 1": {"photovoltaics": np.full(fleet.size, 2.0), "battery": np.full(fleet.size, 4.0)}}
    devices = fleet.devices
    granted = grants(fleet, bought["north 1"], terms, {})
    np.testing.assert_allclose(granted["sun"], 2.0 * 500.0 * terms.annuity(devices["photovoltaics"].lifetime))
    np.testing.assert_allclose(granted["store"], 4.0 * 0.25 * devices["battery"].investment * terms.annuity(devices["battery"].lifetime))
    ledgers = []
    for given in (terms, economics({})):
        ledger = Ledger()
        book_construction(ledger, system, fleet.horizon, given, fleets, {}, [bought])
        ledgers.append(ledger)
    assert ledgers[0].social_cost == ledgers[1].social_cost
    assert ledgers[0].residual <= 1e-12
    assert ledgers[0].money["sun"][0] == pytest.approx(granted["sun"].sum())
    assert equipment_payments(fleet, bought["north 1"], terms).sum() > sum(g.sum() for g in granted.values())


def test_what_a_platform_buys_and_what_the_ledger_grants_is_the_same(fleets):
    """The quantity of the plan, of columns that an operated program does not have any more, is that of the ledger."""
    fleet, support = fleets["north 1"], {"sun": PvGrant(price=5000.0)}
    profile = np.full(fleet.horizon.periods, 0.2)
    adoption = {"photovoltaics": Offer(np.full(fleet.size, 3.0), profile)}
    program, solution = answered(fleet, support, adoption=adoption)
    size = program.columns.values("new_pv", solution.x)
    assert size.sum() > 0
    granted = grants(fleet, {"photovoltaics": size}, economics(support), {})["sun"]
    assert 5000.0 * float((program.outputs[BILLED + "sun"].matrix @ solution.x)[0]) == pytest.approx(-granted.sum())


def drawn_by_devices(fleet, program, x) -> np.ndarray:
    """Power that vehicles, heat pumps and batteries draw, less what they supply [kW], (prosumer, period)."""
    names, drawn = [str(n) for n in fleet.data.prosumer.values], np.zeros((fleet.size, fleet.horizon.periods))
    for column, sign in (("electric_vehicle", 1.0), ("heat_pump", 1.0), ("charge", 1.0), ("discharge", -1.0)):
        if column in program.columns:
            owners = [names.index(str(o)) for o in next(iter(program.columns[column].coords.values()))]
            drawn[owners] += sign * program.columns.values(column, x)
    return drawn


def test_flexibility_is_what_devices_draw_less_than_uncontrolled_in_the_hours_it_is_bought(fleets):
    fleet, kind = fleets["north 1"], Flexibility(price=0.2, begins=16.0, ends=21.0)
    program, solution = answered(fleet, {"response": kind})
    share = inside(fleet.horizon, 16.0, 21.0)
    saved = (fleet.reference_demand - fleet.data.demand.values - drawn_by_devices(fleet, program, solution.x)) @ (
        fleet.horizon.hours_per_year * share
    )
    assert saved.sum() > 0
    assert float((program.outputs[BILLED + "response"].matrix @ solution.x)[0]) == pytest.approx(-saved.sum(), rel=1e-9)
    paid = paid_by_owner(economics({"response": kind}).tariff, "response", program, solution.x, {}, fleet.data.prosumer.values)
    np.testing.assert_allclose(paid, -0.2 * saved, atol=1e-9 * abs(saved).sum())
    # Paid for it, members deliver more than without, and never less.
    idle = answered(fleet, {"response": Flexibility(price=0.0, begins=16.0, ends=21.0)})
    assert saved.sum() > -float((idle[0].outputs[BILLED + "response"].matrix @ idle[1].x)[0])


def test_hours_of_the_day_are_counted_by_the_share_of_each_period(fleets):
    horizon = fleets["north 1"].horizon
    for begins, ends in ((17.0, 21.0), (22.5, 1.5), (0.0, 24.0), (7.25, 8.0)):
        share = inside(horizon, begins, ends)
        assert share.sum() * horizon.step_hours == pytest.approx(len(horizon.days) * ((ends - begins) % 24.0 or 24.0))
        assert share.min() >= 0
        assert share.max() <= 1
    with pytest.raises(ValueError, match="leave no hours in which flexibility is bought"):
        Flexibility(begins=17.0, ends=17.0)


def test_a_quota_is_owed_by_the_platform_and_certificates_belong_to_who_generates(fleets):
    fleet = fleets["north 1"]
    kind = Quota(price=0.05, share=0.9, resale=0.5)
    program, solution = answered(fleet, {"green": kind})
    hours, x = fleet.horizon.hours_per_year, solution.x
    generated = (program.columns.values("pv", x) * hours).sum()
    drawn = float(hours @ (program.outputs["exchange"].matrix @ x))
    owed = 0.9 * (generated + drawn) - generated
    assert owed > 0
    payment = 0.05 * float((program.outputs[BILLED + "green"].matrix @ x)[0])
    assert payment == pytest.approx(0.05 * owed, rel=1e-9)
    paid = paid_by_owner(economics({"green": kind}).tariff, "green", program, x, {}, fleet.data.prosumer.values)
    owners = program.columns.values("pv", x) @ hours
    # Of a certificate the owner's part is what it is worth at the least; what is missing in all is paid by all.
    assert paid.sum() == pytest.approx(-0.05 * 0.5 * (1 - 0.9) * owners.sum(), rel=1e-9)


def test_storage_and_generators_are_paid_one_price_for_firm_capacity(fleets, system):
    fleet = fleets["north 1"]
    kind = CapacityPayment(price=40.0, duration=3.0, derating=0.9, generators=0.8)
    program, _ = answered(fleet, {"firm": kind})
    solution = answered(fleet, {"firm": kind})[1]
    delivered = fleet.data.battery_efficiency.values * fleet.data.battery_energy.values
    existing = np.minimum(fleet.data.battery_power.values, delivered / 3.0).sum()
    assert existing < np.minimum(fleet.data.battery_power.values, fleet.data.battery_energy.values / 3.0).sum()
    days = fleet.horizon.hours_per_year.sum() / 24.0
    assert existing > 0
    assert float((program.outputs[BILLED + "firm"].matrix @ solution.x)[0]) == pytest.approx(-0.9 * existing * days / 365.0)
    adoption = {"battery": Offer(np.full(fleet.size, 3.0), np.zeros(0))}
    rich = CapacityPayment(price=800.0, duration=3.0, derating=0.9)
    grown, answer = answered(fleet, {"firm": rich}, adoption=adoption)
    size = grown.columns.values("new_battery", answer.x)
    assert size.sum() > 0
    total = 0.9 * (existing + (size * min(0.5, 0.95 / 3.0)).sum()) * days / 365.0
    assert float((grown.outputs[BILLED + "firm"].matrix @ answer.x)[0]) == pytest.approx(-total)
    ledger = Ledger()
    book_construction(ledger, system, fleet.horizon, economics({"firm": kind}), fleets, {}, [])
    assert ledger.residual <= 1e-12
    assert ledger.money["firm"][STAKEHOLDERS.index("wholesale market")] == pytest.approx(40.0 * 0.8 * float(system.generators.p_max_kw.values.sum()))


def test_what_a_mechanism_lacks_or_cannot_be_is_named_before_anything_is_solved():

    for overrides, key in (
        (["+policy.green.kind=quota"], "policy.green.share"),
        (["+policy.green.kind=quota", "policy.green.share=1.2"], "policy.green.share"),
        (["+policy.flex.kind=flexibility", "policy.flex.receiver=supplier and state"], "policy.flex.receiver"),
        (["+policy.flex.kind=flexibility", "policy.flex.begins=30 h"], "policy.flex.begins"),
        (["+policy.firm.kind=capacity_payment", "policy.firm.duration=0 h"], "policy.firm.duration"),
        (["+policy.firm.kind=capacity_payment", "policy.firm.generators=0.5", "policy.firm.receiver=distribution operators"], "policy.firm"),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config(overrides)
        assert key in {problem.key for problem in caught.value.problems}
    with pytest.raises(ConfigError, match=r"policy\.flex\.price is left open, and planning=none decides none"):
        load_config(["+policy.flex.kind=flexibility", "planning=none"])
    with pytest.raises(ConfigError, match="green couples them"):
        load_config(["+policy.green.kind=quota", "policy.green.share=0.3", "policy.green.price=0.05", "coordination=predictive", "horizon.days=3"])
