"""What a regime is: whose interest the operator follows, and what it may earn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from multiscale.settings import Settings

if TYPE_CHECKING:
    import pyomo.environ as pyo


@dataclass(frozen=True)
class Leader:
    """What a regime can refer to: the operator's decisions and what follows from them, as expressions of the leader's model [EUR/a].

    Attributes:
        model: the leader's model; decisions stand in it already, the regime adds rows and the objective.
        existing_cost: yearly cost of the existing network.
        investment: annuities of what is built.
        revenue: what the operator's components of the tariff earn.
        resource_cost: cost of operation without transfers, constants included.
        unserved: called, energy that is not served [kWh/a]; a regime that does not ask keeps the leader's problem smaller.
        tolerance: relative tolerance of cost recovery, upwards.
    """

    model: pyo.ConcreteModel
    existing_cost: float
    investment: Any
    revenue: Any
    resource_cost: Any
    unserved: Callable[[], Any]
    tolerance: float

    @property
    def cost(self) -> Any:
        """Yearly cost of the network: existing and built."""
        return self.existing_cost + self.investment

    @property
    def social_cost(self) -> Any:
        """Real cost to society: network and operation, without transfers."""
        return self.investment + self.resource_cost


class Regime(Settings):
    """A regulatory regime: its settings, the operator's objective under it, and the rows on what it may earn."""

    kind: str

    method: ClassVar[str] = "branch_and_cut"
    """Method of the bilevel engine for this regime where none is chosen."""
    objective: ClassVar[str]
    """What the operator's objective is called, e.g. ``social cost``."""
    called: ClassVar[str]
    """What the objective of a plan is called in the report."""
    aim: ClassVar[str]
    """The operator's aim as a sentence of the report."""
    reason: ClassVar[str]
    """Why the operator builds what is not needed to keep a limit at all, as a phrase of the report."""
    pricing: ClassVar[str]
    """How the report introduces the prices that are decided, e.g. ``These prices recover the cost``."""

    @property
    def recovers_cost(self) -> bool:
        """Whether prices have to recover the cost of the network exactly."""
        return True

    def state(self, leader: Leader) -> None:
        """Add the objective and the rows of the regime to the leader's model."""
        raise NotImplementedError


def recover_cost(leader: Leader) -> None:
    """Rows: the revenue lies in [cost, (1 + tolerance) cost]."""
    import pyomo.environ as pyo

    leader.model.recovery_low = pyo.Constraint(expr=leader.revenue >= leader.cost)
    leader.model.recovery_high = pyo.Constraint(expr=leader.revenue <= (1 + leader.tolerance) * leader.cost)
