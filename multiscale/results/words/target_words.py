"""How the answer and the report speak of targets."""

from __future__ import annotations

from multiscale.planning.targets import TARGETS
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.fact import Fact
from multiscale.results.words.numbers import amount, number

OPERATED = 1e-3
"""Operation keeps a target within this share of it: it follows prices of a mechanism, not the forecast that was planned for."""


def target_names(result: RunResult) -> list[str]:
    """Names of the targets of a run."""
    return [key.split(".")[1] for key in result.summary if key.startswith("targets.") and key.endswith(".limit")]


def states_of(result: RunResult, name: str) -> str:
    """Whether plan and operation reach a target, in words."""
    operated = _missed(result, name, "operated")
    binding = abs(_value(result, name, "planned") - _value(result, name, "limit")) <= 1e-4 * max(abs(_value(result, name, "limit")), 1e-9)
    planned = "reached, at its limit" if binding else "reached with a margin"
    return planned if operated is None or not operated else f"{planned}; missed in operation"


def target_facts(result: RunResult) -> list[Fact]:
    """One line for every target: a check failed where operation misses what the plan reaches."""
    facts = []
    for name in target_names(result):
        unit = str(result.summary[f"targets.{name}.limit"][1])
        limit, planned, operated = (result.value(f"targets.{name}.{key}") for key in ("limit", "planned", "operated"))

        def worth(value: float, unit: str = unit) -> str:
            return number(value, 5) if unit == "1" else amount(value, unit, 5)

        kind = TARGETS[str(result.value(f"targets.{name}.kind"))]
        bound = "at least" if kind.at_least else "at most"
        after = "" if operated is None else f", {worth(operated)} in operation"
        missed = _missed(result, name, "operated")
        text = f"{kind.called} {bound} {worth(limit)}: {worth(planned)} in the plan{after}"
        facts.append(Fact(f"Target {name}", text, None if missed is None else not missed))
    return facts


def _missed(result: RunResult, name: str, when: str) -> bool | None:
    """Whether a target is missed; None where it is not known."""
    if result.value(f"targets.{name}.{when}") is None:
        return None
    short = _value(result, name, "limit") - _value(result, name, when)
    short = short if TARGETS[str(result.value(f"targets.{name}.kind"))].at_least else -short
    return short > OPERATED * max(abs(_value(result, name, "limit")), 1e-9)


def _value(result: RunResult, name: str, key: str) -> float:
    return float(result.value(f"targets.{name}.{key}"))
