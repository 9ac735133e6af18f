"""The tables printed: ours next to the published ones, orderings, and where the published tables contradict each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from .measures import Measures
from .published import (
    BENEFIT,
    CATEGORIES,
    CONSUMERS,
    IMPORT_PRICE,
    LOCAL_PRICE,
    ORDERINGS,
    OWNERS_COVERED,
    SCENARIOS,
    TABLES,
    TOWN_HALL_CONSUMPTION,
    TOWN_HALL_COVERED,
    TOWN_HALL_LARGE,
    TRADED,
)
from .returns import SCHEMES, Return

FIELDS = dict(zip(TABLES, ("benefit", "traded", "self_consumption"), strict=True))

Results = Mapping[str, Mapping[str, Measures]]
"""Scenario -> kind of participant -> measures."""


def compared(results: Results) -> list[str]:
    """Every published value, ours, and the difference [% and percentage points]."""
    lines = []
    for table, kinds in TABLES.items():
        lines += ["", f"{table} [%]: ours / published (difference in percentage points)", f"{'':6}" + "".join(f"{kind:>24}" for kind in kinds)]
        for scenario in results:
            cells = []
            for kind, values in kinds.items():
                published, found = values[list(SCENARIOS).index(scenario)], results[scenario].get(kind)
                if published is None or found is None:
                    cells.append("-")
                    continue
                own = getattr(found, FIELDS[table])
                cells.append(f"{own:.1f} / {published:.1f} ({own - published:+.1f})")
            lines.append(f"{scenario:6}" + "".join(f"{cell:>24}" for cell in cells))
    return lines


def orderings(results: Results) -> list[tuple[str, bool, bool]]:
    """What the published tables say of scenarios against each other: in words, whether it holds here, and whether in the published values."""
    out = []
    for table, kind, scenarios, equal in ORDERINGS:
        if not set(scenarios) <= set(results):
            continue
        own = [getattr(results[s][kind], FIELDS[table]) for s in scenarios]
        published = [TABLES[table][kind][list(SCENARIOS).index(s)] for s in scenarios]
        words = f"{table}, {kind}: " + (" <= " if equal else " < ").join(scenarios)
        out.append((words, _rising(own, equal=equal), _rising(published, equal=equal)))
    return out


def _rising(values: Sequence[float], *, equal: bool) -> bool:
    return all(a <= b if equal else a < b for a, b in pairwise(values))


def contradictions(results: Results) -> list[str]:
    """For a member without generation, the benefit is the share traded inside times ``(import price - local price) / import price``."""
    factor = (IMPORT_PRICE - LOCAL_PRICE) / IMPORT_PRICE
    lines = ["", f"Members without PV: benefit = share traded inside x {factor:.4f} at the printed prices"]
    lines.append(f"{'':22}" + "".join(f"{s:>9}" for s in SCENARIOS))
    implied = [factor * share for share in TRADED[CONSUMERS]]
    rows = [("Table 4 implies", implied), ("Table 3 states", BENEFIT[CONSUMERS])]
    rows.append(("ratio", [b / i for b, i in zip(BENEFIT[CONSUMERS], implied, strict=True)]))
    rows.append(("price gap that fits", [b / s * IMPORT_PRICE for b, s in zip(BENEFIT[CONSUMERS], TRADED[CONSUMERS], strict=True)]))
    for name, values in rows:
        digits = 3 if "gap" in name or name == "ratio" else 1
        lines.append(f"{name:22}" + "".join(f"{v:>9.{digits}f}" for v in values))
    more = [100 * (ratio - 1) for ratio in rows[2][1]]
    allowed = f"the benefit is {min(more):.0f} to {max(more):.0f} % larger than the share of local trade allows"
    lines.append(f"The published Tables 3 and 4 cannot both hold at the printed prices: {allowed}.")
    for scenario, kinds in results.items():
        mine = kinds[CONSUMERS]
        if abs(mine.benefit - factor * mine.traded) > 1e-6:
            raise ValueError(f"{scenario}: benefit and share of local trade of members without PV contradict each other")
    shares, benefits = (dict(zip(SCENARIOS, values[CONSUMERS], strict=True)) for values in (TRADED, BENEFIT))
    smaller, larger = f"{shares['S8']} < {shares['S1']} %", f"{benefits['S8']} > {benefits['S1']} %"
    lines.append(f"S8 has a smaller share of local trade than S1 ({smaller}) and a larger benefit ({larger}): nor does the identity allow that.")
    lines.append("Ours fulfil the identity in every scenario.")
    owned = sum(c.consumption * c.owners for c in CATEGORIES)
    yields = OWNERS_COVERED * owned / sum(c.installed for c in CATEGORIES), TOWN_HALL_COVERED * TOWN_HALL_CONSUMPTION / TOWN_HALL_LARGE
    lines.append(
        f"Covering 80 % of the owners' consumption with 96 kW takes {yields[0]:,.0f} kWh/kW, 75 % of the Town Hall's with 99 kW {yields[1]:,.0f}:"
    )
    lines.append(f"the same plants cannot yield both, {100 * (yields[1] / yields[0] - 1):.0f} % apart; here each is scaled to its own total.")
    return lines


def of_returns(found: Mapping[str, Mapping[tuple[str, bool], Return]]) -> list[str]:
    """Payback and internal rate of return by scenario and scheme."""
    lines = ["", "Members' photovoltaics: payback [a] and internal rate of return [%/a], without -> with the market"]
    lines += ["(our own addition: neither these nor a cost of photovoltaics is published)", f"{'':6}" + "".join(f"{s:>34}" for s in SCHEMES)]
    for scenario, values in found.items():
        cells = []
        for scheme in SCHEMES:
            alone, market = values[scheme, False], values[scheme, True]
            cells.append(f"{f'{alone.payback:.1f} -> {market.payback:.1f} a, {100 * alone.rate:.1f} -> {100 * market.rate:.1f} %':>34}")
        lines.append(f"{scenario:6}" + "".join(cells))
    return lines
