"""Why reinforcements are built or not, and which limits of the network bind, for ``explain``."""

from __future__ import annotations

import numpy as np
import xarray as xr

from multiscale.results.data.dataset import FLOW_DIRECTIONS, compared_scenarios, has
from multiscale.results.run.run_result import RunResult
from multiscale.results.words.answer import Built, dc_loading, peak_loading, reinforcements
from multiscale.results.words.numbers import amount, euros, number, plural

BINDING_LOADING = 1.0
"""A branch within this many percent of its usable rating is at its limit [%]."""

SEEN_KW = 1e-3
"""Less power than this that is not served is rounding of the solver."""

BINDING_VOLTAGE = 1e-3
"""A bus within this of its band is at its limit [pu]."""


def reinforcement_reasons(result: RunResult) -> list[str]:
    """Why each option is built, and why those whose branch would be overloaded without response are not."""
    data = result.dataset
    if data is None or not has(data, "option_built", "option_branch"):
        return ["no reinforcement options were offered"]
    lines = [_built(data, one) for one in reinforcements(result)]
    lines += [f"not built: {text}" for text in _avoided(result, data)]
    offered = plural(data.sizes["option"], "option")
    return lines or [f"nothing: no branch with one of the {offered} exceeds its usable rating, even without any response"]


def _built(data: xr.Dataset, built: Built) -> str:
    if np.isfinite(built.above[0]):
        why = built.loading
    elif built.outage:
        why = "a single outage would overload it without"
    elif np.isfinite(built.need) and built.need > 100.0:
        why = f"without it and without response {_overload(data, built.branch, built.need)}"
    else:
        why = (
            f"its own usable rating is not exceeded without it and without response ({number(built.need)} %): it is built for the voltage behind it, "
            "or because it pays under the regime"
            if np.isfinite(built.need)
            else "the loading without response is not known"
        )
    after = f"; with the plan at most {number(built.peak)} % of the reinforced rating is used" if np.isfinite(built.peak) else ""
    return f"{built.branch} ({built.measure}, {euros(built.cost)}, +{amount(built.added_kva, 'kVA')}): {why}{after}"


def _overload(data: xr.Dataset, branch: str, need: float) -> str:
    """Loading of the usable rating, that rating, and hours and energy above it in the year."""
    text = f"{number(need)} % of the usable rating ({_usable(data, branch)})"
    if "overloaded_branch" in data.coords:
        # Parallel branches count as one, under their names joined.
        same = [k for k, names in enumerate(data.overloaded_branch.values.tolist()) if branch in str(names).split(", ")]
        if same and has(data, "overload_hours", "overload_energy"):
            k = same[0]
            way = str(data.overload_direction.values[k])
            hours, energy = float(data.overload_hours.values[k]), float(data.overload_energy.values[k])
            return f"{text} by {way}, above it in {amount(hours, 'h/a')} with {amount(energy, 'kWh/a')}"
    return f"{text} on a representative day"


def _usable(data: xr.Dataset, branch: str) -> str:
    if not has(data, "branch_usable", "branch_rating"):
        return "not kept in this run"
    shares, rating = data.branch_usable.sel(branch=branch).values, float(data.branch_rating.sel(branch=branch))
    return ", ".join(f"{amount(rating * s / 100, 'kVA')} {way}" for way, s in zip(FLOW_DIRECTIONS, shares.tolist(), strict=True))


def _avoided(result: RunResult, data: xr.Dataset) -> list[str]:
    """Branches above their usable rating without response whose option is not built, with what they reach in the plan."""
    if not has(data, "option_need"):
        return []
    seen: set[str] = set()
    taken = set(data.option_branch.values[data.option_built.values > 0.5].tolist())
    order = np.argsort(-np.nan_to_num(data.option_need.values, nan=-1.0))
    cut = has(data, "unserved_power") and float(data.unserved_power.sel(scenario=data.attrs["headline"]).max()) > SEEN_KW
    lines, how = [], "some demand is not served (below)" if cut else "all demand is served"
    for k in order.tolist():
        branch, need = str(data.option_branch.values[k]), float(data.option_need.values[k])
        if not need > 100.0 or branch in taken or branch in seen or branch not in data.branch.values:
            continue
        seen.add(branch)
        peak = peak_loading(result, branch)[1]
        reached = f"; with the plan it carries at most {number(peak)} % of its rating, and {how}" if np.isfinite(peak) else ""
        lines.append(f"{branch}: without response {_overload(data, branch, need)}{reached}")
    return lines


def binding(result: RunResult) -> list[str]:
    """What is at its limit in the headline scenario: distribution under AC power flow, the longest first; then transmission."""
    data, pair = result.dataset, compared_scenarios(result.dataset)
    if data is None or pair is None or not has(data, "loading", "voltage", "period_hours", "branch_usable"):
        return ["not known: no AC power flow was computed"]
    hours, found = data.period_hours.values, []
    loading = data.loading.sel(scenario=pair[1]).transpose("branch", "period").values
    usable = data.branch_usable.sel(branch=data.loading.branch).transpose("branch", "flow_direction").values
    for branch, here, shares in zip(data.loading.branch.values.tolist(), loading, usable, strict=True):
        there = here >= shares.min() - BINDING_LOADING
        if there.any():
            worst = int(np.nanargmax(here))
            limits = " and ".join(f"{number(share)} % {way}" for share, way in zip(shares.tolist(), FLOW_DIRECTIONS, strict=True))
            # The AC power flow keeps the loading without its direction: between the two shares only one of them can be the limit.
            sure = "" if here[worst] >= shares.max() - BINDING_LOADING else f", a limit if it then carries power {FLOW_DIRECTIONS[shares.argmin()]}"
            text = f"{branch}: loading {number(here[worst])} % of the rating at {data.period.values[worst]}, usable {limits}{sure}"
            found.append((float(hours[there].sum()), text))
    voltage = data.voltage.sel(scenario=pair[1]).transpose("bus", "period").values
    bands = (data.bus_v_min.sel(bus=data.voltage.bus).values, data.bus_v_max.sel(bus=data.voltage.bus).values)
    for bus, here, low, high in zip(data.voltage.bus.values.tolist(), voltage, *(b.tolist() for b in bands), strict=True):
        sides = ((here <= low + BINDING_VOLTAGE, here, low, "lowest"), (here >= high - BINDING_VOLTAGE, -here, high, "highest"))
        for there, ordered, limit, word in sides:
            if there.any():
                k = int(np.nanargmin(ordered))
                text = f"{bus}: voltage {number(here[k], 4)} pu at {data.period.values[k]}, {word} permitted {number(limit, 4)} pu"
                found.append((float(hours[there].sum()), text))
    found.sort(key=lambda one: -one[0])
    near = f"(within {BINDING_LOADING:g} % of a usable rating or {BINDING_VOLTAGE:g} pu of a band, AC power flow of the representative periods)"
    below = [f"{text}; at the limit in {amount(lasting, 'h/a')}" for lasting, text in found] or [f"of distribution none {near}"]
    return below + _binding_above(data)


def _binding_above(data: xr.Dataset) -> list[str]:
    """Lines of the transmission level that can be reinforced and are at their limit in its plan; nothing where it is not planned."""
    loading = {str(branch): dc_loading(data, k)[1] for k, branch in enumerate(data.option_branch.values)} if has(data, "option_branch") else {}
    how = "on the transmission level, under DC power flow at nodal prices"
    return [f"{branch}: {number(share)} % of its limit {how}" for branch, share in loading.items() if share >= 100.0 - BINDING_LOADING]
