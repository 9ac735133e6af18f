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
