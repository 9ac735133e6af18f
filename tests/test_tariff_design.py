"""The study of tariff designs: money closes, trying all sets equals the bilevel engine, fixed charges move nobody; the full study is slow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from studies.tariff_design.__main__ import main
from studies.tariff_design.customers import KINDS, customers
from studies.tariff_design.designs import Design, efficient, outcome
from studies.tariff_design.network import feeder
from studies.tariff_design.nodal import enumerated, plan


@pytest.fixture(scope="module")
def case():
    return feeder(5, 2)


def test_tariff_and_rent_recover_the_cost_and_all_payments_add_up(case):
    """Fixed customers pay together what they would at nodal prices, so nodal payments are the energy bought and the congestion rent."""
    found = enumerated(case)
    assert found.tariff_revenue + found.rent == pytest.approx(found.existing + found.annuity, rel=1e-6)
    paid = found.fixed_price * found.fixed_energy + found.flexible_paid
    assert paid == pytest.approx(found.energy_cost + found.rent, rel=1e-9)
    assert found.bound <= found.social_cost + 1e-6


@pytest.mark.slow
def test_the_bilevel_engine_proves_what_trying_all_sets_finds(case):
    proven, tried = plan(case), enumerated(case)
    assert proven.status == "optimal"
    assert proven.built == tried.built
    assert proven.social_cost == pytest.approx(tried.social_cost, abs=1e-3)
    assert proven.tariff == pytest.approx(tried.tariff, abs=1e-6)


def test_a_fixed_charge_costs_society_least_and_small_customers_most(case):
    """What nobody can avoid distorts nothing, and is the same for a flat as for a large house."""
    volumetric, fixed = (outcome(case, Design("volumetric", share)) for share in (0.0, 1.0))
    who = customers(case)
    for found in (volumetric, fixed):
        assert found.status == "optimal"
        assert found.revenue == pytest.approx(found.due, rel=2e-4)
        everyone = [who.number[who.kind == k].sum() for k in range(len(KINDS))]
        assert np.dot(everyone, found.network) == pytest.approx(found.revenue, rel=1e-9)
    assert fixed.social_cost < volumetric.social_cost - 1.0
    assert fixed.network[0] > volumetric.network[0]
    assert fixed.network[0] == pytest.approx(fixed.network[-1], rel=0.05)
    assert efficient([volumetric, fixed]) == [True, True]


@pytest.mark.slow
def test_the_command_writes_tables_and_the_picture(tmp_path, capsys):
    assert main(["--buses", "5", "--options", "2", "--bases", "volumetric", "--output", str(tmp_path)]) == 0
    table = pd.read_csv(tmp_path / "designs_5.csv")
    assert len(table) == 5
    assert (tmp_path / "frontier_5.png").stat().st_size > 10_000
    assert "fixed and nodal customers" in capsys.readouterr().out
