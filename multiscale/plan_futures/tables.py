"""Tables of what strategies cost, what is regretted in each future, and what is built when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from multiscale.plan_futures.futures import Future
from multiscale.plan_futures.strategies import DECIDING_NOW, FORESIGHT, WAITING, Strategy


def cost_table(found: Sequence[Strategy]) -> pd.DataFrame:
    """Expected present value of every strategy and its bound [EUR]."""
    rows = [
        {
            "strategy": s.name,
            "expected cost (EUR)": s.cost,
            "proven bound (EUR)": s.bound,
            "gap (EUR)": s.cost - s.bound,
            "plans made": s.made,
            "remark": s.ended,
        }
        for s in found
    ]
    return pd.DataFrame(rows)


def value_table(found: Sequence[Strategy]) -> pd.DataFrame:
    """What waiting and knowing are worth [EUR], between what is proven at least and at most; differences below zero are zero."""
    by_name = {s.name: s for s in found}
    rows = []
    for what, dear, cheap in (
        ("waiting: deciding now less waiting", DECIDING_NOW, WAITING),
        ("knowing: waiting less foresight", WAITING, FORESIGHT),
    ):
        more, less = by_name[dear], by_name[cheap]
        rows.append(
            {
                "worth of": what,
                "at least (EUR)": max(0.0, more.bound - less.cost),
                "found (EUR)": max(0.0, more.cost - less.cost),
                "at most (EUR)": max(0.0, more.cost - less.bound),
            }
        )
    return pd.DataFrame(rows)


def future_table(found: Sequence[Strategy], futures: Sequence[Future], weights: Mapping[int, float]) -> pd.DataFrame:
    """Present value of every strategy in every future, and the regret against foresight [EUR]."""
    best = {f.name: next(s for s in found if s.name == FORESIGHT).cost_in(f.name, weights) for f in futures}
    rows = []
    for s in found:
        cost = {f.name: s.cost_in(f.name, weights) for f in futures}
        regret = {f: cost[f] - best[f] for f in cost}
        worst = max(regret, key=lambda f: regret[f])
        rows.append(
            {
                "strategy": s.name,
                **{f"cost in {f} (EUR)": value for f, value in cost.items()},
                **{f"regret in {f} (EUR)": value for f, value in regret.items()},
                "largest regret in": worst if regret[worst] > 0 else "",
            }
        )
    return pd.DataFrame(rows)


def built_table(found: Sequence[Strategy]) -> pd.DataFrame:
    """First year in which every option is built, by strategy and future; options that are built nowhere are excluded."""
    rows = []
    for s in found:
        first: dict[str, dict[str, int]] = {}
        for (year, future), plans in sorted(s.plans.items()):
            for plan in plans.values():
                for option in (o for o, yes in plan.built.items() if yes):
                    first.setdefault(option, {}).setdefault(future, year)
        rows += [{"strategy": s.name, "option": option, **{f"built in {f}": year for f, year in when.items()}} for option, when in first.items()]
    return pd.DataFrame(rows).convert_dtypes() if rows else pd.DataFrame(columns=["strategy", "option"])
