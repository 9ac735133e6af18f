"""Table of a market that was operated with the program of another one."""

from __future__ import annotations

import pandas as pd

from multiscale.results.data.market_summary import market_statement
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table

MEASURES = {
    "market.traded": "energy that members take from peers",
    "market.tradable": "most that they could take from peers",
    "market.gain": "saved against suppliers by trade with peers, at the limits of bids and offers",
    "market.most_gain": "most that trade with peers can save",
    "market.bills_moved": "money that moves among members against the market of the program",
    "market.worst_rise": "largest rise of a bill against the market of the program",
}
"""Key of the summary -> what it is called."""


def market_table(result: RunResult) -> Table | None:
    """How far the market reaches, and what it changes against the market with whose program it was planned and operated."""
    market, program = result.value("market.kind"), result.value("market.program")
    if market is None:
        return None
    named = MEASURES | {key: f"certificate: {key.rpartition('.')[2].replace('_', ' ')}" for key in result.summary if "market.certificate." in key}
    rows = [
        {"measure": name, "value": result.summary[key][0], "unit": result.summary[key][1]} for key, name in named.items() if key in result.summary
    ]
    return Table("market", f"Market {market} next to market {program}", pd.DataFrame(rows), note=f"M{market_statement(market, program)[1:]}.")
