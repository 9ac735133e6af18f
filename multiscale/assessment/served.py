"""What the network does not carry of a platform's exchange: cut off at its connection by the operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree
from multiscale.system import LoadingLimits


def cut_off(tree: OperatingTree, outcome: Outcome, platform: str) -> tuple[np.ndarray, np.ndarray]:
    """Demand of a platform that its operator sheds, and feed-in that it refuses [kW], (period,).

    Bills, energy accounts and ledger all take it from here; the AC power flow takes the same columns at the platform's busbar.
    """
    own = next(own for own in tree.distribution.values() if platform in own.children)
    x, place = outcome.distribution_x[own.program.name], own.children.index(platform)
    shed, spilled = (own.program.columns.values(name, x)[place] for name in ("shed", "spilled"))
    return shed, spilled


def unserved_power(tree: OperatingTree, outcome: Outcome) -> dict[str, np.ndarray]:
    """Demand that is not served: place -> power [kW], (period,).

    A place is a platform (what it does without itself, and what is cut off at its connection) or the passive customers of an operator. What a
    platform that was excluded does inside is not known.
    """
    found: dict[str, np.ndarray] = {}
    for dso, own in tree.distribution.items():
        found[f"passive customers of {dso}"] = own.program.columns.values("unserved", outcome.distribution_x[dso]).sum(axis=0)
        for platform in own.children:
            found[platform] = cut_off(tree, outcome, platform)[0]
            if platform not in outcome.excluded:
                inside = tree.platforms[platform].columns.values("unserved", outcome.platform_x[platform])
                found[platform] = found[platform] + inside.sum(axis=0)
    return found


def unserved_energy(trees: Sequence[OperatingTree], outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Demand that is not served over the year, where there is any: place of ``unserved_power`` -> energy [kWh/a], the most first."""
    found: dict[str, float] = {}
    for tree, outcome in zip(trees, outcomes, strict=True):
        for place, power in unserved_power(tree, outcome).items():
            found[place] = found.get(place, 0.0) + float((power * tree.horizon.hours_per_year).sum())
    return dict(sorted(((place, energy) for place, energy in found.items() if energy > 1e-6), key=lambda item: -item[1]))


def unserved_words(places: Mapping[str, float], limits: LoadingLimits, *, planned: bool) -> str:
    """What is not served, where, under which limits, and what could be done.

    Args:
        places: place -> energy that is not served [kWh/a], the most first.
        limits: usable ratings in force.
        planned: whether somebody could have built something.
    """
    named = ", ".join(f"{place} {energy:,.0f}" for place, energy in list(places.items())[:5])
    more = f", {len(places) - 5} more places" if len(places) > 5 else ""
    remedy = "" if planned else "; nothing is built (planning.kind=none): choose planning=dso, or other limits"
    return f"{sum(places.values()):,.0f} kWh/a of demand are not served ({named}{more}) under {limits.in_words()}{remedy}"
