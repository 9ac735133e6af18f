"""Which plans are kept for other runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from multiscale.pipeline.plan import repeatable
from multiscale.planning import Plan
from multiscale.planning.plan import SocialReference


@pytest.mark.parametrize(("status", "kept"), [("optimal", True), ("feasible", True), ("time_limit", False)])
def test_a_plan_is_kept_unless_a_clock_ended_its_search(status: str, kept: bool):
    """That of a regime and that of least social cost alike."""
    assert repeatable(cast("Plan", SimpleNamespace(status=status))) == kept
    assert repeatable(SocialReference(status=status)) == kept
