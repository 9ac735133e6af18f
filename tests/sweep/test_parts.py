"""Parts of a sweep: its combinations, the cores, the estimate of the time left, the stages that jobs share."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from multiscale.coordination.engine import LocalSettings, SerialSettings
from multiscale.file_locks import one_at_a_time
from multiscale.machine import usable_cores
from multiscale.pipeline.stages import Stages
from multiscale.sweep import cores
from multiscale.sweep.combinations import SweepError, combinations
from multiscale.sweep.cores import shared_out
from multiscale.sweep.planned import planned
from multiscale.sweep.progress import in_words, remaining


def test_jobs_are_the_product_of_all_values_in_the_order_given():
    found = combinations(["study=tiny", "solver.seed=3,1", "market=community,time_of_use"])
    assert [swept.key for swept in found.swept] == ["solver.seed", "market"]
    assert list(found.at) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert found.jobs[1] == ("study=tiny", "solver.seed=3", "market=time_of_use")
    assert combinations(["study=tiny"]).jobs == (("study=tiny",),)
    assert [job[0] for job in combinations(["market=glob(t*)"]).jobs] == ["market=time_of_use"]
    with pytest.raises(SweepError, match="no value fits"):
        combinations(["market=glob(z*)"])


def test_labels_are_values_in_the_declared_unit_in_the_order_given(tmp_path: Path):
    made = planned(["study=tiny", f"output.folder={tmp_path}", "tariff.levy.price='12 ct/kWh',0.08", "market=community,time_of_use"], None, "sweep")
    price, market = made.manifest.dimensions
    assert (price.labels, price.unit) == ((0.12, 0.08), "EUR/kWh")
    assert (market.labels, market.unit) == (("community", "time_of_use"), "")
    assert [job.at for job in made.manifest.jobs] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert len({job.run for job in made.manifest.jobs}) == 4
    assert not (tmp_path / "sweep").exists()


def test_jobs_workers_and_threads_share_the_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cores, "usable_cores", lambda: 8)
    four = LocalSettings(workers=2, threads_per_worker=2)
    assert shared_out([four] * 20, 20, None, oversubscribe=False).jobs == 2
    assert shared_out([SerialSettings()] * 20, 20, None, oversubscribe=False).jobs == 8
    assert shared_out([SerialSettings()] * 3, 3, None, oversubscribe=False).jobs == 3
    # One job that is too large for the machine is run, and that is said.
    large = shared_out([LocalSettings(workers=16)], 1, None, oversubscribe=False)
    assert large.jobs == 1
    assert "16 of 8 cores: more than there are" in str(large)
    with pytest.raises(SweepError, match=r"each with 2 workers of 2 threads \(engine=local\): 12 of 8 cores; give --jobs 2"):
        shared_out([four] * 20, 20, 3, oversubscribe=False)
    assert shared_out([four] * 20, 20, 3, oversubscribe=True).jobs == 3
    assert usable_cores() >= 1


def test_the_time_left_is_a_range_of_what_jobs_took():
    assert remaining([], 3, [1.0], 2) is None
    assert remaining([10.0] * 4, 8, [], 2) == (40.0, 40.0)
    low, high = remaining([60.0, 10.0, 10.0, 12.0, 14.0, 30.0], 10, [], 1) or (0, 0)
    assert (low, high) == (100.0, 300.0)
    # What runs has done a part of its work; the last job alone takes as long as it takes, whatever the number of places.
    assert remaining([10.0], 0, [4.0], 4) == (6.0, 6.0)
    assert remaining([10.0], 1, [9.0], 2) == (10.0, 10.0)
    assert in_words(None, 0) == "time left unknown until the first job has ended"
    assert in_words((90.0, 300.0), 7) == "about 90 s to 5 min left, judged by 7 jobs"
    assert in_words((0.0, 0.0), 7) == "what runs takes longer than the jobs before it"


def test_of_jobs_that_come_to_one_stage_one_computes_it(tmp_path: Path):
    computed: list[int] = []

    def slow(number: int) -> int:
        computed.append(number)
        time.sleep(0.3)
        return number

    found: list[int] = []
    runs = [threading.Thread(target=lambda: found.append(Stages(tmp_path).run("plan", slow, {"number": 7}).value)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert (computed, found) == ([7], [7, 7, 7, 7])
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".computed")] == []


def test_who_fails_inside_lets_the_next_one_in(tmp_path: Path):
    with pytest.raises(RuntimeError), one_at_a_time(tmp_path / "one"):
        raise RuntimeError
    with one_at_a_time(tmp_path / "one"):
        pass
    # What a killed process left keeps nobody out, and goes with the next.
    (tmp_path / "one").touch()
    with one_at_a_time(tmp_path / "one"):
        pass
    assert list(tmp_path.iterdir()) == []
