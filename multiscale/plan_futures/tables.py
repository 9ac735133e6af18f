"""Tables of what strategies cost, what is regretted in each future, and what is built when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from multiscale.plan_futures.futures import Future
from multiscale.plan_futures.measures import expected, mean_of_worst
from multiscale.plan_futures.strategies import DECIDING_NOW, FORESIGHT, WAITING, Strategies


def cost_table(given: Strategies, futures: Sequence[Future], weights: Mapping[int, float], called: str) -> pd.DataFrame:
    """What every strategy is worth by the measure that was minimised, its bound, and by all measures [EUR].

    Args:
        given: the strategies.
        futures: of them.
        weights: year -> present value of 1 EUR/a [a].
        called: what the objective of a plan is, e.g. ``cost of the plan``.
    """
    probability, measure = {f.name: f.probability for f in futures}, given.measure
    rows = []
    for s in given.found:
        costs = s.costs(futures, weights)
        rows.append(
            {
                "strategy": s.name,
                f"minimised: {measure.words} (EUR)": s.value,
                "proven bound (EUR)": s.bound,
                "gap (EUR)": s.value - s.bound,
                f"expected {called} (EUR)": expected(costs, probability),
                f"{called}, mean of the worst {100.0 * measure.tail:g} % (EUR)": mean_of_worst(costs, probability, measure.tail),
                "largest regret (EUR)": max(costs[f] - measure.best[f] for f in costs),
                "plans made": s.made,
                "remark": s.ended,
            }
        )
    return pd.DataFrame(rows)


def value_table(given: Strategies) -> pd.DataFrame:
    """What waiting and knowing are worth by the measure [EUR], between what is proven at least and at most; differences below zero are zero."""
    by_name = {s.name: s for s in given.found}
    rows = []
    for what, dear, cheap in (
        ("waiting: deciding now less waiting", DECIDING_NOW, WAITING),
        ("knowing: waiting less foresight", WAITING, FORESIGHT),
    ):
        more, less = by_name[dear], by_name[cheap]
        rows.append(
            {
                "worth of": what,
                "at least (EUR)": max(0.0, more.bound - less.value),
                "found (EUR)": max(0.0, more.value - less.value),
                "at most (EUR)": max(0.0, more.value - less.bound),
            }
        )
    return pd.DataFrame(rows)


def future_table(given: Strategies, futures: Sequence[Future], weights: Mapping[int, float], called: str) -> pd.DataFrame:
    """Present value of every strategy in every future, and the regret against foresight [EUR]: as found, and at most as far as is proven."""
    best, rows = given.measure.best, []
    for s in given.found:
        cost = s.costs(futures, weights)
        regret = {f: cost[f] - best[f] for f in cost}
        worst = max(regret, key=lambda f: regret[f])
        rows.append(
            {
                "strategy": s.name,
                **{f"{called} in {f} (EUR)": value for f, value in cost.items()},
                **{f"regret in {f} (EUR)": value for f, value in regret.items()},
                **{f"regret in {f} at most (EUR)": cost[f] - given.proven[f] for f in cost},
                "largest regret in": worst if regret[worst] > 0 else "",
            }
        )
    return pd.DataFrame(rows)


def built_table(given: Strategies) -> pd.DataFrame:
    """First year in which every option is built, by strategy and future; options that are built nowhere are excluded."""
    rows = []
    for s in given.found:
        first: dict[str, dict[str, int]] = {}
        for (year, future), plans in sorted(s.plans.items()):
            for plan in plans.values():
                for option in (o for o, yes in plan.built.items() if yes):
                    first.setdefault(option, {}).setdefault(future, year)
        rows += [{"strategy": s.name, "option": option, **{f"built in {f}": year for f, year in when.items()}} for option, when in first.items()]
    return pd.DataFrame(rows).convert_dtypes() if rows else pd.DataFrame(columns=["strategy", "option"])
