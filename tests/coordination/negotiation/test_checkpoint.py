"""A run that ends in the middle of a negotiation goes on where it was, to the same answer."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from multiscale.config import load_config
from multiscale.coordination.common.prepared import prepare_days
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.bidirectional import Bidirectional, BidirectionalSettings
from multiscale.coordination.negotiation.checkpoint import CheckpointError
from multiscale.markets import Community
from tests.variants import changed, charged


class Counting(SerialEngine):
    """Counts what is asked of platforms, and what they are asked to operate."""

    def __init__(self):
        super().__init__()
        self.asked, self.operated = 0, 0

    def map(self, function, tasks, homes=None, patience=float("inf")):
        self.asked += len(tasks) * (function.__name__ == "answer_child")
        self.operated += len(tasks) * (function.__name__ == "settle_child")
        return super().map(function, tasks, homes, patience)


@pytest.fixture(scope="module")
def days(system, winter, economics, fleets):
    towns = {f"{d} town": 9000.0 for d in system.at_level("dso")}
    here = changed(changed(system, "devices", "p_kw", towns), "branches", "rating_kva", {"north 1 MV/LV transformer": 30.0})
    return prepare_days(here, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community(), SerialEngine())


@pytest.fixture(scope="module")
def uninterrupted(days):
    engine = Counting()
    return engine, Bidirectional(BidirectionalSettings(gap=1e-5)).operate(days, engine)[0]["bidirectional"]


class StoppedError(Exception):
    pass


def assert_same(one, other):
    assert (one.cost, one.bound, one.rounds, one.traffic.messages, one.traffic.bytes) == (
        other.cost,
        other.bound,
        other.rounds,
        other.traffic.messages,
        other.traffic.bytes,
    )
    assert [(s.cost, s.bound) for s in one.history] == [(s.cost, s.bound) for s in other.history]
    for node in one.platform_x:
        np.testing.assert_array_equal(one.platform_x[node], other.platform_x[node])


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_interrupted_after_some_rounds_it_goes_on_to_the_same_answer_with_fewer_questions(days, uninterrupted, tmp_path, after):
    said = []

    def stop(what):
        said.append(what)
        if len(said) > after:
            raise StoppedError

    with pytest.raises(StoppedError):
        Bidirectional(BidirectionalSettings(gap=1e-5, checkpoints=tmp_path)).operate(days, Counting(), report_progress=stop)
    engine = Counting()
    outcome = Bidirectional(BidirectionalSettings(gap=1e-5, checkpoints=tmp_path)).operate(days, engine)[0]["bidirectional"]
    assert_same(outcome, uninterrupted[1])
    assert 0 < engine.asked < uninterrupted[0].asked


def test_of_a_day_that_was_agreed_only_the_operation_is_computed(days, uninterrupted, tmp_path):
    Bidirectional(BidirectionalSettings(gap=1e-5, checkpoints=tmp_path)).operate(days, Counting())
    engine = Counting()
    outcome = Bidirectional(BidirectionalSettings(gap=1e-5, checkpoints=tmp_path)).operate(days, engine)[0]["bidirectional"]
    assert_same(outcome, uninterrupted[1])
    assert (engine.asked, engine.operated) == (0, uninterrupted[0].operated)


def test_a_smaller_gap_goes_on_from_what_was_agreed_before(days, uninterrupted, tmp_path):
    """Its first rounds are those of the larger gap, in which DSOs negotiated less exactly: the optimum is the same, the digits need not be."""
    loose = Bidirectional(BidirectionalSettings(gap=1e-2, checkpoints=tmp_path)).operate(days, Counting())[0]["bidirectional"]
    tight = Bidirectional(BidirectionalSettings(gap=1e-5, checkpoints=tmp_path)).operate(days, Counting())[0]["bidirectional"]
    before = len(loose.history)
    assert [(s.cost, s.bound) for s in tight.history[:before]] == [(s.cost, s.bound) for s in loose.history]
    assert len(tight.history) > before
    assert tight.history[-1].gap <= 1e-5
    at_once = uninterrupted[1]
    assert max(tight.bound, at_once.bound) <= min(tight.cost, at_once.cost)
    assert tight.cost == pytest.approx(at_once.cost, rel=1e-5)


@pytest.mark.parametrize("table", ["generators", "devices", "branches"])
def test_a_checkpoint_about_other_numbers_is_named_with_what_to_do(system, winter, economics, fleets, days, tmp_path, table):
    """A generator of the TSO, a customer of a DSO, a line of a DSO: nothing that a platform's program shows."""
    Bidirectional(BidirectionalSettings(gap=1e-2, rounds=1, checkpoints=tmp_path)).operate(days, Counting())
    here = days[0].tree.system
    column, name = {
        "generators": ("cost_eur_per_kwh", str(here.generators.generator.values[0])),
        "devices": ("p_kw", "south town"),
        "branches": ("rating_kva", "north 1 MV/LV transformer"),
    }[table]
    value = float(getattr(here, table)[column].sel({table.removesuffix("es" if table == "branches" else "s"): name})) * 1.01
    other = changed(here, table, column, {name: value})
    design = charged(system.at_level("dso"), 0.05)
    changed_days = prepare_days(other, winter, economics, fleets, design, Community(), SerialEngine())
    with pytest.raises(CheckpointError, match=r"2016-01-20\.negotiation' belongs to another tree.*delete it.*folder of its own"):
        Bidirectional(BidirectionalSettings(gap=1e-2, rounds=1, checkpoints=tmp_path)).operate(changed_days, Counting())


