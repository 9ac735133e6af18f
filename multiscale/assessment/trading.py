"""What the members of a platform trade and how it is settled: trades of the market, what the operator pays on, what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from multiscale.assessment.market_difference import MarketDifference, market_difference
from multiscale.assessment.payments import paid_by_owner, platform_payments
from multiscale.assessment.served import cut_off
from multiscale.coordination.common.outcome import Outcome
from multiscale.markets import Auction, Cleared, PlatformMarket, Positions, Trades
from multiscale.markets.nodal_prices import price_parts
from multiscale.markets.positions import METER_RESOLUTION
from multiscale.operation import METERED_EXPORT, METERED_IMPORT, OperatingTree, bought_and_sold
from multiscale.operation.losses import COLUMNS as LOSS
from multiscale.programs import ParametricProgram
from multiscale.tariffs import BILLED, NOT_PASSED_ON

POOL_ROWS = ("pool", "balance", "community")
"""Rows of a platform's program in which what members buy and sell is balanced: with each other, and in the network."""

DEVIATION, CUT_OFF, NOT_NETTED = "deviation from the plan", "cut off at the connection", "imported and exported at once"
LOSSES = "network losses"
"""What the operator of a platform settles with the supplier beyond the trades of its members."""

NEGLIGIBLE = 1e-3
"""Share of the losses that is not worth a note."""


@dataclass(frozen=True)
class LossAccount:
    """Losses of a platform's network on a day [kWh/a].

    Attributes:
        counted: in the program, and so drawn and paid for.
        missing: by how much the program falls short of the quadratic losses of its flows.
        excess: by how much it is above them, where energy has a price below zero.
    """

    counted: float
    missing: float
    excess: float


@dataclass(frozen=True)
class TradeBook:
    """Everything that is settled in one platform on a day (or on several that the tariff couples).

    Every trade is balanced by itself (see ``Trades``). Fees go to the operator; out of them it pays what the platform owes upstream, and gives what
    is left back to the members (or collects what is missing) in proportion to the energy they traded:

        rebate_i = support_i + sum_t n_t |net_it| / sum_jt n_t |net_jt| * (sum_j paid_j - owed - sum_j support_j)

    with n_t the occurrences of the period in the year, and the support that policy mechanisms pay for the devices of a member.

    Attributes:
        trades: of the members with each other and with the supplier.
        occurrences: how often a period occurs in the year [1/a], (period,).
        rebate: what the operator gives back to each member [EUR/a], (member,).
        owed: what the operator pays upstream beyond the trades with the supplier: to the supplier as ``DEVIATION``, ``CUT_OFF``, ``NOT_NETTED``,
            ``LOSSES`` (where the market counts losses: more is drawn, or less fed in, than members trade),
            and under every component of the tariff [EUR/a].
        receivers: who receives each of these.
        energy_residual: largest difference of trades from meter readings [kWh].
        notes: what a reader of the trades must know.
        price_parts: nodal price of each member in the order of ``PRICE_PARTS`` [EUR/kWh], (part, member, period); empty where members do not settle
            at it.
        retail, feed_in: what a kWh of the supplier costs, and one to it earns a member in all [EUR/kWh], (period,).
        losses: of the network; None where the market counts none.
        difference: from the market with whose program this one was operated; None where it has its own, or was not compared.
    """

    trades: Trades
    occurrences: np.ndarray
    rebate: np.ndarray
    owed: dict[str, float]
    receivers: dict[str, str]
    energy_residual: float
    notes: tuple[str, ...] = ()
    price_parts: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0)))
    retail: np.ndarray = field(default_factory=lambda: np.zeros(0))
    feed_in: np.ndarray = field(default_factory=lambda: np.zeros(0))
    losses: LossAccount | None = None
    difference: MarketDifference | None = None

    @property
    def bills(self) -> np.ndarray:
        """Yearly bill of every member [EUR/a], (member,); negative where it earns."""
        return np.asarray(self.trades.paid()[: self.trades.outside] @ self.occurrences) - self.rebate

    @property
    def money_residual(self) -> float:
        """What members pay less what suppliers, receivers of charges and the operator receive, relative to what is paid [1]; zero up to rounding."""
        to_supplier = -float(self.trades.paid()[self.trades.outside] @ self.occurrences)
        volume = float(np.abs(self.trades.paid()).sum(axis=0) @ self.occurrences) + sum(map(abs, self.owed.values()))
        return abs(float(self.bills.sum()) - to_supplier - sum(self.owed.values())) / max(volume, 1.0)


