"""One dataset of a sweep: every value stands at the labels of its job, what is missing is NaN, and it is said why."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale import cli
from multiscale.results.data.dataset import write_dataset
from multiscale.results.run.provenance import sealed
from multiscale.sweep.collect import dataset
from multiscale.sweep.journal import Event, add
from multiscale.sweep.manifest import Manifest, run_folder
from multiscale.sweep.planned import planned

PRICES, MARKETS = (0.12, 0.08, 0.1), ("time_of_use", "community")


def _run(place: Path, price: float, market: str) -> None:
    """A run whose values tell from which job they are; the second market has a bus more, in another order."""
    buses = ["a", "b"] if market == "community" else ["c", "b", "a"]
    voltage = {"a": 1.0, "b": 2.0, "c": 3.0}
    values = np.array([[price + 10 * voltage[bus] for bus in buses]])
    answer = xr.Dataset(
        {
            "voltage": (("hour", "bus"), values, {"units": "pu", "long_name": "voltage"}),
            "built": ("bus", np.arange(len(buses)), {"units": "1", "long_name": "number of measures"}),
            "kind": ("bus", [f"kind of {bus}" for bus in buses], {"long_name": "kind"}),
            "total": ((), price, {"units": "EUR/a", "long_name": "total"}),
        },
        coords={"bus": buses},
    )
    if market == "community":
        answer["only_here"] = ("bus", np.ones(len(buses)), {"units": "1", "long_name": "known of one market only"})
    place.mkdir(parents=True)
    write_dataset(answer, place / "result.nc")
    (place / "status.json").write_text(json.dumps({"status": "optimal", "study": "tiny", "stages": {}}))
    summary = {
        "plan.objective": {"value": price, "unit": "EUR/a"},
        "plan.bound": {"value": None, "unit": "EUR/a"},
        "plan.word": {"value": market, "unit": ""},
    }
    (place / "summary.json").write_text(json.dumps(summary))
    (place / "provenance.json").write_text(json.dumps(sealed({"config": {}}, place)))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of three prices and two markets; one job failed, one is queued, the run folder of one is damaged."""
    overrides = ["study=tiny", f"output.folder={tmp_path}", f"tariff.levy.price={','.join(map(str, PRICES))}", f"market={','.join(MARKETS)}"]
    manifest, folder = planned(overrides, None, "sweep").manifest, tmp_path / "sweep"
    folder.mkdir()
    manifest.write(folder)
    for job in manifest.jobs[:4]:
        _run(run_folder(folder, job), PRICES[job.at[0]], MARKETS[job.at[1]])
        add(folder, Event(job.number, "optimal", seconds=3.0))
    (run_folder(folder, manifest.jobs[2]) / "result.nc").write_bytes(b"half")
    add(folder, Event(5, "error", "solver lost"))
    return folder


def test_values_stand_at_the_labels_of_their_job(sweep: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["collect", str(sweep)]) == 0
    said = capsys.readouterr()
    assert "3 of 6 jobs have an answer (1 queued, 2 optimal" not in said.err
    assert "3 of 6 jobs have an answer" in said.err
    assert said.out.splitlines()[-1] == str(sweep / "sweep.nc")
    with xr.open_dataset(sweep / "sweep.nc", engine="h5netcdf") as stored:
        found = stored.load()
    assert found["tariff.levy.price"].values.tolist() == list(PRICES)
    assert found["tariff.levy.price"].attrs["units"] == "EUR/kWh"
    assert found["market"].values.tolist() == list(MARKETS)
    assert found["voltage"].dims == ("tariff.levy.price", "market", "hour", "bus")
    for price, market in ((0.12, "time_of_use"), (0.12, "community"), (0.08, "community")):
        at = found.sel({"tariff.levy.price": price, "market": market})
        assert at["job_state"].item() == "optimal"
        assert at["voltage"].sel(bus=["a", "b"]).values[0].tolist() == [price + 10, price + 20]
        assert at["kind"].sel(bus="b").item() == "kind of b"
        assert at["total"].item() == at["plan.objective"].item() == price
    # Labels that a job lacks, and variables that it lacks, are NaN.
    assert np.isnan(found["voltage"].sel({"tariff.levy.price": 0.12, "market": "community", "bus": "c"}).item())
    assert np.isnan(found["only_here"].sel({"tariff.levy.price": 0.12, "market": "time_of_use"})).all()
    assert found["built"].sel({"tariff.levy.price": 0.12, "market": "time_of_use", "bus": "a"}).item() == 2
    assert found["voltage"].attrs == {"units": "pu", "long_name": "voltage"}
    assert np.isnan(found["plan.bound"]).all()
    # Missing jobs say why.
    why = {tuple(state.job.at): state for state in _states(sweep)}
    assert found["job_state"].values.tolist() == [[why[i, k].state for k in range(2)] for i in range(3)]
    assert found["job_state"].values.tolist() == [["optimal", "optimal"], ["lost", "optimal"], ["error", "queued"]]
    assert "result.nc: changed" in found["job_message"].values[1, 0]
    assert found["job_message"].values[2, 0] == "solver lost"
    assert np.isnan(found["voltage"].values[1, 0]).all()
    assert np.isnan(found["total"].values[2]).all()


