"""Costs and payments stand where they belong: transfers move money and no social cost, what is bought is paid for, peer trade pays what is set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multiscale.assessment import STAKEHOLDERS, energy_account, settle_day
from multiscale.assessment.accounts import REAL_COSTS
from multiscale.assessment.construction import book_construction, equipment_payments
from multiscale.assessment.payments import platform_payments
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.devices import device_settings
from multiscale.devices.fleet import purchasable
from multiscale.markets import Community, TimeOfUse
from multiscale.operation import operating_tree
from multiscale.system import Economics, Growth, grow
from tests.variants import charged, priced


@pytest.fixture(scope="module")
def here(system):
    """Everybody has photovoltaics, more than a platform can use at noon in summer."""
    return grow(system.cut(["north 1", "north 2"]), Growth(pv_share=1.0, pv_kw=25.0))


def settled_under(here, horizon, tariff, outcome, market):
    """Ledger of one schedule under some tariff."""
    fleets = {p: here.fleet(p, horizon) for p in ("north 1", "north 2")}
    tree = operating_tree(here, horizon, Economics(tariff=tariff), fleets, charged(["north"], 0.05), market)
    return tree, settle_day(tree, outcome)


@pytest.mark.parametrize("name", ["export_deduction", "levy", "trading_fee"])
@pytest.mark.parametrize("market", [Community(), TimeOfUse()], ids=lambda m: m.kind)
def test_a_transfer_moves_money_and_no_social_cost(here, summer, name, market):
    """The same schedule with and without a deduction (levy, fee): its payer loses what its receiver gains, and nothing costs more or less."""
    fleets = {p: here.fleet(p, summer) for p in ("north 1", "north 2")}
    tree = operating_tree(here, summer, Economics(tariff=priced(**{name: 0.0})), fleets, charged(["north"], 0.05), market)
    outcome = integrated_optimum(tree)
    price = 0.03
    (_, without), (with_it, ledger) = (settled_under(here, summer, priced(**{name: p}), outcome, market) for p in (0.0, price))
    assert ledger.social_cost == pytest.approx(without.social_cost, rel=1e-12)
    np.testing.assert_allclose(ledger.real, without.real, rtol=1e-9, atol=1e-6)
    receiver = with_it.economics.tariff.components[name].receiver
    paid = sum(platform_payments(with_it, p, outcome)[name] for p in fleets)
    if name == "levy":
        paid += price * float((here.passive("north", summer).demand.values * summer.hours_per_year).sum())
    gained = dict(zip(STAKEHOLDERS, (ledger.welfare - without.welfare).tolist(), strict=True))
    assert gained[receiver] == pytest.approx(paid, rel=1e-6, abs=1e-6)
    assert sum(gained.values()) == pytest.approx(0.0, abs=1e-6)
    if not (name == "trading_fee" and market.kind == "time_of_use"):
        assert paid > 1.0


@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.25), (1.0, 1.0)])
def test_peer_trade_pays_its_shares_of_charge_and_levy(here, summer, shares):
    market = Community(peer_charge_share=shares[0], peer_levy_share=shares[1])
    fleets = {p: here.fleet(p, summer) for p in ("north 1", "north 2")}
    tree = operating_tree(here, summer, Economics(), fleets, charged(["north"], 0.05), market)
    outcome = integrated_optimum(tree)
    for platform in fleets:
        energy = dict(zip(("demand", "photovoltaics", "import", "export", "peer"), energy_account(tree, platform, outcome)[0][:5], strict=True))
        owed = platform_payments(tree, platform, outcome)
        assert energy["peer"] > 100.0
        assert owed["network_charge"] == pytest.approx(0.05 * (energy["import"] + shares[0] * energy["peer"]), rel=1e-6)
        assert owed["levy"] == pytest.approx(0.10 * (energy["import"] + shares[1] * energy["peer"]), rel=1e-6)
        assert owed["trading_fee"] == pytest.approx(0.01 * energy["peer"], rel=1e-6)


def test_what_is_bought_costs_annuity_and_upkeep_and_is_used_at_its_wear(here, winter, economics):
    """A new battery pays its annuity whether it is used or not, and wear for every kWh; the prosumers that bought it pay, the supplier bears it."""
    fleet = here.fleet("north 1", winter)
    devices = purchasable(device_settings())
    bought = {"battery": np.linspace(0.0, 4.0, fleet.size), "photovoltaics": np.full(fleet.size, 2.0)}
    r = economics.discount_rate
    yearly = {key: d.investment * r / (1 - (1 + r) ** -d.lifetime) + d.upkeep for key, d in devices.items()}
    payments = equipment_payments(fleet, bought, economics)
    np.testing.assert_allclose(payments, sum(yearly[key] * bought[key] for key in bought), rtol=1e-12)
    tree, ledger = settled_under(here, winter, economics.tariff, integrated_optimum(standard_tree(here, winter)), Community())
    before = ledger.social_cost
    book_construction(ledger, here, winter, replace(economics, existing_network_cost=0.0), {"north 1": fleet}, {}, [{"north 1": bought}])
    assert ledger.social_cost - before == pytest.approx(payments.sum(), rel=1e-9)
    assert ledger.money["equipment"][STAKEHOLDERS.index("prosumers")] == pytest.approx(-payments.sum(), rel=1e-12)
    # Wear: the same battery, used, costs what is charged and discharged.
    from multiscale.devices import Offer
    from multiscale.operation import platform_program

    offer = {"battery": Offer(np.full(fleet.size, 4.0), np.zeros(winter.periods))}
    program = platform_program(fleet, economics, Community(), adoption=offer)
    for column in ("new_charge", "new_discharge", "charge"):
        np.testing.assert_allclose(
            program.c0[program.columns[column].positions] / winter.hours_per_year, devices["battery"].wear, rtol=1e-12, err_msg=column
        )
    assert tree.horizon is winter


def standard_tree(here, horizon):
    fleets = {p: here.fleet(p, horizon) for p in ("north 1", "north 2")}
    return operating_tree(here, horizon, Economics(), fleets, charged(["north"], 0.05), Community())


def test_new_generation_that_is_not_used_costs_what_existing_does(here, summer, economics):
    """A plan with new photovoltaics costs in operation what the same capacity costs once it is there."""
    from multiscale.devices import Offer
    from multiscale.operation import platform_program
    from multiscale.programs import CompiledProgram

    fleet = here.fleet("north 1", summer)
    profile = summer.sample(here.profiles, np.array(["pv"]))[0][0]
    offer = {"photovoltaics": Offer(np.full(fleet.size, 3.0), profile)}
    values = {"import_price": 0.05, "export_price": np.where(np.arange(summer.periods) % 2, -0.2, 0.05), "network_charge": 0.05}
    planned = platform_program(fleet, economics, Community(), adoption=offer, agreements=False)
    whole = np.full(fleet.size, 3.0)
    fixed = planned.fix({})
    size = fixed.columns["new_pv"].positions
    fixed.lower[size] = fixed.upper[size]
    there = platform_program(fleet.with_more({"photovoltaics": whole}, offer), economics, Community(), agreements=False)
    yearly = purchasable(device_settings())["photovoltaics"].yearly_cost(economics.annuity) * whole.sum()
    first, then = (CompiledProgram(program).solve_optimal(values).objective for program in (fixed, there))
    assert first == pytest.approx(then + yearly, rel=1e-9)


def test_real_costs_have_one_name_each():
    assert REAL_COSTS == ("production", "wear and discomfort", "unserved demand", "construction")
