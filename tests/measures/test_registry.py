"""Facts that hold for every measure of the registry."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from multiscale.measures import MEASURES, by_measure, measure_settings
from multiscale.measures.words import describe_measures
from multiscale.operation import distribution_program
from multiscale.operation.tree import exchange_bounds
from multiscale.settings import unit_of
from multiscale.sources.folder import folder_system, write_folder
from multiscale.system import COMPONENTS, validate
from multiscale.system.schema import table

ROOT = Path(__file__).parents[2]
KINDS = sorted(MEASURES)


def example(kind: str) -> dict[str, object]:
    """A row of the option table with a typical option of this kind, on a branch of the tiny case."""
    return dict(importlib.import_module(f"tests.measures.test_{kind}").EXAMPLE)


def with_example(system, kind):
    """The system with that one option, which would be built for nothing."""
    row = {"cost_eur": 0.0} | example(kind) | {"kind": kind}
    return system.replace(options=table("option", ["it"], {name: np.array([value]) for name, value in row.items()}))


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_has_a_range_a_unit_and_a_meaning(kind):
    assert MEASURES[kind].__doc__
    for name, field in MEASURES[kind].model_fields.items():
        assert field.description, name
        if field.annotation is not bool:
            assert unit_of(MEASURES[kind], name), name
            assert field.metadata, f"{name} has no range"


@pytest.mark.parametrize("kind", KINDS)
def test_every_measure_is_tested_by_a_file_of_its_own(kind):
    assert (ROOT / "tests" / "measures" / f"test_{kind}.py").is_file()


def test_every_measure_is_documented():
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert describe_measures() in text, "put the text of multiscale.measures.words.describe_measures() into docs/data.md"


def test_no_column_is_declared_twice():
    columns = [column for measure in MEASURES.values() for column in measure.columns]
    assert len(columns) == len(set(columns))
    assert set(columns) <= set(COMPONENTS["option"])
    assert all(set(measure.required) <= set(measure.columns) for measure in MEASURES.values())
    assert list(measure_settings()) == list(MEASURES)


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_is_valid_and_survives_a_folder_of_tables(system, kind, tmp_path):
    here = with_example(system, kind)
    assert validate(here) == []
    write_folder(here, tmp_path)
    again = folder_system(tmp_path)
    for column in COMPONENTS["option"]:
        np.testing.assert_array_equal(again.options[column].values, here.options[column].values)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_required_is_asked_for(system, kind):
    here = with_example(system, kind)
    for column in MEASURES[kind].required:
        bare = here.replace(options=here.options.assign({column: ("option", np.zeros(1))}))
        (problem,) = validate(bare)
        assert str(problem).startswith(f"option 'it': {column} 0")


@pytest.mark.parametrize("kind", KINDS)
def test_a_measure_changes_ratings_or_voltages(system, kind):
    for measure, mine, columns in by_measure(with_example(system, kind).options):
        added, moved = measure.added_rating(columns), measure.voltage_change(columns)
        assert added.shape == moved.shape == mine.shape
        assert ((added > 0) | (moved > 0)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_option_changes_right_hand_sides_only(system, winter, economics, fleets, kind):
    here = with_example(system, kind)
    children = here.children("north")
    bounds = {c: exchange_bounds(fleets[c]) for c in children}
    low, high = ({c: b[k] for c, b in bounds.items()} for k in (0, 1))
    reactive = {c: fleets[c].data.reactive.values.sum(axis=0) for c in children}
    program = distribution_program(here, "north", winter, economics, low, high, reactive).program
    built = program.parameters["built"].positions
    assert built.shape == (1,)
    assert program.C[:, built].nnz == 0
    assert program.d[built].tolist() == [0.0]
