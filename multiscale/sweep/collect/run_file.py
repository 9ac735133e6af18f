"""The dataset of a run as it is stored (``result.nc``), read without what decoding it costs: a sweep has thousands.

What is known of names from other runs saves opening all of them: a name stands for the same kind of thing in all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from h5py import h5a, h5d, h5s

_HIDDEN = ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties", "_FillValue", "dtype")
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
_NUMBER, _OF_DIMENSIONS = b"_Netcdf4Dimid", b"_Netcdf4Coordinates"


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
        dimensions: names that are known to be dimensions.
        variables: names that are known to be variables.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, path: Path, dimensions: Collection[str] = (), variables: Collection[str] = ()) -> None:
        self._file = h5py.File(path, "r")
        names = list(self._file)
        self.dimensions = [name for name in names if name in dimensions or (name not in variables and self._is_dimension(name))]
        self.variables = [name for name in names if name not in self.dimensions]
        """Names of the variables, without the labels of dimensions."""
        self._names = {int(_attribute(self._open(name), _NUMBER)): name for name in self.dimensions}

    def _is_dimension(self, name: str) -> bool:
        return bool(self._file[name].attrs.get("CLASS") == b"DIMENSION_SCALE")

    def _open(self, name: str) -> Any:
        return h5d.open(self._file.id, name.encode())

    def labels(self, dim: str) -> list[Any]:
        """Labels of a dimension; its positions where it has none."""
        opened = self._open(dim)
        if h5a.exists(opened, b"NAME") and bytes(_attribute(opened, b"NAME")).startswith(_NO_VARIABLE):
            return list(range(opened.shape[0]))
        return list(_values(opened).tolist())

    def stored(self, name: str) -> Stored:
        """What is known of a variable."""
        item = self._file[name]
        attributes = {key: value.decode() if isinstance(value, bytes) else value for key, value in item.attrs.items() if key not in _HIDDEN}
        return Stored(self._dims(name, item.id), item.dtype.kind in "OSU", attributes)

    def read(self, name: str) -> tuple[tuple[str, ...], np.ndarray]:
        """Dimensions and values of a variable: numbers as float64, texts as objects."""
        opened = self._open(name)
        found = _values(opened)
        return self._dims(name, opened), found if found.dtype.kind == "O" else found.astype(float, copy=False)

    def _dims(self, name: str, opened: Any) -> tuple[str, ...]:
        if h5a.exists(opened, _OF_DIMENSIONS):
            return tuple(self._names[int(number)] for number in np.atleast_1d(_attribute(opened, _OF_DIMENSIONS)))
        return tuple(self._file[reference[0]].name.lstrip("/") for reference in self._file[name].attrs.get("DIMENSION_LIST", ()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def _attribute(opened: Any, name: bytes) -> np.ndarray:
    """A numeric attribute."""
    attribute = h5a.open(opened, name)
    found = np.empty(attribute.shape, dtype=attribute.dtype)
    attribute.read(found)
    return found


def _values(opened: Any) -> np.ndarray:
    """All values; texts as objects."""
    found = np.empty(opened.shape, dtype=opened.dtype)
    if found.size:
        opened.read(h5s.ALL, h5s.ALL, found)
    if found.dtype.kind not in "OSU":
        return found
    texts = np.empty(found.shape, dtype=object)
    texts.ravel()[:] = [text.decode() if isinstance(text, bytes) else str(text) for text in found.ravel()]
    return texts
