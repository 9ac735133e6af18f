"""Damaged runs, sweeps, artefacts, checkpoints, new cases and nonsense for newer settings: how many end in a traceback, hang, run code, or pass.

    python -m tests.benchmarks.fuzzed_folders --number 600

One file of a whole run or sweep is damaged (cut, other bytes, nothing, another JSON value, a pickle, a folder in its place), and a command reads
it: ``explain``, ``report``, ``status``, ``provenance --verify``, ``compare``, ``ledger``, ``collect``, ``resume``. ``init`` is given damaged
spreadsheets, profiles and words; ``validate`` and ``math`` are given nonsense for the keys of ``policy``, ``targets``, ``tariff``, ``market`` and the
engines of clusters. Faults are those of ``fuzzed_inputs``; a changed file that ``provenance --verify`` passes, and an artefact or a checkpoint that
is used although a part of it is another, count as accepted nonsense. ``resume`` computes nothing here: what it would hand to workers is dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import pickle
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import multiscale.sweep.commands
from multiscale.config import load_config
from multiscale.packing import PackingError, packed_bytes, unpacked_bytes
from multiscale.pipeline.stages import Stages
from multiscale.study import run_study
from multiscale.sweep.manifest import run_folder
from multiscale.sweep.planned import planned
from tests.benchmarks.fuzzed_inputs import NONSENSE, Damaged, Fuzz, portion
from tests.sources.own_network import write_profiles, write_spreadsheet

SHORT = ("study=tiny", "system.dsos=[north]", "horizon=one_day", "planning=none", "results.operated=[]", "verification.year=false")
JSON_VALUES: tuple[Any, ...] = (None, [], {}, "a lot", -1, 1e308, True, [[]], {"a": 1}, "../../x", "\x1b[31m")
READERS = ("explain", "status", "provenance", "compare", "ledger", "report")
NEW = (
    *(f"+policy.p.{key}" for key in ("kind", "price", "price_max", "receiver", "form", "reference_price", "device")),
    *(f"+targets.t.{key}" for key in ("kind", "least", "most", "group", "policy", "intensity")),
    *(f"tariff.levy.{key}" for key in ("kind", "price", "price_min")),
    *("market", "market.peer_charge_share", "measures.voltage_regulator.offered", "regime", "verification.further_days", "results.income"),
    *("engine.tls", "engine.jobs", "engine.queue", "engine.directives", "engine.log_folder", "coordination.checkpoints", "coordination.quorum"),
)
KINDS = {
    "+policy.p.": ("premium", "contract_for_difference", "pv_grant", "storage_grant", "investment_grant"),
    "+targets.t.": ("renewable_share", "emissions", "unserved_energy", "bill_cap", "budget"),
}
VALUES = (*NONSENSE, "-7e9", "3 kg", "[1,2]", "{a: 1}", "null", "???", "${nowhere}", "${oc.env:HOME}", "nan", "inf")

WORDS = ("pandapower:os.system", "pandapower:__import__", "pandapower:case_that_is_none", "/etc/passwd", "../..", "\x00")
"""Sources of a case, profiles and time zones that are none."""


class Runs:
    """A pickle of it makes a folder when it is read."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("made-by-a-pickle",)


def damage(file: Path, rng: np.random.Generator) -> str:
    """Damage a file; what was done. Its content is another afterwards."""
    before = file.read_bytes()
    way = str(rng.choice(["cut", "bytes", "empty", "missing", "pickle", "folder", *(["json"] * 6 if file.suffix in (".json", ".jsonl") else [])]))
    if way == "cut":
        file.write_bytes(before[: int(rng.integers(0, max(len(before) - 1, 1)))])
    elif way == "bytes":
        raw = bytearray(before)
        for place in rng.integers(0, max(len(raw), 1), 5):
            raw[place] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(raw))
    elif way == "pickle":
        file.write_bytes(pickle.dumps(Runs()))
    elif way == "json":
        with contextlib.suppress(ValueError):
            lines = before.decode().splitlines() if file.suffix == ".jsonl" else [before.decode()]
            at = int(rng.integers(len(lines)))
            lines[at], where = other_value(lines[at], rng)
            file.write_text("\n".join(lines))
            way = f"json {where}"
    else:
        file.unlink()
        if way == "empty":
            file.touch()
        elif way == "folder":
            file.mkdir()
    return f"{file.name}: {way}" if not file.is_file() or file.read_bytes() != before else ""


