"""Communities inside a platform: members trade in theirs, communities with each other, the platform with its parent."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from multiscale.devices.fleet import Fleet, customers_of
from multiscale.markets.isolation import Isolated
from multiscale.markets.market import boundary_columns, trading_columns
from multiscale.markets.matching import Open, local_trades, outside_trades
from multiscale.markets.pool import Pool
from multiscale.markets.positions import Positions
from multiscale.markets.trades import Trades
from multiscale.operation.clearing import BEYOND_DEVICES, Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.programs.build import Term
from multiscale.tariffs import Metering, Tariff


class Hybrid(Pool):
    """Nested pools ("Russian doll"): a level has a fee of its own where a tariff component of kind ``peer`` stands on what crosses it.

        sum of buy - sell over the members of c  =  enter_ct - leave_ct                 dual: price of community c
        sum_c (enter_ct - leave_ct)              =  import_t - export_t                 dual: price of the platform
        import_t  <=  sum_c enter_ct                                                    (power is not imported to be exported again)
        cost  + fee of members (sum_i buy_it - import_t) + fee of communities (sum_c enter_ct - import_t)

    Source: Sousa et al., Renew. Sustain. Energy Rev. 104 (2019) 367-378.
    """

    kind: Literal["hybrid"] = "hybrid"
    community_of: Literal["bus", "category"] = Field("bus", description="what the members of one community have in common")

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """Members buy from and sell to the pool of their community; what communities draw from each other is metered, and the boundary."""
        fleet = members.fleet
        buy, sell = trading_columns(builder, members)
        imported, exported = boundary_columns(builder, members)
        names, group = np.unique(fleet.data[self.community_of].values.astype(str), return_inverse=True)
        axes = {"community": names, "period": fleet.horizon.labels}
        inside = group[None, :] == np.arange(len(names))[:, None]
        most = [inside @ (side + BEYOND_DEVICES) for side in (members.draw, members.supply)]
        enter = builder.add_columns("enter", axes, unit="kW", upper=most[0], description="power that enters a community")
        leave = builder.add_columns("leave", axes, unit="kW", upper=most[1], description="power that leaves a community")
        own: list[Term] = []
        for sign, columns in ((1.0, buy), (-1.0, sell)):
            own.append((sign, np.where(inside[:, None, :], columns.T[None, :, :], -1)))
        builder.add_rows("community", axes, [*own, (-1.0, enter), (1.0, leave)], "==", 0.0, unit="kW", description="balance of the community")
        terms: list[Term] = [(1.0, imported), (-1.0, enter.T)]
        builder.add_rows("imported_power", {"period": fleet.horizon.labels}, terms, "<=", 0.0, unit="kW", description="imports enter a community")
        meters = np.array([fleet.node])
        metering = Metering(fleet.horizon, meters, imported[None, :], exported[None, :], buy, self.peer_shares, *customers_of(fleet), enter)
        return Trade(buy, sell, imported, exported, metering)

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """All members: two of different communities are not one."""
        return fleet

    def isolated(self, positions: Positions) -> Isolated:
        """Those whose orders cannot be taken, and members of whom it is not known to which community they belong."""
        found, labels = super().isolated(positions), positions.bus if self.community_of == "bus" else positions.category
        if labels is None:
            return found
        unknown = np.flatnonzero(pd.isna(labels) | (labels.astype(str) == ""))
        where = found.where.copy()
        where[unknown] = True
        notes = [
            f"member {str(positions.members[k])!r}: {self.community_of} is missing, so that its community is not known and it trades with its "
            f"supplier alone; give its {self.community_of}"
            for k in unknown.tolist()
        ]
        return Isolated(where, (*found.notes, *notes))

    def clear(self, positions: Positions) -> Trades:
        """Everyone trades the same share in its community, then with members of other communities, then with the supplier."""
        prices, left, found = self.pricing.prices(positions), Open.all_of(positions), []
        labels = positions.bus if self.community_of == "bus" else positions.category
        if labels is None:
            raise ValueError(f"market hybrid: positions have no {self.community_of}, so the community of a member is not known; give it")
        for name in np.unique(labels.astype(str)):
            own = (labels.astype(str) == name)[:, None]
            trades, rest = local_trades(positions, Open(np.where(own, left.taken, 0.0), np.where(own, left.delivered, 0.0)), prices)
            left = Open(np.where(own, rest.taken, left.taken), np.where(own, rest.delivered, left.delivered))
            found.append(trades)
        between, left = local_trades(positions, left, prices)
        return Trades.joined([*found, between, outside_trades(positions, left, prices)])
