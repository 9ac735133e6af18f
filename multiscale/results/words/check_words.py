"""What was checked again by other means, in plain words: power flows, representative days, ledger, approximations of the data."""

from __future__ import annotations

import numpy as np

from multiscale.results.run.run_result import RunResult
from multiscale.results.words.fact import Fact
from multiscale.results.words.numbers import number, plural
from multiscale.system.approximation import Approximation

APPROXIMATIONS_SHOWN = 3
"""Entries of the list of approximations in the closing table; all of them are in the report."""
SERVED_KWH = 0.05
"""Less energy than this that is not served is rounding [kWh]."""


def check_facts(result: RunResult) -> list[Fact]:
    """What was checked again by other means."""
    facts = []
    if "plan.certificate.follower_gap" in result.summary:
        apart = abs(found(result, "plan.certificate.follower_gap"))
        facts.append(Fact("Platforms' answer", f"solved again at the plan: relative difference {number(apart, 2)}", apart <= 1e-6))
    if {"ac.max_line_overload", "ac.max_voltage_violation"} & set(result.summary):
        violated, before = _violated(result, "ac."), _violated(result, "ac.existing.")
        text = (violated or "no limit violated at any step") + (f" (existing network: {before})" if before else "")
        facts.append(Fact("AC power flow", text, not violated))
    facts += [*outage_facts(result), *year_facts(result), *_days(result)]
    residuals = ("ledger.energy_residual", "ledger.money_residual")
    if set(residuals) <= set(result.summary):
        # Not a number where one of them is: Python's max would pass over it.
        worst = float(np.max(np.abs([found(result, key) for key in residuals])))
        text = "energy and money add up to zero" if worst <= 1e-6 else f"does not add up: residual {number(worst, 2)}"
        facts.append(Fact("Ledger", text, worst <= 1e-6))
    return [*facts, *_approximated(result)]


def _approximated(result: RunResult) -> list[Fact]:
    """What of the data is approximated or excluded: a warning that every reader sees."""
    rows = result.provenance().get("approximations", [])
    if not rows:
        return []
    shown = [str(a) for a in Approximation.from_records(rows[:APPROXIMATIONS_SHOWN])]
    more = f"; and {len(rows) - len(shown)} more (report, section Limitations)" if len(rows) > len(shown) else ""
    return [Fact("Approximated", f"{plural(len(rows), 'entry', 'entries')} of the data: {'; '.join(shown)}{more}", warned=True)]


def outage_facts(result: RunResult) -> list[Fact]:
    """AC power flow under single outages of lines: what the reserve of usable ratings is kept for."""
    value = result.value
    lines = value("ac.outages.lines")
    if lines is None:
        return []
    failed, dark, cut = (found(result, f"ac.outages.{key}") for key in ("failed", "unrestored", "feed_in_cut"))
    diverged = found(result, "ac.outages.diverged")
    held = failed == 0 and diverged == 0
    checked = int(lines) - int(dark)
    if not checked and held:
        return [Fact("AC, single outages", f"none of {plural(int(lines), 'line')} has a second feed: each outage interrupts supply", warned=True)]
    text = [f"no rating violated under any outage of {plural(checked, 'medium-voltage line')}, restored through the open lines"]
    if not held:
        branch = value("ac.outages.worst_branch")
        worst = f"{branch} is loaded to {number(value('ac.outages.worst_loading'))} % of its rating" if branch else "no solution of the power flow"
        text = [f"{counted(failed, 'outage')} of {int(lines)} not survived: {worst} after an outage of {value('ac.outages.worst_line')}"]
    text += [f"the power flow diverged under {counted(diverged, 'outage')}"] if diverged else []
    text += [f"feed-in has to be cut after {counted(cut, 'outage')}"] if cut else []
    text += [f"lowest voltage {number(value('ac.outages.lowest_voltage'))} pu (not judged)"]
    text += (
        [f"{plural(int(dark), 'further line' if held else 'line')} without a second feed (up to {number(value('ac.outages.demand_lost'))} kW)"]
        if dark
        else []
    )
    return [Fact("AC, single outages", "; ".join(text), held)]