def other_value(text: str, rng: np.random.Generator) -> tuple[str, str]:
    """A JSON text with another value, or without one, at a random place; which."""
    content = json.loads(text)
    inner, key, path = {"": content}, "", ""
    container: Any = inner
    while isinstance(container[key], dict | list) and container[key] and rng.random() < 0.75:
        container = container[key]
        key = str(rng.choice(list(container))) if isinstance(container, dict) else int(rng.integers(len(container)))
        path += f"/{key}"
    if path and rng.random() < 0.2:
        del container[key]
        return json.dumps(inner[""]), f"{path} gone"
    container[key] = JSON_VALUES[int(rng.integers(len(JSON_VALUES)))]
    return json.dumps(inner[""]), f"{path} {container[key]!r}"


@dataclass(frozen=True)
class Base:
    """What is damaged: a whole run, a sweep whose two jobs have answers, a spreadsheet and its profiles."""

    roof: Path
    run: Path
    sweep: Path

    @classmethod
    def made(cls, roof: Path) -> Base:
        """Compute it."""
        own = [*SHORT, f"output.folder={roof / 'runs'}", "output.report=false"]
        manifest = planned([*own, "coordination.import_export_gap=0.01,0.02"], None, "sweep-1").manifest
        sweep = roof / "runs" / "sweep-1"
        sweep.mkdir(parents=True)
        manifest.write(sweep)
        for job in manifest.jobs:
            run_study(load_config(list(job.overrides)))
        (roof / "sheets").mkdir()
        write_spreadsheet(roof / "sheets" / "n.xlsx")
        write_profiles(roof / "sheets" / "p.csv")
        return cls(roof, run_folder(sweep, manifest.jobs[0]).resolve(), sweep)


def _run(base: Base, here: Path, rng: np.random.Generator) -> Damaged:
    copy = here / base.run.name
    shutil.copytree(base.run, copy)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    json_files = [file for file in files if file.suffix == ".json"]
    what = damage(files[int(rng.integers(len(files)))] if rng.random() < 0.5 else json_files[int(rng.integers(len(json_files)))], rng)
    reader = str(rng.choice(READERS, p=[0.25, 0.2, 0.25, 0.15, 0.1, 0.05]))
    more = {"provenance": ["--verify"], "compare": [str(base.run)], "ledger": ["--to", str(here / "ledger")]}.get(reader, [])
    return Damaged([reader, str(copy), *more], reader == "provenance" and bool(what), f"{reader}: {what}")


def _sweep(base: Base, here: Path, rng: np.random.Generator) -> Damaged:
    shutil.copytree(base.sweep.parent, here / "runs", ignore=shutil.ignore_patterns(".stages"))
    sweep = here / "runs" / base.sweep.name
    journal = [{"job": n, "state": "optimal", "message": "", "seconds": 3.0, "computed": True, "time": "2026-01-01T00:00:00+00:00"} for n in (1, 2)]
    (sweep / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in journal))
    files = [sweep / "manifest.json", sweep / "journal.jsonl"] if rng.random() < 0.8 else sorted(p for p in (here / "runs").rglob("*") if p.is_file())
    what = damage(files[int(rng.integers(len(files)))], rng)
    command = str(rng.choice(["status", "collect", "resume"]))
    return Damaged([command, str(sweep), *(["--to", str(here / "collected")] if command == "collect" else [])], False, f"{command}: {what}")


def _settings(base: Base, here: Path, rng: np.random.Generator) -> Damaged:
    del base, here
    key = str(rng.choice(NEW))
    value, nonsense = str(rng.choice(VALUES)), True
    start = next((start for start in KINDS if key.startswith(start)), "")
    given = [f"{start}kind={rng.choice(KINDS[start])}"] if start and not key.endswith("kind") else []
    if key.startswith("engine."):
        given = [f"engine={rng.choice(['slurm', 'pbs'])}"]
        nonsense = key in ("engine.tls", "engine.jobs")
    nonsense &= key not in ("coordination.checkpoints", "results.income") and value not in ("null", "1;2", "nan", "inf", "(3)")
    if key == "coordination.checkpoints":
        given = ["coordination=bidirectional"]
    command = "math" if rng.random() < 0.15 else "validate"
    refused = nonsense and value != "${oc.env:HOME}"
    return Damaged([command, "study=tiny", "system.dsos=[north]", *given, f"{key}={value!r}"], refused, f"{command} {given} {key}={value!r}")


