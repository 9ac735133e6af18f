"""External grids and power stations of a pandapower network: where energy comes in, at which voltage, within which limits, at which cost."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse import csgraph

from multiscale.sources.generation_costs import generation_costs, marginal_costs
from multiscale.sources.pandapower_hierarchy import HIGH_VOLTAGE_KV
from multiscale.sources.pandapower_state import rows_on
from multiscale.sources.pandapower_tables import fused_buses, open_at, unique_names
from multiscale.system.approximation import Approximation, several

UPSTREAM_MARGIN = 10.0
"""An external grid without a limit supplies this multiple of the branches at its bus."""


def source_frame(net: Any, name_of: pd.Series) -> pd.DataFrame:
    """External grids and generators in service.

    Columns: key (of its own), element (``ext_grid`` for all that hold the reference, a generator as slack included; else ``gen``), table and row
    in pandapower, bus, name, p_mw, q_mvar (of the file's own power flow), max_p_mw, min_p_mw, type, vm_pu.
    """
    parts = []
    for kind in ("ext_grid", "gen"):
        rows = net[kind][net[kind]["in_service"].astype(bool)] if len(net[kind]) else net[kind]
        if not len(rows):
            continue
        frame = pd.DataFrame({"table": kind, "row": rows.index, "bus": name_of.reindex(rows["bus"]).to_numpy()})
        frame["name"] = unique_names(rows["name"] if "name" in rows else pd.Series("", index=rows.index), kind.replace("_", " ")).to_numpy()
        scaling = pd.to_numeric(rows["scaling"], errors="coerce").fillna(1.0).to_numpy() if "scaling" in rows else 1.0
        for column in ("p_mw", "max_p_mw", "min_p_mw", "vm_pu"):
            frame[column] = pd.to_numeric(rows[column], errors="coerce").to_numpy(float) if column in rows else np.nan
        frame["p_mw"] *= scaling
        result = net[f"res_{kind}"] if f"res_{kind}" in net else pd.DataFrame()
        frame["q_mvar"] = result["q_mvar"].reindex(rows.index).to_numpy(float) if "q_mvar" in result else np.nan
        frame["type"] = rows["type"].astype(object).to_numpy() if "type" in rows else ""
        is_grid = np.full(len(rows), kind == "ext_grid")
        if kind == "gen" and "slack" in rows:
            is_grid |= rows["slack"].fillna(False).to_numpy(bool)
        frame["element"] = np.where(is_grid, "ext_grid", "gen")
        parts.append(frame)
    both = pd.concat(parts, ignore_index=True)
    both["name"] = unique_names(both["name"], "source").to_numpy()
    both["key"] = both.index
    return both


def grid_pairs(net: Any, notes: list[str], changed: list[Approximation]) -> np.ndarray:
    """Pairs of buses of external grids (generators that are slack among them) that are one grid above the network.

    With high voltage those that nothing in it joins, without it all of one voltage.
    """
    grids, generators = rows_on(net, "ext_grid"), rows_on(net, "gen")
    if "slack" in generators:
        grids = pd.concat([g for g in (grids, generators[generators["slack"].fillna(False).astype(bool)]) if len(g)] or [grids])
    fed = grids["bus"].unique() if len(grids) else np.zeros(0, dtype=int)
    if len(fed) < 2:
        return np.zeros((0, 2), dtype=int)
    vn, on = net.bus["vn_kv"], net.bus["in_service"].astype(bool)
    first = int(fed[0])
    same = [int(b) for b in fed if vn.loc[b] == vn.loc[first]]
    if (vn[on] >= HIGH_VOLTAGE_KV).any():
        part = _parts(net, float(vn.loc[fed].min()))
        same = [b for b in same if b == first or part[b] != part[first]]
    others = [b for b in same if b != first]
    if others:
        notes.append(f"{len(same)} external grids at buses that the network does not join are one grid")
        held = grids.drop_duplicates("bus").set_index("bus")["vm_pu"].loc[same]
        if (held != held.iloc[0]).any():
            done = f"{', '.join(f'{v:g}' for v in held.unique())} pu: all of them, which are one grid, are held at {held.iloc[0]:g} pu"
            changed.append(Approximation(several("ext_grid at bus", list(same)), "vm_pu", done))
    return np.array([(first, b) for b in others], dtype=int).reshape(-1, 2)


def _parts(net: Any, level: float) -> pd.Series:
    """Part of the network that each bus belongs to, by branches in service at or above a voltage (and high voltage at most)."""
    joined, vn, level = fused_buses(net), net.bus["vn_kv"], min(level, HIGH_VOLTAGE_KV)
    ends = []
    for kind, element_type, columns in (("line", "l", ["from_bus", "to_bus"]), ("trafo", "t", ["hv_bus", "lv_bus"])):
        rows = net[kind]
        if len(rows):
            rows = rows[rows["in_service"].astype(bool) & ~rows.index.isin(open_at(net, element_type))]
            ends.append(joined.loc[rows[columns].to_numpy().ravel()].to_numpy().reshape(-1, 2))
    edges = np.vstack([np.zeros((0, 2), dtype=int), *ends])
    edges = edges[(vn.loc[edges[:, 0]].to_numpy() >= level) & (vn.loc[edges[:, 1]].to_numpy() >= level)]
    position = pd.Series(np.arange(len(net.bus)), index=net.bus.index)
    start, end = position.loc[edges[:, 0]].to_numpy(), position.loc[edges[:, 1]].to_numpy()
    graph = sparse.coo_matrix((np.ones(len(start)), (start, end)), shape=(len(position), len(position)))
    part = csgraph.connected_components(graph, directed=False)[1]
    return pd.Series(part[position.loc[joined.to_numpy()].to_numpy()], index=net.bus.index)


def network_generators(
    net: Any,
    sources: pd.DataFrame,
    buses: pd.DataFrame,
    branches: pd.DataFrame,
    notes: list[str],
    changed: list[Approximation],
    grid_only: bool = False,
) -> pd.DataFrame:
    """External grids and power stations in the columns of ``generator``; index: name. A cost in steps makes one unit of each step.

    Args:
        net: pandapower network (its cost tables).
        sources: external grids and generators with their buses and limits.
        buses, branches: tables by name.
        notes: extended by where the costs come from.
        changed: extended by what is not taken as given.
        grid_only: whether nothing lies above the distribution networks but the external grid, which then takes surplus as it supplies: at
            the same price, up to the same power or what the data permit.
    """
    sources = sources[sources["bus"].isin(buses.index)].reset_index(drop=True)
    sources, p_min, p_max = _limits(sources, branches, changed, grid_only)
    fuels = generation_costs()
    fuel = sources["type"].astype(str).where(sources["type"].astype(str).isin(fuels.index), "upstream").to_numpy(str)
    fallback = marginal_costs(fuel, p_max, fuels)
    rows, silent = [], 0
    for k, source in sources.iterrows():
        steps = _cost_steps(net, source, float(p_min[k]), float(p_max[k]), changed)
        silent += not steps
        for number, (low, high, cost) in enumerate(steps or [(float(p_min[k]), float(p_max[k]), float(fallback[k]))]):
            name = source["name"] if number == 0 else f"{source['name']} (step {number + 1})"
            rows.append((name, source["bus"], fuel[k], low, high, cost))
    if len(sources) > silent:
        notes.append(f"{len(sources) - silent} generators have the marginal cost of the network's cost table, its currency read as EUR")
    if silent:
        notes.append(f"{silent} generators without a cost are priced by the table of fuels")
    curved = _quadratic(net, sources)
    if curved:
        changed.append(
            Approximation(several("unit", curved), "cp2_eur_per_mw2", "quadratic costs: the marginal cost at half output, at every output")
        )
    other = sorted({str(et) for kind in ("poly_cost", "pwl_cost") if kind in net and len(net[kind]) for et in net[kind]["et"]} - {"ext_grid", "gen"})
    if other:
        changed.append(
            Approximation("cost table", "et", f"costs of {', '.join(other)} are not used: only external grids and generators are dispatched")
        )
    frame = pd.DataFrame(rows, columns=["name", "bus", "fuel", "p_min_kw", "p_max_kw", "cost_eur_per_kwh"]).set_index("name").rename_axis("generator")
    frame.index = pd.Index(unique_names(pd.Series(frame.index, index=frame.index), "generator").to_numpy(), name="generator")
    return frame


def constant_draws(sources: pd.DataFrame) -> pd.Series:
    """Generators that can only draw (a largest output of zero or none, a negative one in the file): pumps and dispatchable loads."""
    most = sources["max_p_mw"].fillna(0.0)
    return (sources["element"] == "gen") & (sources["p_mw"] < 0) & (most <= 0)


def _limits(
    sources: pd.DataFrame, branches: pd.DataFrame, changed: list[Approximation], grid_only: bool
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The sources that may supply, and their least and largest output [kW]; what of the limits is not kept is named.

    A limit of zero is one; where none is given, an external grid supplies as much as the branches at its bus carry, with a margin, and a generator
    what it supplies in the file. Below zero, what a unit takes is paid for as what it supplies, at most as much.
    """
    active = branches[branches["in_service"]]
    supply = pd.concat([active.set_index(end)["rating_kva"] for end in ("from_bus", "to_bus")]).groupby(level=0).sum()
    limit = UPSTREAM_MARGIN * supply.reindex(sources["bus"]).fillna(0.0).to_numpy()
    is_grid, names = (sources["element"] == "ext_grid").to_numpy(), sources["name"].to_numpy()
    most, least, output = (sources[c].to_numpy(float) * 1e3 for c in ("max_p_mw", "min_p_mw", "p_mw"))
    p_max = np.where(np.isfinite(most), most, np.where(is_grid, limit, output))
    given = np.isfinite(least)
    p_min = np.where(given, np.clip(least, -np.maximum(p_max, 0.0), 0.0), np.where(is_grid & grid_only, -p_max, 0.0))
    stays = p_max > 0
    for chosen, field, done in (
        (~stays, "max_p_mw", "supplies nothing, by its limit or, without one, its output in the file: not among the generators"),
        (stays & ~is_grid & ~np.isfinite(most), "max_p_mw", "is not given: at most the output in the file"),
        (stays & given & (least > 0), "min_p_mw", "least outputs are not kept: units may stand still"),
        (given & (least < -np.maximum(p_max, 0.0)), "min_p_mw", "what a unit takes is limited to what it may supply"),
    ):
        if chosen.any():
            changed.append(Approximation(several("generator", names[chosen].tolist()), field, done))
    return sources[stays].reset_index(drop=True), p_min[stays], p_max[stays]


def _quadratic(net: Any, sources: pd.DataFrame) -> list[str]:
    """Units with a quadratic cost."""
    if "poly_cost" not in net or "cp2_eur_per_mw2" not in net.poly_cost:
        return []
    given = net.poly_cost[net.poly_cost["cp2_eur_per_mw2"] != 0]
    keys = set(zip(given["et"], given["element"], strict=True))
    return [str(s["name"]) for _, s in sources.iterrows() if (s["table"], s["row"]) in keys]


def _cost_steps(net: Any, source: pd.Series, low: float, high: float, changed: list[Approximation]) -> list[tuple[float, float, float]]:
    """Cost of a unit as steps (least and largest output of the step [kW], marginal cost [EUR/kWh]); none where the data give none."""
    key = (source["table"], source["row"])
    if "pwl_cost" in net and len(net.pwl_cost):
        given = net.pwl_cost[(net.pwl_cost["et"] == key[0]) & (net.pwl_cost["element"] == key[1])]
        given = given[given["power_type"] == "p"] if "power_type" in given else given
        if len(given):
            return _pieces(source, [tuple(map(float, point)) for point in given["points"].iloc[0]], low, high, changed)
    if "poly_cost" in net and len(net.poly_cost):
        given = net.poly_cost[(net.poly_cost["et"] == key[0]) & (net.poly_cost["element"] == key[1])]
        if len(given):
            entry = given.iloc[0]
            quadratic = float(entry.get("cp2_eur_per_mw2", 0.0))
            cost = (float(entry["cp1_eur_per_mw"]) + quadratic * high / 1e3) / 1e3
            return [(low, high, cost)]
    return []


def _pieces(
    source: pd.Series, points: list[tuple[float, ...]], low: float, high: float, changed: list[Approximation]
) -> list[tuple[float, float, float]]:
    """Steps of a piecewise linear cost ``(from, to [MW], EUR/MWh)`` within the limits of the unit; its range is a limit too."""
    points = sorted(points)
    high = min(high, points[-1][1] * 1e3) if not np.isfinite(source["max_p_mw"]) else high
    low = max(low, points[0][0] * 1e3)
    costs = [c / 1e3 for _, _, c in points]
    where = f"{source['table']} {source['name']!r}"
    if any(later < earlier for earlier, later in itertools.pairwise(costs)):
        widths = [b - a for a, b, _ in points]
        mean = float(np.average(costs, weights=widths))
        changed.append(
            Approximation(where, "pwl_cost", f"falls with output, which no merit order follows: its mean, {mean:.4g} EUR/kWh, at every output")
        )
        return [(low, high, mean)]
    steps: list[tuple[float, float, float]] = []
    below = min(low, 0.0)
    for (start, end, _), cost in zip(points, costs, strict=True):
        start, end = max(start * 1e3, 0.0), min(end * 1e3, high)
        if end > start:
            steps.append((below if not steps else 0.0, end - start, cost))
    if points[-1][1] * 1e3 < high:
        size = high - points[-1][1] * 1e3
        steps.append((0.0, size, costs[-1]))
        changed.append(Approximation(where, "pwl_cost", f"ends {size:,.6g} kW below max_p_mw: its last cost holds beyond"))
    if below < 0 and steps:
        # Surplus is taken at the price of the first step, up to its size.
        steps[0] = (max(below, -steps[0][1]), *steps[0][1:])
    return steps
