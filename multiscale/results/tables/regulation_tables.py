"""The table of what the regime leaves the operators with, and what it costs society."""

from __future__ import annotations

import pandas as pd

from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import CENT, Table
from multiscale.results.words.numbers import euros, plural
from multiscale.results.words.regime_words import regime_of

ROWS: tuple[tuple[str, str, float, str], ...] = (
    # entry, in words, factor, unit
    ("revenue", "revenue under the tariff", 1.0, "EUR/a"),
    ("allowed", "allowed revenue", 1.0, "EUR/a"),
    ("balance", "balance carried forward: allowed less collected", 1.0, "EUR/a"),
    ("payment", "incentives less penalties", 1.0, "EUR/a"),
    ("operating_cost", "operating cost", 1.0, "EUR/a"),
    ("bought", "of which paid for flexibility", 1.0, "EUR/a"),
    ("depreciation", "depreciation", 1.0, "EUR/a"),
    ("cost_of_capital", "asset base at the true cost of capital", 1.0, "EUR/a"),
    ("profit", "profit of the operators", 1.0, "EUR/a"),
    ("asset_base", "asset base", 1.0, "EUR"),
    ("return_on_asset_base", "return on the asset base", 100.0, "%/a"),
    ("return_on_equity", "return on regulated equity", 100.0, "%/a"),
    ("stranded_share", "share of the investment in ratings that the peak does not need", 100.0, "%"),
)


def regulation_table(result: RunResult) -> Table | None:
    """The regulatory account, as planned and as operated."""
    rows = []
    for entry, words, factor, unit in ROWS:
        values = {when: result.value(f"regulation.{when}.{entry}") for when in ("planned", "operated")}
        if any(value is not None for value in values.values()) and (entry != "bought" or any(values.values())):
            shown = {when: float("nan") if value is None else factor * float(value) for when, value in values.items()}
            rows.append({"entry": words, **shown, "unit": unit})
    if not rows:
        return None
    note = f"Regime: {regime_of(result).aim} Costs are even over the years. Incentives and penalties are those of the plan, "
    note += "also in operation; supplier and state pay and receive them."
    return Table("regulation", "Regulatory account of the operators", pd.DataFrame(rows), note=note)


def social_comparison_table(result: RunResult) -> Table | None:
    """The plan under the regime next to that of least social cost."""
    if result.value("regulation.social.least_cost") is None:
        return None
    annuity = float(result.value("plan.reinforcement_annuity"))
    rows = [
        ("reinforcements", float(result.value("plan.reinforcements")), _value(result, "reinforcements"), ""),
        ("annuity of what is built", annuity, annuity - _value(result, "excess_annuity"), "EUR/a"),
        ("social cost", _value(result, "planned_cost"), _value(result, "least_cost"), "EUR/a"),
    ]
    frame = pd.DataFrame(rows, columns=["what", "regime", "least social cost", "unit"])
    note = "Least social cost: of plans whose prices recover their cost. "
    if result.value("stages.cost") is not None:
        note += "Both keep what the other years demand of this one under the regime. "
    note += f"Welfare loss: difference of the social costs, proven to be at most {_value(result, 'welfare_loss_at_most'):,.2f} EUR/a."
    return Table("social_comparison", "The regime's plan and that of least social cost", frame, note=note)


COMPARED: tuple[tuple[str, str], ...] = (
    ("cost", "cost of the network"),
    ("yardstick", "what the others' cost allows"),
    ("allowed", "largest allowed revenue"),
    ("profit", "profit"),
    ("largest_gain", "most to gain by another plan"),
)
"""Entries of the comparison of operators in the summary, and in words."""


def compared_operators_table(result: RunResult) -> Table | None:
    """Operators whose allowed revenue depends on each other's cost."""
    beginning = "regulation.yardstick.cost."
    names = [key.removeprefix(beginning) for key in result.summary if key.startswith(beginning)]
    rows = [{"operator": n} | {words: float(result.value(f"regulation.yardstick.{key}.{n}")) for key, words in COMPARED} for n in names]
    if not rows:
        return None
    rounds = int(result.value("regulation.yardstick.rounds"))
    # Runs of earlier versions, which ended in an error otherwise, do not say so.
    if result.value("regulation.yardstick.at_rest") in (None, True):
        moved = float(result.value("regulation.yardstick.cost_moved") or 0.0)
        last = f"In the last one costs moved by at most {euros(moved, True)}." if moved > CENT else "In the last one no cost moved."
        note = f"Operators planned in turn, in {plural(rounds, 'round')}, until no cost moved by more than the gap asked for. {last} "
        note += "What another plan can gain is proven against the cost of the others as it stands. There may be other equilibria."
    else:
        note = f"Not an equilibrium: operators planned in turn, and after {plural(rounds, 'round')} their costs repeat or still move. The plans are "
        note += "those of the round, of those that repeat or else of the last one, in which the largest gain by another plan is least while the "
        note += "others keep theirs; that gain is proven. "
        note += "There may be an equilibrium elsewhere."
    if result.value("stages.cost") is not None:
        note += " Plans of the years are linked: within a year the gain is that among the choices which the other years leave open."
    return Table("compared_operators", "Operators compared", pd.DataFrame(rows), dict.fromkeys((words for _, words in COMPARED), "EUR/a"), note)


YEARLY: tuple[tuple[str, str], ...] = (
    ("base", "asset base"),
    ("additions", "of which new"),
    ("renewals", "renewals"),
    ("depreciation", "depreciation"),
    ("closing_base", "asset base at the end"),
    ("operating_cost", "operating cost"),
    ("cost_of_capital", "cost of capital"),
    ("allowed", "allowed revenue"),
    ("revenue", "revenue"),
    ("payment", "incentives less penalties"),
    ("profit", "profit"),
    ("interest", "interest on the account"),
    ("closing_balance", "regulatory account at the end"),
)
"""Entries of a calendar year of the account, and in words."""


def yearly_account_table(result: RunResult) -> Table | None:
    """The regulatory account of every calendar year, where several years were planned together."""
    data = result.dataset
    if data is None or "yearly_account" not in data or data.sizes["calendar_year"] < 2:
        return None
    account = data.yearly_account.to_pandas()
    frame = pd.DataFrame({"year": account.index.astype(str), "studied": data.studied_year.values.astype(int).astype(str)})
    frame = frame.assign(**{words: account[entry].to_numpy() for entry, words in YEARLY}).dropna(axis="columns", how="all")
    note = (
        "Recomputed from the ledger, all operators together. A year that was not studied has revenue and incentives of the studied year before it. "
        "Assets are written down in a straight line, at prices of one year; the existing network is renewed as it is written down. "
    )
    if regime_of(result).recovers_cost:
        note += "Prices go by even yearly costs, so the account grows while assets are new and falls later."
    else:
        note += "The operators keep what they collect: nothing is carried forward."
    return Table("yearly_account", "Regulatory account by calendar year", frame, {words: "EUR" for _, words in YEARLY if words in frame}, note)


def _value(result: RunResult, key: str) -> float:
    return float(result.value(f"regulation.social.{key}"))
