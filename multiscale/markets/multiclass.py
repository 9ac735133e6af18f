"""Classes of energy with premia: green energy, subsidised energy for members with a low income, energy of the grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from multiscale.devices.fleet import Fleet
from multiscale.markets.community import OnePool
from multiscale.markets.matching import MemberPrices, Open, local_trades, outside_trades
from multiscale.markets.positions import Positions
from multiscale.markets.trades import Trades
from multiscale.operation.clearing import BEYOND_DEVICES, Members, Trade
from multiscale.programs import ProgramBuilder
from multiscale.settings import quantity
from multiscale.system.problem import Problem
from multiscale.tariffs import Tariff

GRID, GREEN, SUBSIDISED = CLASSES = ("grid", "green", "subsidised")


class Multiclass(OnePool):
    """A community whose members tell classes of energy apart.

    Members that prefer green energy (``green``) would pay ``a`` for each kWh they buy to be green; green is what generators of other members deliver.
    Philanthropic members sell to members with a low income first, ``s`` below the price of the pool. All other energy is of the class ``grid``.

        cost  + sum_i a_i sum_t h_t (buy_it - green_it)
        s.t.  green_it <= buy_it,   green_sold_it <= sell_it,   green_sold_it <= generation_it
              sum_i green_it = sum_i green_sold_it                                              dual: premium of green energy

    The penalty stands on what is not green, so that using one's own generation is worth as much as selling it and buying green energy back. Of
    capacity that a member may buy, all supply counts as green while it is planned.
    Source: Morstyn and McCulloch, IEEE TPWRS 34 (2019) 4005-4014.
    """

    kind: Literal["multiclass"] = "multiclass"
    green_premium: float = quantity(0.01, "EUR/kWh", "what members that prefer green energy pay for it on top, a", lower=0.0, upper=1.0)
    green: tuple[str, ...] = Field((), description="members, or categories of members, that prefer green energy; empty: all without a low income")
    subsidy: float = quantity(0.02, "EUR/kWh", "what subsidised energy costs less, s", lower=0.0, upper=1.0)
    low_income: tuple[str, ...] = Field((), description="members, or categories of members, that buy subsidised energy")
    philanthropic: tuple[str, ...] = Field((), description="members, or categories of members, that sell subsidised energy")

    @model_validator(mode="after")
    def _apart(self) -> Multiclass:
        both = sorted(set(self.low_income) & (set(self.philanthropic) | set(self.green)))
        if both:
            raise ValueError(f"{', '.join(both)} in low_income stand in philanthropic or green too; a member buys one class and pays one premium")
        return self

    def trade(self, builder: ProgramBuilder, members: Members) -> Trade:
        """That of the community, and how much of what is bought and sold is green."""
        trade = super().trade(builder, members)
        fleet = members.fleet
        who, period = {"prosumer": fleet.data.prosumer.values}, {"period": fleet.horizon.labels}
        buys, sells = self._green_sides(fleet.data.prosumer.values, fleet.data.category.values)
        generation = fleet.reference_generation + np.maximum(members.supply - fleet.largest_supply(), 0.0)
        most = np.where(buys[:, None], members.draw + BEYOND_DEVICES, 0.0), np.where(sells[:, None], generation, 0.0)
        cost = -self.green_premium * fleet.horizon.hours_per_year
        green = builder.add_columns("green", {**who, **period}, unit="kW", upper=most[0], cost=cost, description="green energy bought")
        sold = builder.add_columns("green_sold", {**who, **period}, unit="kW", upper=most[1], description="green energy sold")
        for name, part, whole in (("green_bought", green, trade.buy), ("green_delivered", sold, trade.sell)):
            builder.add_rows(name, {**who, **period}, [(1.0, part), (-1.0, whole)], "<=", 0.0, unit="kW", description="green part of a trade")
        builder.add_rows("green_balance", period, [(1.0, green.T), (-1.0, sold.T)], "==", 0.0, unit="kW", description="balance of green energy")
        return trade

    def weigh(self, builder: ProgramBuilder, members: Members, trade: Trade) -> None:
        """What the community values, and that energy which is not green is worth less to those who prefer it."""
        super().weigh(builder, members, trade)
        buys, _ = self._green_sides(members.fleet.data.prosumer.values, members.fleet.data.category.values)
        builder.add_cost(trade.buy, self.green_premium * buys[:, None] * members.fleet.horizon.hours_per_year)

    def reduced(self, fleet: Fleet, tariff: Tariff) -> Fleet:  # noqa: ARG002
        """All members: those that buy or sell other classes are not alike."""
        return fleet

    def clear(self, positions: Positions) -> Trades:
        """Subsidised energy first, then green energy, then the rest of the pool, then the supplier; each in proportion."""
        if positions.generation is None or positions.category is None:
            raise ValueError("market multiclass: positions lack generation or category, so classes are not known; give both")
        prices, left = self.pricing.prices(positions), Open.all_of(positions)
        who = positions.members, positions.category
        low, donors, (buys, sells) = _chosen(self.low_income, *who), _chosen(self.philanthropic, *who), self._green_sides(*who)
        lower = MemberPrices(prices.purchase - self.subsidy, prices.sale - self.subsidy, prices.retail, prices.feed_in)
        offered = Open(left.taken * low[:, None], left.delivered * donors[:, None])
        subsidised, rest = local_trades(positions, offered, lower, CLASSES.index(SUBSIDISED), CLASSES)
        left = _after(left, offered, rest)
        offered = Open(left.taken * buys[:, None], np.minimum(left.delivered, positions.generation) * sells[:, None])
        wanted, there = offered.taken.sum(axis=0), offered.delivered.sum(axis=0)
        premium = np.where(wanted > there, self.green_premium, 0.0)
        higher = MemberPrices(prices.purchase + premium, prices.sale + premium, prices.retail, prices.feed_in)
        green, rest = local_trades(positions, offered, higher, CLASSES.index(GREEN), CLASSES)
        left = _after(left, offered, rest)
        other, left = local_trades(positions, left, prices, CLASSES.index(GRID), CLASSES)
        return Trades.joined([subsidised, green, other, outside_trades(positions, left, prices, CLASSES.index(GRID), CLASSES)])

    def notes(self, positions: Positions) -> list[str]:
        """Classes that members want and that no member of the platform supplies."""
        assert positions.category is not None
        assert positions.generation is not None
        who, found = (positions.members, positions.category), []
        low, donors, (buys, sells) = _chosen(self.low_income, *who), _chosen(self.philanthropic, *who), self._green_sides(*who)
        if low.any() and not donors.any():
            found.append(f"class {SUBSIDISED} is wanted by {low.sum()} members and supplied by none; they buy energy of other classes")
        if self.green_premium > 0 and buys.any() and not (positions.generation * sells[:, None]).any():
            found.append(f"class {GREEN} is wanted by {buys.sum()} members and supplied by none; they buy energy of other classes")
        return found

    def problems(self, fleets: Mapping[str, Fleet]) -> list[Problem]:
        """Names that are of no member, and subsidised energy that no platform supplies."""
        names = {str(n) for fleet in fleets.values() for values in (fleet.data.prosumer, fleet.data.category) for n in values.values.tolist()}
        found = []
        for field in ("green", "low_income", "philanthropic"):
            unknown, message = sorted(set(getattr(self, field)) - names), "is no member and no category of members; correct the name"
            found += [Problem("market", "multiclass", field, repr(name), "", message) for name in unknown]
        if self.low_income and not self.philanthropic:
            message = f"is wanted, and no member supplies the class {SUBSIDISED}; name members in philanthropic"
            found.append(Problem("market", "multiclass", "low_income", ", ".join(self.low_income), "", message))
        return found

    def _green_sides(self, members: np.ndarray, categories: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Who buys and who sells green energy, (member,)."""
        low = _chosen(self.low_income, members, categories)
        buys = _chosen(self.green, members, categories) if self.green else np.ones(len(members), dtype=bool)
        return buys & ~low, ~_chosen(self.philanthropic, members, categories)


def _chosen(names: tuple[str, ...], members: np.ndarray, categories: np.ndarray) -> np.ndarray:
    return np.isin(members.astype(str), names) | np.isin(categories.astype(str), names)


def _after(left: Open, offered: Open, rest: Open) -> Open:
    """What is still open when of an offered part some is not traded."""
    return Open(left.taken - offered.taken + rest.taken, left.delivered - offered.delivered + rest.delivered)
