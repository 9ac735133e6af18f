"""A folder of tables to begin with: from the built-in case, a pandapower network, a MATPOWER case, an OpenDSS model, or a utility's spreadsheet."""

from __future__ import annotations

import inspect
import shlex
from pathlib import Path
from typing import Any

from multiscale.files import folder_written_atomically
from multiscale.sources.columns import describe_columns
from multiscale.sources.folder import folder_system, write_folder
from multiscale.sources.followed_profiles import STANDARD
from multiscale.sources.pandapower_net import pandapower_system
from multiscale.sources.spreadsheet import is_spreadsheet, spreadsheet_network
from multiscale.sources.tiny import tiny_system
from multiscale.system.problem import InvalidSystemError, Problem, close_names
from multiscale.system.system import System
from multiscale.system.validation import validate

BUILT_IN, PANDAPOWER = "tiny", "pandapower:"

_README = """\
# {name}

A case of multiscale: one table for each kind of component, one row for each. Numbers are in the unit that the header of their column
states; any unit of the same kind may be written there instead (`rating [MVA]`).

    multiscale validate system=folder system.path={place}
    multiscale run system=folder system.path={place}

{origin}

## Columns

{columns}
"""


def begin_case(folder: Path, origin: str = BUILT_IN, profiles: str = STANDARD, time_zone: str = "", kind: str = "csv") -> System:
    """Write a folder of tables that runs at once.

    Args:
        folder: that is made; it must not be there.
        origin: ``tiny``, ``pandapower:NAME`` for a network of that package, a pandapower file (json, xlsx), a MATPOWER case (m), an OpenDSS model
            (dss, or its folder), or a utility's spreadsheet (xlsx, or a folder of CSV files).
        profiles: ``standard``, ``constant``, or a CSV or Parquet file; of no use for the built-in case.
        time_zone: of time stamps without an offset.
        kind: ``csv`` or ``parquet``.

    Returns:
        The system as it is read back from the folder.

    Raises:
        InvalidSystemError: whatever is wrong with what is read, all of it; nothing is written then.
        FileExistsError: the folder is there.
    """
    if folder.exists():
        raise FileExistsError(f"'{folder}' is there already; give the name of a new folder, or remove it")
    system = case_of(origin, profiles, time_zone)
    problems = validate(system)
    if problems:
        raise InvalidSystemError(problems)
    made = f"Made from {origin!r}" + (f", profiles {profiles!r}." if origin != BUILT_IN else ".")
    with folder_written_atomically(folder) as fresh:
        write_folder(system, fresh, kind)
        text = _README.format(name=system.name, place=shlex.quote(str(folder)), origin=made, columns=describe_columns())
        (fresh / "README.md").write_text(text, encoding="utf-8")
    return folder_system(folder)


def case_of(origin: str, profiles: str = STANDARD, time_zone: str = "") -> System:
    """The system that a case is made from; see ``begin_case``."""
    if origin == BUILT_IN:
        return tiny_system()
    wanted: Any = profiles if profiles in (STANDARD, "constant") else Path(profiles)
    if origin.startswith(PANDAPOWER):
        name = origin.removeprefix(PANDAPOWER)
        return pandapower_system(_of_package(name), wanted, name, time_zone)
    path = Path(origin)
    if not path.exists():
        there = f"give {BUILT_IN}, {PANDAPOWER}NAME, or the path of a network file or a spreadsheet"
        raise InvalidSystemError([Problem("file", origin, "", "", "", f"does not exist; {there}")])
    if is_spreadsheet(path):
        return pandapower_system(spreadsheet_network(path), wanted, "", time_zone)
    masters = sorted(f for f in path.glob("*") if f.suffix.lower() == ".dss") if path.is_dir() else []
    named = [f for f in masters if f.stem.lower() == "master"] or masters
    if len(named) == 1:
        return pandapower_system(named[0], wanted, "", time_zone)
    if masters:
        message = f"holds {len(masters)} files of OpenDSS ({', '.join(f.name for f in masters[:5])}); give the first file of the model itself"
        raise InvalidSystemError([Problem("file", origin, "", "", "", message)])
    if path.is_dir():
        message = "holds no buses.csv and lines.csv of a utility; a folder of multiscale's own tables is used as it is (system=folder)"
        raise InvalidSystemError([Problem("file", origin, "", "", "", message)])
    return pandapower_system(path, wanted, "", time_zone)


def _of_package(name: str) -> Any:
    """A network of the package pandapower, by the name of the function that makes it.

    Raises:
        InvalidSystemError: there is none, or it needs arguments.
    """
    from pandapower import networks

    makers = {
        key: function
        for key, function in vars(networks).items()
        if inspect.isfunction(function) and function.__module__.startswith("pandapower.networks.") and not key.startswith("_") and _alone(function)
    }
    if name not in makers:
        message = f"is no network of the package pandapower{close_names(name, makers)}; give a name such as create_cigre_network_lv or case33bw"
        raise InvalidSystemError([Problem("network", name, "", "", "", message)])
    return makers[name]()


def _alone(function: Any) -> bool:
    return all(p.default is not p.empty or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in inspect.signature(function).parameters.values())
