"""Progress tells stages and times, and learns from the last run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from multiscale.results.run import progress
from multiscale.results.run.progress import PeakMemory, Progress


def test_stage_times_are_recorded_and_remembered(tmp_path: Path):
    file = tmp_path / "times.json"
    first = Progress(["plan"], key="a", memory_file=file, stream=io.StringIO())
    with first.stage("plan"):
        pass
    first.close(remember=True)
    again = Progress(["plan", "verify"], key="a", memory_file=file, stream=io.StringIO())
    assert again.expected["plan"] == pytest.approx(first.seconds["plan"], abs=1e-3)
    assert again.remaining() == pytest.approx(again.expected["plan"] + again.expected["verify"])
    assert Progress(["plan"], key="b", memory_file=file, stream=io.StringIO()).expected["plan"] == 60.0


def test_plain_lines_name_stage_number_and_estimate():
    stream = io.StringIO()
    shown = Progress(stream=stream)
    shown.announce(["build", "plan"])
    with shown.stage("build") as stage:
        stage.update("12 platforms")
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("[1/4] build: about 10 s, whole run about ")
    assert lines[1].startswith("[1/4] build: done in ")
    assert lines[1].endswith("(12 platforms)")
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_a_bar():
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    shown = Progress(["plan"], stream=stream)
    with shown.stage("plan") as stage:
        stage.update("gap 2 %")
    assert "plan" in stream.getvalue()
    assert "done in" in stream.getvalue()


def test_the_stage_of_a_failure_stays_known():
    shown = Progress(stream=io.StringIO())
    with pytest.raises(ValueError, match="x"), shown.stage("plan"):
        raise ValueError("x")
    assert shown.current == "plan"
    assert shown.seconds["plan"] >= 0


def test_an_unreadable_memory_is_ignored(tmp_path: Path):
    (tmp_path / "times.json").write_text("{broken")
    assert Progress(memory_file=tmp_path / "times.json", stream=io.StringIO()).expected["plan"] == 60.0


def test_memory_counts_between_two_looks_at_what_is_shared():
    memory = PeakMemory()
    memory.stop()
    before = memory.peak_mb
    held = bytearray(os.urandom(1) * 100_000_000)
    memory._since = 0
    memory._sample()
    assert memory._since == 1
    assert memory.peak_mb == pytest.approx(before + len(held) / 1e6, abs=20.0)
    memory._since = memory.EXACT_EVERY
    memory._sample()
    assert memory._since == 0
    assert memory.peak_mb == pytest.approx(before + len(held) / 1e6, abs=20.0)


def test_memory_is_not_watched_for_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "WATCHED_EVERY_SECONDS", 0.01)
    before = set(threading.enumerate())
    memory = PeakMemory()
    (watching,) = set(threading.enumerate()) - before
    del memory
    watching.join(30.0)
    assert not watching.is_alive()


def test_memory_of_a_process_that_came_counts():
    memory = PeakMemory()
    memory.stop()
    before = memory.peak_mb
    code = "held = bytearray(100_000_000); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        memory._sample()
        child.communicate("\n")
    assert memory.peak_mb > before + 95.0