def _case(base: Base, here: Path, rng: np.random.Generator) -> Damaged:
    sheets = here / "sheets"
    shutil.copytree(base.roof / "sheets", sheets)
    given = {"--from": str(sheets / "n.xlsx"), "--profiles": str(sheets / "p.csv"), "--time-zone": "Europe/Berlin"}
    way = str(rng.choice(["network", "profiles", "cell", "word"]))
    what, refused = way, False
    if way == "network":
        what = damage(sheets / "n.xlsx", rng)
    elif way == "profiles":
        what = damage(sheets / "p.csv", rng)
    elif way == "cell":
        lines = (sheets / "p.csv").read_text().splitlines()
        row, text = int(rng.integers(1, len(lines))), str(rng.choice(NONSENSE))
        cells = lines[row].split(",")
        column = int(rng.integers(len(cells)))
        cells[column], refused = text, True
        lines[row] = ",".join(cells)
        (sheets / "p.csv").write_text("\n".join(lines))
        what = f"profiles row {row} column {column} {text!r}"
    else:
        word = str(rng.choice(list(given)))
        given[word] = str(rng.choice([*NONSENSE, *WORDS]))
        what, refused = f"{word} {given[word]!r}", True
    return Damaged(["init", str(here / "case"), *(part for pair in given.items() for part in (f"{pair[0]}={pair[1]}",))], refused, f"init: {what}")


def _artefact(base: Base, here: Path, rng: np.random.Generator) -> Damaged:
    """A stage whose artefact is damaged is computed again, or its answer is what it was."""
    del base
    value = {"small": np.arange(7.0), "large": np.arange(200_000.0), "text": "t"}
    whole = Stages(here).run("stage", dict, {"given": value})
    files = sorted(path for path in here.rglob("*") if path.is_file())
    what = damage(files[int(rng.integers(len(files)))], rng)

    def read() -> int:
        logging.getLogger("multiscale").setLevel(logging.CRITICAL)
        again = Stages(here).run("stage", dict, {"given": value}).value["given"]
        same = all(np.array_equal(again[name], kept) for name, kept in value.items() if name != "text") and again["text"] == "t"
        return int(same)  # another answer is accepted nonsense

    return Damaged(read, True, f"artefact {whole.key[:4]}: {what}")


def _checkpoint(base: Base, here: Path, rng: np.random.Generator) -> Damaged:
    del base
    file = here / "day.negotiation"
    file.write_bytes(packed_bytes({"fingerprint": (5, "x"), "prices": np.arange(30.0), "state": {"a": (1, b"2")}}))
    what = damage(file, rng)

    def read() -> int:
        try:
            unpacked_bytes(file.read_bytes())
        except (PackingError, OSError):
            return 2
        return 0

    return Damaged(read, bool(what), f"checkpoint: {what}")


WAYS: Mapping[str, Callable[[Base, Path, np.random.Generator], Damaged]] = {
    "run": _run, "sweep": _sweep, "settings": _settings, "case": _case, "artefact": _artefact, "checkpoint": _checkpoint,
}  # fmt: skip


def main() -> int:
    """Fuzz, print the counts; returns 1 where any is above zero."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(WAYS), help="inputs of this kind only")
    given = portion(parser, 600)
    # What would be computed is dropped: the reading is tried.
    multiscale.sweep.commands.run_jobs = lambda *_, **__: None  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
        Path("planted.py").write_text("raise SystemExit('imported')\n")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            base = Base.made(Path(temporary) / "base")
        fuzz = Fuzz()
        for k in range(given.first, given.first + given.number):
            rng = np.random.default_rng([given.seed, k])
            name = given.only or list(WAYS)[k % len(WAYS)]
            here = Path(temporary) / f"{k}"
            here.mkdir()
            fuzz.try_one(f"{k} {name}", WAYS[name](base, here, rng))
            for place in (here, Path("made-by-a-pickle")):
                if place.name.startswith("made") and place.exists():
                    print(f"{k} {name}: a pickle was read", file=sys.stderr)
                    fuzz.counts["code run"] += 1
                shutil.rmtree(place, ignore_errors=True)
    return fuzz.concluded()


if __name__ == "__main__":
    sys.exit(main())
