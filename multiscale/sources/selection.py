"""The system of a study: load, grow, and keep what is studied in detail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from multiscale.sources import SystemSettings, load_system
from multiscale.sources.generation_costs import CO2_PRICE
from multiscale.system import InvalidSystemError, Problem, System, grow, validate
from multiscale.system.problem import close_names


def study_system(settings: SystemSettings, co2_price: float = CO2_PRICE, reached: float = 1.0) -> System:
    """Load a system, let it grow, and cut it to what is studied.

    Growth comes first and applies to every prosumer of the chosen DSOs, also those whose platform is not studied in detail: they
    become passive demand with the new devices.

    Args:
        settings: of one source. A number of platforms is spread evenly over the list of every DSO.
        co2_price: for the marginal costs of wholesale generators [EUR/t], where the source does not state them.
        reached: share of the growth that is complete [1].

    Raises:
        InvalidSystemError: the data has problems, or a DSO or platform does not exist; all are listed.
    """
    system, name = load_system(settings, co2_price), settings.name
    dsos, platforms = settings.dsos, settings.platforms
    chosen = system.at_level("dso") if dsos == "all" else _named(dsos)
    problems = [*(validate(system) or _lacks(system)), *_unknown(system, "dso", chosen)]
    if platforms != "all" and not isinstance(platforms, int):
        problems += _unknown(system, "platform", _named(platforms))
    if problems:
        raise InvalidSystemError(problems)
    kept = {system.top, *chosen, *(child for dso in chosen for child in system.children(dso))}
    if kept == set(system.nodes.node.values.tolist()):
        system = system.replace(name=name or system.name)
    else:
        system = system.cut(sorted(kept), name or system.name)
    system = grow(system, settings.growth, reached)
    if settings.voltage_setpoint_pu is not None:
        system = _held_at(system, chosen, settings.voltage_setpoint_pu)
    if platforms == "all":
        return system
    if isinstance(platforms, int):
        studied = [name for dso in chosen for name in _spread(system.children(dso), platforms)]
    else:
        studied = _named(platforms)
    return system.cut([*chosen, *studied])


def _held_at(system: System, dsos: Sequence[str], voltage_pu: float) -> System:
    """The system with the tap changers of the DSOs at another set point."""
    branches = system.branches
    changed = np.isin(branches.node.values, list(dsos)) & np.isfinite(branches.v_setpoint_pu.values)
    held = np.where(changed, voltage_pu, branches.v_setpoint_pu.values)
    note = f"the set point of {int(changed.sum())} on-load tap changers is {voltage_pu:g} pu"
    return system.replace(branches=branches.assign(v_setpoint_pu=("branch", held, branches.v_setpoint_pu.attrs)), notes=(*system.notes, note))


def _lacks(system: System) -> Iterator[Problem]:
    """What a study cannot do without."""
    if not system.at_level("dso"):
        yield Problem("system", system.name, "dso", "", "", "is missing; a study needs at least one node of that level, whose network is planned")
    if not system.generators.sizes["generator"]:
        yield Problem("system", system.name, "generator", "", "", "is missing; a study needs at least one, e.g. the grid above")


def _named(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _unknown(system: System, level: str, wanted: Sequence[str]) -> list[Problem]:
    """Names that no node of the level has."""
    there = system.at_level(level)
    some = ", ".join(there[:20]) + (f" and {len(there) - 20} more" if len(there) > 20 else "")
    remedy = f"choose from {some or 'none'}"
    return [
        Problem(level, name, f"system.{level}s", repr(name), "", f"does not exist in {system.name!r}{close_names(name, there)}; {remedy}")
        for name in wanted
        if name not in there
    ]


def _spread(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, evenly spaced."""
    if count >= len(names):
        return list(names)
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, count).round().astype(int))]
