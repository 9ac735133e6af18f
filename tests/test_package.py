"""The package offers its entry points by name."""

import pytest

import multiscale
from multiscale.sources import tiny_system


def test_entry_points_are_there() -> None:
    assert multiscale.load_system("tiny").at_level("dso") == tiny_system().at_level("dso")
    assert callable(multiscale.run_study)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        multiscale.nonsense  # noqa: B018


def test_a_run_in_python_shows_its_answer_and_plots(tmp_path, monkeypatch) -> None:
    from multiscale import interactive
    from multiscale.interactive import NothingToPlotError
    from tests.results.synthetic_study import synthetic_dataset, synthetic_summary

    data = synthetic_dataset()
    run = interactive.Run(tmp_path / "a", data, synthetic_summary(data), "optimal", {"message": "<b>"})
    assert repr(run).startswith("a: optimal\n  Note: <b>")
    assert "&lt;b&gt;" in run._repr_html_()
    picture = run.plot.prices()
    assert picture.save(tmp_path / "prices.svg").read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(NothingToPlotError, match="money"):
        interactive.Run(tmp_path / "a", data.drop_vars("money"), {}, "optimal").plot.money()
    assert repr(multiscale.load_system("tiny")).startswith("System 'tiny'")


def test_what_is_run_by_name_is_what_the_command_runs(monkeypatch) -> None:
    from multiscale.results import RunResult

    asked = []
    monkeypatch.setattr("multiscale.study.run_study", lambda config: asked.append(config) or RunResult(None, None, {}, "optimal"))
    assert multiscale.run("study=tiny", "tariff.levy='12 ct/kWh'").status == "optimal"
    assert asked[0].tariff["levy"].price == pytest.approx(0.12)
