"""The state in which a pandapower network comes: what is in service, where the reference is, and its own power flow."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.pandapower_hierarchy import HIGH_VOLTAGE_KV
from multiscale.system.approximation import Approximation, several
from multiscale.system.problem import InvalidSystemError, Problem

UNLIMITED_KA = 99999.0
"""Rating of what has none in the data, as pandapower's converters write it."""


def names_of(rows: pd.DataFrame) -> list[str]:
    """Name of every row, its number where it has none."""
    if "name" not in rows:
        return [str(k) for k in rows.index]
    return [str(name) if isinstance(name, str) and name else str(k) for k, name in rows["name"].items()]


def rows_on(net: Any, kind: str) -> pd.DataFrame:
    """Rows of a table that are in service."""
    if kind not in net or not len(net[kind]):
        return pd.DataFrame()
    return net[kind][net[kind]["in_service"].astype(bool)]


def energised(net: Any, changed: list[Approximation]) -> None:
    """What stands at a bus out of service is out of service; where nothing is said to hold the reference, the first generator does."""
    on = net.bus["in_service"].astype(bool)
    for kind in ("ext_grid", "gen"):
        if len(net[kind]):
            net[kind]["in_service"] = net[kind]["in_service"].astype(bool) & on.reindex(net[kind]["bus"]).to_numpy(bool)
    generators = rows_on(net, "gen")
    if len(rows_on(net, "ext_grid")) or ("slack" in generators and generators["slack"].fillna(False).astype(bool).any()):
        return
    first = generators.index[0]
    net.gen["slack"] = net.gen.index == first
    done = "there is no external grid and no generator is the slack: this one, the first in service, holds the reference and takes the balance"
    changed.append(Approximation(several("gen", names_of(generators.loc[[first]])), "slack", done))


def ratings(net: Any, changed: list[Approximation]) -> None:
    """Lines whose rating is not given carry what they must."""
    if not len(net.line):
        return
    rated = pd.to_numeric(net.line["max_i_ka"], errors="coerce") if "max_i_ka" in net.line else pd.Series(np.nan, index=net.line.index)
    without = rated.isna() | (rated == 0)
    if without.any():
        net.line["max_i_ka"] = rated.mask(without, UNLIMITED_KA)
        changed.append(Approximation(several("line", names_of(net.line[without])), "max_i_ka", "is not given: taken as unlimited"))


def not_used(net: Any, changed: list[Approximation]) -> None:
    """Limits and automatic controls of the data that nothing here takes."""
    for kind, word in (("line", "line"), ("trafo", "transformer")):
        rows = rows_on(net, kind)
        if len(rows) and "max_loading_percent" in rows:
            other = rows[rows["max_loading_percent"].notna() & (rows["max_loading_percent"] != 100.0)]
            if len(other):
                done = "is not used: usable shares of ratings are those of system.limits"
                changed.append(Approximation(several(word, names_of(other)), "max_loading_percent", done))
    rows = rows_on(net, "trafo")
    uneven = [c for c in ("leakage_resistance_ratio_hv", "leakage_reactance_ratio_hv") if c in rows and (rows[c].fillna(0.5) != 0.5).any()]
    if uneven:
        other = rows[(rows[uneven].fillna(0.5) != 0.5).any(axis=1)]
        changed.append(
            Approximation(several("transformer", names_of(other)), ", ".join(uneven), "is not used: half of the impedance is at each side")
        )
    rows = rows_on(net, "controller")
    if len(rows):
        things = rows["object"] if "object" in rows else rows.index.astype(str)
        kinds = [thing if isinstance(thing, str) else type(thing).__name__ for thing in things]
        changed.append(Approximation(several("controller", kinds), "", "excluded: set points and taps stay where they are in the file"))


def shunt_tables(net: Any) -> None:
    """Shunts whose power is tabulated by step: power of the step on which they stand, as pandapower takes it.

    Raises:
        InvalidSystemError: a step that the table does not hold.
    """
    if not len(net.shunt) or "step_dependency_table" not in net.shunt:
        return
    tabulated = net.shunt.index[net.shunt["step_dependency_table"].fillna(False).astype(bool) & net.shunt["in_service"].astype(bool)]
    given, problems = net.get("shunt_characteristic_table"), []
    for k in tabulated:
        number, step = net.shunt.at[k, "id_characteristic_table"], net.shunt.at[k, "step"]
        rows = pd.DataFrame()
        if isinstance(given, pd.DataFrame):
            rows = given[(given["id_characteristic"] == number) & (given["step"] == step)]
        if len(rows) != 1 or not np.isfinite(rows[["p_mw", "q_mvar"]].to_numpy(float)).all():
            message = f"has not one row of powers in shunt_characteristic_table (characteristic {number}); give it"
            problems.append(Problem("shunt", str(net.shunt.at[k, "name"] or k), "step", str(step), "", message))
            continue
        net.shunt.loc[k, ["p_mw", "q_mvar"]] = rows[["p_mw", "q_mvar"]].iloc[0].to_numpy(float)
        net.shunt.loc[k, "step"] = 1
    if problems:
        raise InvalidSystemError(problems)
    net.shunt["step_dependency_table"], net.shunt["id_characteristic_table"] = False, pd.array([pd.NA] * len(net.shunt), dtype="Int64")


def own_power_flow(net: Any, changed: list[Approximation]) -> None:
    """Pandapower's power flow of the network as it is: what holds a voltage there is constant here, at the power that it has in this state."""
    import pandapower as pp
    from pandapower.powerflow import LoadflowNotConverged
    from pandapower.toolbox import clear_result_tables

    holders = {kind: rows for kind in ("gen", "xward", "dcline") if len(rows := rows_on(net, kind))}
    if not holders and not (net.bus["vn_kv"] >= HIGH_VOLTAGE_KV).any():
        return
    # pandapower's linear start divides by reactances.
    resistive = len(net.line) and (rows_on(net, "line").get("x_ohm_per_km", pd.Series(dtype=float)) == 0).any()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pp.runpp(net, numba=False, max_iteration=30, calculate_voltage_angles=True, init="flat" if resistive else "auto")
    except LoadflowNotConverged:
        # What the file's own flow would state is named as unknown, where it is needed.
        clear_result_tables(net)
        done = "the file's own power flow has no solution: reactive powers of voltage control are zero, boundary buses at 1 pu"
        changed.append(Approximation("power flow", "", done))
    except (UserWarning, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, NotImplementedError) as error:
        # pandapower's ways of refusing what contradicts itself, such as two voltages at one bus, and what it needs and does not find.
        message = f"is refused by pandapower ({type(error).__name__}: {error}); correct the tables of the network that it names"
        raise InvalidSystemError([Problem("network", "all", "power flow", "", "", message)]) from None


def volts(net: Any, bus: pd.Series) -> np.ndarray:
    """Voltages of the file's own power flow [pu]; NaN where it has none."""
    return net.res_bus["vm_pu"].reindex(bus).to_numpy(float) if "res_bus" in net and "vm_pu" in net.res_bus else np.full(len(bus), np.nan)
