"""A file or folder is whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from multiscale.content import content_key, file_hash
from multiscale.files import folder_of_process, folder_written_atomically, restore_replaced, write_atomically


def test_a_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "status.json"
    write_atomically(path, "before ü")
    assert path.read_text(encoding="utf-8") == "before ü"
    write_atomically(path, b"after")
    assert path.read_bytes() == b"after"

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "never")
    assert path.read_bytes() == b"after"
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path):
    place = tmp_path / "cache" / "system"
    for content in ("old", "new"):
        with folder_written_atomically(place) as fresh:
            fresh.mkdir()
            (fresh / "a.txt").write_text(content)
            assert not place.exists() or (place / "a.txt").read_text() == "old"
    assert (place / "a.txt").read_text() == "new"
    with pytest.raises(ZeroDivisionError):
        _fails_within(place)
    assert (place / "a.txt").read_text() == "new"
    assert [p.name for p in place.parent.iterdir()] == ["system"]


def _fails_within(place: Path) -> None:
    with folder_written_atomically(place) as fresh:
        fresh.mkdir()
        (fresh / "a.txt").write_text(str(1 / 0))


def test_the_hash_of_a_folder_depends_on_names_and_contents(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("1")
    first = file_hash(tmp_path / "a")
    (tmp_path / "a" / "x.csv").rename(tmp_path / "a" / "y.csv")
    second = file_hash(tmp_path / "a")
    (tmp_path / "a" / "y.csv").write_text("2")
    assert len({first, second, file_hash(tmp_path / "a")}) == 3
    # Of one file: what sha256sum prints, so that a reader can check a run with the tools of the system.
    (tmp_path / "empty").write_text("")
    assert file_hash(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_bytes_and_texts_are_distinguished():
    assert content_key("ab") != content_key(b"ab")


_REPLACING = """
import os, sys
from pathlib import Path
from multiscale import files

place, step, exchange = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "exchange"
if not exchange:
    files.exchanged = lambda one, other: False
calls = 0
def killed(event, arguments):
    global calls
    if event in ("os.rename", "shutil.rmtree", "os.remove", "os.rmdir"):
        calls += 1
        if calls == step:
            os.kill(os.getpid(), 9)
sys.addaudithook(killed)
with files.folder_written_atomically(place) as fresh:
    fresh.mkdir()
    (fresh / "a.txt").write_text("new")
"""


@pytest.mark.parametrize("way", ["exchange", "aside"])
def test_a_killed_replacement_never_leaves_nothing(tmp_path: Path, way: str):
    place, survived = tmp_path / "system", set()
    for step in range(1, 8):
        with folder_written_atomically(place) as fresh:
            fresh.mkdir()
            (fresh / "a.txt").write_text("old")
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        subprocess.run([sys.executable, "-c", _REPLACING, str(place), str(step), way], env=environment, timeout=60, check=False)
        restore_replaced(place)
        survived.add((place / "a.txt").read_text())
    # Folders that can be exchanged are so before anything is renamed or removed.
    assert survived == ({"old", "new"} if way == "aside" or not sys.platform.startswith("linux") else {"new"})


_WRITING = """
import sys, time
from pathlib import Path
from multiscale.files import folder_written_atomically

with folder_written_atomically(Path(sys.argv[1])) as fresh:
    fresh.mkdir()
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of the operating system")
def test_what_a_killed_process_was_writing_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", _WRITING, str(tmp_path / "place")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == "ready\n"
        (unfinished,) = tmp_path.iterdir()

        def write_another() -> None:
            os.utime(unfinished, (1e9, 1e9))
            with folder_written_atomically(tmp_path / "another") as fresh:
                fresh.mkdir()

        write_another()
        assert unfinished.is_dir()
        process.kill()
    write_another()
    assert [p.name for p in tmp_path.iterdir()] == ["another"]


_KEEPING = """
import sys, time
from pathlib import Path
from multiscale.files import folder_of_process

with folder_of_process(Path(sys.argv[1]), ".certificate-") as private:
    (private / "key").write_text("secret")
    print(private, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks of the operating system")
def test_the_folder_of_a_killed_process_is_removed_with_the_next_one(tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", _KEEPING, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment) as process:
        private = Path(process.stdout.readline().strip())
        assert private.stat().st_mode & 0o077 == 0
        os.utime(private, (1e9, 1e9))
        with folder_of_process(tmp_path, ".certificate-") as mine:
            assert private.is_dir()
        assert not mine.exists()
        process.kill()
    assert (private / "key").is_file()
    os.utime(private, (1e9, 1e9))
    with folder_of_process(tmp_path, ".certificate-"):
        assert not private.exists()
