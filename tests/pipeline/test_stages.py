"""A stage is computed once for the same input, in any run, and again for any other."""

import json
import logging

import numpy as np
import pytest

from multiscale.pipeline.stages import Stages
from multiscale.timeline import HorizonSettings


class Counted:
    """A stage function that knows how often it was called."""

    def __init__(self, function):
        self.calls, self.function = 0, function

    def __call__(self, **given):
        self.calls += 1
        return self.function(**given)


def summed(first, second):
    return {"sum": first + second, "large": np.full(200_000, float(first))}


def test_what_is_known_is_not_computed_again_in_another_run(tmp_path):
    compute = Counted(summed)
    first = Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2})
    later = Stages(tmp_path)
    second = later.run("sum", compute, {"first": 1, "second": 2})
    assert compute.calls == 1
    assert first.key == second.key
    assert second.value["sum"] == 3
    np.testing.assert_array_equal(second.value["large"], first.value["large"])
    assert [record.reused for record in later.records] == [True]


@pytest.mark.parametrize("given", [{"first": 1, "second": 3}, {"first": 2, "second": 1}, {"first": 1.0, "second": 2}])
def test_any_other_input_is_another_stage(tmp_path, given):
    compute = Counted(summed)
    stages = Stages(tmp_path)
    known = stages.run("sum", compute, {"first": 1, "second": 2})
    assert stages.run("sum", compute, given).key != known.key
    assert compute.calls == 2


def test_settings_and_what_is_read_count_and_means_do_not(tmp_path):
    stages, keys = Stages(tmp_path), []

    def days(horizon, engine=None):
        return horizon.days

    for horizon, read, engine in (
        (HorizonSettings(days=2), {"file": "1"}, "a"),
        (HorizonSettings(days=2), {"file": "1"}, "b"),
        (HorizonSettings(days=3), {"file": "1"}, "a"),
        (HorizonSettings(days=2), {"file": "2"}, "a"),
    ):
        keys.append(stages.run("days", days, {"horizon": horizon}, means=lambda engine=engine: {"engine": engine}, more=read).key)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_the_key_of_a_stage_is_in_the_keys_of_those_that_follow(tmp_path):
    stages = Stages(tmp_path)
    keys = set()
    for first in (1, 2):
        before = stages.run("sum", summed, {"first": first, "second": 2})
        after = stages.run("size", lambda of: len(of["large"]), {"of": before})
        keys.add(after.key)
        assert after.value == 200_000
    assert len(keys) == 2


def test_a_known_stage_does_not_ask_for_its_means_nor_for_what_came_before(tmp_path):
    def never():
        raise AssertionError("asked for")

    Stages(tmp_path).run("sum", summed, {"first": 1, "second": 2})
    stages = Stages(tmp_path)
    (tmp_path / "arrays").rename(tmp_path / "aside")
    (tmp_path / "aside").rename(tmp_path / "arrays")
    found = stages.run("sum", summed, {"first": 1, "second": 2}, means=never)
    assert found.value["sum"] == 3


@pytest.mark.parametrize("file", ["value.json", "arrays.npz", "about.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_a_damaged_artefact_is_computed_again_and_said(tmp_path, caplog, file, damage):
    compute = Counted(summed)
    whole = Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2})
    path = tmp_path / f"sum-{whole.key}" / file
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20] if damage == "cut" else path.read_bytes().replace(b"3", b"4") + b" ")
    with caplog.at_level(logging.WARNING):
        again = Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2})
    assert compute.calls == 2
    assert again.value["sum"] == 3
    assert "damaged" in caplog.text
    assert Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2}).value["sum"] == 3
    assert compute.calls == 2


@pytest.mark.parametrize(
    "text", ["[]", "7", '{"seconds": "a while", "files": {}}', '{"seconds": 1, "files": []}', '{"seconds": 1, "files": {}}', "[" * 100_000]
)
def test_of_an_artefact_any_text_may_stand_where_its_record_was(tmp_path, caplog, text):
    compute = Counted(summed)
    whole = Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2})
    (tmp_path / f"sum-{whole.key}" / "about.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2}).value["sum"] == 3
    assert compute.calls == 2
    assert "damaged" in caplog.text


def test_a_damaged_large_array_is_found_and_replaced(tmp_path, caplog):
    compute = Counted(summed)
    Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2})
    [path] = (tmp_path / "arrays").iterdir()
    path.write_bytes(path.read_bytes()[:-8] + b"12345678")
    with caplog.at_level(logging.WARNING):
        again = Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2})
    assert again.value["large"][-1] == 1.0
    assert Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2}).value["large"][-1] == 1.0
    assert compute.calls == 2


def test_large_arrays_are_kept_once(tmp_path):
    stages = Stages(tmp_path)
    for second in (2, 3):
        stages.run("sum", summed, {"first": 1, "second": second})
    assert len(list((tmp_path / "arrays").iterdir())) == 1


def test_what_a_clock_ended_is_not_kept(tmp_path):
    compute = Counted(summed)
    for _ in range(2):
        Stages(tmp_path).run("sum", compute, {"first": 1, "second": 2}, keep=lambda value: value["sum"] > 3)
    assert compute.calls == 2
    assert not list(tmp_path.glob("sum-*"))


def test_without_reuse_a_stage_is_computed_again(tmp_path):
    compute = Counted(summed)
    for _ in range(2):
        Stages(tmp_path, reuse=False).run("sum", compute, {"first": 1, "second": 2})
    assert compute.calls == 2


def test_a_folder_that_cannot_be_written_costs_the_reuse_not_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        found = Stages(tmp_path / "file").run("sum", summed, {"first": 1, "second": 2})
    assert found.value["sum"] == 3
    assert "cannot be kept" in caplog.text


def test_an_artefact_says_what_went_in(tmp_path):
    found = Stages(tmp_path).run("sum", summed, {"first": 1, "second": 2})
    about = json.loads((tmp_path / f"sum-{found.key}" / "about.json").read_text())
    assert set(about["given"]) == {"first", "second"}
    assert about["stage"] == "sum"
