"""What an installation lacks is found by trying it, and the remedy is said."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from multiscale import cli
from multiscale.doctor import examination, machine, places, solvers, versions
from multiscale.doctor.batch_systems import check_batch_systems
from multiscale.doctor.cluster import check_cluster
from multiscale.doctor.finding import Finding
from multiscale.machine import core_quota, memory_limit, usable_cores


def test_both_solvers_find_the_known_answers():
    assert solvers.highs_answers() == pytest.approx(solvers.EXPECTED, abs=1e-6)
    assert solvers.scip_answers() == pytest.approx(solvers.EXPECTED, abs=1e-5)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"LP": 2.8, "MILP": 2.8, "QP": 0.5}, "wrong answers: MILP 2.8 instead of 2"),
        ({"LP": 2.8, "QP": float("nan")}, "MILP nan instead of 2, QP nan instead of 0.5"),
        ("its process ended with code -6", "its process ended with code -6"),
    ],
)
def test_a_solver_that_is_wrong_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: object, said: str):
    monkeypatch.setattr(solvers, "scip_answers", lambda: answers)
    monkeypatch.setattr(solvers, "highs_answers", lambda: dict(solvers.EXPECTED))
    monkeypatch.setattr(solvers, "bilevel_answer", lambda: -3.0)
    highs, scip, bilevel = solvers.check_solvers(tmp_path)
    assert (highs.state, scip.state, bilevel.state) == ("ok", "failed", "ok")
    assert said in scip.found
    assert "pyscipopt" in scip.remedy


def test_a_process_of_scip_that_dies_is_no_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(solvers, "_SCIP", "import os; os.abort()")
    assert str(solvers.scip_answers()).startswith("its process ended with code -6")
    monkeypatch.setattr(solvers, "_SCIP", "raise SystemExit('no licence')")
    assert solvers.scip_answers() == "its process ended with code 1: no licence"


def test_folders_that_cannot_be_written_fail_with_the_variable_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MULTISCALE_CACHE", str(tmp_path / "file"))
    found = {finding.what: finding for finding in places.check_places(tmp_path / "runs")}
    assert found["cache"].state == "failed"
    assert "MULTISCALE_CACHE" in found["cache"].remedy
    assert found["output folder"].state == "ok"
    assert "made at the first run" in found["output folder"].found
    assert found["locks"].state == found["renaming"].state == "ok"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"], "nothing is left behind"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(places, "write_atomically", full)
    found = {finding.what: finding for finding in places.check_places(tmp_path / "runs")}
    assert "No space left" in found["output folder"].found


def test_little_room_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(places, "LEAST_FREE", 1e18)
    monkeypatch.setattr(machine, "LEAST_MEMORY", 1e9)
    states = {finding.what: finding.state for check in (places.check_places, machine.check_machine) for finding in check(tmp_path)}
    assert states["output folder"] == states["memory"] == "warning"


def test_versions_outside_their_bounds_and_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(versions, "requirements", lambda: ["numpy<1", "xarray>=2020", "no-such-package>=2", "numpy>=9; extra == 'test'"])
    found = {finding.what: finding for finding in versions.check_versions(tmp_path)}
    assert found["package numpy"].state == "warning"
    assert found["package numpy"].remedy == "python -m pip install 'numpy<1'"
    assert found["package no-such-package"].state == "failed"
    assert "packages" not in found


def test_limits_of_a_container_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("multiscale.machine.CGROUP", tmp_path)
    assert core_quota() is memory_limit() is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "memory.max").write_text("4000000000\n")
    assert (core_quota(), memory_limit()) == (1.5, 4000.0)
    assert usable_cores() <= 2
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores() == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert core_quota() is memory_limit() is None


def test_the_command_ends_with_whether_all_is_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    good = Finding("ok", "cores", "2")
    monkeypatch.setattr(examination, "CHECKS", (lambda _: iter([good, Finding("warning", "memory", "little", "end other programs")]),))
    assert cli.main(["doctor", "--output", str(tmp_path)]) == 0
    assert "all 2 checks passed, 1 with a warning" in capsys.readouterr().out

    def check_broken(_: Path):
        raise ImportError("libscip.so is missing")

    monkeypatch.setattr(examination, "CHECKS", (check_broken, lambda _: iter([good])))
    assert cli.main(["doctor", "--output", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "broken: ImportError: libscip.so is missing" in said
    assert "cores: 2" in said
    assert "1 of 2 checks failed" in said


@pytest.mark.slow
def test_a_bilevel_problem_is_solved_and_a_local_cluster_answers_from_two_processes(tmp_path: Path):
    assert solvers.bilevel_answer() == pytest.approx(-3.0, abs=1e-6)
    cluster, _ = check_cluster(tmp_path)
    assert cluster.state == "ok"
    assert cluster.found.startswith("2 processes answered")


def test_batch_systems_and_what_they_lack_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("multiscale.doctor.batch_systems.find_spec", lambda name: None if name == "submitit" else name)
    packages, systems = check_batch_systems(tmp_path)
    assert (packages.state, systems.state) == ("ok", "ok")
    assert "submitit, without which hydra/launcher=submitit_local, hydra/launcher=submitit_slurm cannot be used" in packages.found
    assert "neither sbatch (Slurm) nor qsub (PBS)" in systems.found
    for name, script in (("sbatch", "exit 0"), ("sinfo", "echo 'error: Unable to contact slurm controller' >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    packages, slurm = check_batch_systems(tmp_path)
    assert (packages.state, packages.remedy) == ("warning", "python -m pip install 'multiscale[cluster]'")
    assert (slurm.what, slurm.state) == ("Slurm", "warning")
    assert "Unable to contact slurm controller" in slurm.found
    assert "engine=local" in slurm.remedy
    (tmp_path / "sinfo").write_text("#!/bin/sh\necho 'short* up 4 idle'\n")
    assert list(check_batch_systems(tmp_path))[1].found == "answers: short* up 4 idle"
