"""Which plans are kept for other runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from multiscale.pipeline.plan import repeatable
from multiscale.planning import Plan
from multiscale.planning.plan import SocialReference


@pytest.mark.parametrize(
    ("status", "social", "kept"),
    [
        ("optimal", None, True),
        ("feasible", SocialReference(status="optimal"), True),
        ("time_limit", None, False),
        ("optimal", SocialReference(status="time_limit"), False),
    ],
)
def test_a_plan_is_kept_unless_a_clock_ended_its_search_or_that_of_its_reference(status: str, social: SocialReference | None, kept: bool):
    assert repeatable(cast("Plan", SimpleNamespace(status=status, social=social))) == kept
