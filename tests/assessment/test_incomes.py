"""A table of incomes is read, and everything that is wrong with it is named before a study begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiscale.assessment.incomes import read_incomes
from multiscale.config import ConfigError, load_config
from multiscale.pipeline.incomes import income_problems, incomes_of
from multiscale.results.results_settings import ResultsSettings
from multiscale.sources import tiny_system


def table(folder: Path, text: str) -> Path:
    path = folder / "incomes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_incomes_are_read_by_prosumer(tmp_path: Path):
    path = table(tmp_path, "# survey of 2024\nprosumer,income_eur,note\nnorth 1 P1, 31000,\nnorth 1 P2,18500.5,estimated\n")
    assert read_incomes(path) == {"north 1 P1": 31000.0, "north 1 P2": 18500.5}
    assert incomes_of(ResultsSettings(incomes=path)).yearly == read_incomes(path)
    assert ResultsSettings(incomes=path).files == (path,)
    assert incomes_of(ResultsSettings()).yearly == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prosumer,income\na,1\n", "lacks the columns income_eur; add them"),
        ("prosumer,income_eur\na,-5\n", "prosumer 'a': income_eur '-5' EUR/a is not a number above zero"),
        ("prosumer,income_eur\na,0\n", "'0' EUR/a is not a number above zero"),
        ("prosumer,income_eur\na,inf\n", "'inf' EUR/a is not a number above zero"),
        ("prosumer,income_eur\na,\n", "omit the line where it is not known"),
        ("prosumer,income_eur\na,many\n", "'many' EUR/a is not a number"),
        ("prosumer,income_eur\na,1\na,2\n", "prosumer 'a' stands twice; keep one line"),
        ("", "is empty; write a header"),
        ("prosumer,income_eur\na,12,500\n", "cannot be read"),
        ("prosumer;income_eur\na;12,5\nb;1.5\n", "has decimal commas .* and decimal points"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, text: str, message: str):
    path = table(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        read_incomes(path)
    with pytest.raises(ConfigError, match=message):
        load_config(["study=tiny", f"results.incomes={path}"])


def test_semicolons_and_decimal_commas_are_read(tmp_path: Path):
    path = table(tmp_path, "# survey of 2024, adjusted\nprosumer;income_eur\nnorth 1 P1;31000\nnorth 1 P2;18500,5\n")
    assert read_incomes(path) == {"north 1 P1": 31000.0, "north 1 P2": 18500.5}


def test_a_table_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="give a CSV file with the columns prosumer, income_eur"):
        load_config(["study=tiny", f"results.incomes={tmp_path / 'none.csv'}"])


def test_a_name_that_is_no_prosumer_is_named_with_those_most_like_it(tmp_path: Path):
    system = tiny_system()
    known = str(system.prosumers.prosumer.values[0])
    path = table(tmp_path, f"prosumer,income_eur\n{known},20000\n{known}x,20000\n")
    [problem] = income_problems(ResultsSettings(incomes=path), system)
    assert problem.identifier == f"{known}x"
    assert repr(known) in problem.message
