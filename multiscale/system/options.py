"""Which options there are to choose from, proposed by a measure and priced by a cost table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import xarray as xr

from multiscale.measures import AddedRating, Measure, NoFittingCostError, Site, kind_of
from multiscale.system.problem import InvalidSystemError, Problem
from multiscale.system.schema import table
from multiscale.system.system import System

COST_COLUMNS = ("kind", "vn_min_kv", "vn_max_kv", "measure", "new_rating_kva", "cost_eur_per_km", "cost_eur", "lifetime_years", "source")


def reinforcement_options(system: System, branches: Sequence[str], costs: pd.DataFrame, measure: Measure = AddedRating()) -> xr.Dataset:
    """One option of a measure for each of the given branches.

    Args:
        system: owner of the branches.
        branches: names.
        costs: table with COST_COLUMNS; ``new_rating_kva`` is the rating of the parallel cable, or of the new transformer (0: one
            more of the same rating).
        measure: what is built; by default rating is added.

    Returns:
        The option table (component ``option``).

    Raises:
        InvalidSystemError: no row of the cost table fits a branch; all such branches are listed.
    """
    chosen = system.branches.sel(branch=list(branches))
    voltage = dict(zip(system.buses.bus.values.tolist(), system.buses.vn_kv.values.tolist(), strict=True))
    rows, problems = {}, []
    for k, branch in enumerate(chosen.branch.values.tolist()):
        item = chosen.isel(branch=k)
        rating = float(item.rating_kva)
        site = Site(branch, str(item.kind.item()), voltage[item.from_bus.item()], rating, float(item.length_km))
        try:
            proposal = measure.propose(site, costs)
        except NoFittingCostError as error:
            problems.append(Problem("branch", branch, "rating_kva", f"{rating:g}", "kVA", str(error)))
        else:
            rows[proposal.name] = {"branch": branch, "kind": kind_of(measure), **proposal.columns}
    if problems:
        raise InvalidSystemError(problems)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=None if rows else ["branch", "cost_eur"])
    return table("option", frame.index, {c: frame[c].to_numpy() for c in frame.columns})
