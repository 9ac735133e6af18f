"""The trades of a study and their settlement as rows of its ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from multiscale.assessment.operated import OperatedDay
from multiscale.assessment.trading import TradeBook
from multiscale.results.data.answer_data import YearAnswer
from multiscale.results.run.ledger_file import COLUMNS, TEXTS

OPERATOR = "platform operator"
"""The operator of a platform as a party."""

EXCLUDED = "excluded: only its boundary is known"
"""Entry of a platform whose members' trades are not known: what it draws and delivers as a whole."""


def ledger_blocks(answers: Sequence[YearAnswer]) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Labels and rows of every day of the scenarios whose trades were kept, year by year, the headline first."""
    for answer in answers:
        names = [answer.headline, *(name for name in answer.scenarios if name != answer.headline)]
        for name in names:
            for day in answer.scenarios[name].operation.days:
                if name != answer.headline and not day.trades:
                    continue
                labels = {"year": str(answer.case.year), "scenario": name, "day": str(day.horizon.days[0].date())}
                yield labels, day_rows(day).assign(**labels)[list(COLUMNS)]


def day_rows(day: OperatedDay) -> pd.DataFrame:
    """All rows of a day, platform after platform, without the labels of the day."""
    parts = [book_rows(platform, book) for platform, book in day.trades.items()]
    parts += [excluded_rows(platform, day) for platform in day.excluded]
    return pd.concat(parts, ignore_index=True) if parts else _rows({})


def book_rows(platform: str, book: TradeBook) -> pd.DataFrame:
    """Rows of one platform: every trade, what its operator owes upstream, and what it gives back to each member."""
    trades = book.trades
    table = trades.to_pandas()
    times = book.occurrences[trades.period]
    paid, received = (trades.energy * rate * times for rate in (trades.price + trades.buyer_fee, trades.price - trades.seller_fee))
    fee = trades.energy * (trades.buyer_fee + trades.seller_fee) * times
    own = {**table, "platform": platform, "entry": "trade", "occurrences": times, "paid": paid, "received": received, "fee": fee}
    owed = {name: amount for name, amount in book.owed.items() if book.receivers[name] != "platform operators"}
    upstream = {"platform": platform, "entry": list(owed), "seller": [book.receivers[name] for name in owed], "buyer": OPERATOR}
    back = {"platform": platform, "entry": "rebate", "seller": trades.members, "buyer": OPERATOR}
    amounts = np.array(list(owed.values()), dtype=float)
    parts = [own, {**upstream, "paid": amounts, "received": amounts}, {**back, "paid": book.rebate, "received": book.rebate}]
    return pd.concat([_rows(part) for part in parts], ignore_index=True)


def excluded_rows(platform: str, day: OperatedDay) -> pd.DataFrame:
    """Rows of a platform whose inside is not known: its exchange with the supplier at the price of its boundary."""
    exchange, hours = day.exchange[platform], day.horizon.hours_per_year
    drawn = exchange > 0
    price = np.where(drawn, day.import_price[platform], day.export_price[platform])
    energy, times = np.abs(exchange) * day.horizon.step_hours, hours / day.horizon.step_hours
    amount = energy * price * times
    own = {"platform": platform, "entry": EXCLUDED, "period": day.horizon.labels, "energy": energy, "occurrences": times, "price": price}
    sides = {"seller": np.where(drawn, "supplier", OPERATOR), "buyer": np.where(drawn, OPERATOR, "supplier")}
    return _rows({**own, **sides, "energy_class": "energy", "paid": amount, "received": amount}).query("energy > 0")


def balances(rows: pd.DataFrame) -> pd.DataFrame:
    """What every party of every platform receives in all less what it pays [EUR/a]; sums to zero, platform by platform.

    Args:
        rows: of one scenario and year; those of several are added up.

    Returns:
        Columns ``platform``, ``party``, ``balance``, ``volume`` (of money that changes hands).
    """
    paid, received = ("buyer", "paid", -1.0), ("seller", "received", 1.0)
    parts = [rows[["platform", who, what]].set_axis(["platform", "party", "money"], axis=1).assign(sign=sign) for who, what, sign in (paid, received)]
    parts.append(rows[["platform", "fee"]].set_axis(["platform", "money"], axis=1).assign(party=OPERATOR, sign=1.0))
    moved = pd.concat(parts, ignore_index=True)
    moved = moved.assign(balance=moved["money"] * moved["sign"], volume=moved["money"].abs())
    total = moved.groupby(["platform", "party"], as_index=False, sort=False, observed=True)[["balance", "volume"]].sum()
    return total.astype({"platform": str, "party": str})


def _rows(values: dict[str, object]) -> pd.DataFrame:
    """A table with all columns of the ledger, empty texts and zeros where nothing is given."""
    given = {name: content for name, content in values.items() if name in COLUMNS}
    size = max((len(content) for content in given.values() if isinstance(content, (np.ndarray, pd.Series, list))), default=0)
    return pd.DataFrame({name: given.get(name, "" if name in TEXTS else 0.0) for name in COLUMNS}, index=pd.RangeIndex(size))
