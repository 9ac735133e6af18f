"""Elements of pandapower without a counterpart of their own here, replaced by those that have one: the same network in fewer kinds of tables.

Exact: unbalanced loads and sources (sum of phases, as pandapower's balanced power flow takes them), wards (constant power and shunt), three-winding
transformers (three of two windings around an auxiliary bus, by pandapower's own star equivalent), switches with a resistance (a line), symmetric
impedances. The rest is approximated or excluded, and listed.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd

from multiscale.sources.open_ends import open_at_dead_buses
from multiscale.sources.pandapower_checks import checked_copy
from multiscale.sources.pandapower_state import UNLIMITED_KA, energised, names_of, not_used, own_power_flow, ratings, rows_on, shunt_tables, volts
from multiscale.sources.pandapower_tables import fused_buses, open_at
from multiscale.system.approximation import Approximation, several

SWITCH_R_TO_X = 2.0
"""Ratio of resistance to reactance of a closed switch with an impedance, pandapower's default."""
OWN_WORDS = ("profile", "customer_class", "category", "class")
"""Columns in which a network says what profile an element follows."""
_STEADY = {"customer_class": "constant"}
"""Of loads that stand for something that draws the same all the time."""
_EXCLUDED = ("svc", "tcsc", "ssc", "vsc", "vsc_stacked", "vsc_bipolar", "b2b_vsc", "line_dc", "bus_dc", "source_dc", "load_dc")


def plain_network(net: Any, changed: list[Approximation]) -> Any:
    """A copy of a network in which only buses, lines, two-winding transformers, loads, sources, storages and shunts are left.

    Args:
        net: pandapower network; not changed.
        changed: extended by what is approximated or excluded.

    Raises:
        InvalidSystemError: pandapower refuses to compute the network, or a shunt stands on a step that its table does not hold.
    """
    net = checked_copy(net)
    energised(net, changed)
    open_at_dead_buses(net)
    ratings(net, changed)
    not_used(net, changed)
    shunt_tables(net)
    own_power_flow(net, changed)
    _sum_of_phases(net, changed)
    _wards(net, changed)
    _direct_current_lines(net, changed)
    _three_windings(net, changed)
    _switch_impedances(net, changed)
    _impedances(net, changed)
    _storages_without_energy(net, changed)
    _voltage_dependence(net, changed)
    present = [kind for kind in _EXCLUDED if kind in net and len(net[kind])]
    changed += [Approximation(several(kind, names_of(net[kind])), "", "excluded; no such element is modelled") for kind in present]
    return net


def _append(net: Any, kind: str, rows: pd.DataFrame) -> pd.Index:
    """Rows below a table, under new indices; columns that are not given are empty."""
    table = net[kind]
    first = int(table.index.max()) + 1 if len(table) else 0
    rows = rows.set_axis(pd.RangeIndex(first, first + len(rows)), axis=0)
    net[kind] = pd.concat([table, rows]) if len(table) else rows.reindex(columns=[*table.columns, *rows.columns.difference(table.columns)])
    return rows.index


def _sum_of_phases(net: Any, changed: list[Approximation]) -> None:
    """Unbalanced loads and sources: the three phases together, as in pandapower's balanced power flow."""
    for kind, target in (("asymmetric_load", "load"), ("asymmetric_sgen", "sgen")):
        rows = rows_on(net, kind)
        if not len(rows):
            continue
        power = {c: rows[[f"{c[0]}_{phase}_{c[2:]}" for phase in "abc"]].fillna(0.0).sum(axis=1).to_numpy() for c in ("p_mw", "q_mvar")}
        scaling = rows["scaling"].fillna(1.0).to_numpy() if "scaling" in rows else 1.0
        frame = pd.DataFrame({"name": names_of(rows), "bus": rows["bus"].to_numpy(), **power, "scaling": scaling, "in_service": True})
        if target == "sgen":
            frame["type"] = rows["type"].to_numpy() if "type" in rows else ""
        for column in ("sn_mva", *OWN_WORDS):
            if column in rows:
                frame[column] = rows[column].to_numpy()
        _append(net, target, frame)
        done = "balanced: the sum of the three phases; unbalance is not modelled"
        changed.append(Approximation(several(kind.replace("_", " "), names_of(rows)), "phases", done))


