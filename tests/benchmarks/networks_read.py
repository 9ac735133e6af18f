"""Networks read, next to pandapower's own power flow: one row per network.

python -m tests.benchmarks.networks_read                     all of pandapower's networks that apply
python -m tests.benchmarks.networks_read FILE FOLDER ...     JSON, Excel and MATPOWER files
python -m tests.benchmarks.networks_read -v NAME             with what is approximated
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.sources.published_networks import PUBLISHED
from tests.sources.read_networks import Compared, compare, network_of


def chosen(names: list[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name and network of everything that is asked for."""
    if not names:
        yield from PUBLISHED.items()
    for name in names:
        path = Path(name)
        files = sorted(f for f in path.iterdir() if f.suffix in (".json", ".xlsx", ".m")) if path.is_dir() else [path]
        if name in PUBLISHED:
            yield name, PUBLISHED[name]
        else:
            yield from ((f.name, lambda f=f: network_of(f)) for f in files)


def line(row: Compared) -> str:
    """One row of the table."""
    nodes = "/".join(str(len(row.system.at_level(level))) for level in ("dso", "platform")) if row.system is not None else ""
    gaps = f"{row.d_losses:9.1e} {row.d_voltage:9.1e} {row.d_loading:9.1e} {row.d_totals:9.1e}"
    values = f"{row.losses_kw:12.4g} {row.lowest_pu:8.4f} {gaps} {nodes:>9}"
    return f"{row.name:36.36} {row.outcome:12} {values}  {'; '.join(row.adapted)} {row.message[:160]}".rstrip()


def main() -> int:
    """Print the table; the exit code is the number of networks that differ or are refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="names, files or folders")
    parser.add_argument("-v", "--verbose", action="store_true", help="with what is approximated or excluded")
    given = parser.parse_args()
    gaps = " ".join(f"{word:>9}" for word in ("d losses", "d V pu", "d load %", "d totals", "dso/plat"))
    print(f"{'network':36} {'outcome':12} {'losses kW':>12} {'lowest':>8} {gaps}  adapted")
    wrong, begun = 0, time.process_time()
    for name, make in chosen(given.networks):
        try:
            row = compare(name, make())
        except Exception as error:  # a table goes on to the next network
            row = Compared(name, "error", message=f"{type(error).__name__}: {error}")
        wrong += row.outcome not in ("same", "no reference")
        print(line(row), flush=True)
        if given.verbose and row.system is not None:
            for note in (*row.system.approximations, *row.system.notes):
                print(f"    {note}")
    print(f"{wrong} differ, are refused or fail; {time.process_time() - begun:.0f} CPU s")
    return min(wrong, 100)


if __name__ == "__main__":
    sys.exit(main())
