"""The best that all participants can do together: the linear program that bounds every bilateral market from below."""

from __future__ import annotations

import numpy as np

from multiscale.markets.peer_matching.participants import Participants
from multiscale.programs import ParametricProgram, ProgramBuilder


def community_program(participants: Participants, fee: float) -> ParametricProgram:
    """All participants trade with all, at one fee for every kWh bought from a peer.

        min  sum_it import_price m_it - export_price e_it + fee b_it + wear q_it^-
        s.t. m_it - e_it + b_it - s_it - q_it^+ / efficiency + efficiency q_it^- = net_it
             sum_i b_it = sum_i s_it                                                      dual: the price of the pool
             level_it = level_i,t-1 + q_it^+ - q_it^-,   level_iT >= start_i

    With ``fee`` the lowest of a trade graph, no contracts on that graph cost less. A parameter ``supply`` (participant, period) [kWh] is energy given
    to a participant for nothing; with ``fee`` infinite there is no trade.

    Args:
        participants: who trades.
        fee: [EUR/kWh].
    """
    count, periods = participants.net_demand.shape
    builder = ProgramBuilder("community")
    labels = np.arange(periods)
    who = {"participant": participants.names, "period": labels}
    supply = builder.add_parameters("supply", who, unit="kWh", description="energy given for nothing")
    power, capacity = participants.power[:, None], participants.storage[:, None]
    imported = builder.add_columns("import", who, unit="kWh", cost=participants.import_price)
    exported = builder.add_columns("export", who, unit="kWh", cost=-participants.export_price)
    trades = np.isfinite(fee)
    most = np.inf if trades else 0.0
    bought = builder.add_columns("bought", who, unit="kWh", upper=most, cost=fee if trades else 0.0)
    sold = builder.add_columns("sold", who, unit="kWh", upper=most)
    put = builder.add_columns("put", who, unit="kWh", upper=power)
    drawn = builder.add_columns("drawn", who, unit="kWh", upper=power, cost=participants.wear[:, None])
    lowest = np.zeros((count, periods))
    lowest[:, -1] = participants.start
    level = builder.add_columns("level", who, unit="kWh", lower=lowest, upper=capacity)
    efficiency = participants.efficiency[:, None]
    builder.add_rows(
        "balance", who, [(1.0, imported), (-1.0, exported), (1.0, bought), (-1.0, sold), (-1.0 / efficiency, put), (efficiency, drawn)], "==",
        participants.net_demand, unit="kWh", parameters=[(-1.0, supply)],
    )  # fmt: skip
    before = np.concatenate([np.full((count, 1), -1), level[:, :-1]], axis=1)
    initial = np.zeros((count, periods))
    initial[:, 0] = participants.start
    builder.add_rows("level", who, [(1.0, level), (-1.0, before), (-1.0, put), (1.0, drawn)], "==", initial, unit="kWh")
    builder.add_rows("pool", {"period": labels}, [(1.0, bought.T), (-1.0, sold.T)], "==", 0.0, unit="kWh")
    return builder.build()
