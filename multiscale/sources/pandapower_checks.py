"""Whether the tables of a pandapower network are tables of one: columns that are missing, identifiers that repeat, values that are none.

All of it is listed before anything is converted; what passes has numbers where numbers stand.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from multiscale.system.problem import Problem

_LINES = 5
"""Elements named of one kind of problem."""
_SIDES = ("hv", "mv", "lv")
_PHASES = tuple(f"{c}_{phase}_{unit}" for c, unit in (("p", "mw"), ("q", "mvar")) for phase in "abc")
_DEPENDENCE = tuple(f"const_{kind}_{part}_percent" for kind in "zi" for part in "pq")
"""Shares of a load that depend on voltage."""
_BUSES = ("bus", "from_bus", "to_bus", "hv_bus", "mv_bus", "lv_bus")

NEEDED = {
    "bus": ("vn_kv",),
    "line": ("from_bus", "to_bus", "length_km", "r_ohm_per_km", "x_ohm_per_km"),
    "trafo": ("hv_bus", "lv_bus", "sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent"),
    "load": ("bus", "p_mw", "q_mvar"),
    "sgen": ("bus", "p_mw", "q_mvar"),
    "storage": ("bus", "p_mw"),
    "gen": ("bus", "p_mw", "vm_pu"),
    "ext_grid": ("bus", "vm_pu"),
    "switch": ("bus", "element"),
    "shunt": ("bus", "p_mw", "q_mvar"),
    "motor": ("bus", "pn_mech_mw", "efficiency_percent", "cos_phi"),
    "ward": ("bus", "ps_mw", "qs_mvar", "pz_mw", "qz_mvar"),
    "xward": ("bus", "ps_mw", "qs_mvar", "pz_mw", "qz_mvar", "vm_pu"),
    "dcline": ("from_bus", "to_bus", "p_mw", "vm_from_pu", "vm_to_pu"),
    "impedance": ("from_bus", "to_bus", "rft_pu", "xft_pu", "rtf_pu", "xtf_pu", "sn_mva"),
    "asymmetric_load": ("bus", *_PHASES),
    "asymmetric_sgen": ("bus", *_PHASES),
    "controller": (),
    "poly_cost": ("element", "cp1_eur_per_mw"),
    "pwl_cost": ("element",),
    "trafo3w": tuple(f"{a}_{side}_{b}" if b else f"{side}_{a}" for a, b in
                     (("bus", ""), ("sn", "mva"), ("vn", "kv"), ("vk", "percent"), ("vkr", "percent")) for side in _SIDES),
}  # fmt: skip
"""Table -> columns that hold a number in every row in service."""
WHERE_GIVEN = {
    "bus": ("min_vm_pu", "max_vm_pu"),
    "line": ("c_nf_per_km", "g_us_per_km", "max_i_ka", "df", "parallel", "max_loading_percent"),
    "trafo": (
        "pfe_kw", "i0_percent", "shift_degree", "tap_neutral", "tap_min", "tap_max", "tap_step_percent", "tap_step_degree", "tap_pos", "parallel",
        "df", "max_loading_percent",
    ),
    "load": ("scaling", "sn_mva", *_DEPENDENCE),
    "sgen": ("scaling", "sn_mva", "max_p_mw", "min_p_mw"),
    "storage": ("q_mvar", "scaling", "sn_mva", "max_e_mwh", "min_e_mwh", "max_p_mw", "min_p_mw", "efficiency_percent"),
    "gen": ("scaling", "sn_mva", "max_p_mw", "min_p_mw"),
    "ext_grid": ("max_p_mw", "min_p_mw"),
    "switch": ("z_ohm", "in_ka"),
    "shunt": ("vn_kv", "step"),
    "motor": ("scaling", "loading_percent"),
    "dcline": ("loss_percent", "loss_mw", "min_q_from_mvar", "max_q_from_mvar", "min_q_to_mvar", "max_q_to_mvar"),
    "asymmetric_load": ("scaling",),
    "asymmetric_sgen": ("scaling",),
}  # fmt: skip
"""Table -> columns that may be empty, and hold numbers otherwise."""
_DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "line": {"c_nf_per_km": 0.0, "g_us_per_km": 0.0, "df": 1.0, "parallel": 1},
    "trafo": {"pfe_kw": 0.0, "i0_percent": 0.0, "shift_degree": 0.0, "df": 1.0, "parallel": 1},
    "load": {"scaling": 1.0, **dict.fromkeys(_DEPENDENCE, 0.0)},
    **{kind: {"scaling": 1.0} for kind in ("sgen", "gen", "motor", "asymmetric_load", "asymmetric_sgen")},
    "storage": {"scaling": 1.0, "q_mvar": 0.0},
    "ext_grid": {"va_degree": 0.0},
    "switch": {"z_ohm": 0.0},
    "shunt": {"step": 1},
    "dcline": {"loss_percent": 0.0, "loss_mw": 0.0},
}
"""Table -> columns that pandapower's functions always write, and what they write where nothing is said."""
_ALWAYS = ("bus", "line", "trafo", "load", "sgen", "storage", "gen", "ext_grid", "switch")
"""Tables that every network has."""
_FLAGS = {
    "gen": ("slack",),
    "trafo": ("tap_dependency_table", "tap_phase_shifter"),
    "trafo3w": ("tap_dependency_table",),
    "shunt": ("step_dependency_table",),
}
"""Table -> flags that may be empty, which then are false."""
_LIMITS = ("max_p_mw", "min_p_mw")
"""Columns in which infinity says that there is no limit."""
_TEXTS = {"bus": ("name", "type"), "switch": ("et",)}
"""Columns of texts that the conversion reads; of all other tables the name."""


