from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from multiscale.assessment import ENERGY_TERMS, STAKEHOLDERS, Ledger, energy_account, prosumer_bills, settle_day
from multiscale.assessment.bills import bill_parts
from multiscale.assessment.gains import market_gain
from multiscale.assessment.payments import platform_payments
from multiscale.assessment.served import cut_off, unserved_power
from multiscale.assessment.trading import NOT_NETTED, trade_book
from multiscale.coordination.days import uncoordinated_days
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import Community, TimeOfUse
from multiscale.markets.pricing import PRICING
from multiscale.results.data.ledger_rows import balances, book_rows
from multiscale.timeline import Horizon
from multiscale.verification.injections import bus_injections
from tests.operated import coordinate_days
from tests.variants import changed, charged, priced

PLATFORMS = ("north 1", "north 2")


@pytest.fixture(scope="module")
def days():
    return Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-06-15")), (150.0, 216.0), 2.0)


@pytest.fixture(scope="module")
def operated(system, days, economics):
    """Two days of one DSO behind a small transformer: (tree, outcome) under every mechanism, and today without trade."""
    here = changed(system.cut(list(PLATFORMS)), "branches", "rating_kva", {"north 1 MV/LV transformer": 36.0})
    fleets = {p: here.fleet(p, days) for p in PLATFORMS}
    found = coordinate_days(here, days, economics, fleets, charged(["north"], 0.05), Community(), SerialEngine())
    cases = {f"{name}, day {k}": (day.tree, outcome) for k, day in enumerate(found) for name, outcome in day.outcomes.items()}
    price = {"north": np.full(days.periods, 0.06)}
    today = uncoordinated_days(here, days, economics, fleets, {"north": 3e5}, SerialEngine(), price, TimeOfUse())
    return cases | {f"today, day {k}": case for k, case in enumerate(zip(today.trees, today.outcomes, strict=True))}


NAMES = [f"{m}, day {k}" for m in ("integrated", "flat", "pricing", "today") for k in (0, 1)]


@pytest.fixture(params=NAMES)
def case(request, operated):
    return operated[request.param]


def test_every_flow_of_money_sums_to_zero(case):
    ledger = settle_day(*case)
    assert ledger.residual <= 1e-12
    money = ledger.arrays().money
    np.testing.assert_allclose(money.sum("stakeholder"), 0.0, atol=1e-6)
    assert np.abs(money).max() > 1000.0


def test_welfare_of_all_is_minus_the_social_cost(case):
    ledger = settle_day(*case)
    assert ledger.welfare.sum() == pytest.approx(-ledger.social_cost, rel=1e-9)


def test_social_cost_is_the_cost_of_operation_without_transfers(case):
    """What the mechanism minimised, less what platforms pay under the tariff, is what somebody really bears."""
    tree, outcome = case
    transfers = sum(sum(platform_payments(tree, p, outcome)[n] for n in tree.economics.tariff.components) for p in PLATFORMS)
    assert settle_day(tree, outcome).social_cost == pytest.approx(outcome.cost - transfers, rel=1e-7)


def test_bills_of_a_platform_sum_to_its_payments_and_fees(case):
    tree, outcome = case
    for platform in PLATFORMS:
        payments = platform_payments(tree, platform, outcome)
        assert set(payments) == {"energy", *tree.economics.tariff.components}
        assert prosumer_bills(tree, platform, outcome).sum() == pytest.approx(sum(payments.values()), rel=1e-9, abs=1e-6)


def test_the_parts_of_bills_sum_to_the_bill_and_to_what_the_platform_owes(case):
    tree, outcome = case
    for platform in PLATFORMS:
        parts, owed = bill_parts(tree, platform, outcome), platform_payments(tree, platform, outcome)
        assert set(parts) == set(owed)
        for name, amount in owed.items():
            assert parts[name].sum() == pytest.approx(amount, rel=1e-9, abs=1e-6), name
        np.testing.assert_allclose(sum(parts.values()), prosumer_bills(tree, platform, outcome), rtol=1e-12, atol=1e-9)


def test_trades_add_up_to_what_was_metered_and_to_the_bills(case):
    """Energy in is energy out for every member and period, every row is balanced, and all parties of a platform together have nothing."""
    tree, outcome = case
    for platform in PLATFORMS:
        book = trade_book(tree, platform, outcome)
        assert book.energy_residual <= 1e-9
        assert book.money_residual <= 1e-9
        assert abs(book.owed[NOT_NETTED]) <= 1e-6
        rows = book_rows(platform, book)
        held = balances(rows)
        assert abs(held.balance.sum()) <= 1e-9 * held.volume.sum()
        of = held.set_index("party").balance
        members = tree.fleets[platform].data.prosumer.values
        np.testing.assert_allclose(-of.reindex(members, fill_value=0.0), prosumer_bills(tree, platform, outcome), rtol=1e-9, atol=1e-6)
        paid = platform_payments(tree, platform, outcome)
        assert of["supplier"] == pytest.approx(paid["energy"], rel=1e-9, abs=1e-6)
        assert of["platform operator"] == pytest.approx(paid["trading_fee"], rel=1e-9, abs=1e-6)