def _wards(net: Any, changed: list[Approximation]) -> None:
    """Wards: constant power as a load, constant impedance as a shunt; the source inside an extended ward as in the file's own flow."""
    for kind in ("ward", "xward"):
        rows = rows_on(net, kind)
        if not len(rows):
            continue
        names, bus = [f"{kind} {name}" for name in names_of(rows)], rows["bus"].to_numpy()
        power, shunt = (rows[[f"p{c}_mw", f"q{c}_mvar"]].to_numpy(float) for c in "sz")
        if kind == "xward":
            pu = volts(net, rows["bus"])
            found = np.isfinite(pu)
            if found.any():
                total = net.res_xward.loc[rows.index, ["p_mw", "q_mvar"]].to_numpy(float)
                power = np.where(found[:, None], total - shunt * pu[:, None] ** 2, power)
            done = (
                "its inner voltage source is constant power, as in the file's own power flow"
                if found.all()
                else "its inner voltage source is excluded"
            )
            changed.append(Approximation(several("xward", names_of(rows)), "vm_pu", done))
        drawn = {"name": names, "bus": bus, "p_mw": power[:, 0], "q_mvar": power[:, 1], "scaling": 1.0, "in_service": True}
        _append(net, "load", pd.DataFrame(drawn | _STEADY))
        _append(net, "shunt", pd.DataFrame({"name": names, "bus": bus, "p_mw": shunt[:, 0], "q_mvar": shunt[:, 1],
                                            "vn_kv": net.bus["vn_kv"].reindex(bus).to_numpy(), "step": 1, "in_service": True}))  # fmt: skip
        net[kind] = net[kind].iloc[:0]


def _direct_current_lines(net: Any, changed: list[Approximation]) -> None:
    """Direct-current lines with a given power: a load at one end, a source at the other."""
    rows = rows_on(net, "dcline")
    if not len(rows):
        return
    sent = rows["p_mw"].to_numpy(float)
    received = sent * (1 - rows["loss_percent"].fillna(0.0).to_numpy(float) / 100) - rows["loss_mw"].fillna(0.0).to_numpy(float)
    known = np.isfinite(volts(net, rows["from_bus"]))
    for end, power in (("from", sent), ("to", -received)):
        reactive = np.where(known, net.res_dcline[f"q_{end}_mvar"].reindex(rows.index).to_numpy(float), 0.0) if known.any() else 0.0
        names = [f"dcline {name} ({end})" for name in names_of(rows)]
        frame = {"name": names, "bus": rows[f"{end}_bus"].to_numpy(), "p_mw": power, "q_mvar": reactive, "scaling": 1.0, "in_service": True}
        _append(net, "load", pd.DataFrame(frame | _STEADY))
    net.dcline = net.dcline.iloc[:0]
    done = "a constant load at its from bus and source at its to bus; its power is not dispatched, its voltages are not controlled"
    changed.append(Approximation(several("dcline", names_of(rows)), "p_mw, vm_from_pu, vm_to_pu", done))


def _auxiliary_bus(net: Any, like: int, name: str) -> int:
    row = pd.DataFrame({"name": [name], "vn_kv": [net.bus.at[like, "vn_kv"]], "type": ["auxiliary"], "in_service": [True]})
    return int(_append(net, "bus", row)[0])


def _add_lines(
    net: Any, names: list[str], start: np.ndarray, end: np.ndarray, r: np.ndarray, x: np.ndarray, max_i_ka: Any = UNLIMITED_KA
) -> pd.Index:
    """Lines of one kilometre."""
    return _append(
        net,
        "line",
        pd.DataFrame(
            {
                "name": names, "from_bus": start, "to_bus": end, "length_km": 1.0, "r_ohm_per_km": r, "x_ohm_per_km": x, "c_nf_per_km": 0.0,
                "g_us_per_km": 0.0, "max_i_ka": max_i_ka, "df": 1.0, "parallel": 1, "std_type": "", "in_service": True,
            }
        ),
    )  # fmt: skip


