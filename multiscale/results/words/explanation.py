"""Why a run ended as it did, in the terms of its user: component, time, limit, unit, and what would have to change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from multiscale.results.data.dataset import has
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.answer import STATUS_WORDS, value_reached
from multiscale.results.words.explained_network import SEEN_KW, binding, reinforcement_reasons
from multiscale.results.words.numbers import THIN, amount, euros, number, percent, plural, reached_percent
from multiscale.results.words.planning_words import is_planned
from multiscale.results.words.regime_words import ROUNDING_EUR

LISTED = 10
"""Entries that a list of an explanation shows before it says how many more there are."""


@dataclass(frozen=True)
class Part:
    """A question, and what answers it, line by line."""

    question: str
    lines: tuple[str, ...]


def explained(result: RunResult) -> list[Part]:
    """The explanation of a run, whole or not; for a run of several years, of its last."""
    if result.dataset is None:
        return [_stopped(result), _log(result)]
    last = result.of_year()
    data = last.dataset
    assert data is not None
    return [
        _status(last),
        Part("What is built, and why?", tuple(reinforcement_reasons(last))),
        _gap(last),
        Part("Which limits bind with the plan?", tuple(shortened(binding(last)))),
        Part("Which demand is not served?", tuple(shortened(_unserved(data)))),
    ]


def shortened(lines: list[str]) -> list[str]:
    """The first lines of a list, and how many more there are."""
    more = len(lines) - LISTED
    return lines if more <= 0 else [*lines[:LISTED], f"and {more} more (the dataset and the report have all)"]


def _status(result: RunResult) -> Part:
    if result.status == "optimal":
        plan = "the plan is proven to the gap asked for" if is_planned(result) else "nothing was to be planned"
        return Part("Why optimal?", (f"{plan}, no check failed, and everything is served",))
    stated = result.details.get("reasons") or [str(result.details.get("message", "")) or "the run folder states no reason"]
    return Part(f"Why {result.status} and not optimal?", tuple(str(reason) for reason in stated))


def _gap(result: RunResult) -> Part:
    """How far the plan is proven, by operator: what was asked for, what is left and why; and the same of the coordination."""
    asked, lines = result.config().get("planning", {}), []
    for dso, proof in result.provenance().get("certificates", {}).items():
        left, moved = proof.get("gap in EUR/a"), proof.get("what decisions move in EUR/a")
        if left is None:
            lines.append(f"{dso}: no gap is stated, so nothing is proven of its plan")
            continue
        # Less than a cent is rounding of the solvers.
        left = 0.0 if abs(left) < ROUNDING_EUR else left
        share = f", {percent(left / moved)} of the {euros(moved, per_year=True)} that decisions move" if moved else ""
        limits = [f"{amount(asked[key], unit)}" for key, unit in (("gap_eur", "EUR/a"),) if asked.get(key) is not None]
        limits += [f"{percent(asked['gap'])} of the cost"] if asked.get("gap") else []
        why = str(proof.get("message") or "the search ended at the gap asked for")
        lines.append(f"{dso}: {euros(left, per_year=True)}{share}; asked for: {' or '.join(limits) or 'nothing'}; {why}")
    gap, reached = result.value("coordination.gap"), value_reached(result)
    if gap is not None and np.isfinite(gap):
        cost, bound = result.value("coordination.cost"), result.value("coordination.bound")
        kept = f"; {reached_percent(reached)} of what coordination can save" if reached is not None and np.isfinite(reached) else ""
        lines.append(f"operation: {euros(cost - bound, per_year=True)} above the proven bound of any coordination ({percent(gap)}){kept}")
    return Part("Why this gap?", tuple(lines or ["nothing was planned or coordinated that has a bound"]))


def _unserved(data: xr.Dataset) -> list[str]:
    """Place by place: energy of the year, hours, when it is the most."""
    if not has(data, "unserved_power", "period_hours"):
        return ["none" if "unserved_power" in data else "not known: this run was made before demand that is not served was kept by time"]
    lines = []
    power, hours = data.unserved_power.sel(scenario=data.attrs["headline"]), data.period_hours
    for place in data.unserved_place.values.tolist():
        here = power.sel(unserved_place=place).values
        there = here > SEEN_KW
        if not there.any():
            continue
        worst = int(here.argmax())
        energy, lasting = float((here * hours.values).sum()), float(hours.values[there].sum())
        when = f"the most, {amount(here[worst], 'kW')}, at {data.period.values[worst]}"
        lines.append(f"{place}: {amount(energy, 'kWh/a')} in {amount(lasting, 'h/a')}; {when}")
    return lines or ["none"]


def _stopped(result: RunResult) -> Part:
    """What stopped a run without an answer, and the least change that would let it go on."""
    details = result.details
    stage = f" in stage '{details['stage']}'" if details.get("stage") else ""
    lines = [str(details.get("message") or "no reason was written: the process was ended from outside")]
    if relaxation := details.get("relaxation"):
        lines.append(_relaxed(relaxation))
    elif result.status == "infeasible":
        lines.append("least change that gives an answer: not determined for this kind of problem; 'multiscale validate' says what is wrong with data")
    remedies = {
        "interrupted": "the same command begins again and reads the stages that were finished",
        "running": "it may still be at work ('multiscale status'); if its process is gone, the same command begins again",
        "time_limit": "allow more work (planning.solve_limit, planning.time_limit_s, solver.time_limit_s), or ask for a wider gap (planning.gap_eur)",
        "error": "the traceback is in log.jsonl",
    }
    if result.status in remedies:
        lines.append(remedies[result.status])
    done = [f"{name} {number(float(seconds), 2)}{THIN}s" for name, seconds in details.get("stages", {}).items()]
    lines.append(f"stages that were reached: {', '.join(done)}" if done else "no stage was finished")
    return Part(f"What stopped it{stage}? ({STATUS_WORDS.get(result.status, result.status)})", tuple(lines))


def _relaxed(relaxation: dict[str, Any]) -> str:
    value, needed, unit = float(relaxation["value"]), float(relaxation["needed"]), str(relaxation["unit"])
    more = amount(needed - value, unit)
    return (
        f"least change: {relaxation['setting']} from {amount(value, unit)} to at least {amount(needed, unit, 4)} ({more} more); "
        f"this is necessary for a plan of {relaxation['of']}, and may not be enough"
    )


def _log(result: RunResult) -> Part:
    """The last warnings and errors of the log."""
    path = result.folder / "log.jsonl"
    if not path.is_file():
        return Part("What does its log say?", ("there is no log",))
    lines, unread = [], 0
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(text)
        except ValueError:
            # A process that was killed may leave half a line.
            unread += 1
            continue
        if not isinstance(entry, dict):
            unread += 1
        elif entry.get("level") in ("WARNING", "ERROR", "CRITICAL"):
            lines.append(f"{entry.get('stage') or 'start'}: {str(entry.get('message', '')).partition(chr(10))[0]}")
    broken = [f"{plural(unread, 'line')} could not be read"] if unread else []
    return Part("What does its log say?", tuple(lines[-LISTED:] + broken) or ("no warning and no error",))