def test_a_fee_above_all_charges_makes_no_member_pay_more_than_the_supplier_asks(system, days, economics):
    """Neighbours trade through the supplier then: buyers pay its price (and for deviations from the plan), and little is given back."""
    here = system.cut(list(PLATFORMS))
    fleets = {p: here.fleet(p, days) for p in PLATFORMS}
    for platform, fleet in fleets.items():
        pv = fleet.reference_demand * np.where(fleet.data.category.values == "business", 6.0, 0.0)[:, None]
        fleets[platform] = replace(fleet, data=fleet.data.assign(pv=(("prosumer", "period"), pv)))
    dear = replace(economics, tariff=priced(trading_fee=0.3))
    (found, *_) = coordinate_days(here, days, dear, fleets, charged(["north"], 0.05), Community(), SerialEngine(), references=False)
    (outcome,) = found.outcomes.values()
    for platform in PLATFORMS:
        book = trade_book(found.tree, platform, outcome)
        trades, off = book.trades, outcome.signals[platform].deviation_price + 1e-7
        bought, sold = trades.buyer != trades.outside, trades.seller != trades.outside
        assert (trades.local & bought).any()
        assert ((trades.price + trades.buyer_fee - book.retail[trades.period])[bought] <= off).all()
        assert ((trades.price - trades.seller_fee - book.feed_in[trades.period])[sold] >= -off).all()
        assert np.abs(book.rebate).sum() <= 0.01 * np.abs(book.bills).sum()


@pytest.mark.parametrize("mechanism", ["pricing", "integrated"])
def test_alone_costs_most_and_a_community_without_fees_least(operated, mechanism):
    """What may be done alone may be done in the market, and that in a community without fees."""
    for day in (0, 1):
        tree, outcome = operated[f"{mechanism}, day {day}"]
        for platform in PLATFORMS:
            gain = market_gain(tree, platform, outcome)
            alone, market, whole = gain.cost
            slack = 1e-9 * abs(alone)
            assert alone >= market - slack
            assert market >= whole - slack
            assert alone > whole + 1.0
            assert gain.bills.sum(axis=1)[0] > gain.bills.sum(axis=1)[2]


@pytest.mark.parametrize("kind", PRICING)
def test_a_pricing_rule_moves_money_between_members_alone(operated, kind):
    tree, outcome = operated["pricing, day 1"]
    for platform in PLATFORMS:
        other = replace(tree, market=Community(pricing=kind))
        bills, usual = (prosumer_bills(t, platform, outcome) for t in (other, tree))
        assert bills.sum() == pytest.approx(usual.sum(), rel=1e-9, abs=1e-6)
        book = trade_book(other, platform, outcome)
        assert book.energy_residual <= 1e-9
        assert book.money_residual <= 1e-9
        if kind != "pool_price" and book.trades.local.any():
            assert np.abs(bills - usual).max() > 1e-3


def test_each_meter_owes_for_itself(operated):
    """Without trade every prosumer owes levy and charge on what it draws, and the deduction on what it feeds in."""
    tree, outcome = operated["today, day 1"]
    hours, charge = tree.horizon.hours_per_year, float(tree.prices("north")["network_charge"])
    columns, x = tree.platforms["north 2"].columns, outcome.platform_x["north 2"]
    drawn, fed = ((columns.array(name, x).values * hours).sum(axis=1) for name in ("buy", "sell"))
    parts = bill_parts(tree, "north 2", outcome)
    np.testing.assert_allclose(parts["network_charge"], charge * drawn, rtol=1e-9)
    np.testing.assert_allclose(parts["levy"], 0.10 * drawn, rtol=1e-9)
    np.testing.assert_allclose(parts["export_deduction"], 0.01 * fed, rtol=1e-9, atol=1e-9)


