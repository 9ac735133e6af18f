"""Supply that is limited from above is refused only where what is drawn at least is more."""

from __future__ import annotations

import numpy as np
import pandapower as pp
import pytest

from multiscale.devices import DEVICES
from multiscale.devices.fleet import purchasable
from multiscale.pipeline.case import _short_supply
from multiscale.sources import pandapower_system
from multiscale.system import System
from multiscale.system.yearly import yearly_profiles
from tests.made_once import empty_network


@pytest.fixture(scope="module")
def feeder() -> System:
    """A customer with 5 kW of constant demand; the external grid may supply 6 kW."""
    net = empty_network()
    high, low, end = (pp.create_bus(net, vn_kv=v, name=n) for v, n in ((20.0, "busbar"), (0.4, "station"), (0.4, "house")))
    pp.create_ext_grid(net, high, name="grid", max_p_mw=0.006)
    pp.create_transformer(net, high, low, "0.4 MVA 20/0.4 kV")
    pp.create_line(net, low, end, 0.1, "NAYY 4x150 SE")
    for power in (0.003, 0.002):
        pp.create_load(net, end, power, 0.0)
    pp.create_storage(net, end, 0.0, max_e_mwh=0.01, max_p_mw=0.0, min_p_mw=0.0)
    return pandapower_system(net)


def _refusals(system: System, *, may_buy: bool = False) -> list[str]:
    offered = purchasable({key: entry() for key, entry in DEVICES.items()}) if may_buy else {}
    return [str(problem) for problem in _short_supply(system, yearly_profiles(system, system.at_level("dso")), offered)]


def _changed(system: System, kind: str, demand: float, storage: float = 0.0) -> System:
    """The second load of another kind and size [kW], and the battery of another power [kW]."""
    devices = system.devices
    loads = np.flatnonzero(devices.kind.values == "load")
    kinds, power = devices.kind.values.copy(), devices.p_kw.values.copy()
    kinds[loads[1]], power[loads[1]] = kind, demand
    power[devices.kind.values == "battery"] = storage
    return system.replace(devices=devices.assign(kind=("device", kinds), p_kw=("device", power)))


def test_enough_is_enough(feeder: System):
    assert _refusals(feeder) == []
    assert _refusals(_changed(feeder, "load", 3.0)) == []


def test_inflexible_demand_above_the_limit_is_refused_with_both_figures(feeder: System):
    (said,) = _refusals(_changed(feeder, "load", 4.0))
    assert "p_max_kw 6 kW of supply is below the 7 kW of inflexible demand less generation and storage" in said
    assert "raise the limit, or lower the demand" in said


@pytest.mark.parametrize("kind", ["ev", "heat_pump"])
def test_demand_that_can_move_to_other_hours_is_not_compared(feeder: System, kind: str):
    assert _refusals(_changed(feeder, kind, 4.0)) == []


def test_what_storage_can_supply_is_not_short(feeder: System):
    assert _refusals(_changed(feeder, "load", 4.0, storage=0.9))
    assert _refusals(_changed(feeder, "load", 4.0, storage=1.0)) == []


def test_what_may_be_bought_is_not_short(feeder: System):
    assert _refusals(_changed(feeder, "load", 4.0), may_buy=True) == []
    assert _refusals(_changed(feeder, "load", 400.0), may_buy=True)
