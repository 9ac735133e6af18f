"""The one hash of the engine: of what an object or a file holds. It is the same in every process and on every machine, unlike that of a pickle."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel
from scipy import sparse


def content_key(*parts: object) -> str:
    """SHA-256 of arrays, tables, sparse matrices, data classes, settings and plain values, whatever they hold in each other.

    The order of a mapping counts; a path is its text, not the file behind it (see ``file_hash``).

    Raises:
        TypeError: an object of which is not known what it holds.
    """
    hashed = hashlib.sha256()

    def take(piece: bytes) -> None:
        hashed.update(len(piece).to_bytes(8, "little"))
        hashed.update(piece)

    for part in parts:
        _tell(take, part)
    return hashed.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file as ``sha256sum`` prints it, or of all files of a folder with their relative names."""
    if path.is_dir():
        return content_key(*((inner.relative_to(path).as_posix(), file_hash(inner)) for inner in sorted(path.rglob("*")) if inner.is_file()))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _tell(take: Callable[[bytes], None], value: object) -> None:
    """Hand over what a value holds, piece by piece."""
    take(type(value).__name__.encode())
    if value is None or isinstance(value, (str, bytes, int, float, bool, np.generic, pd.Timestamp)):
        take(repr(value).encode())
    elif isinstance(value, np.ndarray):
        take(f"{value.dtype.str} {value.shape}".encode())
        take(repr(value.ravel().tolist()).encode() if value.dtype == object else value.tobytes())
    elif isinstance(value, xr.Dataset):
        for name, variable in sorted(value.variables.items(), key=lambda item: str(item[0])):
            take(f"{name} {variable.dims}".encode())
            _tell(take, variable.values)
    elif sparse.issparse(value):
        rows = sparse.csr_matrix(value)
        rows.sort_indices()
        for part in (np.array(rows.shape), rows.indptr, rows.indices, rows.data):
            _tell(take, part)
    elif isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and _plain(value)):
        take(repr(value).encode())
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            if field.compare:
                take(field.name.encode())
                _tell(take, getattr(value, field.name))
    elif isinstance(value, xr.DataArray):
        _tell(take, value.name)
        _tell(take, value.to_dataset(name="values"))
    elif isinstance(value, pd.DataFrame):
        for column in (value.index.name, value.index.to_numpy(), *(part for name in value for part in (name, value[name].to_numpy()))):
            _tell(take, column)
    elif isinstance(value, Mapping):
        for name, content in value.items():
            _tell(take, name)
            _tell(take, content)
    elif isinstance(value, (set, frozenset)):
        _tell(take, sorted(value))
    elif isinstance(value, (tuple, list)):
        for content in value:
            _tell(take, content)
    else:
        raise TypeError(f"an object of type {type(value).__name__} has no content key")


def _plain(value: object) -> bool:
    """Whether a data class holds plain values alone, which its text shows to the last bit: arrays and tables have no hash, sets no order."""
    try:
        hash(value)
    except TypeError:
        return False
    return type(value).__hash__ is not object.__hash__ and not _unordered(value)


def _unordered(value: object) -> bool:
    """Whether a value is a set or holds one, whose text differs from process to process."""
    if dataclasses.is_dataclass(value):
        return any(_unordered(getattr(value, field.name)) for field in dataclasses.fields(value))
    return isinstance(value, (set, frozenset)) or (isinstance(value, tuple) and any(map(_unordered, value)))
