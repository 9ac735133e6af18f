"""What counts as trade between prosumers: nothing where each deals with the supplier alone."""

import pytest

from multiscale.assessment import ENERGY_TERMS, energy_account
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.markets import Community, TimeOfUse
from multiscale.operation import operating_tree
from multiscale.representative_days import representative_days
from multiscale.sources import tiny_system
from multiscale.system import Economics
from multiscale.system.yearly import yearly_profiles
from tests.variants import charged


@pytest.mark.parametrize("market", [Community(), TimeOfUse()], ids=lambda m: m.kind)
def test_peer_to_peer_energy_is_zero_where_prosumers_trade_alone(market):
    system = tiny_system().cut(["north", "north 1"])
    horizon = representative_days(yearly_profiles(system, ["north"]), 1, 1.0).horizon
    fleets = {"north 1": system.fleet("north 1", horizon)}
    tree = operating_tree(system, horizon, Economics(), fleets, charged(["north"], 0.04), market)
    terms, residual = energy_account(tree, "north 1", integrated_optimum(tree))
    energy = dict(zip(ENERGY_TERMS, terms, strict=True))
    assert residual < 1e-9
    if market.kind == "community":
        assert energy["peer to peer"] > 1000.0
        assert energy["export"] == pytest.approx(0.0, abs=1.0)
    else:
        # The neighbour's surplus is exported to the supplier, and what the others need is imported.
        assert energy["peer to peer"] == 0.0
        assert energy["export"] > 1000.0
