"""Where networks are drawn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr

from multiscale.results.figures.layout import Layout

LINES = [("a", "b"), ("b", "c"), ("b", "d"), ("d", "e")]


def _network(x: list[float], y: list[float], lines: list[tuple[str, str]] = LINES, vn: float = 20.0) -> xr.Dataset:
    buses = sorted({bus for line in lines for bus in line})
    kinds = {"bus_x": ("bus", x), "bus_y": ("bus", y), "bus_vn_kv": ("bus", np.full(len(buses), vn)), "bus_node": ("bus", [b[0] for b in buses])}
    ends = {"branch_from": ("branch", [a for a, _ in lines]), "branch_to": ("branch", [b for _, b in lines])}
    return xr.Dataset(kinds | ends, coords={"bus": buses, "branch": ["-".join(line) for line in lines]})


@pytest.mark.parametrize("missing", [[np.nan] * 5, [2.0] * 5, [0.0, 1.0, 2.0, np.nan, 4.0]], ids=["none", "all equal", "one unknown"])
def test_a_network_without_coordinates_is_drawn_as_a_tree(missing: list[float]):
    layout = Layout(_network(missing, missing))
    assert layout.schematic
    assert layout.drawable
    places = {(round(x, 9), round(y, 9)) for x, y in zip(layout.x, layout.y, strict=True)}
    assert len(places) == 5
    # Every line leads away from the feeding bus.
    assert (layout.x[layout.end] > layout.x[layout.start]).all()


def test_known_coordinates_are_kept():
    x, y = [0.0, 1.0, 2.0, 1.0, 1.0], [10.0, 10.0, 10.0, 9.0, 8.0]
    layout = Layout(_network(x, y))
    assert not layout.schematic
    assert not layout.apart
    scale = layout.x[1]
    np.testing.assert_allclose(layout.x, scale * np.array(x))
    np.testing.assert_allclose(layout.y, y)


def test_networks_far_apart_are_drawn_next_to_each_other_at_one_scale():
    lines = [("a1", "a2"), ("b1", "b2"), ("c1", "c2")]
    layout = Layout(_network([0.0, 1.0, 100.0, 102.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 200.0, 200.0], lines))
    assert layout.apart
    assert [text for text, *_ in layout.labels] == ["a", "b", "c"]
    np.testing.assert_allclose(layout.x[1::2] - layout.x[::2], [1.0, 2.0, 1.0])
    assert np.ptp(layout.x) < 10
    assert np.ptp(layout.y) < 10


def test_a_part_with_many_buses_is_found():
    names = [f"n{k:02d}" for k in range(20)]
    lines = list(itertools.pairwise(names))
    dense = [100.0 * k for k in range(12)] + [500.0 + 1.0 * k for k in range(8)]
    even = [100.0 * k for k in range(20)]
    window = Layout(_network(dense, [0.0] * 20, lines)).crowded()
    assert window is not None
    assert sum(window.left <= x <= window.right for x in dense) >= 8
    assert window.right - window.left < 0.5 * np.ptp(dense)
    assert Layout(_network(even, [0.0] * 20, lines)).crowded() is None


def test_a_low_voltage_network_is_drawn_whole_with_its_transformer():
    data = _network([0.0, 1.0, 2.0, 1.0, 1.0], [0.0, 0.0, 0.0, -1.0, -2.0], vn=0.4)
    data.bus_vn_kv[0] = 10.0
    layout = Layout(data)
    assert layout.buses.all()
    assert layout.branches.all()
    assert layout.substations.tolist() == [True, False, False, False]