def market_of(tree: OperatingTree) -> PlatformMarket:
    """The market of the platforms.

    Raises:
        TypeError: it only states a program and clears nothing.
    """
    if not isinstance(tree.market, PlatformMarket):
        raise TypeError(f"{type(tree.market).__name__} is no market of a platform: it clears no trades; use one of markets.MARKETS")
    return tree.market


def trade_book(tree: OperatingTree, platform: str, outcome: Outcome, *, compared: bool = False) -> TradeBook:
    """Trades and settlement of a platform that was not excluded.

    Args:
        tree, platform, outcome: what was operated.
        compared: whether a market without a program is compared with the one whose program stands for it.
    """
    positions, market = metered_positions(tree, platform, outcome), market_of(tree)
    cleared = market.cleared(positions)
    book = _settled(tree, platform, outcome, positions, market, cleared)
    if market.nearest is None or not compared:
        return book
    other = _settled(tree, platform, outcome, positions, market.nearest, market.nearest.cleared(positions))
    most = Auction().cleared(positions).certificate["welfare_bound"].value
    kinds = market.kind, market.nearest.kind
    return replace(book, difference=market_difference(kinds, positions, cleared, most, book.bills, other.bills))


def _settled(tree: OperatingTree, platform: str, outcome: Outcome, positions: Positions, market: PlatformMarket, cleared: Cleared) -> TradeBook:
    trades = cleared.trades
    owed = owed_upstream(tree, platform, outcome, trades)
    paid = np.asarray(trades.paid() @ positions.occurrences)
    collected = float(paid[: trades.outside].sum()) + float(paid[trades.outside])
    traded = np.abs(positions.net) @ positions.occurrences
    share = traded / traded.sum() if traded.sum() > 0 else np.full(len(traded), 1.0 / len(traded))
    tariff = tree.economics.tariff.components
    receivers = {name: tariff[name].receiver if name in tariff else "supplier" for name in owed}
    residual, notes = trades.energy_residual(positions.net), (*market.notes(positions), *cleared.notes)
    # What policy mechanisms pay for devices goes to their owners, not to all who trade.
    supported = support_of_members(tree, platform, outcome)
    rebate = share * (collected - sum(owed.values()) - float(supported.sum())) + supported
    program, hours = tree.platforms[platform], tree.horizon.hours_per_year
    split = market.nodal and "buy" in program.columns
    parts = price_parts(program, outcome.platform_y[platform]) / hours if split else np.zeros((0, *positions.net.shape))
    lost = loss_account(tree, platform, outcome)
    if lost is not None and lost.excess > NEGLIGIBLE * lost.counted:
        why = "the price of energy is below zero there, and a loss is paid for like any use of it"
        notes = (*notes, f"losses in the program are {lost.excess:.1f} kWh/a above those of its flows: {why}")
    return TradeBook(trades, positions.occurrences, rebate, owed, receivers, residual, notes, parts, positions.retail, positions.feed_in, lost)


def loss_account(tree: OperatingTree, platform: str, outcome: Outcome) -> LossAccount | None:
    """Losses of the network of a platform that was not excluded; None where the market counts none."""
    state = tree.platforms.data[platform].loss_state(tree.platforms[platform], outcome.platform_x[platform])
    if state is None:
        return None
    hours = tree.horizon.hours_per_year
    return LossAccount(*(float((hours * power).sum()) for power in (state.counted, state.missing, state.excess)))


