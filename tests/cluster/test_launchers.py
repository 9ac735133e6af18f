"""Sweeps with the launchers of Hydra's words: what the words mean, submitit on this machine, and job arrays of a real Slurm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from multiscale import cli
from multiscale.sweep import running
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.launchers.batched import Batch
from multiscale.sweep.launchers.submitit_slurm import SubmititSlurmSettings
from multiscale.sweep.launchers.words import split
from multiscale.sweep.manifest import Manifest
from multiscale.sweep.states import job_states
from tests.cluster.one_node_slurm import lacking, one_node_slurm
from tests.sweep import fakes

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
LOCAL = ["hydra/launcher=submitit_local", "hydra.launcher.signal_delay_s=1"]
SLURM = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=short", "hydra.launcher.timeout_min=5"]


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Overrides of a study that ends as it is asked to; the folder where that is asked."""
    asked = tmp_path / "asked"
    asked.mkdir()
    monkeypatch.setenv(fakes.FOLDER, str(asked))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(running, "COMPUTE", fakes.compute)
    return ["study=tiny", "engine=serial", f"output.folder={tmp_path / 'runs'}"], asked


def _computed(asked: Path) -> list[str]:
    return sorted((asked / "computed").read_text().split()) if (asked / "computed").exists() else []


def _states(folder: Path) -> list[str]:
    return [state.state for state in job_states(folder, Manifest.read(folder))]


def _only_sweep(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "runs").glob("sweep-*")
    return folder


def test_the_words_of_hydra_choose_a_launcher_and_are_no_overrides_of_the_study():
    given = [
        "study=tiny",
        *SLURM,
        "hydra.launcher.additional_parameters={mail-type: END}",
        "+hydra.launcher.setup=['module load gcc']",
        "solver.seed=1,2",
    ]
    others, launcher = split(given)
    assert others == ["study=tiny", "solver.seed=1,2"]
    assert isinstance(launcher, SubmititSlurmSettings)
    assert (launcher.partition, launcher.timeout_min, launcher.setup) == ("short", 5.0, ("module load gcc",))
    assert launcher.additional_parameters == {"mail-type": "END"}
    assert split(["study=tiny"]) == (["study=tiny"], None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra/launcher=ray"], "hydra/launcher = ray: no such launcher; there are joblib, basic, submitit_local, submitit_slurm"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.partitoin=short"], "has no such setting; did you mean partition"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs"),
        (["hydra.launcher.n_jobs=2"], "say of which launcher"),
        (["hydra.sweep.dir=elsewhere"], "folders are chosen with output.folder"),
        (["hydra/launcher=joblib,basic"], "a sweep has one launcher"),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "engine=local", "engine.workers=4"], "a job uses 4 cores"),
        (["hydra/launcher=submitit_slurm", "--jobs", "2"], "give hydra.launcher.array_parallelism=2"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=64", "engine=local", "engine.workers=64"], "cores; give --jobs 1 or engine=serial"),
    ],
)
def test_words_that_mean_nothing_start_nothing(study, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], said: str):
    overrides, _ = study
    assert cli.main(["run", "-m", *overrides, "solver.seed=1,2", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list((tmp_path / "runs").glob("*"))


def test_a_launcher_without_a_sweep_or_without_its_package_is_said(study, capsys, monkeypatch, tmp_path: Path):
    overrides, asked = study
    assert cli.main(["run", *overrides, "hydra/launcher=basic"]) == 2
    assert "hydra/launcher=basic: for the jobs of a sweep; add -m" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert cli.main(["run", "-m", *overrides, "solver.seed=1,2", *LOCAL]) == 2
    assert "takes the package submitit, which is not installed; python -m pip install 'multiscale[cluster]'" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["run", "-m", f"output.folder={tmp_path / 'other'}", "study=tiny", "solver.seed=1,2", *SLURM]) == 2
    assert "run it where batch jobs are submitted (a login node)" in capsys.readouterr().err
    assert not _computed(asked)


def test_the_job_script_is_the_one_stored(tmp_path: Path):
    _, launcher = split(
        [
            *SLURM,
            "hydra.launcher.mem_gb=4",
            "hydra.launcher.account=grid",
            "hydra.launcher.setup=['module load gcc']",
            "hydra.launcher.array_parallelism=8",
        ]
    )
    pytest.importorskip("submitit")
    from submitit.slurm.slurm import SlurmExecutor

    assert isinstance(launcher, SubmititSlurmSettings)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SlurmExecutor, "affinity", classmethod(lambda _: 2))
        executor = launcher.executor(tmp_path, 2)._executor
        executor.parameters["map_count"] = 20
        text = executor._make_submission_file_text(executor._submitit_command_str, "")
    assert text.replace(str(tmp_path), "FOLDER").replace(sys.executable, "PYTHON") == (SCRIPTS / "sweep_array.sh").read_text()