def test_unserved_energy_is_the_same_in_every_account(operated):
    """Behind a transformer that is too small the operator cuts a platform off: energy table, ledger, bill and power flow have the same kWh."""
    tree, outcome = operated["today, day 0"]
    hours, voll = tree.horizon.hours_per_year, tree.economics.value_of_lost_load
    shed, spilled = (np.array([cut_off(tree, outcome, p)[k] for p in PLATFORMS]) for k in (0, 1))
    assert (shed @ hours).sum() > 100.0
    table = sum(energy_account(tree, p, outcome)[0][ENERGY_TERMS.index("unserved")] for p in PLATFORMS)
    passive = float((tree.distribution["north"].program.columns.array("unserved", outcome.distribution_x["north"]).values @ hours).sum())
    assert sum(float(power @ hours) for power in unserved_power(tree, outcome).values()) == pytest.approx(table + passive, rel=1e-9)
    ledger = settle_day(tree, outcome)
    assert (table + passive) * voll == pytest.approx(ledger.arrays().real_cost.sel(cost="unserved demand").sum().item(), rel=1e-9)
    kept, cut = (bus_injections(tree, outcome, ["north"], relief=relief).p.sum("bus").values for relief in (False, True))
    own = tree.distribution["north"].program.columns
    relieved = own.array("unserved", outcome.distribution_x["north"]).values.sum(axis=0) - own.array(
        "curtailed", outcome.distribution_x["north"]
    ).values.sum(axis=0)
    np.testing.assert_allclose(kept - cut, (shed - spilled).sum(axis=0) + relieved, atol=1e-6)
    # Nobody pays for energy that is not delivered.
    signal = outcome.signals["north 1"]
    program, x = tree.platforms["north 1"], outcome.platform_x["north 1"]
    ordered = program.outputs["exchange"].matrix @ x
    paid = platform_payments(tree, "north 1", outcome)["energy"]
    assert paid == pytest.approx(float((hours * signal.import_price * (ordered - shed[0] + spilled[0])).sum()), rel=1e-9)


def test_without_trade_every_prosumer_pays_the_tariff_for_what_it_draws(operated, economics):
    tree, outcome = operated["today, day 1"]
    hours, charge = tree.horizon.hours_per_year, tree.prices("north")["network_charge"]
    for platform in PLATFORMS:
        columns, x, signal = tree.platforms[platform].columns, outcome.platform_x[platform], outcome.signals[platform]
        buy, sell = columns.array("buy", x).values, columns.array("sell", x).values
        levy, deduction = (economics.tariff.components[name].price for name in ("levy", "export_deduction"))
        tariff = (signal.import_price + charge + levy) * buy - (signal.export_price - deduction) * sell
        np.testing.assert_allclose(prosumer_bills(tree, platform, outcome), (tariff * hours).sum(axis=1), rtol=1e-6)


def test_a_retail_charge_recovers_the_cost_of_the_network(operated):
    """Two days, one charge: what platforms and passive customers pay over the year is what was to be recovered."""
    paid = 0.0
    for k in (0, 1):
        ledger = settle_day(*operated[f"today, day {k}"])
        paid += ledger.money["network charge"][STAKEHOLDERS.index("distribution operators")]
    assert paid == pytest.approx(3e5, rel=0.01)


def test_energy_is_neither_lost_nor_made(case):
    tree, outcome = case
    for platform in PLATFORMS:
        terms, residual = energy_account(tree, platform, outcome)
        assert residual <= 1e-9
        assert len(terms) == len(ENERGY_TERMS)
        account = dict(zip(ENERGY_TERMS, terms.tolist(), strict=True))
        shed, spilled = cut_off(tree, outcome, platform)
        net = float(((outcome.exchange[platform] - shed + spilled) * tree.horizon.hours_per_year).sum())
        assert account["import"] - account["export"] == pytest.approx(net, rel=1e-9, abs=1e-4)
        assert account["storage losses"] >= -1e-6


def test_members_trade_where_there_is_sun(operated):
    tree, outcome = operated["pricing, day 1"]
    terms, _ = energy_account(tree, "north 1", outcome)
    assert dict(zip(ENERGY_TERMS, terms.tolist(), strict=True))["peer to peer"] > 100.0
    tree, outcome = operated["today, day 1"]
    # Without trade what members buy is imported, and what they sell exported, in the same hour.
    columns, x = tree.platforms["north 1"].columns, outcome.platform_x["north 1"]
    net = columns.array("buy", x).sum("prosumer") - columns.array("sell", x).sum("prosumer")
    np.testing.assert_allclose(outcome.exchange["north 1"], net.values, atol=1e-6)


def test_a_payment_is_received_by_somebody():
    ledger = Ledger()
    ledger.pay("prosumers", "supplier and state", "levy", 100.0)
    ledger.bear("prosumers", "unserved demand", 30.0)
    arrays = ledger.arrays()
    assert float(arrays.money.sel(stakeholder="supplier and state", flow="levy")) == 100.0
    assert float(arrays.welfare.sel(stakeholder="prosumers")) == -130.0
    assert ledger.social_cost == 30.0
    assert ledger.residual == 0.0


def test_a_payment_without_a_receiver_shows():
    ledger = Ledger()
    ledger.money["levy"] = np.eye(len(STAKEHOLDERS))[0] * -50.0
    assert ledger.residual == pytest.approx(1.0)
    # A flow that is not a number is no flow that adds up.
    ledger.pay("prosumers", "wholesale market", "energy", float("nan"))
    assert np.isnan(ledger.residual)
