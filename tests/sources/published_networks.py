"""Networks that come with pandapower, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandapower.networks as pn

_PLAIN = (
    "case4gs", "case5", "case6ww", "case9", "case11_iwamoto", "case14", "case24_ieee_rts", "case30", "case_ieee30", "case33bw", "case39",
    "case57", "case89pegase", "case118", "case145", "case300", "case_illinois200", "GBreducednetwork", "case1354pegase", "case1888rte",
    "case2848rte", "iceland", "create_cigre_network_hv", "create_cigre_network_lv", "example_simple", "example_multivoltage",
    "mv_oberrhein", "lv_schutterwald", "panda_four_load_branch", "four_loads_with_branches_out", "simple_four_bus_system",
    "simple_mv_open_ring_net", "create_kerber_landnetz_freileitung_1", "create_kerber_landnetz_freileitung_2",
    "create_kerber_landnetz_kabel_1", "create_kerber_landnetz_kabel_2", "create_kerber_dorfnetz", "create_kerber_vorstadtnetz_kabel_1",
    "create_kerber_vorstadtnetz_kabel_2", "kb_extrem_landnetz_freileitung", "kb_extrem_landnetz_kabel",
    "kb_extrem_landnetz_freileitung_trafo", "kb_extrem_landnetz_kabel_trafo", "kb_extrem_dorfnetz", "kb_extrem_dorfnetz_trafo",
    "kb_extrem_vorstadtnetz_1", "kb_extrem_vorstadtnetz_2", "kb_extrem_vorstadtnetz_trafo_1", "kb_extrem_vorstadtnetz_trafo_2",
)  # fmt: skip

_DICKERT = [
    ("short", "cable", "single"),
    ("short", "cable", "multiple"),
    *((feeders, linetype, "multiple") for feeders in ("middle", "long") for linetype in ("cable", "C&OHL")),
]

PUBLISHED: Mapping[str, Callable[[], Any]] = {
    **{name: getattr(pn, name) for name in _PLAIN if hasattr(pn, name)},
    "cigre_mv": partial(pn.create_cigre_network_mv, with_der=False),
    "cigre_mv pv_wind": partial(pn.create_cigre_network_mv, with_der="pv_wind"),
    "cigre_mv all": partial(pn.create_cigre_network_mv, with_der="all"),
    **{
        f"voltage_control_lv {name}": partial(pn.create_synthetic_voltage_control_lv_network, name)
        for name in ("rural_1", "rural_2", "village_1", "village_2", "suburb_1")
    },
    **{
        f"dickert {feeders} {linetype} {customer} {case}": partial(pn.create_dickert_lv_network, feeders, linetype, customer, case)
        for feeders, linetype, customer in _DICKERT
        for case in ("average", "bad")
    },
    **{f"european_lv {scenario}": partial(pn.ieee_european_lv_asymmetric, scenario) for scenario in ("on_peak_566", "off_peak_1", "off_peak_1440")},
}
"""Name -> function that makes it."""
