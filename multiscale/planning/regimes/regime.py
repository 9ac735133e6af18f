"""What a regime is: whose interest the operator follows, and what it may earn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from multiscale.planning.regimes.capital import Capital
from multiscale.settings import Settings, count, quantity

if TYPE_CHECKING:
    import pyomo.environ as pyo


def _nothing(_: Any = None) -> Any:
    return 0.0


@dataclass(frozen=True, kw_only=True)
class Position:
    """What a regime refers to: numbers of a plan or of a ledger, or expressions of the leader's model [EUR/a].

    Attributes:
        existing_cost: yearly cost of the existing network.
        investment: annuities of what is built.
        revenue: what the operator's components of the tariff earn.
        bought: what it pays for flexibility, by components of the tariff that are expenditure; recovered, shared or borne as the regime has it.
        resource_cost: cost of operation without transfers, constants included.
        unserved: called, energy that is not served [kWh/a]; a regime that does not ask keeps the leader's problem smaller.
        useful: called with a share, annuities of what is built and would use at least that share of what it adds, see ``planning.useful``.
        saved: called with a price (or None), cost of all users before the plan less that under it.
        paid: payment in addition to the revenue as it was booked; None: as the regime states it.
        discount_rate: true cost of capital [1/a].
        in_base: even yearly cost that has the asset base of what is built; None: that of ``investment``. It differs where assets age.
        yardstick: what the cost of comparable operators makes of this one's size, see ``yardsticks``; NaN where it is not compared.
    """

    existing_cost: float
    investment: Any
    revenue: Any
    bought: Any = 0.0
    resource_cost: Any = 0.0
    unserved: Callable[[], Any] = _nothing
    useful: Callable[[float], Any] = _nothing
    saved: Callable[[float | None], Any] = _nothing
    paid: float | None = None
    discount_rate: float = 0.05
    in_base: Any = None
    yardstick: float = float("nan")

    @property
    def base_annuity(self) -> Any:
        """Even yearly cost that has the asset base of what is built."""
        return self.investment if self.in_base is None else self.in_base

    @property
    def cost(self) -> Any:
        """Yearly cost of the operator: network existing and built, and flexibility bought."""
        return self.existing_cost + self.investment + self.bought

    @property
    def social_cost(self) -> Any:
        """Real cost to society: network and operation, without transfers."""
        return self.investment + self.resource_cost


@dataclass(frozen=True, kw_only=True)
class Leader(Position):
    """The same as expressions, with the leader's model, to which the regime adds rows and the objective.

    Attributes:
        model: decisions stand in it already.
        tolerance: relative tolerance of cost recovery, upwards.
        largest_unserved: called, an upper bound on the energy that is not served [kWh/a].
    """

    model: pyo.ConcreteModel
    tolerance: float
    largest_unserved: Callable[[], float] = _nothing


class Regime(Settings):
    """A regulatory regime: its settings, the operator's objective under it, and the rows on what it may earn.

        profit = earned - cost + payment,      earned = allowed revenue where the revenue has to recover it, else the revenue     [EUR/a]

    A kind states ``allowed_revenue`` and ``payment``; both are computed alike from expressions of the leader and from numbers.
    """

    kind: str
    regulatory_life: int = count(40, "years over which the asset base is depreciated", 1, 100)
    existing_capital_share: float = quantity(
        0.5, "1", "share of the existing network's yearly cost that is depreciation and return of its asset base", lower=0.0, upper=1.0
    )
    capitalised_share: float = quantity(1.0, "1", "share of what is built that enters the asset base; the rest is paid at once", lower=0.0, upper=1.0)

    gearing: float = quantity(0.6, "1", "share of the asset base that is financed by debt", lower=0.0, upper=0.99)
    cost_of_debt: float = quantity(0.03, "1/a", "rate paid on that debt, real like the true cost of capital", lower=0.0, upper=1.0)
    account_interest: float | None = quantity(
        None,
        "1/a",
        "interest on what the regulatory account carries over the years; empty: the true cost of capital",
        lower=0.0,
        upper=1.0,
    )

    method: ClassVar[str] = "branch_and_cut"
    """Method of the bilevel engine for this regime where none is chosen."""
    called: ClassVar[str] = "loss of the operator"
    """What the objective of a plan is called."""
    aim: ClassVar[str]
    """The operator's aim as a sentence of the report."""
    reason: ClassVar[str]
    """Why the operator builds what is not needed to keep a limit at all, as a phrase of the report."""
    pricing: ClassVar[str]
    """How the report introduces the prices that are decided, e.g. ``These prices recover the cost``."""
    recovers_cost: ClassVar[bool] = True
    """Whether the revenue has to recover what is allowed; otherwise it may not exceed it."""

    def capital(self, position: Position) -> Capital:
        """How yearly costs of capital split."""
        return Capital(position.discount_rate, self.regulatory_life)

    def useful(self, position: Position) -> Any:
        """Annuities of what is built and may enter the asset base [EUR/a]."""
        return position.base_annuity

    def entered(self, position: Position) -> Any:
        """Even yearly cost of what is in the asset base [EUR/a]."""
        return self.existing_capital_share * position.existing_cost + self.capitalised_share * self.useful(position)

    def asset_base(self, position: Position) -> Any:
        """The asset base [EUR], level over the years: see ``capital``."""
        return self.capital(position).base * self.entered(position)

    def return_on_equity(self, return_on_base: float) -> float:
        """What the asset base earns beyond its debt, relative to its equity [1/a]: (return - gearing * cost of debt) / (1 - gearing)."""
        return (return_on_base - self.gearing * self.cost_of_debt) / (1.0 - self.gearing)

    def allowed_revenue(self, position: Position) -> Any | None:
        """Revenue that the operator is allowed [EUR/a]; None where there is no limit."""
        return position.cost

    def payment(self, position: Position) -> Any:  # noqa: ARG002
        """Incentives received less penalties paid, in addition to the revenue [EUR/a]."""
        return 0.0

    def profit(self, position: Position) -> Any:
        """What is left to the operator after all costs, that of capital included [EUR/a]."""
        earned = self.allowed_revenue(position) if self.recovers_cost else position.revenue
        return earned - position.cost + (self.payment(position) if position.paid is None else position.paid)

    def state(self, leader: Leader) -> None:
        """Add the objective and the rows of the regime to the leader's model; the objective is minus the profit."""
        import pyomo.environ as pyo

        limit_revenue(self, leader)
        leader.model.objective = pyo.Objective(expr=-self.profit(leader))


def penalty(rate: float, position: Position) -> Any:
    """What the operator pays for energy not served [EUR/a], at a rate in EUR/kWh; without one that energy is not asked for."""
    return rate * position.unserved() if rate > 0 else 0.0


def limit_revenue(regime: Regime, leader: Leader) -> None:
    """Rows: the revenue lies in [allowed, (1 + tolerance) allowed], or at most at the allowed revenue, as the regime has it."""
    import pyomo.environ as pyo

    allowed = regime.allowed_revenue(leader)
    if allowed is None:
        return
    if regime.recovers_cost:
        leader.model.recovery_low = pyo.Constraint(expr=leader.revenue >= allowed)
        leader.model.recovery_high = pyo.Constraint(expr=leader.revenue <= (1 + leader.tolerance) * allowed)
    else:
        leader.model.revenue_cap = pyo.Constraint(expr=leader.revenue <= allowed)
