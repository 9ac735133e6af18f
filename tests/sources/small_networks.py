"""Small networks, one for each kind of thing that is easily misread: name -> (function that makes it, fields of its approximations)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd

from tests.made_once import empty_network, made_once

_CABLE = {"r_ohm_per_km": 0.206, "x_ohm_per_km": 0.116, "c_nf_per_km": 250.0, "max_i_ka": 0.319}
_SERVICE = {"r_ohm_per_km": 0.208, "x_ohm_per_km": 0.08, "c_nf_per_km": 261.0, "max_i_ka": 0.27}
_UNIT = {
    "sn_mva": 0.4, "vn_hv_kv": 20.0, "vn_lv_kv": 0.4, "vkr_percent": 1.425, "vk_percent": 6.0, "pfe_kw": 1.35, "i0_percent": 0.3375,
    "shift_degree": 150.0,
}  # fmt: skip
_TAP = {"tap_side": "hv", "tap_neutral": 0, "tap_min": -2, "tap_max": 2, "tap_step_percent": 2.5, "tap_pos": 0, "tap_changer_type": "Ratio"}


@made_once
def feeder(f_hz: float = 50.0, load: float = 0.4, vm_pu: float = 1.0, **line: float) -> Any:
    """Five buses of 20 kV in a row."""
    net = empty_network(f_hz=f_hz)
    buses = [pp.create_bus(net, vn_kv=20.0, name=f"n{k}") for k in range(5)]
    pp.create_ext_grid(net, buses[0], vm_pu=vm_pu, name="supply")
    for k in range(4):
        pp.create_line_from_parameters(net, buses[k], buses[k + 1], length_km=2.0, name=f"l{k}", **{**_CABLE, **line})
        pp.create_load(net, buses[k + 1], load, load / 5, name=f"d{k + 1}")
    return net


@made_once
def house(vm_pu: float = 1.0, **unit: Any) -> Any:
    """A 20 kV cable, a transformer, a 400 V cable, 50 kW."""
    net = empty_network()
    grid, station, board, home = (
        pp.create_bus(net, vn_kv=v, name=n) for v, n in ((20.0, "grid bus"), (20.0, "station"), (0.4, "board"), (0.4, "house"))
    )
    pp.create_ext_grid(net, grid, vm_pu=vm_pu, name="supply")
    pp.create_line_from_parameters(net, grid, station, length_km=2.0, name="cable", **_CABLE)
    pp.create_line_from_parameters(net, board, home, length_km=0.2, name="service", **_SERVICE)
    pp.create_transformer_from_parameters(net, station, board, name="unit", **{**_UNIT, **_TAP, **unit})
    pp.create_load(net, home, 0.05, 0.01, name="home")
    return net


def _with(make: Callable[[], Any], *changes: Callable[[Any], object]) -> Callable[[], Any]:
    def made() -> Any:
        net = make()
        for change in changes:
            change(net)
        return net

    return made


def _column(table: str, column: str, values: Any) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table][column] = values

    return change


def _second_tap(net: Any) -> None:
    for column, value in {"tap2_side": "hv", "tap2_neutral": 0, "tap2_pos": 2, "tap2_step_percent": 3.0, "tap2_step_degree": 0.0}.items():
        net.trafo[column] = value
    net.trafo["tap2_changer_type"] = "Ratio"


def _reversed_unit(net: Any) -> None:
    net.trafo.loc[0, ["hv_bus", "lv_bus"]] = [2, 1]
    net.trafo.loc[0, ["vn_hv_kv", "vn_lv_kv"]] = [0.4, 20.0]


def _spare_busbar(net: Any) -> None:
    old = pp.create_bus(net, vn_kv=0.4, name="old bar", type="b", in_service=False)
    net.bus.loc[2, "type"] = "n"
    pp.create_switch(net, 2, old, et="b", closed=True)


def _two_grids(net: Any) -> None:
    pp.create_ext_grid(net, 4, name="supply 2")
    pp.create_switch(net, 2, 2, et="l", closed=False)


def _one_grid_at_two_buses(net: Any) -> None:
    pp.create_ext_grid(net, 4, vm_pu=1.02, name="supply 2")


def _three_windings(net: Any) -> None:
    """Above the feeder a transformer 110/20/10 kV with 300 kW at 10 kV."""
    high, third = pp.create_bus(net, vn_kv=110.0, name="high"), pp.create_bus(net, vn_kv=10.0, name="third")
    net.ext_grid.loc[0, "bus"] = high
    pp.create_transformer3w_from_parameters(
        net, high, 0, third, vn_hv_kv=110, vn_mv_kv=20, vn_lv_kv=10, sn_hv_mva=40, sn_mv_mva=25, sn_lv_mva=15, vk_hv_percent=10, vk_mv_percent=11,
        vk_lv_percent=12, vkr_hv_percent=0.3, vkr_mv_percent=0.31, vkr_lv_percent=0.32, pfe_kw=30, i0_percent=0.1, tap_side="hv",
        tap_neutral=0, tap_min=-8, tap_max=8, tap_pos=-3, tap_step_percent=1.25, tap_changer_type="Ratio", name="big",
    )  # fmt: skip
    pp.create_load(net, third, 0.3, 0.06, name="plant")


def _three_windings_twice(net: Any) -> None:
    """Two alike in parallel."""
    _three_windings(net)
    net.trafo3w = pd.concat([net.trafo3w, net.trafo3w.assign(name="second")], ignore_index=True)


def _slack_at_the_end(net: Any) -> None:
    pp.create_gen(net, 4, 0.3, vm_pu=1.0, slack=True, name="plant")


def _unused_part(net: Any) -> None:
    near, far = (pp.create_bus(net, vn_kv=20.0, name=name) for name in ("unused", "unused end"))
    pp.create_line_from_parameters(net, near, far, length_km=1.0, name="unused line", **_CABLE)


def _dead_end(net: Any) -> None:
    """A cable of nine kilometres to a bus out of service."""
    pp.create_line_from_parameters(net, 4, pp.create_bus(net, vn_kv=20.0, name="dead", in_service=False), length_km=9.0, name="old", **_CABLE)


def _open_stub(net: Any) -> None:
    """A cable that is open at its far end, at which nothing stands."""
    far = pp.create_bus(net, vn_kv=20.0, name="far")
    pp.create_switch(net, far, pp.create_line_from_parameters(net, 4, far, length_km=9.0, name="stub", **_CABLE), et="l", closed=False)


def _open_unit(net: Any) -> None:
    """A transformer that is open at its low side, at which nothing stands."""
    spare = pp.create_bus(net, vn_kv=0.4, name="spare")
    pp.create_switch(net, spare, pp.create_transformer_from_parameters(net, 1, spare, name="second", **{**_UNIT, **_TAP}), et="t", closed=False)


def _shared_names(net: Any) -> None:
    net.bus["name"] = ["a", "a", "a (2)", "b", ""]
    net.load["name"] = ["supply", "supply", "supply (2)", "a"]
    pp.create_gen(net, 3, 0.3, vm_pu=1.0, name="supply")


def _two_voltages(net: Any) -> None:
    """Behind the feeder a second medium voltage, and a motor at its end."""
    far = pp.create_bus(net, vn_kv=10.0, name="far")
    pp.create_transformer_from_parameters(net, 4, far, name="20/10", **{**_UNIT, "sn_mva": 4.0, "vn_lv_kv": 10.0})
    pp.create_motor(net, far, 0.1, 0.85, efficiency_percent=95.0, loading_percent=80.0)


def _lv_only() -> Any:
    net = empty_network()
    buses = [pp.create_bus(net, vn_kv=0.4, name=f"b{k}") for k in range(5)]
    pp.create_ext_grid(net, buses[0], name="g")
    for k, (i, j) in enumerate(((0, 1), (1, 2), (0, 3), (3, 4))):
        pp.create_line_from_parameters(net, buses[i], buses[j], length_km=0.1, name=f"l{k}", **_SERVICE)
        pp.create_load(net, buses[j], 0.01, 0.002, name=f"h{k}")
    return net


def _slack_generator(net: Any) -> None:
    net.ext_grid = net.ext_grid.iloc[:0]
    pp.create_gen(net, 0, 1.0, vm_pu=1.01, slack=True, name="plant")


def _ring(net: Any) -> None:
    pp.create_line_from_parameters(net, 0, 4, length_km=3.0, name="l4", **_CABLE)


def _impedance(net: Any, **more: float) -> None:
    far = pp.create_bus(net, vn_kv=20.0, name="far")
    pp.create_impedance(net, 4, far, rft_pu=0.01, xft_pu=0.02, sn_mva=10.0, **more)
    pp.create_load(net, far, 0.5, 0.1, name="dx")


def _geo(net: Any) -> None:
    net.bus["geo"] = ["null", json.dumps({"type": "LineString", "coordinates": [[8.0, 50.0], [9.0, 51.0]]}), "no json", None]


def _open_transformer(net: Any) -> None:
    """A second transformer, open at its low side: it stays magnetised."""
    pp.create_transformer_from_parameters(net, 1, 2, name="second", **{**_UNIT, **_TAP})
    pp.create_switch(net, 2, 1, et="t", closed=False)


def _shunt_of_a_table(net: Any) -> None:
    """A capacitor bank whose power is tabulated by step, and one whose power is not."""
    net["shunt_characteristic_table"] = pd.DataFrame(
        {"id_characteristic": [0, 0, 0], "step": [1, 2, 3], "q_mvar": [-0.2, -0.35, -0.45], "p_mw": [0.001, 0.002, 0.004]}
    )
    pp.create_shunt(net, 3, q_mvar=-9.0, p_mw=9.0, step=2, max_step=3, step_dependency_table=True, id_characteristic_table=0, name="bank", vn_kv=21.0)
    pp.create_shunt(net, 2, q_mvar=-0.1, step=2, max_step=3, name="plain")


SMALL: Mapping[str, tuple[Callable[[], Any], set[str]]] = {
    "slack voltage": (lambda: feeder(vm_pu=1.03), set()),
    "60 Hz": (lambda: feeder(f_hz=60.0, load=0.1, c_nf_per_km=3000.0), set()),
    "line conductance": (lambda: feeder(load=0.1, g_us_per_km=15.0), set()),
    "parallel derated lines": (_with(feeder, _column("line", "parallel", 2), _column("line", "df", 0.8)), set()),
    "unrated lines": (_with(feeder, _column("line", "max_i_ka", np.nan)), {"max_i_ka"}),
    "ward": (_with(feeder, lambda net: pp.create_ward(net, 3, 0.5, 0.1, 0.1, 0.2)), {"p_mw"}),
    "extended ward": (_with(feeder, lambda net: pp.create_xward(net, 3, 0.2, 0.1, 0.0, 0.0, 0.1, 0.3, 1.0)), {"vm_pu"}),
    "shunt of another voltage": (_with(feeder, lambda net: pp.create_shunt(net, 3, q_mvar=-0.5, vn_kv=21.0, step=2)), set()),
    "shunt of a table": (_with(feeder, _shunt_of_a_table), {"p_mw"}),
    "ZIP load": (_with(feeder, _column("load", "const_z_p_percent", 40.0)), {"const_z_p_percent"}),
    "switch with resistance": (
        _with(
            feeder, lambda net: pp.create_switch(net, 4, pp.create_bus(net, vn_kv=20.0), et="b", z_ohm=3.0), lambda net: pp.create_load(net, 5, 0.2)
        ),
        {"in_ka"},
    ),
    "impedance": (_with(feeder, _impedance), {"rating"}),
    "impedance of two directions": (_with(feeder, lambda net: _impedance(net, rtf_pu=0.02, xtf_pu=0.03)), {"rating", "rft_pu, xft_pu"}),
    "direct-current line": (
        _with(feeder, lambda net: pp.create_dcline(net, 1, 4, 0.2, 2.0, 0.005, 1.0, 1.0)),
        {"p_mw, vm_from_pu, vm_to_pu"},
    ),
    "storage without energy": (_with(feeder, lambda net: pp.create_storage(net, 3, 0.2, max_e_mwh=np.nan)), {"max_e_mwh"}),
    "storage": (_with(feeder, lambda net: pp.create_storage(net, 3, 0.0, max_e_mwh=0.4)), {"p_mw, max_p_mw, sn_mva", "efficiency_percent"}),
    "generator in the feeder": (_with(feeder, lambda net: pp.create_gen(net, 3, 0.3, vm_pu=1.01, name="chp")), {"vm_pu"}),
    "generator as slack": (_with(feeder, _slack_generator), set()),
    "unknown source": (_with(feeder, lambda net: pp.create_sgen(net, 3, 0.2, type="gas", name="engine")), {"type"}),
    "names in several tables": (_with(feeder, _shared_names), {"vm_pu"}),
    "two grids, open between": (_with(feeder, _two_grids), set()),
    "one grid at two voltages": (_with(feeder, _one_grid_at_two_buses), {"vm_pu", "ring"}),
    "ring": (_with(feeder, _ring), {"ring"}),
    "a second medium voltage": (_with(feeder, _two_voltages), set()),
    "three windings": (_with(feeder, _three_windings), {"vm_pu"}),
    "three windings twice": (_with(feeder, _three_windings_twice), {"vm_pu"}),
    "a line to where it comes from": (_with(feeder, lambda net: pp.create_line_from_parameters(net, 4, 4, length_km=1.0, **_CABLE)), set()),
    "a line beside a closed switch": (_with(feeder, lambda net: pp.create_switch(net, 2, 3, et="b", closed=True)), set()),
    "a slack generator beside a grid": (_with(feeder, _slack_at_the_end), {"ring"}),
    "a part that nobody uses": (_with(feeder, _unused_part), set()),
    "unbalanced load": (
        _with(house, lambda net: pp.create_asymmetric_load(net, 3, p_a_mw=0.02, p_b_mw=0.01, p_c_mw=0.0, q_a_mvar=0.004, name="flat")),
        {"phases"},
    ),
    "unbalanced source": (_with(house, lambda net: pp.create_asymmetric_sgen(net, 3, p_a_mw=0.03, type="PV", name="roof")), {"phases"}),
    "tap position missing": (lambda: house(tap_pos=np.nan, tap_neutral=9), set()),
    "tap without type": (lambda: house(tap_pos=-2, tap_changer_type=None), set()),
    "tap on the low side": (lambda: house(tap_pos=1, tap_side="lv"), set()),
    "phase shifter": (lambda: house(tap_pos=1, tap_step_percent=np.nan, tap_step_degree=5.0, tap_changer_type="Ideal"), set()),
    "cross regulator": (lambda: house(tap_pos=2, tap_step_degree=60.0), set()),
    "two tap changers": (_with(house, _second_tap), set()),
    "transformer the other way round": (_with(house, _reversed_unit), set()),
    "transformer open at one end": (_with(house, _open_transformer), set()),
    "spare busbar out of service": (_with(house, _spare_busbar), set()),
    "odd coordinates": (_with(house, _geo), set()),
    "low voltage alone, two feeders": (_lv_only, set()),
}
"""Name -> network, and the fields that the list of approximations names."""

OPEN_ENDS: Mapping[str, Callable[[], Any]] = {
    "cable to a bus out of service": _with(feeder, _dead_end),
    "bus out of service at the end": _with(feeder, _column("bus", "in_service", [True, True, True, True, False])),
    "open cable": _with(feeder, _open_stub),
    "open transformer": _with(house, _open_unit),
}
"""Networks with a branch that leads nowhere, and takes power nevertheless."""
