"""The prosumers of a platform as a device sees them: sums over the rows of each, and the positions of those that own the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import xarray as xr
from scipy import sparse

from multiscale.timeline import Horizon


class Prosumers(Protocol):
    """What a device reads of the prosumers of a platform; ``Fleet`` is the class that holds them."""

    @property
    def data(self) -> xr.Dataset:
        """Variables over (prosumer, period)."""

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The same without labels: name of a variable or coordinate -> values."""

    @property
    def horizon(self) -> Horizon:
        """The periods."""

    @property
    def size(self) -> int:
        """Number of prosumers."""


def summed(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sums of rows by group, (row, ...) -> (group, ...); in the order of the rows."""
    if values.ndim != 2:
        out = np.zeros((groups, *values.shape[1:]))
        np.add.at(out, group, values)
        return out
    count = len(group)
    return np.asarray(sparse.csr_matrix((np.ones(count), (group, np.arange(count))), shape=(groups, count)) @ values)


def placed(has: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the prosumers that have a device, and the map from prosumer to that position (-1 without)."""
    owners = np.flatnonzero(has)
    place = np.full(len(has), -1)
    place[owners] = np.arange(len(owners))
    return owners, place


def spread(columns: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Positions (prosumer, period) of a block over its owners only; -1 where a prosumer has none."""
    out = np.full((len(place), columns.shape[1]), -1)
    out[place >= 0] = columns[place[place >= 0]]
    return out


def axes_of(fleet: Prosumers, owners: np.ndarray, dimension: str) -> dict[str, np.ndarray]:
    """Coordinates of a block over some prosumers and all periods."""
    return {dimension: fleet.arrays["prosumer"][owners], "period": fleet.horizon.labels}