class Runs:
    """A pickle of it makes a folder when it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_damaged_or_foreign_checkpoint_is_named_and_runs_nothing(days, tmp_path):
    Bidirectional(BidirectionalSettings(gap=1e-2, rounds=1, checkpoints=tmp_path)).operate(days, Counting())
    (path,) = tmp_path.glob("*.negotiation")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    damaged = [pickle.dumps({"fingerprint": Runs(tmp_path / "ran")}), b"", b"cmultiscale.files\nreplace_folder\n.", b"cos\nsystem\n(S'true'\ntR."]
    damaged += [whole[: int(rng.integers(len(whole)))] for _ in range(10)]
    damaged += [b"\xff" * 50 + whole[50:], b"\x80\x04N.", pickle.dumps([1]), pickle.dumps({"fingerprint": (0, "")})]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="delete it"):
            Bidirectional(BidirectionalSettings(gap=1e-2, rounds=1, checkpoints=tmp_path)).operate(days, Counting())
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_cannot_be_written_is_named(days, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"coordination\.checkpoints .* cannot be written"):
        Bidirectional(BidirectionalSettings(gap=1e-2, rounds=1, checkpoints=tmp_path / "file" / "below")).operate(days, Counting())


def test_where_it_is_kept_makes_no_other_study(tmp_path):
    common = ["study=tiny", "coordination=bidirectional"]
    assert load_config(common).record().config_hash == load_config([*common, f"coordination.checkpoints={tmp_path}"]).record().config_hash


ROOT = Path(__file__).parents[3]
RUN = ["study=tiny", "planning=none", "system.dsos=[north,east]", "horizon=one_day", "horizon.step_hours=6"]
RUN += ["coordination=bidirectional", "output.report=false"]


def started(folder, *more):
    command = [sys.executable, "-m", "multiscale.cli", "run", *RUN, *more]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def killed(tmp_path):
    """Folder of a run that was killed as soon as its negotiation was kept."""
    process = started(tmp_path, "coordination.checkpoints=kept")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "kept").glob("*.negotiation")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    return tmp_path


def test_what_a_killed_run_kept_is_refused_to_another_study_in_one_line(killed):
    other = started(killed, "coordination.checkpoints=kept", "tariff.levy=0.2")
    _, said = other.communicate(timeout=120)
    assert other.returncode == 2
    assert "belongs to another tree, design, method or version; delete it" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_killed_run_goes_on_from_the_command_line_to_the_same_answer(killed):
    answers = []
    for more in (["coordination.checkpoints=kept"], ["output.folder=elsewhere"]):
        process = started(killed, *more)
        out, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        answers.append(json.loads((killed / out.splitlines()[-1] / "summary.json").read_text()))
    one, other = ({key: value for key, value in a.items() if not key.startswith(("time.", "memory."))} for a in answers)
    assert one == other
    assert one["coordination.messages"]["value"] > 0
