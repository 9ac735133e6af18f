"""Runs and sweeps killed at random moments: what is lost, what is taken for whole, which processes stay, whether the next run succeeds.

    python -m tests.benchmarks.random_kills --kills 50 --seed 1
    python -m tests.benchmarks.random_kills --kills 50 --seed 1 --only sweep

Every kill begins with a whole run of the same study in the output folder, and without finished stages. SIGKILL goes to the main process, to its whole
process group, or to one of the processes that it started (a worker of the sweep, a Dask worker, a SCIP process). Afterwards

- what was whole is whole (``provenance --verify``), and nothing else looks like a result;
- no process that was started is left ``PATIENCE`` seconds later;
- the same command (of a sweep that has a manifest, ``multiscale resume``) succeeds and gives the answer of a run that was not killed; a finished job
  is not computed again; nothing but results, stages and sweeps is left on the disk.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from multiscale import cli
from multiscale.results import RunResult
from multiscale.results.run.provenance import changed_files
from multiscale.sources import tiny_system, write_folder
from multiscale.sweep.manifest import Manifest, is_sweep, run_folder
from multiscale.sweep.states import job_states

ROOT = Path(__file__).parents[2]
MARK = "MULTISCALE_RANDOM_KILLS"
"""Variable of the environment by which the processes of a run are found."""
PATIENCE = 20.0
"""Time within which all processes of a killed run have to be gone [s]."""
LONGEST = 300.0
"""Time within which every run has to end [s]."""
SHORT = ("study=tiny", "system=folder", "system.dsos=[north]", "horizon=one_day", "horizon.days=1")
PLANS = (("planning.adoption=false", "planning.time_limit_s=60"), ("planning=none",))
"""A study with a plan, which starts a SCIP process and has the most stages; and one that only operates."""
SWEPT = "tariff.levy.price=0.08,0.12,0.16"
JOBS = 3


@dataclass(frozen=True)
class Kill:
    """What is killed when.

    Attributes:
        sweep: a sweep instead of a run.
        child: one of the processes that were started, instead of the main one.
        group: the whole process group of the main one.
        at_once: jobs of a sweep at the same time.
        writing: from the moment on at which the result is written, instead of any moment.
        share: when, as a share of the time a run takes (a second, where ``writing``).
        plan: which of ``PLANS``.
        overrides: beyond those of every run.
    """

    sweep: bool
    child: bool
    group: bool
    at_once: int
    writing: bool
    share: float
    plan: int
    overrides: tuple[str, ...]

    def __str__(self) -> str:
        where = "while writing" if self.writing else f"at {100 * self.share:.0f} %"
        target = f"{'a child' if self.child else 'the process group' if self.group else 'main process'} of a {'sweep' if self.sweep else 'run'}"
        return f"{target} {where}, {' '.join((*PLANS[self.plan], *self.overrides))}"


def drawn(rng: np.random.Generator, only: str) -> Kill:
    """A random kill; a third each of children, of sweeps (where not only those), and (of main processes) while results are written."""
    sweep, child = rng.random() < (1 / 3 if not only else only == "sweep"), rng.random() < 1 / 3
    group, at_once = not child and rng.random() < 1 / 2, int(rng.integers(1, 3))
    overrides = ("engine=local", "engine.workers=1") if rng.random() < 0.5 else ("engine=serial",)
    report = f"output.report={'true' if rng.random() < 0.2 else 'false'}"
    writing = not child and rng.random() < 1 / 3
    return Kill(sweep, child, group, at_once, writing, float(rng.random()), int(rng.integers(len(PLANS))), (*overrides, report))


class Runs:
    """Runs of one study under one roof.

    Args:
        roof: folder for everything.
    """

    def __init__(self, roof: Path) -> None:
        self.roof = roof
        system = tiny_system()
        write_folder(system.replace(profiles=system.profiles.isel(time=slice(0, 48))), roof / "system")

    def start(self, output: Path, mark: str, plan: int, overrides: tuple[str, ...], *, sweep: int = 0) -> subprocess.Popen[str]:
        """Begin a run, or a sweep with that many jobs at the same time, in a process group of its own."""
        several = ["-m", SWEPT, "--jobs", str(sweep), "--oversubscribe"] if sweep else ["tariff.levy.price=0.08"]
        own = [f"system.path={self.roof / 'system'}", f"output.folder={output}"]
        return self.command(mark, "run", *several, *SHORT, *PLANS[plan], *own, *overrides)

    def command(self, mark: str, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command."""
        command = [sys.executable, "-m", "multiscale.cli", *arguments]
        kept = {"XDG_CACHE_HOME": str(self.roof / "cache"), "MULTISCALE_CACHE": str(self.roof / "cache"), "OMP_NUM_THREADS": "1"}
        environment = os.environ | kept | {"PYTHONPATH": str(ROOT), MARK: mark}
        # Into files: a process that stays would hold a pipe open.
        with (self.roof / f"{mark}.out").open("w") as out, (self.roof / f"{mark}.err").open("w") as err:
            return subprocess.Popen(command, stdout=out, stderr=err, text=True, cwd=self.roof, env=environment, start_new_session=True)

    def said(self, mark: str) -> str:
        """What a run printed as an error."""
        return (self.roof / f"{mark}.err").read_text().strip()[-300:]