def _star_points(net: Any, changed: list[Approximation]) -> np.ndarray:
    """Auxiliary buses of the three-winding transformers: one for those that are in parallel at their two higher sides.

    Their star points are at one voltage where they are alike in everything; otherwise this is an approximation.
    """
    three, bus_of, found = net.trafo3w, fused_buses(net), dict[tuple[int, int], int]()
    names, stars = names_of(three), np.zeros(len(three), dtype=int)
    switched = set(open_at(net, "t3").tolist())
    for k, (row, name) in enumerate(zip(three.index, names, strict=True)):
        ends = (int(bus_of[three.at[row, "hv_bus"]]), int(bus_of[three.at[row, "mv_bus"]]))
        alone = not three.at[row, "in_service"] or row in switched
        if alone or ends not in found:
            stars[k] = _auxiliary_bus(net, int(three.at[row, "hv_bus"]), f"star point of {name}")
            found |= {} if alone else {ends: k}
            continue
        first = found[ends]
        stars[k] = stars[first]
        joined = three.iloc[[first, k]].drop(columns=[c for c in ("name", "hv_bus", "mv_bus", "lv_bus", "std_type") if c in three])
        alike = bus_of[three["lv_bus"].iloc[first]] == bus_of[three["lv_bus"].iloc[k]] and joined.astype(str).nunique().le(1).all()
        if not alike:
            done = f"has the star point of {names[first]!r}, to which it is parallel at two sides: voltages inside of unlike transformers differ"
            changed.append(Approximation(several("trafo3w", [name]), "star point", done))
    return stars


def _three_windings(net: Any, changed: list[Approximation]) -> None:
    """Three-winding transformers as three of two windings around an auxiliary bus, by pandapower's star equivalent."""
    if "trafo3w" not in net or not len(net.trafo3w):
        return
    from pandapower.build_branch import _trafo_df_from_trafo3w

    three, work = net.trafo3w, copy.copy(net)
    stars = _star_points(net, changed)
    if "res_trafo3w" in net and "vm_internal_pu" in net.res_trafo3w and len(net.res_trafo3w):
        star = pd.DataFrame({"vm_pu": net.res_trafo3w["vm_internal_pu"].reindex(three.index).to_numpy()}, index=stars)
        net.res_bus = pd.concat([net.res_bus, star[~star.index.duplicated()]])
    work["_options"] = {"mode": "pf", "trafo3w_losses": "hv"}
    work["_pd2ppc_lookups"] = {"aux": {"trafo3w": stars}}
    legs = pd.DataFrame(_trafo_df_from_trafo3w(work))
    legs["name"] = [f"{name} ({side})" for side in ("hv", "mv", "lv") for name in names_of(three)]
    legs["std_type"] = ""
    if "id_characteristic_table" in legs and "tap_dependency_table" in legs:
        # The impedances were read off the table above.
        legs["tap_dependency_table"] = legs["tap_dependency_table"].fillna(False).astype(bool)
    index = _append(net, "trafo", legs)
    leg = {(int(k), int(three.at[k, f"{side}_bus"])): int(index[n * len(three) + m])
           for n, side in enumerate(("hv", "mv", "lv")) for m, k in enumerate(three.index)}  # fmt: skip
    mine = (net.switch["et"] == "t3") if len(net.switch) else pd.Series([], dtype=bool)
    for k in net.switch.index[mine] if len(net.switch) else []:
        net.switch.at[k, "element"] = leg[int(net.switch.at[k, "element"]), int(net.switch.at[k, "bus"])]
        net.switch.at[k, "et"] = "t"
    net.trafo3w = three.iloc[:0]


def _switch_impedances(net: Any, changed: list[Approximation]) -> None:
    """Closed bus-bus switches with an impedance, as lines."""
    if not len(net.switch) or "z_ohm" not in net.switch:
        return
    chosen = net.switch[(net.switch["et"] == "b") & net.switch["closed"].astype(bool) & (net.switch["z_ohm"].fillna(0.0) > 0)]
    if not len(chosen):
        return
    z = chosen["z_ohm"].to_numpy(float)
    share = SWITCH_R_TO_X / np.hypot(SWITCH_R_TO_X, 1.0)
    rated = pd.to_numeric(chosen["in_ka"], errors="coerce").fillna(UNLIMITED_KA).to_numpy() if "in_ka" in chosen else UNLIMITED_KA
    names = [f"switch {name}" for name in names_of(chosen)]
    _add_lines(net, names, chosen["bus"].to_numpy(), chosen["element"].to_numpy(), z * share, z * share / SWITCH_R_TO_X, rated)
    net.switch.loc[chosen.index, "closed"] = False
    if np.any(np.asarray(rated) == UNLIMITED_KA):
        changed.append(Approximation(several("switch", names), "in_ka", "has no rating: taken as unlimited"))


