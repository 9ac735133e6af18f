"""What is worth asking about: the options that the measures propose for what DSOs lack without demand response."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import xarray as xr

from multiscale.measures import Measure, Need
from multiscale.planning.conventional import ConventionalNeed
from multiscale.system import System, reinforcement_options


def candidate_options(
    system: System, needs: Mapping[str, ConventionalNeed], count: int, costs: pd.DataFrame, measures: Mapping[str, Measure]
) -> xr.Dataset:
    """Options (component ``option``), at most ``count`` per network and measure.

    Args:
        system: the whole.
        needs: DSO, or platform -> what its network lacks.
        count: most options of each measure in each DSO.
        costs: reinforcement cost table.
        measures: settings of every measure.

    Raises:
        InvalidSystemError: the cost table has no row for some branch.
    """
    found, platforms = [reinforcement_options(system, [], costs)], set(system.at_level("platform"))
    kind = dict(zip(system.branches.branch.values.tolist(), system.branches.kind.values.tolist(), strict=True))
    for measure in measures.values():
        if measure.offered:
            mine = [need for node, need in needs.items() if (node in platforms) == measure.low_voltage]
            parts = [[{b: v for b, v in part.items() if kind[b] in measure.branch_kinds} for part in (need.loading, need.outside)] for need in mine]
            branches = [b for loading, outside in parts for b in measure.sites(Need(loading, outside), count)]
            found.append(reinforcement_options(system, branches, costs, measure))
    found = [options for options in found if options.sizes["option"]] or found[:1]
    return xr.concat(found, dim="option") if len(found) > 1 else found[0]
