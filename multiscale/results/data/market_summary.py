"""Summary values of a market that was operated with the program of another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multiscale.assessment.market_difference import MarketDifference
from multiscale.results.data.answer_data import YearAnswer


def market_statement(market: str, program: str) -> str:
    """What of a run is the market's own outcome, and what is not."""
    return (
        f"market {market} has no program of its own: plan, schedules, exchanges, network flows and real costs are those of market {program}; "
        "its own are who trades with whom, at which price, what is left to the supplier, and so the bills"
    )


LOSSES_COUNTED = (
    "losses of the platforms' networks are counted where platforms clear in the market: {lost:,.0f} kWh/a in the plan's operation. The plan itself, "
    "and what is operated without the market, count none, so a saving against these is understated by the cost of losses; market.losses=false "
    "compares without them"
)
"""What is said of a study whose market counts losses."""


def market_statements(answers: Sequence[YearAnswer]) -> list[str]:
    """The statements of a study: what of a run is not the market's own, and which scenarios count losses."""
    found = (market_summary(answer) for answer in answers)
    stated = [market_statement(s["market.kind"][0], s["market.program"][0]) for s in found if s]
    for answer in answers:
        lost = [book.losses.counted for day in answer.plan.operation.days for book in day.trades.values() if book.losses is not None]
        stated += [LOSSES_COUNTED.format(lost=sum(lost))] if lost else []
    return list(dict.fromkeys(stated))


def market_summary(answer: YearAnswer) -> dict[str, tuple[Any, str]]:
    """The difference from the market whose program was operated, over all platforms and days of the headline; empty where the market has its own."""
    books = [book for day in answer.plan.operation.days for book in day.trades.values()]
    found = [book.difference for book in books if book.difference is not None]
    if not found:
        return {}
    whole = MarketDifference.joined(found)
    return {
        "market.kind": (whole.market, ""),
        "market.program": (whole.program, ""),
        "market.traded": (whole.traded, "kWh/a"),
        "market.tradable": (whole.tradable, "kWh/a"),
        "market.gain": (whole.gain, "EUR/a"),
        "market.most_gain": (whole.most_gain, "EUR/a"),
        "market.bills_moved": (whole.bills_moved, "EUR/a"),
        "market.worst_rise": (whole.worst_rise, "EUR/a"),
        **{f"market.certificate.{name}": (measure.value, measure.unit) for name, measure in whole.certificate.items()},
    }