def _impedances(net: Any, changed: list[Approximation]) -> None:
    """Impedances as lines, or as transformers where they join two voltages; their shunts at the buses."""
    rows = net.impedance if "impedance" in net else pd.DataFrame()
    if not len(rows):
        return
    names = [f"impedance {name}" for name in names_of(rows)]
    both = {c: (rows[f"{c}ft_pu"] + rows[f"{c}tf_pu"]).to_numpy(float) / 2 for c in "rx"}
    uneven = [n for n, k in zip(names, rows.index, strict=True) if any(rows.at[k, f"{c}ft_pu"] != rows.at[k, f"{c}tf_pu"] for c in "rx")]
    if uneven:
        changed.append(
            Approximation(several("impedance", uneven), "rft_pu, xft_pu", "differ from rtf_pu, xtf_pu: their mean is taken in both directions")
        )
    low, high = rows["to_bus"].to_numpy(), rows["from_bus"].to_numpy()
    vn_high, vn_low = (net.bus["vn_kv"].reindex(b).to_numpy(float) for b in (high, low))
    on, power = rows["in_service"].to_numpy(bool), rows["sn_mva"].to_numpy(float)
    base = vn_high**2 / power
    for end, bus in (("f", high), ("t", low)):
        given = [rows[f"{c}{end}_pu"].fillna(0.0).to_numpy(float) if f"{c}{end}_pu" in rows else np.zeros(len(rows)) for c in "gb"]
        charged = on & ((given[0] != 0) | (given[1] != 0))
        if charged.any():
            p, q = given[0] * power, -given[1] * power
            frame = {"name": np.array(names)[charged], "bus": bus[charged], "p_mw": p[charged], "q_mvar": q[charged],
                     "vn_kv": net.bus["vn_kv"].reindex(bus[charged]).to_numpy(), "step": 1, "in_service": True}  # fmt: skip
            _append(net, "shunt", pd.DataFrame(frame))
    same = vn_high == vn_low
    if same.any():
        index = _add_lines(net, list(np.array(names)[same]), high[same], low[same], (both["r"] * base)[same], (both["x"] * base)[same])
        net.line.loc[index, "in_service"] = on[same]
    if (~same).any():
        z = np.sign(both["x"]) * np.hypot(both["r"], both["x"])
        # Percent of the base of the network's own rating, which no impedance has.
        scale = 100.0 * UNLIMITED_KA / power
        frame = {"name": names, "hv_bus": high, "lv_bus": low, "sn_mva": UNLIMITED_KA, "vn_hv_kv": vn_high, "vn_lv_kv": vn_low,
                 "vk_percent": z * scale,
                 "vkr_percent": both["r"] * scale, "pfe_kw": 0.0, "i0_percent": 0.0, "shift_degree": 0.0, "parallel": 1, "df": 1.0, "std_type": "",
                 "in_service": on}  # fmt: skip
        _append(net, "trafo", pd.DataFrame(frame)[~same])
    net.impedance = rows.iloc[:0]
    changed.append(Approximation(several("impedance", names), "rating", "has none: taken as unlimited"))


def _storages_without_energy(net: Any, changed: list[Approximation]) -> None:
    """Storages whose energy is not given: what they draw, or feed in, is constant."""
    rows = rows_on(net, "storage")
    if not len(rows):
        return
    most = pd.to_numeric(rows["max_e_mwh"], errors="coerce") if "max_e_mwh" in rows else pd.Series(np.nan, index=rows.index)
    least = pd.to_numeric(rows["min_e_mwh"], errors="coerce").fillna(0.0) if "min_e_mwh" in rows else 0.0
    without = rows[~((most - least) > 0)]
    if not len(without):
        return
    columns = ["name", "bus", "p_mw", "q_mvar", "scaling", *(c for c in ("profile",) if c in without)]
    _append(net, "load", without[columns].assign(name=[f"storage {name}" for name in names_of(without)], in_service=True, **_STEADY))
    net.storage = net.storage.drop(without.index)
    changed.append(
        Approximation(several("storage", names_of(without)), "max_e_mwh", "gives no energy: p_mw is drawn all the time, nothing is stored")
    )


def _voltage_dependence(net: Any, changed: list[Approximation]) -> None:
    """Loads that depend on voltage are constant here."""
    rows = rows_on(net, "load")
    columns = [c for c in rows if c.startswith("const_") and c.endswith("_percent")]
    if not columns:
        return
    shares = rows[columns].apply(pd.to_numeric, errors="coerce").fillna(0.0)
    chosen = rows[(shares != 0).any(axis=1)]
    if len(chosen):
        fields = ", ".join(c for c in columns if (shares[c] != 0).any())
        done = f"{chosen['p_mw'].sum() * 1e3:,.6g} kW of constant impedance or current are taken as constant power at every voltage"
        changed.append(Approximation(several("load", names_of(chosen)), fields, done))
