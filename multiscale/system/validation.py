"""What is wrong with a system: every problem in one list, each with component, field, value, unit and remedy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import xarray as xr

from multiscale.attribute import Attribute
from multiscale.devices import DEVICES
from multiscale.measures import by_measure
from multiscale.system.problem import Problem, close_names, number_text
from multiscale.system.schema import COMPONENTS, LEVELS, TABLES
from multiscale.system.system import System
from multiscale.system.topology import proportion_problems, topology_problems

LARGEST_SHARE = 5.0
"""Largest share of a rating that a profile may have: ratings that are yearly means have such peaks, powers in kW are beyond."""


def validate(system: System) -> list[Problem]:
    """Everything that is wrong with a system; an empty list means it may be studied.

    Checked: declared ranges, choices and references of every attribute, duplicates, the tree, consistency of branches, profiles (NaN,
    uneven steps, unknown names), islands, loops below the transmission level, and powers out of proportion to the branch that
    supplies them (a wrong unit).
    """
    problems = [p for component in COMPONENTS for p in _attribute_problems(system, component)]
    problems += _profile_problems(system)
    problems += _share_problems(system)
    problems += _tree_problems(system)
    problems += _branch_problems(system)
    problems += _membership_problems(system)
    problems += _device_problems(system)
    problems += _option_problems(system)
    if not any(p.field in ("from_bus", "to_bus", "boundary_bus", "parent", "node", "level", "bus") for p in problems):
        problems += topology_problems(system)
        if not any(p.field == "rating_kva" for p in problems):
            problems += proportion_problems(system)
    return problems


# -- attributes -------------------------------------------------------------------------------------------------------
def _attribute_problems(system: System, component: str) -> Iterator[Problem]:
    data: xr.Dataset = getattr(system, TABLES[component])
    ids = data[component].values.astype(str)
    yield from (
        Problem(component, str(name), component, repr(str(name)), "", "occurs more than once; give every one a name of its own")
        for name in pd.unique(ids[pd.Index(ids).duplicated()])
    )
    yield from (Problem(component, "", component, "''", "", f"in row {k + 1} is empty; give it a name") for k in np.flatnonzero(ids == ""))
    for field, declared in COMPONENTS[component].items():
        values = data[field].values
        if declared.kind == "number":
            yield from _range_problems(component, ids, field, declared, values)
        elif declared.choices:
            for k in np.flatnonzero(~np.isin(values, declared.choices)):
                given = repr(str(values[k]))
                message = f"is not known{close_names(values[k], declared.choices)}; choose from {', '.join(c or repr(c) for c in declared.choices)}"
                yield Problem(component, ids[k], field, given, "", message)
        elif declared.refers_to:
            yield from _reference_problems(system, component, ids, field, declared, values)


def _range_problems(component: str, ids: np.ndarray, field: str, declared: Attribute, values: np.ndarray) -> Iterator[Problem]:
    optional = isinstance(declared.default, float) and np.isnan(declared.default)
    low = (values <= 0) if declared.positive else (values < declared.lower)
    cases: list[tuple[np.ndarray, str]] = [] if optional else [(np.isnan(values), "is missing; give a number")]
    if declared.positive:
        remedy = "give a rating or set in_service to false" if field == "rating_kva" else "give a value above zero"
        cases.append((low, f"is not above zero; {remedy}"))
    else:
        cases.append((low, f"is below {declared.lower:g} {declared.unit}; give a value of at least {declared.lower:g}"))
    message = f"is above {declared.upper:g} {declared.unit}; give a value of at most {declared.upper:g}, or check its unit"
    cases.append((values > declared.upper, message))
    cases.append((np.isinf(values) & np.isinf(declared.upper) & ~low, "is infinite; give a number"))
    for wrong, message in cases:
        for k in np.flatnonzero(wrong):
            yield Problem(component, ids[k], field, number_text(values[k]), declared.unit, message)


def _reference_problems(system: System, component: str, ids: np.ndarray, field: str, declared: Attribute, values: np.ndarray) -> Iterator[Problem]:
    target = declared.refers_to
    known = system.profiles.profile.values if target == "profile" else getattr(system, TABLES[target])[target].values
    # A set of texts is asked in a fraction of the time that sorting them takes.
    there = set(known.tolist())
    wrong = np.array([value not in there for value in values.tolist()], dtype=bool)
    # An empty reference is a statement of its own where the schema gives it as default, and at the top of the tree.
    if declared.default == "" or (component, field) == ("node", "boundary_bus"):
        wrong &= values != ""
    known_text = [str(k) for k in known]
    close: dict[str, str] = {}
    for k in np.flatnonzero(wrong):
        name = str(values[k])
        if name not in close:
            close[name] = close_names(name, known_text)
        yield Problem(component, ids[k], field, repr(name), "", f"is no {target} of the system{close[name]}; name one that exists, or add it")


# -- profiles ---------------------------------------------------------------------------------------------------------
def _profile_problems(system: System) -> Iterator[Problem]:
    time = pd.DatetimeIndex(system.profiles.time.values)
    names = system.profiles.profile.values.astype(str)
    yield from (
        Problem("profile", str(name), "profile", repr(str(name)), "", "occurs more than once; give every one a name of its own")
        for name in pd.unique(names[pd.Index(names).duplicated()])
    )
    if len(time) < 2 or abs(time[-1] - time[0] + (time[1] - time[0])) < pd.Timedelta(days=1):
        yield Problem("profile", "time", "time", str(len(time)), "", "time stamps do not make a day; give at least one whole day, better a year")
        return
    steps = np.diff(time.to_numpy())
    uneven = np.flatnonzero(steps != steps[0])
    if len(uneven) or steps[0] <= np.timedelta64(0):
        k = int(uneven[0]) if len(uneven) else 0
        minutes = steps[k] / np.timedelta64(60, "s")
        message = f"after {time[k]} differs from the first; give evenly spaced, increasing time stamps"
        yield Problem("profile", "time", "step", number_text(float(minutes)), "min", message)
    for variable in ("p", "q"):
        values = system.profiles[variable].transpose("time", "profile").to_numpy()
        for j in np.flatnonzero(~np.isfinite(values.sum(axis=0))):
            gaps = np.flatnonzero(~np.isfinite(values[:, j]))
            if not len(gaps):
                continue
            message = f"at {time[gaps[0]]} is the first of {len(gaps)} gaps; fill them or leave the profile out"
            yield Problem("profile", str(names[j]), variable, str(values[gaps[0], j]), "", message)


def outside_shares(values: np.ndarray, largest: float = LARGEST_SHARE) -> tuple[int | None, int | None]:
    """Positions of the lowest share where it is below zero, and of the highest where it is beyond the largest that a rating can mean; else None."""
    if not np.isfinite(values).any():
        return None, None
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    return low if values[low] < 0 else None, high if values[high] > largest else None


def _share_problems(system: System) -> Iterator[Problem]:
    """Profiles of devices and generators that are no shares of a rating: below zero, or beyond all that a rating can mean."""
    named = {str(n) for data in (system.devices, system.generators) for n in data.profile.values.tolist() if n}
    time, names = system.profiles.time.values, system.profiles.profile.values.astype(str)
    for j in np.flatnonzero(np.isin(names, list(named))):
        values = np.asarray(system.profiles.p.transpose("time", "profile")[:, j], dtype=float)
        low, high = outside_shares(values)
        if low is not None:
            message = f"at {pd.Timestamp(time[low])} is below 0; a share of the rating is not negative: what feeds in is a generator of its own"
            yield Problem("profile", str(names[j]), "p", number_text(values[low]), "1", message)
        if high is not None:
            message = f"at {pd.Timestamp(time[high])} is above {LARGEST_SHARE:g}; give shares of the rating, not powers"
            yield Problem("profile", str(names[j]), "p", number_text(values[high]), "1", message)


# -- tree and membership ----------------------------------------------------------------------------------------------
def _tree_problems(system: System) -> Iterator[Problem]:
    nodes = system.nodes
    names, parents, levels, roots = (nodes[c].values.astype(str).tolist() for c in ("node", "parent", "level", "boundary_bus"))
    tops = [name for name, parent in zip(names, parents, strict=True) if not parent]
    if len(tops) != 1:
        yield Problem("node", ", ".join(tops) or "-", "parent", "''", "", f"marks {len(tops)} top nodes; exactly one node has no parent")
        return
    level = dict(zip(names, levels, strict=True))
    above = dict(zip(names, parents, strict=True))
    for name, root in zip(names, roots, strict=True):
        seen, walk = {name}, above[name]
        while walk and walk in above and walk not in seen:
            seen.add(walk)
            walk = above[walk]
        if walk in seen:
            yield Problem("node", name, "parent", repr(above[name]), "", "leads in a circle; the parents must lead to the top")
        parent = above[name]
        if parent in level and level[name] in LEVELS and level[parent] in LEVELS and LEVELS.index(level[parent]) >= LEVELS.index(level[name]):
            message = f"is a {level[parent]}, which cannot be above a {level[name]}; the order is {' > '.join(LEVELS)}"
            yield Problem("node", name, "parent", repr(parent), "", message)
        if parent and not root:
            yield Problem("node", name, "boundary_bus", "''", "", "is missing; name the bus at which the node meets its parent")


def _branch_problems(system: System) -> Iterator[Problem]:
    branches, buses = system.branches, system.buses
    ids, on = branches.branch.values.astype(str), branches.in_service.values
    start, end = branches.from_bus.values, branches.to_bus.values
    for k in np.flatnonzero(start == end):
        yield Problem("branch", ids[k], "to_bus", repr(str(end[k])), "", "is also its from_bus; connect two different buses")
    short = on & (branches.r_ohm.values == 0) & (branches.x_ohm.values == 0)
    for k in np.flatnonzero(short):
        yield Problem("branch", ids[k], "x_ohm", "0", "ohm", "and r_ohm 0 ohm are both zero; give an impedance, or fuse the two buses")
    # A voltage that is wrong itself says nothing about what stands at its bus.
    nominal_kv = np.where(buses.vn_kv.values > 0, buses.vn_kv.values, np.nan)
    voltage = dict(zip(buses.bus.values.tolist(), nominal_kv.tolist(), strict=True))
    high = np.array([voltage.get(b, np.nan) for b in start.tolist()])
    low = np.array([voltage.get(b, np.nan) for b in end.tolist()])
    is_line = branches.kind.values == "line"
    for k in np.flatnonzero(is_line & (np.abs(high - low) > 0.1 * np.fmax(high, low))):
        message = f"differs from the {high[k]:g} kV at its other end; a line joins buses of one nominal voltage, between two it takes a transformer"
        yield Problem("branch", ids[k], "to_bus", number_text(low[k]), "kV", message)
    is_transformer = branches.kind.values == "transformer"
    for field, nominal in (("vn_hv_kv", high), ("vn_lv_kv", low)):
        rated = branches[field].values
        wrong = is_transformer & ~((rated > 0.5 * nominal) & (rated < 2.0 * nominal)) & np.isfinite(nominal)
        for k in np.flatnonzero(wrong):
            message = f"does not fit the {nominal[k]:g} kV of its bus; give the rated voltage in kV, from_bus being the higher side"
            yield Problem("branch", ids[k], field, number_text(rated[k]), "kV", message)
    level = dict(zip(system.nodes.node.values.tolist(), system.nodes.level.values.tolist(), strict=True))
    meshed = np.array([level.get(node) == "tso" for node in branches.node.values.tolist()], dtype=bool)
    for k in np.flatnonzero((branches.kind.values == "line") & (branches.r_ohm.values < 0) & ~meshed):
        message = "is below zero, which below the top only a leg of a three-winding transformer may have; give a value of at least 0"
        yield Problem("branch", ids[k], "r_ohm", number_text(branches.r_ohm.values[k]), "ohm", message)
    lowest_v, highest_v = buses.v_min_pu.values, buses.v_max_pu.values
    for k in np.flatnonzero(lowest_v > highest_v):
        message = f"is above its v_max_pu {highest_v[k]:g} pu; exchange or correct them"
        yield Problem("bus", str(buses.bus.values[k]), "v_min_pu", number_text(lowest_v[k]), "pu", message)
    for k in np.flatnonzero(on & meshed & (branches.x_ohm.values == 0) & ~short):
        yield Problem("branch", ids[k], "x_ohm", "0", "ohm", "is zero, and flows of the transmission level are shared by reactance; give one")
    generators = system.generators
    lowest, largest = generators.p_min_kw.values, generators.p_max_kw.values
    for k in np.flatnonzero((lowest > largest) | (lowest < -np.abs(largest))):
        name, least, most = str(generators.generator.values[k]), float(lowest[k]), float(largest[k])
        wrong = f"is above its p_max_kw {most:g} kW; lower it" if least > most else f"is below minus its p_max_kw {most:g} kW; raise it"
        yield Problem("generator", name, "p_min_kw", number_text(least), "kW", wrong)


def _membership_problems(system: System) -> Iterator[Problem]:
    level = dict(zip(system.nodes.node.values.tolist(), system.nodes.level.values.tolist(), strict=True))
    prosumers = system.prosumers
    for name, node in zip(prosumers.prosumer.values.tolist(), prosumers.node.values.tolist(), strict=True):
        if level.get(node, "platform") != "platform":
            yield Problem("prosumer", name, "node", repr(node), "", f"is a {level[node]}; a prosumer trades on a platform")
    at = dict(zip(prosumers.prosumer.values.tolist(), prosumers.bus.values.tolist(), strict=True))
    devices = system.devices
    for name, owner, bus in zip(devices.device.values.tolist(), devices.prosumer.values.tolist(), devices.bus.values.tolist(), strict=True):
        if owner in at and at[owner] != bus:
            message = f"is not the connection point {at[owner]!r} of its prosumer {owner!r}; move one of them"
            yield Problem("device", name, "bus", repr(bus), "", message)


def _device_problems(system: System) -> Iterator[Problem]:
    """Columns without which a device of some kind cannot be used."""
    devices = system.devices
    names, kinds = devices.device.values.astype(str), devices.kind.values.astype(str)
    for device in DEVICES.values():
        mine = np.flatnonzero(np.isin(kinds, device.kinds))
        for column in device.required:
            declared, values = device.columns[column], devices[column].values
            given = values != "" if declared.kind == "text" else values > 0
            for k in mine[~given[mine]]:
                shown, unit = (repr(str(values[k])), "") if declared.kind == "text" else (number_text(float(values[k])), declared.unit)
                yield Problem("device", names[k], column, shown, unit, f"is not enough for a {kinds[k]}; give the {declared.meaning}")


def _option_problems(system: System) -> Iterator[Problem]:
    """What an option lacks, or why it cannot be built on its branch."""
    position = pd.Index(system.branches.branch.values)
    if position.has_duplicates:  # which of two branches of one name an option means is open
        return
    for measure, mine, columns in by_measure(system.options):
        names = system.options.option.values[mine].astype(str)
        for column in measure.required:
            declared = measure.columns[column]
            for name in names[columns[column] == 0].tolist():
                yield Problem("option", name, column, "0", declared.unit, "is not above zero; give a value above zero")
        at = position.get_indexer(columns["branch"])
        there = np.flatnonzero(at >= 0)
        branches = {str(c): system.branches[c].values[at[there]] for c in system.branches.data_vars}
        if not measure.transmission:
            for k in np.flatnonzero(system.branches.node.values[at[there]] == system.top).tolist():
                message = "is a branch of the transmission network, whose DC power flow knows ratings and reactances alone; choose another kind"
                yield Problem("option", names[there[k]], "branch", repr(str(columns["branch"][there[k]])), "", message)
        for k, column, message in measure.problems({c: values[there] for c, values in columns.items()}, branches):
            yield Problem("option", names[there[k]], column, repr(str(columns[column][there[k]])), "", message)
    yield from _transmission_option_problems(system, position)


def _transmission_option_problems(system: System, position: pd.Index) -> Iterator[Problem]:
    """A branch of the transmission network has one option at most: what several do together is not the sum of what each does."""
    options = system.options
    at = position.get_indexer(options.branch.values)
    meshed = np.flatnonzero((at >= 0) & (system.branches.node.values[at] == system.top)) if len(at) else np.zeros(0, dtype=int)
    again = meshed[pd.Index(options.branch.values[meshed]).duplicated()]
    for k in again.tolist():
        message = "has another option already, and a branch of the transmission network may have one; keep one of them"
        yield Problem("option", str(options.option.values[k]), "branch", repr(str(options.branch.values[k])), "", message)
