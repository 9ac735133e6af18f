"""Damaged tables, configurations and network files: how many end in a traceback, take too long, run code, or are accepted although they say nonsense.

    python -m tests.benchmarks.fuzzed_inputs --number 2000

Every input is ``multiscale validate`` of a small system in which one thing is damaged. What must be refused (a text where a number stands, an unknown
name, a foreign object) counts as accepted nonsense when it is not. Too long is more than 10 s of the processor, or 60 s by the clock (on a busy
machine the clock measures the others). Code runs where a process is started, or a module that an input names is imported. ``--first`` goes on from
another number: portions of one seed make up the whole.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import io
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandapower as pp
import pandapower.networks
import pandas as pd

from multiscale import cli
from multiscale.sources import tiny_system, write_folder

LONGEST, LONGEST_BY_THE_CLOCK = 10.0, 60.0
"""Time of the processor and by the clock from which on an input counts as a hang [s]."""
FOREIGN = ("os", "planted", "subprocess", "test.autotest")
"""Modules that inputs name; ``planted`` is in the current folder."""
STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn")
NONSENSE = ("a lot", "9**9**9**9", "nan kW", "=1+1", "0x10", "1e999", "--", "1;2", "(3)", "\x07")
TABLES = ("nodes", "buses", "branches", "prosumers", "devices", "generators", "profiles")
SETTINGS = (
    "planning.gap", "horizon.days", "horizon.step_hours", "tariff.levy", "solver.seed", "costs.discount_rate", "system.growth.pv_share",
    "market", "engine",
)  # fmt: skip
VALUES = (*NONSENSE, "-7e9", "3 kg", "[1,2]", "{a: 1}", "null", "???", "${nowhere}", "9**9**9**9 kWh")


class TooLongError(BaseException):
    """An input took longer than ``LONGEST``; no handler of errors takes it for one."""


def _folder(base: dict[str, str], folder: Path, rng: np.random.Generator) -> tuple[list[str], bool, str]:
    """A folder of tables with one damage; whether it must be refused; what was done."""
    folder.mkdir()
    for name, text in base.items():
        (folder / name).write_text(text)
    name = f"{rng.choice(TABLES)}.csv"
    lines = base[name].splitlines()
    way = rng.choice(["cell", "cut", "bytes", "twice", "swap", "header", "missing", "empty", "semicolons", "row"])
    overrides = ["system=folder", f"system.path={folder}"]
    refused = way in ("missing", "header")
    file = folder / name
    if way == "cell":
        row, cells = int(rng.integers(1, len(lines))), None
        frame = pd.read_csv(io.StringIO(base[name]), dtype=str, keep_default_na=False)
        numeric = [c for c in frame if "[" in c]
        if not numeric:
            return overrides, False, "nothing"
        column, cells = str(rng.choice(numeric)), str(rng.choice(NONSENSE))
        frame.loc[row - 1, column] = cells
        frame.to_csv(file, index=False)
        return overrides, True, f"{name}: {column} row {row} {cells!r}"
    if way == "cut":
        file.write_text(base[name][: int(rng.integers(0, len(base[name])))])
    elif way == "bytes":
        raw = bytearray(base[name].encode())
        for place in rng.integers(0, len(raw), 5):
            raw[place] = int(rng.integers(0, 256))
        file.write_bytes(bytes(raw))
    elif way == "twice":
        file.write_text("\n".join([*lines, lines[-1]]) + "\n")
        refused = name not in ("options.csv",)
    elif way == "swap":
        rng.shuffle(rest := lines[1:])
        file.write_text("\n".join([lines[0], *rest]) + "\n")
    elif way == "header":
        head = lines[0].split(",")
        head[int(rng.integers(0, len(head)))] = "nonsense"
        file.write_text("\n".join([",".join(head), *lines[1:]]) + "\n")
    elif way == "missing":
        file.unlink()
    elif way == "empty":
        file.write_text("")
        refused = True
    elif way == "semicolons":
        file.write_text(base[name].replace(",", ";"))
    else:
        del lines[int(rng.integers(1, len(lines)))]
        file.write_text("\n".join(lines) + "\n")
    return overrides, refused, f"{name}: {way}"


def _configuration(_: dict[str, str], __: Path, rng: np.random.Generator) -> tuple[list[str], bool, str]:
    key, value = str(rng.choice(SETTINGS)), str(rng.choice(VALUES))
    return [f"{key}={value!r}" if rng.random() < 0.5 else f"{key}={value}"], value not in ("null", "1;2"), f"{key}={value}"


@functools.cache
def _net() -> pp.pandapowerNet:
    return pandapower.networks.create_cigre_network_mv()


def _network(base: dict[str, str], folder: Path, rng: np.random.Generator) -> tuple[list[str], bool, str]:
    folder.mkdir()
    file = folder / "net.json"
    net = copy.deepcopy(_net())
    way = str(rng.choice(["cell", "index", "column", "foreign", "cut", "bytes", "table", "reference"]))
    kind = str(rng.choice(["bus", "line", "trafo", "load", "ext_grid", "switch"]))
    frame, refused = net[kind], False
    column = str(rng.choice(frame.columns.to_numpy(str)))
    if way == "cell":
        net[kind][column] = frame[column].astype(object)
        net[kind].loc[frame.index[0], column] = rng.choice(["a lot", None, -1e9, 0])
    elif way == "index":
        net[kind] = pd.concat([frame, frame.iloc[:1]])
        refused = True
    elif way == "column":
        net[kind] = frame.drop(columns=column)
    elif way == "reference" and kind in ("load", "ext_grid"):
        net[kind].loc[frame.index[0], "bus"] = 9999
        refused = True
    text = pp.to_json(net)
    if way == "foreign":
        content = json.loads(text)
        content["_object"]["x"] = {"_module": str(rng.choice(FOREIGN)), "_class": "system", "_object": "1"}
        text, refused = json.dumps(content), True
    elif way == "table":
        content = json.loads(text)
        content["_object"][kind] = "nonsense"
        text, refused = json.dumps(content), True
    elif way == "cut":
        text, refused = text[: int(rng.integers(0, len(text) - 1))], True
    elif way == "bytes":
        raw = list(text)
        for place in rng.integers(0, len(raw), 5):
            raw[place] = chr(int(rng.integers(32, 127)))
        text = "".join(raw)
    file.write_text(text)
    return ["system=pandapower", f"system.path={file}", "system.profiles=constant"], refused, f"{kind}.{column}: {way}"


class Watch:
    """What runs while it is on: processes that are started, foreign modules that are imported, pickles that name something."""

    def __init__(self) -> None:
        self.on, self.found = False, list[str]()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        named = event in STARTS or event == "pickle.find_class"
        if self.on and (named or (event == "import" and arguments[0] in ("planted", "test.autotest"))):
            self.found.append(f"{event} {arguments[0]}")


def _late(_signal: int, _frame: object) -> None:
    raise TooLongError


@dataclass(frozen=True)
class Damaged:
    """One damaged input.

    Attributes:
        command: arguments of a command, or a function that returns an exit code.
        refused: whether it must be refused.
        what: was damaged.
    """

    command: Sequence[str] | Callable[[], int]
    refused: bool
    what: str


FAULTS = ("traceback", "hang", "code run", "accepted nonsense")


class Fuzz:
    """Tries inputs and counts how they end."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0
        self._watch = Watch()
        for late in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(late, _late)

    def try_one(self, name: str, damaged: Damaged) -> None:
        """Try an input; a fault is printed."""
        err, begun = io.StringIO(), time.process_time()
        signal.setitimer(signal.ITIMER_REAL, LONGEST_BY_THE_CLOCK)
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        self._watch.on, self._watch.found = True, []
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
            try:
                command = damaged.command
                code: int | str = command() if callable(command) else cli.main(command)
            except TooLongError:
                code = "hang"
            except SystemExit as end:  # of argparse
                code = end.code if isinstance(end.code, int) else "traceback SystemExit"
            except BaseException as error:
                code = f"traceback {type(error).__name__}: {error}"
        self._watch.on = False
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        self.slowest = max(self.slowest, time.process_time() - begun)
        said = err.getvalue().strip()
        fault = "hang" if code == "hang" else "code run" if self._watch.found else ""
        fault = fault or ("traceback" if isinstance(code, str) or "Traceback" in said or "details are in" in said else "")
        fault = fault or ("accepted nonsense" if damaged.refused and code == 0 else "")
        self.counts[fault or ("refused" if code else "accepted")] += 1
        if fault:
            print(f"{name}: {fault}: {damaged.what}: {code} {' '.join(self._watch.found)} {said[-300:]}", file=sys.stderr, flush=True)

    def concluded(self) -> int:
        """Print the counts; 1 where there was a fault."""
        parts = ", ".join(f"{name} {self.counts[name]}" for name in ("refused", "accepted", *FAULTS))
        print(f"{parts} of {self.counts.total()}; slowest {self.slowest:.1f} s of the processor")
        return int(any(self.counts[name] for name in FAULTS))


