"""Facts that hold for every device of the registry."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiscale.content import content_key
from multiscale.devices import DEVICES, device_settings
from multiscale.devices.fleet import fleet_variables, purchasable
from multiscale.devices.words import describe_devices
from multiscale.markets import Community
from multiscale.markets.reduction import reduced_fleet
from multiscale.operation import platform_program
from multiscale.programs import CompiledProgram, solve
from multiscale.settings import unit_of
from multiscale.system.schema import COMPONENTS, DEVICE_KINDS
from tests.devices.conftest import SIZES, example

ROOT = Path(__file__).parents[2]
KEYS = sorted(DEVICES)
AT_MOST = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def singles(fleet):
    """The prosumers of a fleet one by one."""
    for name in fleet.data.prosumer.values.tolist():
        yield type(fleet)(name, fleet.horizon, fleet.data.sel(prosumer=[name]), fleet.devices)


@pytest.mark.parametrize("key", KEYS)
def test_every_setting_has_a_unit_a_range_and_a_meaning(key):
    for name, field in DEVICES[key].model_fields.items():
        assert field.description, name
        assert unit_of(DEVICES[key], name), name
        assert field.metadata, f"{name} has no range"


@pytest.mark.parametrize("key", KEYS)
def test_every_device_is_tested_by_a_file_of_its_own(key):
    assert (ROOT / "tests" / "devices" / f"test_{key}.py").is_file()
    assert example(key)["kind"] in DEVICES[key].kinds


def test_every_device_is_documented():
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert describe_devices() in text, "put the text of multiscale.devices.words.describe_devices() into docs/data.md"


def test_nothing_is_declared_twice():
    kinds = [kind for device in DEVICES.values() for kind in device.kinds]
    columns = [column for device in DEVICES.values() for column in device.columns]
    variables = [name for device in DEVICES.values() for name in device.variables]
    for names in (kinds, columns, variables):
        assert len(names) == len(set(names))
    assert set(kinds) == set(DEVICE_KINDS) - {"load"}
    assert set(columns) <= set(COMPONENTS["device"])
    assert all(declared.weight in ("", *variables) for declared in fleet_variables(DEVICES).values())


@pytest.mark.parametrize("key", KEYS)
@AT_MOST
@given(price=st.lists(st.floats(-0.1, 0.5), min_size=12, max_size=12), gap=st.floats(0.0, 0.2))
def test_the_response_of_proportional_devices_together_is_the_sum_of_theirs(fleet_of, winter, economics, key, price, gap):
    fleet = fleet_of(key, winter)
    signals = {"import_price": np.array(price), "export_price": np.array(price) - gap, "network_charge": 0.03}
    one = fleet.aggregate(np.full(fleet.size, "all"))
    shapes = DEVICES[key]().shape(fleet)[: len(SIZES)]
    np.testing.assert_allclose(shapes, np.broadcast_to(shapes[:1], shapes.shape), rtol=1e-12, atol=1e-12)
    together = solve(platform_program(one, economics, Community(), agreements=False), signals).objective
    apart = sum(solve(platform_program(f, economics, Community(), agreements=False), signals).objective for f in singles(fleet))
    assert together == pytest.approx(apart, rel=1e-7, abs=1e-5)


@pytest.mark.parametrize("key", KEYS)
@AT_MOST
@given(price=st.lists(st.floats(-1.0, 1.0), min_size=12, max_size=12))
def test_no_device_draws_or_supplies_more_than_its_bounds(fleet_of, winter, economics, key, price):
    fleet = fleet_of(key, winter)
    one = fleet.aggregate(np.full(fleet.size, "all"))
    signals = {"import_price": np.array(price), "export_price": np.array(price), "network_charge": 0.0}
    exchange = solve(platform_program(one, economics, Community(), agreements=False), signals).output("exchange").values
    assert (exchange <= one.largest_consumption()[0] + 1e-7).all()
    assert (exchange >= -one.largest_supply()[0] - 1e-7).all()


@pytest.mark.parametrize("key", KEYS)
def test_the_reference_is_within_the_bounds_and_adds_up(fleet_of, winter, key):
    fleet = fleet_of(key, winter)
    assert (fleet.reference_demand <= fleet.largest_consumption() + 1e-12).all()
    assert (fleet.reference_generation <= fleet.largest_supply() + 1e-12).all()
    one = fleet.aggregate(np.full(fleet.size, "all"))
    np.testing.assert_allclose(one.reference_demand[0], fleet.reference_demand.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(one.reference_generation[0], fleet.reference_generation.sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("key", KEYS)
def test_a_reduced_fleet_answers_like_the_whole_one(fleet_of, winter, economics, key):
    fleet = fleet_of(key, winter)
    reduced = reduced_fleet(fleet)
    assert reduced.size <= fleet.size
    price = 0.1 + 0.08 * np.sin(np.arange(winter.periods))
    signals = {"import_price": price, "export_price": price - 0.02, "network_charge": 0.03}
    whole, fewer = (
        CompiledProgram(platform_program(f, economics, Community(), agreements=False)).solve_optimal(signals).objective for f in (fleet, reduced)
    )
    assert fewer == pytest.approx(whole, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("key", KEYS)
def test_a_passive_device_draws_what_it_draws_behind_a_meter_without_control(system, fleet_of, winter, key):
    """The same devices without a prosumer are passive demand, generation, or idle."""
    from tests.devices.conftest import sized, system_with

    fleet = fleet_of(key, winter)
    bus = str(fleet.data.bus.values[0])
    rows = {f"passive {k}": sized(example(key), s) | {"prosumer": "", "bus": bus} for k, s in enumerate(SIZES)}
    here = system_with(system, rows)
    passive = here.passive("north 1", winter)
    np.testing.assert_allclose(passive.demand.sum("bus"), fleet.reference_demand.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(passive.generation.sum("bus"), fleet.reference_generation.sum(axis=0), atol=1e-9)
    # Where the network is left away, the devices are summed at the place where it was connected.
    cut = here.cut(["north 2"]).passive("north", winter)
    np.testing.assert_allclose(cut.demand.sum("bus"), fleet.reference_demand.sum(axis=0), atol=1e-9)
    np.testing.assert_allclose(cut.generation.sum("bus"), fleet.reference_generation.sum(axis=0), atol=1e-9)


@pytest.mark.parametrize("key", KEYS)
def test_a_fleet_travels_with_its_settings(fleet_of, winter, key):
    name, field = next(iter(DEVICES[key].model_fields.items()))
    changed = device_settings(**{key: {name: 0.5 * field.default if field.default else 0.5}})
    fleet, other = fleet_of(key, winter), fleet_of(key, winter, settings=changed)
    back = pickle.loads(pickle.dumps(other))
    assert back.data.identical(other.data)
    assert back.devices == other.devices == changed
    assert content_key(back) == content_key(other) != content_key(fleet)


@pytest.mark.parametrize("key", sorted(purchasable(device_settings())))
def test_what_is_bought_costs_its_annuity_and_upkeep(fleet_of, winter, key, economics):
    from multiscale.devices import Offer

    device = purchasable(device_settings())[key]
    one = fleet_of(key, winter).aggregate(np.full(5, "all"))
    offer = {key: Offer(np.array([3.0]), np.ones(winter.periods))}
    program = platform_program(one, economics, Community(), adoption=offer, agreements=False)
    size = program.columns[device.capacity.column]
    r, n = economics.discount_rate, device.lifetime
    yearly = device.investment * r / (1 - (1 + r) ** -n) + device.upkeep
    # Of generation that is bought and not used, the curtailment cost comes on top.
    unused = getattr(device, "curtailment_cost", 0.0) * winter.hours_per_year.sum()
    assert program.c0[size.positions[0]] == pytest.approx(yearly + unused, rel=1e-12)
    assert device.yearly_cost(economics.annuity) == pytest.approx(yearly, rel=1e-12)
    assert size.unit == device.capacity.unit
