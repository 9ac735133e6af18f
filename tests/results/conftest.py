"""A finished run of the synthetic study, written once."""

from __future__ import annotations

import pytest

from multiscale.config import StudyConfig, load_config
from multiscale.results import RunFolder, RunResult
from multiscale.results.figures import maps, money_plots, negotiation, plots, voltages
from tests.results.synthetic_study import synthetic_dataset, synthetic_summary


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    """Stage times of tests are not remembered for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    return load_config(["study=tiny", f"output.folder={tmp_path_factory.mktemp('runs')}", "tariff.levy=9 ct/kWh"])


@pytest.fixture(scope="session")
def finished(config: StudyConfig) -> RunResult:
    dataset = synthetic_dataset()
    with RunFolder.create(config.record()) as run:
        run.progress.announce(["build", "plan"])
        with run.progress.stage("build"):
            run.log("a line", number=1)
        return run.finish(dataset, synthetic_summary(dataset), "optimal", {"solvers": {"SCIP": "10.0"}})


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made and not drawn: for what is said around them."""
    leave_undrawn(monkeypatch)


def leave_undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (maps, money_plots, negotiation, plots, voltages):
        monkeypatch.setattr(module, "svg", lambda _, description: f"<p>{description}</p>")
