"""Which reinforcements there are to choose from: one per branch, sized and priced by a cost table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.system.schema import table
from multiscale.system.system import System
from multiscale.system.validation import InvalidSystemError, Problem

COST_COLUMNS = ("kind", "vn_min_kv", "vn_max_kv", "measure", "new_rating_kva", "cost_eur_per_km", "cost_eur", "lifetime_years", "source")


def reinforcement_options(system: System, branches: Sequence[str], costs: pd.DataFrame) -> xr.Dataset:
    """One reinforcement for each of the given branches.

    A line gets a parallel cable of the table's rating (scaled with the voltage), priced by length; a transformer is replaced by, or
    joined with, the smallest unit of the table that adds rating. One more of the same rating comes after all larger single units.

    Args:
        system: owner of the branches.
        branches: names.
        costs: table with COST_COLUMNS; ``new_rating_kva`` is the rating of the parallel cable, or of the new transformer (0: one
            more of the same rating).

    Returns:
        The option table (component ``option``).

    Raises:
        InvalidSystemError: no row of the cost table fits a branch; all such branches are listed.
    """
    chosen = system.branches.sel(branch=list(branches))
    voltage = dict(zip(system.buses.bus.values.tolist(), system.buses.vn_kv.values.tolist(), strict=True))
    rows, problems = [], []
    for k, branch in enumerate(chosen.branch.values.tolist()):
        item = chosen.isel(branch=k)
        kind, rating = item.kind.item(), float(item.rating_kva)
        vn = voltage[item.from_bus.item()]
        fits = costs[(costs["kind"] == kind) & (costs["vn_min_kv"] <= vn) & (vn <= costs["vn_max_kv"])]
        if kind == "transformer":
            fits = fits[(fits["new_rating_kva"] > rating) | (fits["new_rating_kva"] == 0)]
            fits = fits.sort_values("new_rating_kva", key=lambda new: new.where(new > 0, np.inf), kind="stable")
        if fits.empty:
            message = f"at {vn:g} kV has no fitting row in the reinforcement cost table; add one with kind {kind!r} for that voltage"
            problems.append(Problem("branch", branch, "rating_kva", f"{rating:g}", "kVA", message))
            continue
        row = fits.iloc[0]
        if kind == "line":
            added, cost = float(row["new_rating_kva"]) * vn / float(row["vn_max_kv"]), float(row["cost_eur_per_km"]) * float(item.length_km)
        else:
            new = float(row["new_rating_kva"])
            added, cost = (new - rating if new else rating), float(row["cost_eur"])
        rows.append((f"reinforce {branch}", branch, added, cost, float(row["lifetime_years"]), str(row["measure"])))
    if problems:
        raise InvalidSystemError(problems)
    names, on, added_kva, cost_eur, life, measure = zip(*rows, strict=True) if rows else ((),) * 6
    columns = {
        "branch": np.array(on, dtype=str),
        "added_rating_kva": np.array(added_kva, dtype=float),
        "cost_eur": np.array(cost_eur, dtype=float),
        "lifetime_years": np.array(life, dtype=float),
        "measure": np.array(measure, dtype=str),
    }
    return table("option", np.array(names, dtype=str), columns)
