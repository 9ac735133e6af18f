"""What branches that carry nothing still take: lines and transformers that are open at one end, and lines whose two ends are one bus.

Where such a branch is not part of the model, it is a shunt at the bus to which it is connected. With the series impedance z and the shunt admittance
y of its pi section, as in pandapower,

    taken = conj(y / 2 + 1 / (z + 2 / y)) V^2        a line that is open at the other end
    taken = conj(y) V^2                              a line whose ends are one bus
    taken = (P_fe + j sqrt(S_0^2 - P_fe^2)) V^2 / V_rated^2       a transformer that is open at the other end
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.pandapower_tables import open_at


def open_at_dead_buses(net: Any) -> None:
    """Lines in service of which one bus is out of service are open at that end, as in pandapower; with both they are out of service."""
    dead = ~net.bus["in_service"].astype(bool)
    if not dead.any() or not len(net.line):
        return
    ends = np.column_stack([dead.reindex(net.line[column]).to_numpy(bool) for column in ("from_bus", "to_bus")])
    on = net.line["in_service"].to_numpy(bool)
    net.line["in_service"] = on & ~ends.all(axis=1)
    rows = [
        {"bus": int(net.line.at[k, column]), "element": int(k), "et": "l", "closed": False}
        for side, column in enumerate(("from_bus", "to_bus"))
        for k in net.line.index[on & ends[:, side] & ~ends.all(axis=1)]
    ]
    if rows:
        first = int(net.switch.index.max()) + 1 if len(net.switch) else 0
        added = pd.DataFrame(rows, index=range(first, first + len(rows)))
        net.switch = pd.concat([net.switch, added]) if len(net.switch) else added.reindex(columns=[*net.switch.columns])


def charging_within_busbars(net: Any, name_of: pd.Series) -> None:
    """Adds a shunt for every line in service whose ends are one bus, or are joined by closed switches."""
    line = net.line
    if not len(line):
        return
    inside = name_of.reindex(line["from_bus"]).to_numpy() == name_of.reindex(line["to_bus"]).to_numpy()
    rows = line[inside & line["in_service"].to_numpy(bool) & ~line.index.isin(open_at(net, "l"))]
    if not len(rows):
        return
    size = (rows["length_km"] * rows["parallel"]).to_numpy(float) * net.bus["vn_kv"].reindex(rows["from_bus"]).to_numpy(float) ** 2
    shunts = pd.DataFrame(
        {
            "name": "", "bus": rows["from_bus"].to_numpy(), "p_mw": rows["g_us_per_km"].to_numpy(float) * 1e-6 * size,
            "q_mvar": -2.0 * np.pi * float(net.f_hz) * rows["c_nf_per_km"].to_numpy(float) * 1e-9 * size,
            "vn_kv": net.bus["vn_kv"].reindex(rows["from_bus"]).to_numpy(float), "step": 1, "in_service": True,
        }
    )  # fmt: skip
    shunts = shunts[(shunts["p_mw"] != 0) | (shunts["q_mvar"] != 0)]
    first = int(net.shunt.index.max()) + 1 if len(net.shunt) else 0
    shunts.index = pd.RangeIndex(first, first + len(shunts))
    if len(shunts):
        net.shunt = pd.concat([net.shunt, shunts]) if len(net.shunt) else shunts.reindex(columns=[*net.shunt.columns])


def taken_at_open_ends(buses: pd.DataFrame, branches: pd.DataFrame, notes: list[str]) -> None:
    """Adds to the shunts of buses what branches take that are open at one end and are not part of the model.

    Args:
        buses: table by name; ``shunt_p_kw`` and ``shunt_q_kvar`` are changed.
        branches: those that are omitted.
        notes: extended by the sum.
    """
    total = 0j
    for _, row in branches[~branches["in_service"].astype(bool) & (branches["charged_from"] != "")].iterrows():
        bus = row[row["charged_from"]]
        if bus not in buses.index:
            continue
        taken = _taken(row) * float(buses.at[bus, "vn_kv"]) ** 2 * 1e3
        total += taken
        buses.loc[bus, ["shunt_p_kw", "shunt_q_kvar"]] += np.array([taken.real, taken.imag])
    if total:
        notes.append(
            f"branches that are open at one end and lead out of the model take {total.real:.4g} kW, {total.imag:.4g} kvar: a shunt at their other end"
        )


def _taken(row: pd.Series) -> complex:
    """What a branch takes at the end to which it is connected, per square of the voltage there [MVA/kV2]."""
    if row["kind"] == "line":
        y, z = row["g_us"] * 1e-6 + 2j * np.pi * 50.0 * row["c_nf"] * 1e-9, row["r_ohm"] + 1j * row["x_ohm"]
        return complex(np.conj(y / 2 + 1 / (z + 2 / y))) if y else 0j
    iron, whole = row["pfe_kw"], row["i0_percent"] / 100.0 * row["rating_kva"]
    rated = row["vn_hv_kv"] if row["charged_from"] == "from_bus" else row["vn_lv_kv"]
    return complex(iron, np.sqrt(max(whole**2 - iron**2, 0.0))) * 1e-3 / rated**2
