"""What is kept of a day that was operated: exchanges, prices, injections, payments, energy. The programs it came from are not needed any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from multiscale.assessment.accounts import Ledger, Settlement, reserve_cost, settlement
from multiscale.assessment.bills import bill_table
from multiscale.assessment.curtailment import curtailed_power
from multiscale.assessment.energy import energy_account
from multiscale.assessment.gains import MarketGain, market_gain
from multiscale.assessment.payments import platform_payments
from multiscale.assessment.served import unserved_energy, unserved_power
from multiscale.assessment.trading import TradeBook, trade_book
from multiscale.coordination.common.conflicts import LevelConflict
from multiscale.coordination.common.convergence import Step
from multiscale.coordination.common.outcome import Outcome
from multiscale.coordination.uncertainty.day_reserves import DayReserves
from multiscale.operation import Design, OperatingTree
from multiscale.programs import Basis, LabelledBasis
from multiscale.timeline import Horizon
from multiscale.verification.injections import bus_injections


@dataclass(frozen=True)
class MechanismCost:
    """What a mechanism led to on a day, in numbers.

    Attributes:
        cost, energy_cost, bound: as of ``Outcome`` [EUR/a].
        rounds, messages, bytes: what was sent.
        excluded: platforms that were excluded.
    """

    cost: float
    energy_cost: float
    bound: float
    rounds: int
    messages: int
    bytes: int
    excluded: tuple[str, ...]

    @classmethod
    def of(cls, outcome: Outcome) -> MechanismCost:
        """The numbers of an outcome."""
        sent = outcome.traffic
        return cls(outcome.cost, outcome.energy_cost, outcome.bound, outcome.rounds, sent.messages, sent.bytes, tuple(outcome.excluded))


@dataclass(frozen=True)
class OperatedDay:
    """One operated day (or several that the tariff couples), as data.

    Attributes:
        horizon: its periods.
        mechanism: under which it was operated.
        exchange: node -> power drawn from its parent [kW], (period,).
        import_price, export_price: node -> price of energy from above, and of energy sold upwards [EUR/kWh], (period,).
        injections: DSO -> ``p`` [kW] and ``q`` [kvar] drawn at every bus of its networks, (bus, period).
        settlement: who pays whom, and the real costs.
        bills: platform -> bill of every member [EUR/a], (prosumer, part) in the order of BILL_PARTS; without those that were excluded.
        energy: platform -> energy in the order of ENERGY_TERMS [kWh/a], (term,); without those that were excluded.
        energy_residual: largest residual of the energy accounts, relative to the demand [1].
        unserved: place -> demand that is not served, where there is any [kWh/a].
        energy_price: DSO -> nodal price at its boundary [EUR/kWh], (period,).
        transmission_cost: cost of producing the energy drawn [EUR/a].
        owed: tariff component -> what platforms that are not excluded owe under it [EUR/a].
        reserve_cost: kind of real cost -> cost of reserves that were negotiated with energy [EUR/a].
        mechanisms: name -> cost under the mechanism, and under the references that were found with it.
        exchange_integrated, exchange_forecast: node -> the same in the integrated optimum, and as the parents expected it; empty where not found.
        history: how a negotiation converged.
        disclosed: what was disclosed at a boundary: direction and field.
        excluded: platform -> why it was excluded.
        shortfall: what was asked of the mechanism and not achieved; else empty.
        conflicts: what levels refuse each other.
        reserves: agreed for forecast errors; None where forecasts do not err.
        trades: platform -> trades of its members and how they were settled, without those that were excluded; empty where they were not kept.
        gains: platform -> what its members gain in their market; empty where it was not found.
        curtailed: DSO -> itself and its platforms -> generation that is available and not used [kW], (period,), see ``curtailed_power``.
        bases: platform -> where its solve at the expected prices ended; empty where it was not kept.
        unserved_power: place of ``unserved`` -> demand that is not served [kW], (period,).
    """

    horizon: Horizon
    mechanism: str
    exchange: Mapping[str, np.ndarray]
    import_price: Mapping[str, np.ndarray]
    export_price: Mapping[str, np.ndarray]
    injections: Mapping[str, xr.Dataset]
    settlement: Settlement
    bills: Mapping[str, np.ndarray]
    energy: Mapping[str, np.ndarray]
    energy_residual: float
    unserved: Mapping[str, float]
    energy_price: Mapping[str, np.ndarray]
    transmission_cost: float
    owed: Mapping[str, float]
    reserve_cost: Mapping[str, float]
    mechanisms: Mapping[str, MechanismCost]
    exchange_integrated: Mapping[str, np.ndarray] = field(default_factory=dict)
    exchange_forecast: Mapping[str, np.ndarray] = field(default_factory=dict)
    history: tuple[Step, ...] = ()
    disclosed: tuple[str, ...] = ()
    excluded: Mapping[str, str] = field(default_factory=dict)
    shortfall: str = ""
    conflicts: tuple[LevelConflict, ...] = ()
    reserves: DayReserves | None = None
    trades: Mapping[str, TradeBook] = field(default_factory=dict)
    gains: Mapping[str, MarketGain] = field(default_factory=dict)
    curtailed: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    bases: Mapping[str, LabelledBasis] = field(default_factory=dict)
    unserved_power: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def own(self) -> MechanismCost:
        """Cost under the mechanism of the day."""
        return self.mechanisms[self.mechanism]


@dataclass(frozen=True)
class Operation:
    """All representative days under one design.

    Attributes:
        design: reinforcements and prices in force.
        days: in their order.
    """

    design: Design
    days: tuple[OperatedDay, ...]

    def ledger(self, excluded: Mapping[int, frozenset[str]] | None = None) -> Ledger:
        """Payments and real costs of all days; ``excluded``: day -> platforms of which only what crosses their boundary is booked."""
        total = Ledger()
        for number, day in enumerate(self.days):
            total.add(day.settlement.ledger((excluded or {}).get(number, frozenset())))
        return total

    @property
    def unserved(self) -> dict[str, float]:
        """Place -> demand that is not served over the year, where there is any [kWh/a], the most first."""
        total: dict[str, float] = {}
        for day in self.days:
            for place, energy in day.unserved.items():
                total[place] = total.get(place, 0.0) + energy
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def injections(self, dso: str) -> xr.Dataset:
        """``p`` [kW] and ``q`` [kvar] drawn at every bus of a DSO's networks, (bus, period) over all days."""
        return xr.concat([day.injections[dso] for day in self.days], dim="period")

    @property
    def excluded(self) -> dict[int, frozenset[str]]:
        """Number of a day -> platforms that were excluded on it."""
        return {number: frozenset(day.excluded) for number, day in enumerate(self.days)}

    @property
    def ever_excluded(self) -> frozenset[str]:
        """Platforms that were excluded on some day: what they do over the year is not known."""
        return frozenset().union(*(day.excluded for day in self.days))