def portion(parser: argparse.ArgumentParser, number: int) -> argparse.Namespace:
    """Which inputs are asked for."""
    parser.add_argument("--number", type=int, default=number)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> int:
    """Fuzz, print the counts; returns 1 where any is above zero."""
    given = portion(argparse.ArgumentParser(description=__doc__), 2000)
    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
        Path("planted.py").write_text("raise SystemExit('imported')\n")
        system = tiny_system()
        write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 48))), Path(temporary) / "base")
        base = {f.name: f.read_text() for f in (Path(temporary) / "base").iterdir()}
        fuzz = Fuzz()
        for k in range(given.first, given.first + given.number):
            rng = np.random.default_rng([given.seed, k])
            way = (_folder, _configuration, _network)[k % 3]
            overrides, refused, what = way(base, Path(temporary) / f"{k}", rng)
            # What is validated is what is read; only the reading is fuzzed, so no day is planned for.
            arguments = ["validate", "study=tiny", "planning=none", "horizon.days=1", "horizon.peaks=false", *overrides]
            fuzz.try_one(str(k), Damaged(arguments, refused, what))
            shutil.rmtree(Path(temporary) / f"{k}", ignore_errors=True)
    return fuzz.concluded()


if __name__ == "__main__":
    sys.exit(main())