def marked(mark: str) -> Iterator[psutil.Process]:
    """Processes of a run that still are."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def kill(process: subprocess.Popen[str], what: Kill, rng: np.random.Generator, output: Path, seconds: float) -> bool:
    """Kill at the moment; whether there was anything left to kill."""
    if what.writing:
        until = time.monotonic() + LONGEST
        while process.poll() is None and time.monotonic() < until and not any(output.glob(".*.partial/result.nc")):
            time.sleep(0.002)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(what.share if what.writing else what.share * seconds)
    while process.poll() is None:
        chosen = [psutil.Process(process.pid)]
        if what.child:
            with contextlib.suppress(psutil.Error):
                chosen = chosen[0].children(recursive=True)
        if chosen:
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                if what.group:
                    os.killpg(process.pid, signal.SIGKILL)
                    return True
                chosen[int(rng.integers(len(chosen)))].kill()
                return True
        time.sleep(0.01)
    return False


def differences(folder: Path, reference: RunResult) -> Iterator[str]:
    """Where a result is not the one of a run that was not killed; times and memory aside."""
    result = RunResult.load(folder)
    if changed := changed_files(folder):
        yield f"{folder.name}: {'; '.join(changed)}"
    if result.status != reference.status:
        yield f"{folder.name}: status {result.status} instead of {reference.status}"
    keys = {k for k in {*result.summary, *reference.summary} if not k.startswith(("time.", "memory."))}
    for key in sorted(keys):
        one, other = result.value(key), reference.value(key)
        alike = math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-6) if isinstance(one, float) and isinstance(other, float) else one == other
        if not alike:
            yield f"{folder.name}: {key} {one} instead of {other}"


def left_after_a_kill(output: Path, references: dict[str, RunResult], whole: set[str]) -> Iterator[str]:
    """What is lost, and what looks whole and is not."""
    for name in whole:
        if not (output / name).is_dir():
            yield f"{name} is lost"
    for folder in sorted(output.iterdir()):
        if folder.name in references:
            yield from differences(folder, references[folder.name])
        elif folder.name.endswith((".partial", ".incomplete")) and not folder.name.endswith(".replaced"):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                codes = cli.main(["status", str(folder)]), cli.main(["provenance", str(folder), "--verify"])
            if codes[0] == 0 and codes[1] != 0 and not folder.name.startswith("."):
                yield f"{folder.name} says it has an answer, and is not whole"
        elif folder.name.startswith("sweep-"):
            for state in job_states(folder, Manifest.read(folder)) if is_sweep(folder) else ():
                if state.answered and run_folder(folder, state.job).resolve().name not in references:
                    yield f"{folder.name}: job {state.job.number} names {state.job.run}"
                if state.state == "running":
                    yield f"{folder.name}: job {state.job.number} runs"


def left_in_the_end(output: Path, references: dict[str, RunResult], expected: set[str]) -> Iterator[str]:
    """What a run that succeeded afterwards has not put in order."""
    for name in expected:
        if not (output / name).is_dir():
            yield f"{name} is not there after the next run"
        else:
            yield from differences(output / name, references[name])
    for folder in output.iterdir():
        if folder.name not in references and folder.name != ".stages" and not folder.name.startswith("sweep-"):
            yield f"{folder.name} is left after the next run"
    yield from (f"{path.relative_to(output)} is left after the next run" for path in (output / ".stages").rglob(".*writing*"))


@dataclass(frozen=True)
class Reference:
    """What runs that are not killed lead to: results by the names of their folders, in the order of the sweep, and the time a run takes [s]."""

    results: dict[str, RunResult]
    seconds: float

    @classmethod
    def of(cls, runs: Runs, plan: int) -> Reference:
        """A sweep that is not killed."""
        output, begun = runs.roof / f"reference-{plan}", time.monotonic()
        if runs.start(output, output.name, plan, ("engine=serial", "output.report=false"), sweep=1).wait(LONGEST):
            raise SystemExit(f"the run that is not killed fails: {runs.said(output.name)}")
        seconds = (time.monotonic() - begun) / JOBS
        (sweep,) = output.glob("sweep-*")
        folders = [run_folder(sweep, job).resolve() for job in Manifest.read(sweep).jobs]
        return cls({folder.name: RunResult.load(folder) for folder in folders}, seconds)


def one(number: int, runs: Runs, references: list[Reference], seed: int, only: str) -> tuple[str, list[str]]:
    """One kill; how it went, and what was wrong afterwards."""
    rng = np.random.default_rng([seed, number])
    what, output, mark = drawn(rng, only), runs.roof / f"kill-{number}", f"{os.getpid()}-{number}"
    results = references[what.plan].results
    first = next(iter(results))
    expected = set(results) if what.sweep else {first}
    output.mkdir()
    shutil.copytree(results[first].folder, output / first)
    process = runs.start(output, mark, what.plan, what.overrides, sweep=what.at_once * what.sweep)
    hit = kill(process, what, rng, output, references[what.plan].seconds * len(expected))
    faults: list[str] = []
    code = ended(process, faults)
    if what.child and code not in (0, 1):
        faults.append(f"ended with code {code} after a child was killed")
    faults += ["a traceback: " + runs.said(mark)] * ("Traceback" in runs.said(mark))
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and any(True for _ in marked(mark)):
        time.sleep(0.2)
    for orphan in marked(mark):
        faults.append(f"process {orphan.pid} is left: {' '.join(orphan.cmdline())[:200]}")
        orphan.kill()
    faults += left_after_a_kill(output, results, {first})
    sweeps = [folder for folder in output.glob("sweep-*") if is_sweep(folder)]
    kept: dict[Path, int] = {}
    if sweeps:
        states = job_states(sweeps[0], Manifest.read(sweeps[0]))
        kept = {run_folder(sweeps[0], state.job) / "result.nc": 0 for state in states if state.answered}
        kept = {file: file.stat().st_ino for file in kept}
        again = runs.command(f"{mark}-again", "resume", str(sweeps[0]), "--jobs", "2", "--oversubscribe")
    else:
        again = runs.start(output, f"{mark}-again", what.plan, what.overrides, sweep=what.at_once * what.sweep)
    code_after = ended(again, faults)
    faults += [f"{file.parent.name} was computed again" for file, number in kept.items() if not file.exists() or file.stat().st_ino != number]
    if code_after:
        faults.append(f"the next run ended with code {code_after}: {runs.said(f'{mark}-again')}")
    faults += left_in_the_end(output, results, expected)
    shutil.rmtree(output)
    target = f"{'child' if what.child else 'group' if what.group else 'main'} of a {'sweep' if what.sweep else 'run'}"
    target += f", code {code}" if what.child else ""
    return f"{target}{'' if hit else ' (ended before)'}", [f"{what}: {fault}" for fault in faults]


def ended(process: subprocess.Popen[str], faults: list[str]) -> int:
    """Exit code of a run; one that takes too long is a fault."""
    try:
        return process.wait(LONGEST)
    except subprocess.TimeoutExpired:
        faults.append(f"did not end within {LONGEST:g} s")
        process.kill()
        return process.wait()


def main() -> int:
    """Kill, print the counts; returns 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["run", "sweep"], default="", help="kill only these; default: both")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        runs = Runs(Path(temporary))
        references = [Reference.of(runs, plan) for plan in range(len(PLANS))]
        for number in range(given.first, given.first + given.kills):
            how, faults = one(number, runs, references, given.seed, given.only)
            counts[how] += 1
            wrong += bool(faults)
            print(f"{number}: {how}: {'; '.join(faults) or 'nothing wrong'}", flush=True)
    print(f"{given.kills} kills ({', '.join(f'{name}: {count}' for name, count in sorted(counts.items()))}); something wrong after {wrong}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