def operated_day(
    tree: OperatingTree,
    outcomes: Mapping[str, Outcome],
    mechanism: str,
    *,
    forecast: Outcome | None = None,
    conflicts: tuple[LevelConflict, ...] = (),
    reserves: DayReserves | None = None,
    keep_trades: bool = False,
    compared: bool = False,
    find_gains: bool = False,
    bases: Mapping[str, Basis] | None = None,
) -> OperatedDay:
    """What is kept of a day.

    Args:
        tree: programs of all nodes.
        outcomes: mechanism -> outcome.
        mechanism: the one that is in force.
        forecast: what the parents expected.
        conflicts, reserves: of the outcome in force.
        keep_trades: whether the trades of all members are kept.
        compared: whether a market without a program is compared with the one whose program stands for it.
        find_gains: whether it is found what members gain in their market.
        bases: platform -> where its solve at the expected prices ended, where that is kept.
    """
    found = outcomes[mechanism]
    known = [p for p in tree.fleets if p not in found.excluded]
    accounts = {p: energy_account(tree, p, found) for p in known}
    payments = [platform_payments(tree, p, found) for p in known]
    integrated = outcomes.get("integrated")
    books = {p: trade_book(tree, p, found, compared=compared) for p in known}
    bills = {p: book.bills for p, book in books.items()}
    published = {c: s.import_price for c, s in found.signals.items()} or dict(found.platform_price)
    bought_back = {c: s.export_price for c, s in found.signals.items()} or dict(found.platform_price)
    return OperatedDay(
        tree.horizon,
        mechanism,
        dict(found.exchange),
        published | dict(found.energy_price),
        bought_back | dict(found.energy_price),
        {dso: bus_injections(tree, found, [dso]) for dso in tree.distribution},
        settlement(tree, found, bills),
        {p: bill_table(tree, p, found, bills[p]) for p in known},
        {p: terms for p, (terms, _) in accounts.items()},
        float(np.max([residual for _, residual in accounts.values()])) if accounts else 0.0,
        unserved_energy([tree], [found]),
        dict(found.energy_price),
        found.transmission_cost,
        {name: float(sum(paid[name] for paid in payments)) for name in tree.economics.tariff.components},
        reserve_cost(tree, found),
        {name: MechanismCost.of(outcome) for name, outcome in outcomes.items()},
        {} if integrated is None else dict(integrated.exchange),
        {} if forecast is None else dict(forecast.exchange),
        tuple(found.history),
        tuple(sorted(found.traffic.fields)),
        dict(found.excluded),
        found.shortfall,
        conflicts,
        reserves,
        books if keep_trades else {},
        {p: market_gain(tree, p, found) for p in known} if find_gains else {},
        curtailed_power(tree, found),
        {p: LabelledBasis.of(tree.platforms[p], basis) for p, basis in (bases or {}).items()},
        {place: power for place, power in unserved_power(tree, found).items() if not power.max(initial=0.0) <= 0.0},
    )