def table_problems(net: Any) -> list[Problem]:
    """Tables that are none of a network; and whether energy comes in anywhere.

    Missing tables and columns, repeated or odd identifiers, texts or nothing instead of numbers, flags that are none, buses that do not exist.
    """
    problems: list[Problem] = []
    for kind in dict.fromkeys([*NEEDED, *_tables()]):
        frame, columns = net.get(kind), NEEDED.get(kind)
        if not isinstance(frame, pd.DataFrame):
            if kind in _ALWAYS or frame is not None:
                problems.append(Problem("network", "all", kind, "", "", "is no table; write the network with pandapower's to_json"))
            continue
        if len(frame) and columns is not None:
            problems += _rows_problems(net, kind, frame, columns)
    return problems or [*_no_impedance(net), *_no_supply(net)]


@cache
def _tables() -> tuple[str, ...]:
    """Tables of elements that pandapower knows. Asked once: it makes all of them, which takes longer than reading a small network."""
    from pandapower import create_empty_network

    empty = create_empty_network()
    return tuple(kind for kind, frame in empty.items() if isinstance(frame, pd.DataFrame) and not kind.startswith(("_", "res_")))


def _rows_problems(net: Any, kind: str, frame: pd.DataFrame, needed: tuple[str, ...]) -> list[Problem]:
    if not pd.api.types.is_integer_dtype(frame.index.dtype):
        message = "is no whole number; number the rows of the table"
        return [Problem(kind, str(frame.index[0]), "index", repr(frame.index[0]), "", message)]
    repeated = frame.index[frame.index.duplicated()].unique()
    problems = [Problem(kind, str(k), "index", str(k), "", "stands in several rows of the table; number every row once") for k in repeated[:_LINES]]
    flag = {"switch": "closed", "poly_cost": "", "pwl_cost": ""}.get(kind, "in_service")
    wanted = [*needed, *filter(None, [flag]), *(("et",) if flag != "in_service" else ()), *(("points",) if kind == "pwl_cost" else ())]
    if kind == "poly_cost" and "cp2_eur_per_mw2" in frame:
        needed = (*needed, "cp2_eur_per_mw2")
    problems += [Problem(kind, "all", column, "", "", "is missing; add the column") for column in wanted if column not in frame]
    for column in (c for c in (flag, *_FLAGS.get(kind, ())) if c in frame):
        right = frame[column].isin([True, False]) | (frame[column].isna() & (column != flag))
        message = "is neither true nor false; write true or false"
        problems += [Problem(kind, _name(frame, k), column, str(frame[column].iloc[k]), "", message) for k in np.flatnonzero(~right)[:_LINES]]
    on = frame[flag].eq(True).to_numpy() if flag == "in_service" and flag in frame else np.ones(len(frame), dtype=bool)
    buses = net["bus"].index if isinstance(net.get("bus"), pd.DataFrame) else None
    for column in needed:
        if column in frame:
            problems += _numbers(kind, frame[column], frame, on | (column in _BUSES), buses if column in _BUSES else None)
    if kind == "pwl_cost" and "points" in frame:
        wrong = [k for k in frame.index if not _are_pieces(frame.at[k, "points"])] if frame.index.is_unique else []
        message = "is no cost in pieces; give [[from, to, cost], ...] in MW and EUR/MWh, every piece beginning where the one before ends"
        problems += [Problem(kind, str(k), "points", str(frame.at[k, "points"])[:60], "", message) for k in wrong[:_LINES]]
    return problems + [p for column in WHERE_GIVEN.get(kind, ()) if column in frame for p in _numbers(kind, frame[column])]