def metered_positions(tree: OperatingTree, platform: str, outcome: Outcome) -> Positions:
    """Meter readings of the members of a platform that was not excluded, and the prices around them."""
    program, horizon = tree.platforms[platform], tree.horizon
    hours = horizon.hours_per_year
    buy, sell = bought_and_sold(program, outcome.platform_x[platform])
    net = (buy - sell) * horizon.step_hours
    net[np.abs(net) <= METER_RESOLUTION] = 0.0
    value = program.rows.values("prosumer_balance", outcome.platform_y[platform]) / hours
    buying, selling = boundary_prices(outcome, platform)
    prices = tree.prices(next(d for d, own in tree.distribution.items() if platform in own.children))
    imported, exported = (program.outputs[name].matrix for name in (METERED_IMPORT, METERED_EXPORT))
    tariff = tree.economics.tariff
    charges = [tariff.price(name, prices).ravel() @ program.outputs[BILLED + name].matrix for name in tariff.components]
    money = sum(charges, (hours * buying) @ imported - (hours * selling) @ exported)
    drawn, fed = (matrix.indices[matrix.indptr[:-1]] for matrix in (imported, exported))
    full, fee, node = np.zeros(horizon.periods), np.zeros(horizon.periods), None
    if "buy" in program.columns and (program.columns["buy"].positions[0] != drawn).all():
        full = money[program.columns["buy"].positions[0]] / hours
        # Where the fee is above all charges on import and export, neighbours trade through the supplier, and pay these in its place.
        spared = program.rows.values(NOT_PASSED_ON, outcome.platform_y[platform]) / hours if NOT_PASSED_ON in program.rows else 0.0
        fee = full + spared
        node = pool_prices(program, outcome.platform_y[platform]) / hours
    fleet = tree.fleets[platform]
    data, occurrences = fleet.data, hours / horizon.step_hours
    retail, feed_in = money[drawn] / hours + full, -money[fed] / hours
    more = {
        "generation": fleet.reference_generation * horizon.step_hours,
        "demand": fleet.reference_demand * horizon.step_hours,
        "bus": data.bus.values,
        "category": data.category.values,
        "network": tree.platforms.data[platform].network,
    }
    return Positions(data.prosumer.values, horizon.labels, net, value, buying, selling, retail, feed_in, fee, occurrences, node, **more)


def support_of_members(tree: OperatingTree, platform: str, outcome: Outcome) -> np.ndarray:
    """What policy mechanisms pay each member of a platform for what its devices do [EUR/a], (member,); below zero where it pays back."""
    members = tree.fleets[platform].data.prosumer.values
    if not tree.economics.tariff.policies:
        return np.zeros(len(members))
    program, schedule = tree.platforms[platform], outcome.platform_x[platform]
    prices = tree.prices(next(d for d, own in tree.distribution.items() if platform in own.children))
    tariff, supported = tree.economics.tariff, np.zeros(len(members))
    for name in tariff.policies:
        supported -= paid_by_owner(tariff, name, program, schedule, prices, members)
    return supported


def pool_prices(program: ParametricProgram, y: np.ndarray) -> np.ndarray:
    """Price of energy in the pool where each member is connected, from duals [EUR/a per kW], (member, period)."""
    rows = np.concatenate([program.rows[name].positions.ravel() for name in POOL_ROWS if name in program.rows])
    return -np.asarray(program.A[rows].T @ y[rows])[program.columns["buy"].positions]


def boundary_prices(outcome: Outcome, platform: str) -> tuple[np.ndarray, np.ndarray]:
    """What the supplier takes and gives for energy at the boundary of a platform [EUR/kWh], (period,)."""
    signal, price = outcome.signals.get(platform), outcome.platform_price[platform]
    return (signal.import_price, signal.export_price) if signal else (price, price)


def owed_upstream(tree: OperatingTree, platform: str, outcome: Outcome, trades: Trades) -> dict[str, float]:
    """What the operator of a platform pays beyond the trades of its members with the supplier [EUR/a], by what it is for."""
    program, hours, schedule = tree.platforms[platform], tree.horizon.hours_per_year, outcome.platform_x[platform]
    payments = platform_payments(tree, platform, outcome)
    energy = payments.pop("energy")
    signal, (buying, selling) = outcome.signals.get(platform), boundary_prices(outcome, platform)
    shed, spilled = cut_off(tree, outcome, platform)
    settled = {DEVIATION: 0.0, CUT_OFF: float((hours * (selling * spilled - buying * shed)).sum())}
    if signal and signal.deviation_price > 0:
        off = sum(program.columns.values(name, schedule) for name in ("above_plan", "below_plan"))
        settled[DEVIATION] = float(signal.deviation_price * (hours * off).sum())
    if LOSS in program.columns:
        lost = program.columns.values(LOSS, schedule).sum(axis=0)
        # Where the members together deliver, what is lost on the way is not fed in.
        fed = np.clip(-np.asarray(program.outputs["exchange"].matrix @ schedule) + lost, 0.0, lost)
        settled[LOSSES] = float((hours * (buying * (lost - fed) + selling * fed)).sum())
    traded = -float(trades.paid()[trades.outside] @ (hours / tree.horizon.step_hours))
    settled[NOT_NETTED] = energy - traded - sum(settled.values())
    return settled | payments
