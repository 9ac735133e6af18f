"""What a DSO may build: one file per measure, one line here."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from multiscale.measures.added_rating import AddedRating
from multiscale.measures.measure import Measure, Need, NetworkProgram, NoFittingCostError, Placed, Proposal, Site
from multiscale.measures.parallel_cable import ParallelCable
from multiscale.measures.voltage_regulator import VoltageRegulator

MEASURES: dict[str, type[Measure]] = {
    "added_rating": AddedRating,
    "voltage_regulator": VoltageRegulator,
    "parallel_cable": ParallelCable,
}
"""Kind of an option, as in its table and in the configuration -> its settings, with what it does. Nothing else lists the kinds."""


def measure_settings() -> dict[str, Measure]:
    """The default settings of all measures."""
    return {kind: measure() for kind, measure in MEASURES.items()}


def kind_of(measure: Measure) -> str:
    """The kind under which a measure stands in the registry."""
    return next(kind for kind, settings in MEASURES.items() if type(measure) is settings)


def by_measure(options: xr.Dataset) -> Iterator[tuple[type[Measure], np.ndarray, Mapping[str, np.ndarray]]]:
    """Measures that occur among some options (component ``option``): measure, positions of its options, their columns."""
    kind = options.kind.values
    for name, measure in MEASURES.items():
        mine = np.flatnonzero(kind == name)
        if len(mine):
            yield measure, mine, {str(c): options[c].values[mine] for c in options.data_vars}


def added_rating(options: xr.Dataset) -> np.ndarray:
    """Rating that every option adds to its branch [kVA], (option)."""
    total = np.zeros(options.sizes["option"])
    for measure, mine, columns in by_measure(options):
        total[mine] = measure.added_rating(columns)
    return total


def voltage_change(options: xr.Dataset) -> np.ndarray:
    """Most by which every option may move the squared voltage below its branch [pu^2], (option)."""
    total = np.zeros(options.sizes["option"])
    for measure, mine, columns in by_measure(options):
        total[mine] = measure.voltage_change(columns)
    return total


def impedance_removed(options: xr.Dataset) -> np.ndarray:
    """Share of the impedance of its branch that every option takes away [1], (option)."""
    total = np.zeros(options.sizes["option"])
    for measure, mine, columns in by_measure(options):
        total[mine] = measure.impedance_removed(columns)
    return total


__all__ = [
    "MEASURES",
    "AddedRating",
    "Measure",
    "Need",
    "NetworkProgram",
    "NoFittingCostError",
    "ParallelCable",
    "Placed",
    "Proposal",
    "Site",
    "added_rating",
    "by_measure",
    "impedance_removed",
    "kind_of",
    "measure_settings",
    "voltage_change",
]
