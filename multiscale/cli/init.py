"""``multiscale init``: a folder of tables to begin with, from a network that is there."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from multiscale.cli.command import BAD_INPUT, OK, Command


def _init(given: argparse.Namespace) -> int:
    from multiscale.sources.new_case import begin_case
    from multiscale.sources.time_axis import known_zone

    # argparse reads '--profiles=--' as a list without any entry.
    words = {"--from": given.origin, "--profiles": given.profiles, "--time-zone": given.time_zone}
    if lacking := [word for word, value in words.items() if not isinstance(value, str)]:
        print(f"error: {', '.join(lacking)} has no value; multiscale init --help says what may be given", file=sys.stderr)
        return BAD_INPUT
    if given.time_zone and not known_zone(given.time_zone):
        print(f"error: --time-zone {given.time_zone} is no time zone; give a name such as Europe/Berlin", file=sys.stderr)
        return BAD_INPUT
    try:
        system = begin_case(given.folder, given.origin, given.profiles, given.time_zone, given.format)
    except FileExistsError as there:
        print(f"error: {there}", file=sys.stderr)
        return BAD_INPUT
    time = system.profiles.time.values
    sizes = {"buses": system.buses.sizes["bus"], "branches": system.branches.sizes["branch"], "prosumers": system.prosumers.sizes["prosumer"]}
    print(f"{system.name}: {len(system.at_level('dso'))} DSOs, {len(system.at_level('platform'))} platforms, "
          + ", ".join(f"{count} {name}" for name, count in sizes.items()))  # fmt: skip
    step = (time[1] - time[0]).astype("timedelta64[s]").astype(int) / 60
    print(f"profiles: {system.profiles.sizes['profile']} series, {step:g} min steps, {str(time[0])[:16]} to {str(time[-1])[:16]}, no gaps")
    for line in (*system.approximations, *system.notes):
        print(f"  {line}")
    print(f"next: multiscale validate system=folder system.path={shlex.quote(str(given.folder))}")
    print(given.folder)
    return OK


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder that is made")
    parser.add_argument(
        "--from",
        dest="origin",
        default="tiny",
        metavar="SOURCE",
        help="tiny (default), pandapower:NAME, a pandapower file (json, xlsx), a MATPOWER case (m), an OpenDSS model (dss, or its folder), "
        "a spreadsheet (xlsx, folder of CSV)",
    )
    parser.add_argument(
        "--profiles", default="standard", metavar="P", help="standard (by customer class, default), constant, or a CSV or Parquet file"
    )
    parser.add_argument("--time-zone", default="", metavar="ZONE", help="of local time stamps, e.g. Europe/Berlin; default: standard time all year")
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv", help="of the tables; default: csv")


INIT = Command("init", "begin a case: write a folder of tables that runs at once", _init, _arguments)
