"""Targets in summary, answer and status: the operator that misses is the one that is told, and what is not known is no passed check."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from multiscale.planning.targets import Reached, RenewableShare, UnservedEnergy
from multiscale.results.data import targets
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.target_words import states_of, target_facts

NAN = float("nan")


def result(monkeypatch: pytest.MonkeyPatch, operated: dict[str, float], kind: Any = RenewableShare(least=0.3), planned: float = 0.31) -> RunResult:
    """A run whose operators reach this of one target."""
    found = {
        (dso, "share"): targets.PlannedAndOperated(*(Reached(kind.kind, value, kind.limit, kind.unit, kind.at_least) for value in (plan, ours)))
        for plan, (dso, ours) in zip((planned, 0.4), operated.items(), strict=False)
    }
    monkeypatch.setattr(targets, "targets_of", lambda _: found)
    summary = targets.targets_summary(cast("Any", SimpleNamespace(targets={"share": kind})))
    return cast("RunResult", SimpleNamespace(summary=summary, value=lambda key: summary[key][0] if key in summary else None))


@pytest.mark.parametrize(
    ("operated", "operator", "state", "passed"),
    [
        ({"north": 0.33, "south": 0.2}, "south", "missed in operation", False),  # the plan of north is nearer to the limit
        ({"north": NAN, "south": 0.2}, "south", "missed in operation", False),
        ({"north": 0.35, "south": NAN}, "south", "not known in operation", None),
        ({"north": 0.35, "south": 0.4}, "north", "reached with a margin", True),
        ({"north": 0.2999, "south": 0.4}, "north", "reached with a margin", True),
    ],
)
def test_of_several_operators_the_one_that_is_worst_off_is_told(monkeypatch, operated, operator, state, passed):
    run = result(monkeypatch, operated)
    assert run.value("targets.share.operator") == operator
    assert state in states_of(run, "share")
    (fact,) = target_facts(run)
    assert (fact.good, operator in fact.text) == (passed, True)


@pytest.mark.parametrize(("unserved", "missed"), [(1e-9, False), (0.5, True)])
def test_rounding_next_to_a_limit_of_zero_is_no_miss(monkeypatch, unserved, missed):
    run = result(monkeypatch, {"north": unserved}, UnservedEnergy(most=0.0), planned=1e-9)
    assert ("missed" in states_of(run, "share")) == missed
    assert "at its limit" in states_of(run, "share")


def test_what_is_not_known_is_not_reached():
    unknown = Reached("renewable_share", NAN, 0.3, "1", at_least=True)
    assert unknown.missed()
    assert not unknown.binding


@pytest.mark.parametrize(("south", "said"), [(0.2, "which misses it by most"), (0.305, "the nearest to it"), (NAN, "of which it is not known")])
def test_why_this_operator_is_named(monkeypatch: pytest.MonkeyPatch, south: float, said: str):
    (fact,) = target_facts(result(monkeypatch, {"north": 0.33, "south": south}))
    assert fact.text.endswith(f"(south, {said}, of several operators)")
