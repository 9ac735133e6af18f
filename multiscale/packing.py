"""What is kept on the disk (what a stage leads to, a checkpoint) as plain text and arrays, and back: data only, so that reading it runs no code.

Data classes and settings of the package, tables, arrays, mappings, sequences, plain values and random generators are packed; an object of any other
type is refused. A packed object names its class; only data classes and settings that the package defines are made again, by their own constructors.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel

KIND = "is"
"""Key of a packed value's kind; plain values and nothing else are packed as themselves."""

PACKAGE = "multiscale."


_LABELLED = "_values"
"""Name of the only variable of the dataset as which a labelled array is packed."""


class PackingError(TypeError):
    """An object that cannot be packed, or a text that is none that was packed."""


def pack(value: Any, keep: Callable[[np.ndarray], str]) -> Any:
    """A value as JSON, its arrays kept elsewhere.

    Args:
        value: what is to be packed.
        keep: puts an array where ``unpack`` finds it, and returns its name.

    Raises:
        PackingError: an object of a type that is no data.
    """

    def packed(inner: Any) -> Any:
        return pack(inner, keep)

    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {KIND: "float", "text": repr(value)}
    if isinstance(value, np.ndarray | np.generic):
        return {KIND: "scalar" if isinstance(value, np.generic) else "array", **_array(np.asarray(value), keep)}
    if isinstance(value, pd.Timestamp):
        return {KIND: "time", "text": value.isoformat()}
    if isinstance(value, Path):
        return {KIND: "path", "text": str(value)}
    if isinstance(value, bytes):
        return {KIND: "bytes", "text": value.hex()}
    if isinstance(value, np.random.Generator):
        return {KIND: "random", "state": packed(_state(value))}
    if type(value) in (tuple, list):
        return {KIND: type(value).__name__, "items": [packed(v) for v in value]}
    if type(value) in (set, frozenset):
        return {KIND: type(value).__name__, "items": [packed(v) for v in sorted(value)]}
    if isinstance(value, pd.DataFrame):
        columns = [[packed(name), packed(value[name].to_numpy())] for name in value.columns]
        return {KIND: "frame", "columns": columns, "index": packed(value.index.to_numpy()), "name": packed(value.index.name)}
    if isinstance(value, xr.Dataset):
        variables = {str(n): [list(v.dims), packed(np.asarray(v.values)), packed(dict(v.attrs))] for n, v in value.variables.items()}
        return {KIND: "dataset", "variables": variables, "coordinates": [str(n) for n in value.coords], "attributes": packed(dict(value.attrs))}
    if isinstance(value, Mapping):
        return {KIND: "mapping", "items": [[packed(k), packed(v)] for k, v in value.items()]}
    if isinstance(value, xr.DataArray):
        return {KIND: "labelled", "dataset": packed(value.to_dataset(name=_LABELLED)), "name": packed(value.name)}
    if isinstance(value, BaseModel):
        return {KIND: "settings", "class": _name(type(value)), "values": packed(value.model_dump(mode="json"))}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: packed(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        return {KIND: "object", "class": _name(type(value)), "fields": fields}
    raise PackingError(f"an object of type {type(value).__name__} is no data that could be kept")


def unpack(content: Any, find: Callable[[str], np.ndarray]) -> Any:
    """The value that was packed.

    Args:
        content: what ``pack`` returned.
        find: array of a name that ``keep`` gave.

    Raises:
        PackingError: nothing that ``pack`` returns.
    """

    def whole(inner: Any) -> Any:
        return unpack(inner, find)

    if not isinstance(content, dict):
        if isinstance(content, list):
            raise PackingError("a list without a kind")
        return content
    match content.get(KIND):
        case "float":
            return float(content["text"])
        case "array":
            return _restored(content, find)
        case "scalar":
            return _restored(content, find)[()]
        case "time":
            return pd.Timestamp(content["text"])
        case "path":
            return Path(content["text"])
        case "bytes":
            return bytes.fromhex(content["text"])
        case "random":
            return _generator(whole(content["state"]))
        case "tuple" | "list" | "set" | "frozenset" as kind:
            made: Callable[[list[Any]], Any] = {"tuple": tuple, "list": list, "set": set, "frozenset": frozenset}[kind]
            return made([whole(v) for v in content["items"]])
        case "mapping":
            return {whole(k): whole(v) for k, v in content["items"]}
        case "frame":
            index = pd.Index(whole(content["index"]), name=whole(content["name"]))
            return pd.DataFrame({whole(name): whole(values) for name, values in content["columns"]}, index=index)
        case "dataset":
            parts = {name: (tuple(dims), whole(values), whole(attrs)) for name, (dims, values, attrs) in content["variables"].items()}
            coordinates = {name: parts.pop(name) for name in content["coordinates"]}
            return xr.Dataset(parts, coords=coordinates, attrs=whole(content["attributes"]))
        case "labelled":
            return whole(content["dataset"])[_LABELLED].rename(whole(content["name"]))
        case "settings":
            return _class(content["class"]).model_validate(whole(content["values"]))
        case "object":
            return _class(content["class"])(**{name: whole(v) for name, v in content["fields"].items()})
        case kind:
            raise PackingError(f"a packed value of the unknown kind {kind!r}")


def packed_bytes(value: Any) -> bytes:
    """A value as one piece, to be written into one file: the hash of what follows, its text, its arrays.

    An array that stands in several places is one again when it is read; the order of its values in memory is kept.

    Raises:
        PackingError: an object of a type that is no data.
    """
    arrays: list[np.ndarray] = []
    known: dict[int, str] = {}

    def keep(array: np.ndarray) -> str:
        if id(array) not in known:
            known[id(array)] = str(len(arrays))
            arrays.append(array)
        return known[id(array)]

    text = json.dumps(pack(value, keep), allow_nan=False)
    stream = io.BytesIO()
    for array in (np.frombuffer(text.encode(), dtype=np.uint8), *arrays):
        np.lib.format.write_array(stream, array, allow_pickle=False)
    body = stream.getvalue()
    return hashlib.sha256(body).digest() + body


def unpacked_bytes(data: bytes) -> Any:
    """The value of ``packed_bytes``.

    Raises:
        PackingError: nothing that ``packed_bytes`` returns, or damaged since.
    """
    digest, body = data[: hashlib.sha256().digest_size], data[hashlib.sha256().digest_size :]
    if hashlib.sha256(body).digest() != digest:
        raise PackingError("not what was written")
    stream = io.BytesIO(body)
    try:
        arrays = []
        while stream.tell() < len(body):
            arrays.append(np.lib.format.read_array(stream, allow_pickle=False))
        return unpack(json.loads(arrays[0].tobytes()), lambda name: arrays[1 + int(name)])
    except PackingError:
        raise
    except Exception as error:  # what another version packed raises whatever those who read numbers, texts and tables raise
        raise PackingError(f"nothing that was packed ({type(error).__name__}: {error})") from error


def _state(generator: np.random.Generator) -> dict[str, Any]:
    if not isinstance(generator.bit_generator, np.random.PCG64):
        raise PackingError(f"a random generator {type(generator.bit_generator).__name__} is none that could be kept; use numpy.random.default_rng")
    return dict(generator.bit_generator.state)


def _generator(state: Any) -> np.random.Generator:
    made = np.random.PCG64(0)
    made.state = state
    return np.random.Generator(made)


def _array(values: np.ndarray, keep: Callable[[np.ndarray], str]) -> dict[str, Any]:
    """An array by name; texts held as objects are kept as texts, and become objects again."""
    if values.dtype == object:
        if not all(isinstance(v, str) for v in values.ravel().tolist()):
            raise PackingError("an array of objects other than texts is no data that could be kept")
        return {"array": keep(values.astype(str)), "objects": True}
    if isinstance(values.dtype, np.dtypes.StringDType):
        return {"array": keep(values.astype(str)), "objects": False}
    return {"array": keep(values), "objects": False}


def _restored(content: Mapping[str, Any], find: Callable[[str], np.ndarray]) -> np.ndarray:
    found = find(content["array"])
    return found.astype(object) if content["objects"] else found


def _name(kind: type) -> str:
    if not kind.__module__.startswith(PACKAGE):
        raise PackingError(f"an object of type {kind.__module__}.{kind.__qualname__} is no data of this package that could be kept")
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name: str) -> Any:
    """A data class or settings class of the package by its name."""
    module, _, inner = str(name).partition(":")
    if not module.startswith(PACKAGE):
        raise PackingError(f"{name!r} is no class of this package")
    try:
        found = getattr(importlib.import_module(module), inner)
    except (ImportError, AttributeError) as error:
        raise PackingError(f"{name!r} does not exist in this version") from error
    if not (isinstance(found, type) and found.__module__ == module and (dataclasses.is_dataclass(found) or issubclass(found, BaseModel))):
        raise PackingError(f"{name!r} is neither a data class nor settings")
    return found
