"""What is worth asking about: the options that the measures propose for what DSOs lack without demand response."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.measures import Measure, Need
from multiscale.operation import Transmission
from multiscale.planning.conventional import ConventionalNeed
from multiscale.system import System, reinforcement_options


def transmission_candidates(
    system: System, network: Transmission, drawn: np.ndarray, count: int, costs: pd.DataFrame, measures: Mapping[str, Measure]
) -> xr.Dataset:
    """Options on branches of the transmission network, at most one on each, on those that are loaded most without any response first.

    Branches with room are among them, where ``count`` allows: in a meshed network an option on one branch draws flow from others.

    Args:
        system, network: the whole, and its transmission network.
        drawn: power that the nodes below draw [kW], (node, period).
        count: most options of each measure.
        costs: reinforcement cost table.
        measures: settings of every measure.

    Raises:
        InvalidSystemError: the cost table has no row for some branch.
    """
    share = np.abs(network.dispatch(drawn).flow).max(axis=1) / network.model.limit if len(network.model.branches) else np.zeros(0)
    loading = dict(zip(network.model.branches.tolist(), (100.0 * share).tolist(), strict=True))
    found = reinforcement_options(system, [], costs)
    for measure in measures.values():
        if measure.offered and measure.transmission and not measure.low_voltage:
            taken = set(found.branch.values.tolist())
            branches = [b for b in sorted(loading, key=lambda b: (-round(loading[b], 6), b)) if b not in taken][:count]
            found = xr.concat([found, reinforcement_options(system, branches, costs, measure)], dim="option") if branches else found
    return found


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