def year_facts(result: RunResult) -> list[Fact]:
    """AC power flow of all hours of the year: by which operation limits are kept, and what is left of violations."""
    value = result.value
    hours = value("ac.year.hours")
    if hours is None:
        return []
    violated, diverged, cut_off = (found(result, f"ac.year.{key}") for key in ("violated_hours", "diverged_hours", "dispatched_unserved"))
    branches, buses, dark = (int(value(f"ac.year.{key}") or 0) for key in ("overloaded_branches", "buses_outside_band", "buses_without_supply"))
    days = int(value("ac.year.dispatched_days") or 0)
    parts = [f"the power flow diverged in {counted(diverged, 'hour')}"] if diverged else []
    parts += [f"{plural(dark, 'bus', 'buses')} without supply"] if dark else []
    if branches:
        parts.append(f"{plural(branches, 'branch', 'branches')} above the rating (by up to {number(value('ac.year.max_line_overload'))} %)")
    if buses:
        parts.append(f"{plural(buses, 'bus', 'buses')} outside the voltage band (by up to {number(value('ac.year.max_voltage_violation'))} pu)")
    held = violated == 0 and diverged == 0
    outcome = "no limit violated" if held else f"limits violated in {counted(violated, 'hour')}: {', '.join(parts)}"
    text = [f"{number(cut_off)} kWh are not served on days dispatched individually"] if not cut_off <= SERVED_KWH else []
    text.append(f"{outcome} in the {int(hours):,} hours, with {value('ac.year.basis')}")
    if days:
        before, tightened = int(value("ac.year.violated_hours_before") or 0), int(value("ac.year.tightened") or 0)
        under = f", under limits tightened {plural(tightened, 'time')}" if tightened else ""
        text.append(
            f"except on {plural(days, 'day')} of {int(hours) // 24}, where the response of another day violates limits "
            f"({plural(before, 'hour')} of the year): the DSO dispatches them individually, at least cost, without the mechanism of the study{under}"
        )
    text += [left] if (left := str(value("ac.year.left") or "")) else []
    passed = bool(held and cut_off <= SERVED_KWH)
    # What holds by another operation than that of the study is no passed check of the study.
    return [Fact("AC, whole year", "; ".join(text), None if passed and days else passed, warned=passed and days > 0)]


def counted(count: float, one: str, many: str = "") -> str:
    """A count that may have no value, in words."""
    return f"an unknown number of {many or one + 's'}" if count != count else plural(int(count), one, many)


def found(result: RunResult, key: str) -> float:
    """A figure of the summary; 0 where nothing of the kind was looked for, and not a number where it has no value: that is no zero."""
    if key not in result.summary:
        return 0.0
    value = result.value(key)
    return float("nan") if value is None else float(value)


def _days(result: RunResult) -> list[Fact]:
    """What the representative days miss of the year."""
    value = result.value
    if "horizon.overload_error" not in result.summary:
        return []
    days, total = int(value("horizon.days") or 0), int(value("horizon.overloaded_branches") or 0)
    energy = [found(result, key) for key in result.summary if key.startswith("horizon.energy_error.")]
    parts = [f"energies of the year within {signed_percent(float(np.max(np.abs(energy), initial=0.0))).lstrip('+')}"]
    demand, feed_in = (found(result, f"horizon.peak_{what}_error") for what in ("demand", "feed_in"))
    parts.append(f"peak demand {signed_percent(demand)}, peak feed-in {signed_percent(-feed_in)}")
    if total:
        worst = f"{signed_percent(found(result, 'horizon.overload_error_worst'))} on {value('horizon.overload_worst_branch')}"
        seen = f"{value('horizon.overloaded_branches_seen')} of {total} overloaded branches seen"
        parts.append(f"{seen}, energy above usable ratings {signed_percent(found(result, 'horizon.overload_error'))} (worst {worst})")
    return [Fact("Representative days", f"{plural(days, 'day')}: {'; '.join(parts)}", None, warned=bool(value("horizon.warnings")))]


def signed_percent(error: float) -> str:
    """An error in percent with its sign; 0 % where it rounds to nothing, and said not to be known where it has no value."""
    return "not known" if error != error else f"{error:+.1f} %".replace("-", "−") if abs(error) >= 0.05 else "0 %"


def _violated(result: RunResult, prefix: str) -> str:
    """What the AC power flow of a scenario found violated, in words; empty only where every step converged and kept all limits."""
    keys = ("max_line_overload", "max_voltage_violation", "diverged_steps", "buses_without_supply", "violations")
    overload, violation, diverged, dark, violations = (found(result, f"{prefix}{key}") for key in keys)
    parts = [f"it did not converge at {counted(diverged, 'step')}"] if diverged else []
    parts += [f"{counted(dark, 'bus', 'buses')} without supply"] if dark else []
    parts += [f"overload up to {number(overload)} %"] if not overload <= 1e-6 else []
    parts += [f"voltage outside its band by up to {number(violation)} pu"] if not violation <= 1e-9 else []
    if not parts and violations:
        parts = [f"{number(violations)} violations of limits"]
    return ", ".join(parts)
