"""Decided prices in the summary: the mean over the operators, and only where they are in force."""

from types import SimpleNamespace
from typing import Any, cast

from multiscale.results.data.study_summary import _prices
from multiscale.tariffs import Tariff, Volumetric
from multiscale.tariffs.policies.capacity_payment import CapacityPayment


def test_a_scenario_without_a_plan_has_no_price_of_a_policy_that_the_plan_decides():
    tariff = Tariff({"network_charge": Volumetric(), "firm": CapacityPayment()})
    answer = cast("Any", SimpleNamespace(case=SimpleNamespace(economics=SimpleNamespace(tariff=tariff), horizon=None)))
    assert _prices("existing", [{"network_charge": 0.04}, {"network_charge": 0.06}], answer) == {"existing.price.network_charge": (0.05, "EUR/kWh")}
    planned = _prices("plan", [{"network_charge": 0.04, "firm": 10.0}, {"network_charge": 0.06, "firm": 30.0}], answer)
    assert planned["plan.price.firm"] == (20.0, "EUR/kW")
