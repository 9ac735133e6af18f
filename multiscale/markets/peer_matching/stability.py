"""Who would rather have other contracts: an examination of every edge, direction and period, independent of how the contracts came about.

A seller and a buyer block an outcome when both gain by one more contract between them, each free to drop contracts it has and to operate its own
devices otherwise. With ``w_jt`` what a little more energy in period t is worth to j, and ``a_it`` what a little less costs i, the joint gain per kWh
is

    w_jt - fee_ij - a_it        and of a participant by itself, dropping contracts or acting otherwise,       w_it - a_it

Both values come from the best single path along which energy can be moved: at once (less import, more export, a purchase dropped; a sale dropped,
more import, less export), or through the storage to or from another period. They are one-sided derivatives of the participant's best cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiscale.markets.peer_matching.negotiation import Contracts
from multiscale.markets.peer_matching.participants import Participants, Schedule
from multiscale.markets.peer_matching.trade_graph import TradeGraph

ROUNDING = 1e-7
"""Energy [kWh] and prices [EUR/kWh] that are rounding."""


@dataclass(frozen=True)
class Stability:
    """What the examination found.

    Attributes:
        examined: number of edges x directions x periods looked at.
        blocking: seller, buyer and period of every blocking pair, (pair, 3).
        largest_gain: largest joint gain of any pair [EUR/kWh]; no pair blocks where it is at most ``tolerance``.
        irrational: participant and period where one gains by itself, by dropping a contract or by acting otherwise, (case, 2).
        largest_regret: largest such gain [EUR/kWh].
        tolerance: gains up to this are none: the smallest step of prices [EUR/kWh].
    """

    examined: int
    blocking: np.ndarray
    largest_gain: float
    irrational: np.ndarray
    largest_regret: float
    tolerance: float

    @property
    def stable(self) -> bool:
        """Whether no pair blocks, and no participant gains by itself."""
        return not len(self.blocking) and not len(self.irrational)


def examine(participants: Participants, graph: TradeGraph, contracts: Contracts, schedule: Schedule, tolerance: float, least: float) -> Stability:
    """Examine contracts under which participants act by a schedule.

    Args:
        participants, graph: who may trade.
        contracts: what is agreed.
        schedule: what everyone does.
        tolerance: gains up to this are none: the smallest step of prices [EUR/kWh].
        least: energy below which no contract is worth changing [kWh]: a limit that is nearer than this counts as reached.

    Raises:
        ValueError: the schedule does not balance with the contracts; the message names the participant.
    """
    count, periods = participants.net_demand.shape
    efficiency = participants.efficiency[:, None]
    grid = np.where(schedule.stored > 0.0, schedule.stored / efficiency, schedule.stored * efficiency)
    apart = participants.net_demand + grid - contracts.net(count, periods) - schedule.imported + schedule.exported
    for i, t in np.argwhere(np.abs(apart) > ROUNDING)[:1]:
        raise ValueError(f"participant {str(participants.names[i])!r}: its contracts and its schedule differ by {apart[i, t]:g} kWh in period {t}")
    worth, cost = marginal_values(participants, contracts, schedule, least)
    seller, buyer = np.concatenate([graph.first, graph.second]), np.concatenate([graph.second, graph.first])
    gain = worth[buyer] - np.concatenate([graph.fee, graph.fee])[:, None] - participants.fee - cost[seller]
    over = np.argwhere(gain > tolerance + ROUNDING)
    pairs = np.stack([seller[over[:, 0]], buyer[over[:, 0]], over[:, 1]], axis=1)
    regret = worth - cost
    return Stability(
        gain.size, pairs, float(gain.max(initial=-np.inf)), np.argwhere(regret > tolerance + ROUNDING), float(regret.max(initial=-np.inf)), tolerance
    )


def marginal_values(participants: Participants, contracts: Contracts, schedule: Schedule, least: float) -> tuple[np.ndarray, np.ndarray]:
    """What a little more energy is worth, and what a little less costs [EUR/kWh], both (participant, period)."""
    # At once: import and export prices, and contracts that may be dropped.
    large = contracts.energy >= least
    buyer, seller, period = contracts.buyer[large], contracts.seller[large], contracts.period[large]
    worth = np.where(schedule.imported >= least, participants.import_price, participants.export_price)
    np.maximum.at(worth, (buyer, period), (contracts.price + contracts.fee)[large])
    cost = np.where(schedule.exported >= least, participants.export_price, participants.import_price)
    np.minimum.at(cost, (seller, period), contracts.price[large])
    return _through_storage(participants, schedule, worth, cost, least)


def _through_storage(
    participants: Participants, schedule: Schedule, worth: np.ndarray, cost: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The better of acting at once, and of moving energy to or from another period."""
    periods = worth.shape[1]
    efficiency, wear, power = participants.efficiency, participants.wear, participants.power
    inside = (np.abs(schedule.stored) <= power[:, None] - least) & (participants.storage >= least)[:, None]
    charging, drawing = schedule.stored >= least, schedule.stored <= -least
    can_put, can_draw = inside | drawing, inside | charging
    # One kWh of stored energy more out of the grid costs ``put``, one less into the grid ``draw`` (net of wear), at marginal costs of the grid.
    put_cost = np.where(can_put, np.where(drawing, cost * efficiency[:, None] - wear[:, None], cost / efficiency[:, None]), np.inf)
    draw_worth = np.where(can_draw, np.where(charging, worth / efficiency[:, None], worth * efficiency[:, None] - wear[:, None]), -np.inf)
    # Energy put in per kWh taken from the grid at t, and the grid's kWh per kWh drawn.
    put_rate = np.where(drawing, 1.0 / efficiency[:, None], efficiency[:, None])
    put_bonus = np.where(drawing, wear[:, None] / efficiency[:, None], 0.0)
    draw_rate = np.where(charging, efficiency[:, None], 1.0 / efficiency[:, None])
    draw_malus = np.where(charging, 0.0, wear[:, None] / efficiency[:, None])
    above = schedule.level <= participants.storage[:, None] - least
    lowest = np.zeros_like(schedule.level)
    lowest[:, -1] = participants.start
    below = schedule.level >= lowest + least
    best_worth, best_cost = worth.copy(), cost.copy()
    for t in range(periods):
        # A kWh of storage more at t is worth the best use of it: later while the storage is not full, earlier while it is not empty.
        value = np.full(len(worth), -np.inf)
        open_ = np.ones(len(worth), dtype=bool)
        for s in range(t + 1, periods):
            open_ &= above[:, s - 1]
            value = np.maximum(value, np.where(open_, draw_worth[:, s], -np.inf))
        value = np.maximum(value, np.where(open_ & above[:, periods - 1], 0.0, -np.inf))
        open_ = np.ones(len(worth), dtype=bool)
        for s in range(t - 1, -1, -1):
            open_ &= below[:, s]
            value = np.maximum(value, np.where(open_, draw_worth[:, s], -np.inf))
        through = np.where(can_put[:, t], put_rate[:, t] * value + put_bonus[:, t], -np.inf)
        best_worth[:, t] = np.maximum(worth[:, t], through)
        # A kWh of storage less at t costs the best replacement: later while it is not empty, earlier while it is not full, or none at the end.
        price = np.full(len(worth), np.inf)
        open_ = np.ones(len(worth), dtype=bool)
        for s in range(t + 1, periods):
            open_ &= below[:, s - 1]
            price = np.minimum(price, np.where(open_, put_cost[:, s], np.inf))
        price = np.minimum(price, np.where(open_ & below[:, periods - 1], 0.0, np.inf))
        open_ = np.ones(len(worth), dtype=bool)
        for s in range(t - 1, -1, -1):
            open_ &= above[:, s]
            price = np.minimum(price, np.where(open_, put_cost[:, s], np.inf))
        through = np.where(can_draw[:, t], draw_rate[:, t] * price + draw_malus[:, t], np.inf)
        best_cost[:, t] = np.minimum(cost[:, t], through)
    return best_worth, best_cost
