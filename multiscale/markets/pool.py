"""What all pools of trade share: charges on peer trade, preferences of the community, the pricing rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from multiscale.devices.fleet import Fleet
from multiscale.markets.market import PlatformMarket
from multiscale.markets.matching import proportional_trades
from multiscale.markets.positions import Positions
from multiscale.markets.pricing import PRICING, PoolPrice, PricingRule
from multiscale.markets.reduction import reduced_fleet
from multiscale.markets.trades import Trades
from multiscale.operation.clearing import BEYOND_DEVICES, Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.settings import OfKind, quantity
from multiscale.tariffs import Tariff


class PeerTrade(PlatformMarket):
    """A market whose members trade with each other, and pay shares of the charges on it."""

    peer_charge_share: float = quantity(0.0, "1", "share of charges of distribution operators that peer trade pays too", lower=0.0, upper=1.0)
    peer_levy_share: float = quantity(0.0, "1", "share of charges of supplier and state that peer trade pays too", lower=0.0, upper=1.0)

    @property
    def peer_shares(self) -> dict[str, float]:
        """Receiver of a charge -> share of it that peer trade pays."""
        return {"distribution operators": self.peer_charge_share, "supplier and state": self.peer_levy_share}


class Pool(PeerTrade):
    """A market whose members share a pool.

    What the community values beyond money stands in its program as a cost per kWh without a receiver (the ledger books it among wear and discomfort):

        sum_t h_t [ autonomy_penalty sum_i buy_it + import_penalty import_t + export_penalty export_t + 2 transaction_cost traded_t
                    + preference_weight (import_t, with ``social`` also export_t) ],       traded_t = sum_i buy_it - import_t >= 0

    Source: Moret and Pinson, IEEE TPWRS 34 (2019) 3994-4004, and Chronis et al., Energies 14 (2021) 1862, eqs. 1-8, with the sign of exports such
    that export is possible. A preference for peers is a cost of trading with others: a reward per kWh traded
    would pay for buying and selling at once.
    """

    autonomy_penalty: float = quantity(0.0, "EUR/kWh", "what members would pay to buy one kWh less, from whom ever", lower=0.0, upper=1.0)
    import_penalty: float = quantity(0.0, "EUR/kWh", "what the community would pay to import one kWh less", lower=0.0, upper=1.0)
    export_penalty: float = quantity(0.0, "EUR/kWh", "what the community would pay to export one kWh less", lower=0.0, upper=1.0)
    transaction_cost: float = quantity(0.0, "EUR/kWh", "real cost of trading one kWh with a peer, for each of the two", lower=0.0, upper=1.0)
    preference: Literal["cost", "low_carbon", "social"] = Field(
        "cost", description="what members prefer: low cost alone, energy of the community to that of the grid, or trading with peers"
    )
    preference_weight: float = quantity(0.02, "EUR/kWh", "what the preference is worth; nothing with preference=cost", lower=0.0, upper=1.0)
    pricing: Annotated[PricingRule, OfKind(*PRICING.values(), default="pool_price")] = Field(
        PoolPrice(), description="how the members share what trading together saves"
    )

    def weigh(self, builder: ProgramBuilder, members: Members, trade: Trade) -> None:
        """Add what the community values beyond money."""
        horizon = members.fleet.horizon
        hours = horizon.hours_per_year
        low_carbon, social = (self.preference_weight * (self.preference == kind) for kind in ("low_carbon", "social"))
        weights = {"import": self.import_penalty + low_carbon + social, "export": self.export_penalty + social}
        for columns, weight in ((trade.buy, self.autonomy_penalty), (trade.imported, weights["import"]), (trade.exported, weights["export"])):
            if weight > 0:
                builder.add_cost(columns, weight * hours)
        if self.transaction_cost > 0 and trade.metering.bought is not None:
            period, most = {"period": horizon.labels}, (members.draw + BEYOND_DEVICES).sum(axis=0)
            cost = 2.0 * self.transaction_cost * hours
            traded = builder.add_columns("traded", period, unit="kW", upper=most, cost=cost, description="power traded between members")
            terms = [(1.0, trade.buy.T), (-1.0, trade.imported), (-1.0, traded)]
            builder.add_rows("traded_power", period, terms, "==", 0.0, unit="kW", description="power bought that is not imported")

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """Buyers, homothetic devices and plain generators merged: fee, price and penalties act on every kWh alike, independently of the buyer."""
        return reduced_fleet(fleet)

    def clear(self, positions: Positions) -> Trades:
        """Everyone trades the same share of its energy with peers, at the prices of the pricing rule."""
        return proportional_trades(positions, self.pricing.prices(positions))