def test_submitit_on_this_machine_runs_a_sweep_and_a_lost_job_is_said(study, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    overrides, asked = study
    (asked / "2").write_text("die")
    assert cli.main(["run", "-m", *LOCAL, *overrides, "solver.seed=1,2"]) == 1
    folder = _only_sweep(tmp_path)
    assert _states(folder) == ["optimal", "error"]
    assert "SIGKILL" in job_states(folder, Manifest.read(folder))[1].message
    assert "computing seed 1" in (folder / "logs" / "job-0001.log").read_text()
    # Another launcher may run what is missing.
    assert cli.main(["resume", str(folder), "hydra/launcher=basic"]) == 0
    assert _states(folder) == ["optimal", "optimal"]
    assert _computed(asked) == ["1", "2", "2"]
    capsys.readouterr()


@pytest.mark.slow  # it waits until the time is over
def test_a_job_whose_time_is_over_is_begun_again(study, tmp_path: Path):
    """Told a moment before the end of its time, it ends in order, and the same job begins anew."""
    overrides, asked = study
    (asked / "1").write_text("wait\n")
    assert cli.main(["run", "-m", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=0.5", "hydra.launcher.signal_delay_s=10",
                     *overrides, "solver.seed=1"]) == 0  # fmt: skip
    # Once more where starting alone takes the whole time, on a busy machine.
    assert set(_computed(asked)) == {"1"}
    assert len(_computed(asked)) >= 2
    assert _states(_only_sweep(tmp_path)) == ["optimal"]


def _begun(command: list[str], asked: Path, seeds: list[str]) -> subprocess.Popen[str]:
    """A sweep in a process of its own, when the jobs with the seeds are being computed."""
    code = "from multiscale.sweep import running; from tests.sweep import fakes; running.COMPUTE = fakes.compute\n"
    code += "import sys; from multiscale import cli; sys.exit(cli.main(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *command], stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    until = time.monotonic() + 90
    while _computed(asked) != seeds:
        assert time.monotonic() < until, _computed(asked)
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    return process


def _alive(folder: Path) -> list[int]:
    """Processes that name the folder of the sweep in their command."""
    found = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    return [int(line.split()[0]) for line in found if str(folder) in line]


@pytest.mark.slow  # interrupted and killed sweeps with processes of their own: tests of sweeps
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_jobs_on_this_machine_end_with_the_sweep(study, tmp_path: Path, number: signal.Signals):
    overrides, asked = study
    (asked / "1").write_text("wait\n")
    process = _begun(["run", "-m", *LOCAL, *overrides, "solver.seed=1,2", "--jobs", "1"], asked, ["1"])
    folder = _only_sweep(tmp_path)
    os.kill(process.pid, number)
    said = process.communicate(timeout=60)[1]
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted 1 (job 1), not begun 1 (job 2)" in said
    until = time.monotonic() + 20
    while _alive(folder):
        assert time.monotonic() < until, "processes are left behind"
        time.sleep(0.2)
    assert _states(folder) == ["interrupted", "queued"]
    assert cli.main(["resume", str(folder)]) == 0
    assert _computed(asked) == ["1", "1", "2"]


@pytest.mark.slow
@pytest.mark.skipif(bool(lacking()), reason=f"no Slurm can be started here: {lacking()}")
def test_a_sweep_as_a_job_array_of_a_real_slurm(study, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch):
    """One job fails, one is preempted and goes on, the owner of the sweep is killed, and resume waits for what is still in the queue."""
    overrides, asked = study
    (asked / "2").write_text("fail")
    (asked / "3").write_text("wait\nwait\n")
    with one_node_slurm(tmp_path_factory.mktemp("s")) as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        process = _begun(["run", "-m", *SLURM, *overrides, "solver.seed=1,2,3"], asked, ["1", "2", "3"])
        folder = _only_sweep(tmp_path)
        (third,) = [name for number, name in json.loads((folder / "batch" / "submitted.json").read_text()).items() if number == "3"]
        # The signal of a batch job whose time is nearly over, or that has to give way.
        subprocess.run(["scancel", "--signal=USR2", third], check=True)
        until = time.monotonic() + 120
        while _computed(asked) != ["1", "2", "3", "3"]:
            assert time.monotonic() < until, "it was not begun again"
            time.sleep(0.5)
        process.kill()
        process.communicate()
        (asked / "go").touch()
        assert cli.main(["resume", str(folder)]) == 0
        assert _states(folder) == ["optimal"] * 3
        assert _computed(asked) == ["1", "2", "2", "3", "3"], "a job in the queue was submitted twice"
        # An interrupt ends what waits and what runs.
        (asked / "go").unlink()
        (asked / "7").write_text("wait\n")
        process = _begun(["run", "-m", *SLURM, *overrides, "solver.seed=7"], asked, ["1", "2", "2", "3", "3", "7"])
        process.send_signal(signal.SIGINT)
        assert "interrupted 1 (job 1)" in process.communicate(timeout=90)[1]
        assert not subprocess.run(["squeue", "--noheader", "--states=R,PD"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("known", "said", "states"), [('{"0": "17"}', "squeue gives no answer", None), ("half a line", "submitted.json cannot be read", {})]
)
def test_jobs_that_may_still_be_in_the_queue_are_not_submitted_again(tmp_path: Path, known: str, said: str, states: dict[str, str] | None):
    batch = Batch.__new__(Batch)
    batch._slurm, batch._folder, batch.queue = True, tmp_path, SimpleNamespace(states=lambda _: states)
    (tmp_path / "submitted.json").write_text(known)
    with pytest.raises(SweepError, match=said):
        batch.attached([])
