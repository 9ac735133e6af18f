"""How the answer and the report speak of targets."""

from __future__ import annotations

from multiscale.planning.targets import OPERATED, TARGETS, Reached
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.fact import Fact
from multiscale.results.words.numbers import amount, number


def target_names(result: RunResult) -> list[str]:
    """Names of the targets of a run."""
    return [key.split(".")[1] for key in result.summary if key.startswith("targets.") and key.endswith(".limit")]


def states_of(result: RunResult, name: str) -> str:
    """Whether plan and operation reach a target, in words."""
    operated = _reached(result, name, "operated")
    planned = "reached, at its limit" if _reached(result, name, "planned").binding else "reached with a margin"
    if not operated.known:
        return f"{planned} in the plan; not known in operation"
    return f"{planned} in the plan; missed in operation" if operated.missed(OPERATED) else planned


def target_facts(result: RunResult) -> list[Fact]:
    """One line for every target: a check failed where operation misses what the plan reaches."""
    facts = []
    for name in target_names(result):
        unit = str(result.summary[f"targets.{name}.limit"][1])
        limit, planned, operated = (result.value(f"targets.{name}.{key}") for key in ("limit", "planned", "operated"))

        def worth(value: float, unit: str = unit) -> str:
            return number(value, 5) if unit == "1" else amount(value, unit, 5)

        found = _reached(result, name, "operated")
        operator = result.value(f"targets.{name}.operator")
        kind = TARGETS[str(result.value(f"targets.{name}.kind"))]
        text = f"{kind.called} {'at least' if kind.at_least else 'at most'} {worth(limit)}: {worth(planned)} in the plan, "
        text += f"{worth(operated)} in operation" if found.known else "not known in operation"
        place = "of which it is not known" if not found.known else "which misses it by most" if found.missed(OPERATED) else "the nearest to it"
        text += f" ({operator}, {place}, of several operators)" if operator else ""
        facts.append(Fact(f"Target {name}", text, not found.missed(OPERATED) if found.known else None))
    return facts


def _reached(result: RunResult, name: str, when: str) -> Reached:
    """A target and what plan or operation come to; NaN where that is not known."""
    value = result.value(f"targets.{name}.{when}")
    limit, unit = result.summary[f"targets.{name}.limit"]
    kind = str(result.value(f"targets.{name}.kind"))
    return Reached(kind, float("nan") if value is None else float(value), float(limit), str(unit), TARGETS[kind].at_least)
