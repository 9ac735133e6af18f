"""Network files, read as pandapower networks: JSON, Excel, MATPOWER, OpenDSS."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd

from multiscale.sources.matpower_network import matpower_network
from multiscale.sources.pandapower_allowed import Named, foreign_objects, plain, plain_network_text
from multiscale.system.problem import InvalidSystemError, Problem

_DECODED = ("object", "recycle", "q_max_characteristic", "q_min_characteristic", "geo")
"""Columns of an Excel file whose texts pandapower decodes as JSON."""
APPROXIMATED = "approximated_by_the_reader"
"""Key of a network under which its reader puts what it approximates."""
_NO_NETWORK = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, UserWarning, OSError, zipfile.BadZipFile)
"""What reading and converting the tables raises where a file holds something else than a network."""


def read_network(file: Path) -> Any:
    """The pandapower network of a file (``.json``, ``.xlsx``, ``.m``, ``.dss``); nothing that the file names is imported, run or opened.

    Raises:
        InvalidSystemError: no such file, another ending, no network, or a file that names what no network has.
    """
    from pandapower.auxiliary import pandapowerNet

    readers = {".json": _from_json, ".xlsx": _from_excel, ".m": matpower_network, ".dss": _from_opendss}
    if not file.is_file():
        raise _refused(file, "does not exist; give the path of a pandapower JSON or Excel file, a MATPOWER case or an OpenDSS model")
    if file.suffix.lower() not in readers:
        raise _refused(file, f"has the ending {file.suffix!r}; pandapower networks are read from .json, .xlsx, .m (MATPOWER) and .dss (OpenDSS)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = readers[file.suffix.lower()](file)
    if not isinstance(net, pandapowerNet) or not isinstance(net.get("bus"), pd.DataFrame) or not len(net.bus):
        raise InvalidSystemError([Problem("file", str(file), "bus", "", "", "table is missing or empty; the file holds no pandapower network")])
    return net


def _refused(file: Path, message: str) -> InvalidSystemError:
    return InvalidSystemError([Problem("file", str(file), "", "", "", message)])


def _unreadable(file: Path, error: BaseException) -> InvalidSystemError:
    message = f"cannot be read as a pandapower network ({type(error).__name__}: {error}); write it with pandapower's to_json or to_excel"
    return _refused(file, message)


def _check(named: Named, file: Path) -> None:
    foreign = foreign_objects(named, file.name)
    if foreign:
        raise InvalidSystemError(foreign)


def _from_json(file: Path) -> Any:
    import pandapower as pp

    try:
        text, named = plain_network_text(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise _unreadable(file, error) from None
    _check(named, file)
    try:
        return pp.from_json_string(text, convert=True)
    except _NO_NETWORK as error:
        raise _unreadable(file, error) from None


def _from_opendss(file: Path) -> Any:
    from multiscale.sources.opendss_network import opendss_network

    net, approximated = opendss_network(file)
    net[APPROXIMATED] = approximated
    return net


def _from_excel(file: Path) -> Any:
    from pandapower.convert_format import convert_format
    from pandapower.io_utils import from_dict_of_dfs

    named: Named = set()
    try:
        sheets = pd.read_excel(file, sheet_name=None, index_col=0, engine="openpyxl")
        for sheet in sheets.values():
            for k, column in enumerate(sheet.columns):
                if column in _DECODED or not pd.api.types.is_numeric_dtype(sheet.iloc[:, k].dtype):
                    sheet.isetitem(k, sheet.iloc[:, k].astype(object).map(lambda cell, column=column: _cell(cell, column, named)))
    except _NO_NETWORK as error:
        raise _unreadable(file, error) from None
    _check(named, file)
    try:
        net = from_dict_of_dfs(sheets, add_basic_std_types=True)
        convert_format(net)
    except _NO_NETWORK as error:
        raise _unreadable(file, error) from None
    return net


def _cell(cell: Any, column: object, named: Named) -> Any:
    """A cell without objects, in the columns that pandapower decodes as JSON of what is left of it."""
    value = plain(cell, named)
    if column not in _DECODED:
        return value
    if value is cell and isinstance(cell, str):
        try:
            json.loads(cell)
        except ValueError:
            return json.dumps(cell)
        return cell
    return None if column == "geo" and not isinstance(value, str) and pd.isna(value) else json.dumps(value)
