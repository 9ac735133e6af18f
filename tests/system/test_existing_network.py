"""The existing network costs what it costs today, whatever demand is added to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from multiscale.system import Growth, grow
from multiscale.system.existing_network import demand_today, existing_network_cost, without_growth

GROWN = {
    "demand": Growth(load_factor=1.7),
    "less demand": Growth(load_factor=0.5),
    "no demand left": Growth(load_factor=0.0),
    "electrification": Growth(heat_pump_share=1.0, ev_share=1.0),
    "generation": Growth(pv_share=1.0, battery_share=1.0),
}


@pytest.mark.parametrize("growth", GROWN.values(), ids=GROWN)
def test_growth_does_not_change_the_cost_of_the_existing_network(system, winter, economics, growth):
    before = existing_network_cost(system, "north", winter, economics)
    assert existing_network_cost(grow(system, growth), "north", winter, economics) == pytest.approx(before, rel=1e-12)
    assert existing_network_cost(grow(grow(system, growth), Growth(load_factor=1.3)), "north", winter, economics) == pytest.approx(before, rel=1e-12)


def test_nor_does_leaving_a_platform_to_the_passive_customers(system, winter, economics):
    before = existing_network_cost(system, "north", winter, economics)
    cut = grow(system, Growth(load_factor=1.7, ev_share=1.0)).cut(["north", "north 1"])
    assert existing_network_cost(cut, "north", winter, economics) == pytest.approx(before, rel=1e-12)


def test_it_is_in_proportion_to_what_is_drawn_today(system, winter, economics):
    passive = system.passive("north", winter).demand.values.sum(axis=0)
    reference = sum(system.fleet(p, winter).reference_demand.sum(axis=0) for p in system.children("north"))
    energy = float(((passive + reference) * winter.hours_per_year).sum())
    assert demand_today(system, "north", winter) == pytest.approx(energy, rel=1e-12)
    dearer = replace(economics, existing_network_cost=2 * economics.existing_network_cost)
    assert existing_network_cost(system, "north", winter, dearer) == pytest.approx(2 * energy * economics.existing_network_cost, rel=1e-12)


def test_without_growth_everybody_has_what_they_had(system, winter):
    grown = grow(system, Growth(load_factor=1.7, ev_share=1.0, pv_share=1.0, heat_pump_share=1.0))
    before, after = system.fleet("north 1", winter).data, without_growth(grown).fleet("north 1", winter).data
    for name in ("demand", "ev", "heat_pump", "pv"):
        assert after[name].values == pytest.approx(before[name].values, rel=1e-9, abs=1e-12), name