def _numbers(
    kind: str, given: pd.Series, frame: pd.DataFrame | None = None, needed: np.ndarray | None = None, buses: pd.Index | None = None
) -> list[Problem]:
    """Values of a column that are no number, or nothing where one is needed."""
    column = str(given.name)
    values = pd.to_numeric(given, errors="coerce") if given.dtype == object or pd.api.types.is_string_dtype(given.dtype) else given
    if not pd.api.types.is_numeric_dtype(values.dtype):
        return [Problem(kind, "all", column, str(values.dtype), "", "is the type of the column; give numbers")]
    numbers = values.to_numpy(float, na_value=np.nan)
    wrong = (np.isnan(numbers) & given.notna().to_numpy()) | (np.isinf(numbers) & (column not in _LIMITS))
    missing = np.isnan(numbers) & given.isna().to_numpy() & (needed if needed is not None else False)
    message = "is not a number; give a number"
    if buses is not None:
        wrong, message, missing = wrong | ~values.isin(buses).to_numpy(), "is no bus of the network; give the number of one", missing & False
    problems = []
    for places, said in ((wrong, message), (missing, "is missing; give a number")):
        problems += [
            Problem(kind, str(given.index[k]) if frame is None or places is wrong else _name(frame, k), column, str(given.iloc[k]), "", said)
            for k in np.flatnonzero(places)[:_LINES]
        ]
    return problems


def _are_pieces(points: Any) -> bool:
    """Whether a cost is given as pieces ``(from, to, cost)`` that join."""
    try:
        pieces = np.array(points, dtype=float)
    except (TypeError, ValueError):
        return False
    if pieces.ndim != 2 or pieces.shape[1] != 3 or not np.isfinite(pieces).all():
        return False
    pieces = pieces[np.argsort(pieces[:, 0])]
    return bool((pieces[:, 0] < pieces[:, 1]).all() and np.allclose(pieces[1:, 0], pieces[:-1, 1]))


def _name(frame: pd.DataFrame, k: int) -> str:
    name = frame["name"].iloc[k] if "name" in frame else None
    return name if isinstance(name, str) and name else str(frame.index[k])


def _no_impedance(net: Any) -> list[Problem]:
    """Lines in service without any impedance, such as those of length zero."""
    line = net.line[net.line["in_service"].astype(bool)] if len(net.line) else net.line
    per_km = line[["r_ohm_per_km", "x_ohm_per_km"]].astype(float).abs().sum(axis=1)
    wrong = np.flatnonzero(line["length_km"].astype(float) * per_km == 0)
    message = "of length gives the line no impedance; give its length, r_ohm_per_km and x_ohm_per_km, or join its buses by a switch"
    return [Problem("line", _name(line, k), "length_km", f"{float(line['length_km'].iloc[k]):g}", "km", message) for k in wrong[:_LINES]]


def _no_supply(net: Any) -> list[Problem]:
    """Whether an external grid or a generator is in service, at a bus that is."""
    if not len(net.ext_grid) and not len(net.gen):
        return [Problem("network", "all", "ext_grid", "", "", "and gen are empty; name the bus at which energy comes in")]
    rows = [net[kind][net[kind]["in_service"].astype(bool)] for kind in ("ext_grid", "gen") if len(net[kind])]
    if not any(len(r) for r in rows):
        message = "and gen hold nothing that is in service; set in_service to true where energy comes in"
        return [Problem("network", "all", "ext_grid", "", "", message)]
    dead = pd.concat([r["bus"] for r in rows])
    if not net.bus["in_service"].astype(bool).reindex(dead).any():
        buses = ", ".join(str(b) for b in dead.unique()[:_LINES])
        message = f"and gen stand at buses out of service ({buses}); set in_service of the bus to true where energy comes in"
        return [Problem("network", "all", "ext_grid", "", "", message)]
    return []


def checked_copy(net: Any) -> Any:
    """A copy of a network without problems: numbers in the columns of numbers, the defaults of pandapower, empty names where there are none."""
    net = copy.deepcopy(net)
    for kind in NEEDED.keys() | WHERE_GIVEN.keys():
        frame = net.get(kind)
        if not isinstance(frame, pd.DataFrame) or not len(frame.columns):
            continue
        for column in (*NEEDED.get(kind, ()), *WHERE_GIVEN.get(kind, ())):
            if column in frame and not pd.api.types.is_numeric_dtype(frame[column].dtype):
                frame[column] = pd.to_numeric(frame[column])
        for flag in ("in_service", "closed", *_FLAGS.get(kind, ())):
            if flag in frame:
                frame[flag] = frame[flag].isin([True])
        for column, value in _DEFAULTS.get(kind, {}).items():
            frame[column] = pd.to_numeric(frame[column]).fillna(value) if column in frame else value
        for column in (c for c in _TEXTS.get(kind, ("name",)) if c not in frame):
            frame[column] = pd.Series(None, index=frame.index, dtype=object)
    return net
