"""The lock of a run folder holds against every process that looks, and until the folder has its name."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
import xarray as xr

from multiscale import files
from multiscale.config import load_config
from multiscale.results import RunExistsError, RunFolder, RunFolderError
from multiscale.results.run import run_folder, run_lock
from multiscale.results.run.study_record import StudyRecord


def _record(folder: Path, *more: str) -> StudyRecord:
    return load_config(["study=tiny", f"output.folder={folder}", "output.report=false", *more]).record()


def _dataset() -> xr.Dataset:
    return xr.Dataset({"power": ("time", [1.0], {"units": "kW", "long_name": "power"})})


def test_a_process_that_looks_at_the_moment_of_locking_does_not_keep_the_owner_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    looking, opened = [], os.open

    def looked_at(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = opened(path, flags, mode)
        if flags & os.O_EXCL:
            looking.append(opened(path, os.O_RDWR))
            fcntl.flock(looking[0], fcntl.LOCK_SH)
            threading.Timer(0.3, os.close, looking).start()
        return descriptor

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", looked_at)
        lock = run_lock.RunLock(tmp_path)
    assert len(looking) == 1
    assert run_lock.holder(tmp_path) == "another process on this machine"
    lock.release(tmp_path)


def test_processes_that_look_do_not_take_each_other_for_the_holder(tmp_path: Path):
    run_lock.RunLock(tmp_path)._ended.set()
    left = (tmp_path / run_lock.NAME).read_bytes()
    (tmp_path / run_lock.NAME).unlink()
    (tmp_path / run_lock.NAME).write_bytes(left)
    descriptor = os.open(tmp_path / run_lock.NAME, os.O_RDWR)
    assert run_lock.is_free(descriptor)
    assert run_lock.holder(tmp_path) == ""
    os.close(descriptor)


@pytest.mark.parametrize("replaced", [False, True])
def test_no_other_run_takes_a_finished_folder_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool):
    record, replace, refused = _record(tmp_path), files.replace_folder, []

    def slowly(fresh: Path, path: Path) -> None:
        # Writing to the disk takes longer than a folder counts as just begun.
        os.utime(fresh, (1e9, 1e9))
        with pytest.raises(RunFolderError, match="is computing this study"):
            RunFolder.create(record)
        refused.append(path)
        replace(fresh, path)

    if replaced:
        with RunFolder.create(record) as run:
            run.finish(_dataset(), {"value": (1.0, "1")}, "optimal")
    monkeypatch.setattr(run_folder, "replace_folder", slowly)
    with RunFolder.create(record) as run:
        result = run.finish(_dataset(), {"value": (2.0, "1")}, "optimal")
    assert refused == [run.final]
    assert result.value("value") == 2.0
    assert [p.name for p in tmp_path.iterdir()] == [run.final.name]
    assert not (run.final / run_lock.NAME).exists()


def test_a_run_set_aside_by_one_that_replaces_it_is_not_brought_back_by_another(tmp_path: Path):
    record = _record(tmp_path)
    with RunFolder.create(record) as run:
        aside = files._aside(run.final)
        aside.mkdir()
        with pytest.raises(RunFolderError, match="is computing this study"):
            RunFolder.create(record)
        assert aside.is_dir()
        assert not run.final.exists()
        run.finish(_dataset(), {}, "optimal")
    assert [p.name for p in tmp_path.iterdir()] == [run.final.name]


def test_a_run_whose_replacement_was_killed_is_brought_back_and_not_repeated(tmp_path: Path):
    with RunFolder.create(_record(tmp_path)) as run:
        run.finish(_dataset(), {}, "optimal")
    run.final.rename(files._aside(run.final))
    with pytest.raises(RunExistsError):
        RunFolder.create(_record(tmp_path, "output.overwrite=false"))
    assert [p.name for p in tmp_path.iterdir()] == [run.final.name]


def test_what_is_replaced_is_not_cleared_away_by_another_while_it_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    record, remove, refused = _record(tmp_path), shutil.rmtree, []

    def slowly(folder: Path, **options: bool) -> None:
        if folder.name.endswith(".partial"):
            with pytest.raises(RunFolderError, match="has just begun"):
                RunFolder.create(record)
            refused.append(folder)
        remove(folder, **options)

    with RunFolder.create(record) as run:
        run.finish(_dataset(), {"value": (1.0, "1")}, "optimal")
    os.utime(run.final, (1e9, 1e9))
    with RunFolder.create(record) as run:
        monkeypatch.setattr(shutil, "rmtree", slowly)
        run.finish(_dataset(), {"value": (2.0, "1")}, "optimal")
    assert len(refused) == sys.platform.startswith("linux")
    assert [p.name for p in tmp_path.iterdir()] == [run.final.name]


def test_a_run_that_is_there_is_kept_and_what_a_killed_one_left_is_not(tmp_path: Path):
    with RunFolder.create(_record(tmp_path)) as run:
        run.finish(_dataset(), {}, "optimal")
    once = _record(tmp_path, "output.overwrite=false")
    with RunFolder.create(_record(tmp_path)) as at_work:
        with pytest.raises(RunExistsError):
            RunFolder.create(once)
        at_work.finish(_dataset(), {}, "optimal")
    left = tmp_path / f".{run.final.name}.partial"
    left.mkdir()
    os.utime(left, (1e9, 1e9))
    # Another one was killed while it cleared away.
    (tmp_path / f".{run.final.name}.0123.left").mkdir()
    with pytest.raises(RunExistsError):
        RunFolder.create(once)
    assert [p.name for p in tmp_path.iterdir()] == [run.final.name]
