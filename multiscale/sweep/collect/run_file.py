"""The dataset of a run as it is stored (``result.nc``), read without what decoding it costs: a sweep has thousands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

_HIDDEN = ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties", "_FillValue", "dtype")
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"


@dataclass(frozen=True)
class Stored:
    """A variable: its dimensions, whether it holds texts, and what is said of it."""

    dims: tuple[str, ...]
    text: bool
    attributes: dict[str, Any]


class RunFile:
    """The dataset of one run; use as a context manager.

    Args:
        path: netCDF 4 file.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        scales = {name: item for name, item in self._file.items() if "_Netcdf4Dimid" in item.attrs and item.attrs.get("CLASS") == b"DIMENSION_SCALE"}
        self._names = {int(item.attrs["_Netcdf4Dimid"]): name for name, item in scales.items()}
        self.sizes = {name: int(item.shape[0]) for name, item in scales.items()}
        self._labelled = {name for name, item in scales.items() if not item.attrs.get("NAME", b"").startswith(_NO_VARIABLE)}

    @property
    def variables(self) -> list[str]:
        """Names of the variables, without the labels of dimensions."""
        return [name for name in self._file if name not in self.sizes]

    def labels(self, dim: str) -> np.ndarray:
        """Labels of a dimension; its positions where it has none."""
        return self._values(dim) if dim in self._labelled else np.arange(self.sizes[dim])

    def dims(self, name: str) -> tuple[str, ...]:
        """Dimensions of a variable."""
        item = self._file[name]
        if "_Netcdf4Coordinates" in item.attrs:
            return tuple(self._names[int(number)] for number in item.attrs["_Netcdf4Coordinates"])
        return tuple(self._file[reference[0]].name.lstrip("/") for reference in item.attrs.get("DIMENSION_LIST", ()))

    def stored(self, name: str) -> Stored:
        """What is known of a variable."""
        item = self._file[name]
        attributes = {key: value.decode() if isinstance(value, bytes) else value for key, value in item.attrs.items() if key not in _HIDDEN}
        return Stored(self.dims(name), item.dtype.kind in "OSU", attributes)

    def values(self, name: str) -> np.ndarray:
        """Values of a variable: numbers as float64, texts as objects."""
        found = self._values(name)
        return found if found.dtype.kind == "O" else found.astype(float)

    def __contains__(self, name: str) -> bool:
        return name in self._file and name not in self.sizes

    def _values(self, name: str) -> np.ndarray:
        item = self._file[name]
        if item.dtype.kind in "OSU":
            return np.asarray(item.asstr()[()], dtype=object)
        return np.asarray(item[()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
