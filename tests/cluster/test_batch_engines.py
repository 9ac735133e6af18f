"""Engines whose workers a batch system starts: their job scripts as stored, what is refused, and a real Slurm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from multiscale.config import ConfigError, load_config
from multiscale.coordination.engine import EngineUnavailableError, PbsSettings, SchedulerFileSettings, SlurmSettings, make_engine
from multiscale.coordination.engine.batch import BatchSettings, BatchWorkers
from tests.cluster.one_node_slurm import lacking, one_node_slurm
from tests.coordination.tasks import process_of

SCRIPTS = Path(__file__).parent / "scripts"

ASKED = {
    "slurm": SlurmSettings(
        jobs=4, workers=8, memory_gb=32, walltime_min=90, queue="short", account="grid", directives=("--qos=long",), prologue=("module load gcc",)
    ),
    "pbs": PbsSettings(workers=2, threads_per_worker=2, walltime_min=1500, queue="workq"),
    "pbs_torque": PbsSettings(resources="nodes=1:ppn=4,mem=8gb"),
}


@pytest.mark.parametrize("name", ASKED)
def test_job_scripts_are_those_stored(name: str, tmp_path: Path):
    """What is submitted, but for the place of Python, of the logs, and the scheduler's address."""
    cluster = BatchWorkers(ASKED[name].model_copy(update={"log_folder": tmp_path})).made()
    try:
        script = cluster.job_script()
    finally:
        cluster.close()
    for found, shown in ((str(tmp_path), "LOGS"), (sys.executable, "PYTHON"), (r"tcp://[\d.]+:\d+", "SCHEDULER")):
        script = re.sub(found if shown == "SCHEDULER" else re.escape(found), shown, script)
    assert script == (SCRIPTS / f"engine_{name}.sh").read_text()


@pytest.mark.parametrize("kind", [SlurmSettings, PbsSettings])
def test_a_batch_system_that_is_not_there_is_named_with_the_remedy(kind: type[BatchSettings], monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    submit = kind.tools[0]
    with (
        pytest.raises(EngineUnavailableError, match=f"needs {submit}, .*where batch jobs are submitted .*or choose engine=local"),
        make_engine(kind()),
    ):
        pass
    for tool in kind.tools:
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(EngineUnavailableError, match=r"takes the package dask-jobqueue, .* pip install 'multiscale\[cluster\]'"), make_engine(kind()):
        pass


def test_a_refused_batch_job_ends_the_run_with_what_the_batch_system_said(monkeypatch, tmp_path: Path):
    for tool, says in zip(SlurmSettings.tools, ("echo 'sbatch: error: invalid partition specified: nowhere' >&2; exit 1", "", ""), strict=True):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    settings = SlurmSettings(queue="nowhere", log_folder=tmp_path / "logs", start_s=60)
    with (
        pytest.raises(EngineUnavailableError, match=r"sbatch refused a batch job: .*invalid partition specified: nowhere; correct engine\.queue"),
        make_engine(settings) as engine,
    ):
        engine.map(process_of, {"node": (1,)})


def test_batch_jobs_that_end_before_their_workers_come_up_end_the_run(monkeypatch, tmp_path: Path):
    """Submitted, and never seen in the queue: four would be submitted for ever otherwise."""
    for tool, says in zip(SlurmSettings.tools, ("echo Submitted batch job $$", "", ""), strict=True):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("multiscale.coordination.engine.batch.QUEUE_SECONDS", 0.1)
    with (
        pytest.raises(EngineUnavailableError, match=r"3 batch jobs in a row ended before their workers came up; .* in .*/logs says why"),
        make_engine(SlurmSettings(log_folder=tmp_path / "logs", start_s=60)) as engine,
    ):
        engine.map(process_of, {"node": (1,)})


def test_the_engines_are_chosen_by_their_words(tmp_path: Path):
    config = load_config(["study=tiny", "engine=slurm", "engine.jobs=3", "engine.walltime_min='2 h'", "engine.directives=['--qos=long']"])
    assert (config.engine.jobs, config.engine.walltime_min, config.engine.directives) == (3, 120.0, ("--qos=long",))
    assert load_config(["engine=pbs"]).engine.kind == "pbs"
    with pytest.raises(ConfigError, match="must be given"):
        load_config(["engine=scheduler_file"])
    missing = SchedulerFileSettings(scheduler_file=tmp_path / "scheduler.json", start_s=0.1)
    with pytest.raises(EngineUnavailableError, match=r"is not there after 0\.1 s .*dask scheduler --scheduler-file"), make_engine(missing):
        pass
    (tmp_path / "scheduler.json").write_text('{"address": "tls://10.0.0.1:8786"}')
    with pytest.raises(EngineUnavailableError, match=r"scheduler\.json.*takes certificates"), make_engine(missing):
        pass


@pytest.mark.slow
@pytest.mark.skipif(bool(lacking()), reason=f"no Slurm can be started here: {lacking()}")
def test_workers_in_batch_jobs_of_a_real_slurm(tmp_path_factory: pytest.TempPathFactory, monkeypatch):
    """One of two batch jobs is cancelled at work: another takes its place, no answer is lost, and none is left in the end."""
    folder = tmp_path_factory.mktemp("s")
    with one_node_slurm(folder) as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        settings = SlurmSettings(jobs=2, workers=1, memory_gb=1.0, start_s=120, tls=True, log_folder=folder / "logs")
        with make_engine(settings) as engine:
            assert engine._client.scheduler.address.startswith("tls://")
            tasks = {f"node {k}": (k,) for k in range(4)}
            first = engine.map(process_of, tasks)
            assert os.getpid() not in first.values()
            until = time.monotonic() + 60
            while len(before := _queued()) < 2 or len(engine._liveness.workers()) < 2:
                assert time.monotonic() < until
                time.sleep(0.5)
            subprocess.run(["scancel", before[0]], check=True)
            answers = engine.map(_after, {f"node {k}": (k, 2.0) for k in range(20)})
            assert answers == {f"node {k}": k for k in range(20)}
            assert set(_queued()) - set(before), "no other batch job was submitted"
        until = time.monotonic() + 60
        while _queued():
            assert time.monotonic() < until, "batch jobs are left"
            time.sleep(0.5)


def _queued() -> list[str]:
    return subprocess.run(["squeue", "--noheader", "--format", "%A"], capture_output=True, text=True, check=True).stdout.split()


def _after(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return number