def _states(sweep: Path):
    from multiscale.sweep.states import job_states

    return job_states(sweep, Manifest.read(sweep), running=False)


def test_tables_have_a_row_for_every_job(sweep: Path, tmp_path: Path):
    assert cli.main(["collect", str(sweep), "--to", str(tmp_path / "there"), "--variables", ""]) == 0
    csv, parquet = pd.read_csv(tmp_path / "there" / "summaries.csv"), pd.read_parquet(tmp_path / "there" / "summaries.parquet")
    for table in (csv, parquet):
        assert table["job_number"].tolist() == [1, 2, 3, 4, 5, 6]
        assert table["tariff.levy.price [EUR/kWh]"].tolist() == [0.12, 0.12, 0.08, 0.08, 0.1, 0.1]
        assert table["market"].tolist() == [*MARKETS] * 3
        assert table["plan.objective [EUR/a]"].isna().tolist() == [False, False, True, False, True, True]
        assert table["job_state"].tolist() == ["optimal", "optimal", "lost", "optimal", "error", "queued"]
    with xr.open_dataset(tmp_path / "there" / "sweep.nc", engine="h5netcdf") as found:
        assert "voltage" not in found
        assert found["plan.word"].values[0].tolist() == [*MARKETS]


def test_no_table_holds_a_formula(sweep: Path, tmp_path: Path):
    place = run_folder(sweep, Manifest.read(sweep).jobs[0])
    (place / "summary.json").write_text((place / "summary.json").read_text().replace('"time_of_use"', '"=cmd()"'))
    (place / "provenance.json").write_text(json.dumps(sealed({"config": {}}, place)))
    assert cli.main(["collect", str(sweep), "--to", str(tmp_path / "there"), "--variables", ""]) == 0
    assert pd.read_csv(tmp_path / "there" / "summaries.csv")["plan.word"][0] == "'=cmd()"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_dataset_that_does_not_fit_on_the_disk_is_an_error_and_leaves_what_was_there(sweep: Path, capsys: pytest.CaptureFixture[str], share: float):
    assert cli.main(["collect", str(sweep)]) == 0
    whole = (sweep / "sweep.nc").read_bytes()
    tables = max((sweep / name).stat().st_size for name in ("summaries.csv", "summaries.parquet"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(int(share * len(whole)), tables), hard))
    try:
        assert cli.main(["collect", str(sweep)]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the disk is full" in capsys.readouterr().err
    assert (sweep / "sweep.nc").read_bytes() == whole
    assert not list(sweep.glob(".sweep.nc*"))


def test_memory_is_bounded_by_batches(sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cli.main(["collect", str(sweep)])
    monkeypatch.setattr(dataset, "BATCH_BYTES", 1)
    cli.main(["collect", str(sweep), "--to", str(tmp_path / "there")])
    with xr.open_dataset(sweep / "sweep.nc", engine="h5netcdf") as one, xr.open_dataset(tmp_path / "there" / "sweep.nc", engine="h5netcdf") as other:
        xr.testing.assert_identical(one.load(), other.load())


def test_what_cannot_be_collected_is_named(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["collect", str(tmp_path)]) == 2
    assert "is no sweep" in capsys.readouterr().err
    assert cli.main(["collect", str(sweep), "--variables", "voltage,power"]) == 2
    assert "no job has power; there are built, kind, only_here, total, voltage" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert cli.main(["collect", str(sweep), "--to", str(tmp_path / "file")]) == 2
    assert "is no folder" in capsys.readouterr().err
    for job in Manifest.read(sweep).jobs:
        (run_folder(sweep, job) / "status.json").unlink(missing_ok=True)
    assert cli.main(["collect", str(sweep)]) == 2
    assert "has an answer, so there is nothing to collect" in capsys.readouterr().err
    assert not (sweep / "sweep.nc").exists()


def test_the_report_of_a_sweep_names_jobs_without_an_answer_and_takes_any_job_as_baseline(sweep: Path, capsys: pytest.CaptureFixture[str]):
    assert cli.main(["report", str(sweep)]) == 0
    page = (sweep / "report.html").read_text(encoding="utf-8")
    assert page.index('id="failures"') < page.index("queued") < page.index('id="answer"')
    assert "Sweep over tariff.levy.price, market: 6 jobs" in page
    manifest = Manifest.read(sweep)
    assert f"The baseline run is 2: {manifest.own(manifest.jobs[1])}" not in page
    assert cli.main(["report", str(sweep), "--baseline", "2", "--to", str(sweep / "other.html")]) == 0
    assert f"The baseline run is 2: {manifest.own(manifest.jobs[1])}" in (sweep / "other.html").read_text(encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["report", str(sweep), "--baseline", "6"]) == 2
    assert "no job of this number has an answer" in capsys.readouterr().err
