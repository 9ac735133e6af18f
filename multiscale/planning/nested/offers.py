"""What a distribution operator tells the transmission operator of its planning: how its plan responds to nodal prices, not its network.

At prices ``lambda`` (per period) it plans to a proven bound ``v`` on what its plan and the energy it draws cost together,

    v <= min over z, y of  a'z + F(z, y) + sum_t h_t lambda_t y_t

and offers ``v``, the plan found, its cost without energy, and the exchange that goes with it, within a declared band of power. So

    a'z + F(z, y) >= v - sum_t h_t lambda_t y_t          for every plan and every exchange

holds for all offers: a convex under-estimator of its planning cost. Where its options are whole numbers that is the convex hull of its cost, no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from multiscale.planning.follower_names import BUILT
from multiscale.planning.nested.problem import EXCHANGE
from multiscale.programs import Block, CompiledProgram, Index, Output, ParametricProgram, ProgramBuilder
from multiscale.programs.mixed_integer import solve_mixed


@dataclass(frozen=True)
class Offer:
    """The planning response of a distribution operator to prices.

    Attributes:
        price: at which it was asked [EUR/kWh], (period,).
        value: proven least cost of plan and energy together at these prices [EUR/a].
        built: options of the plan that it found.
        cost: of that plan without energy [EUR/a].
        exchange: that goes with it [kW], (period,).
        nodes: of the branch and cut that found it.
    """

    price: np.ndarray
    value: float
    built: frozenset[str]
    cost: float
    exchange: np.ndarray
    nodes: int


class DistributionPlanner:
    """A distribution operator that answers prices with plans.

    Args:
        program: its cost, with its options as the columns ``built`` and output ``exchange`` [kW]; without parameters.
        hours: of the year of every period [h/a].
        missed: cost of exchange that it is asked for and cannot have, at least the value of lost load [EUR/kWh].
        gap_eur, nodes: of each of its searches for a plan [EUR/a, 1].
    """

    def __init__(self, program: ParametricProgram, hours: np.ndarray, missed: float, gap_eur: float = 0.0, nodes: int = 100_000) -> None:
        self.program, self.hours, self.missed, self.gap_eur, self.nodes = program, hours, missed, gap_eur, nodes
        self._block = program.columns[BUILT]

    def price_at(self, exchange: np.ndarray) -> np.ndarray:
        """Prices [EUR/kWh], (period,), at which it would draw about so much [kW]: what the last kWh is worth to it, options divisible.

        What it cannot draw or feed in is missed at ``missed`` per kWh, so there always is an answer.
        """
        solution = self._at_exchange.solve_optimal({"asked": exchange})
        return -solution.program.rows.values("asked", solution.y) / self.hours

    @cached_property
    def _at_exchange(self) -> CompiledProgram:
        matrix = self.program.outputs[EXCHANGE].matrix.tocoo()
        axes, builder = {"period": np.arange(len(self.hours))}, ProgramBuilder.continuing(replace(self.program, outputs={}))
        asked = builder.add_parameters("asked", axes, unit="kW", description="power asked for")
        cost = self.missed * self.hours
        short, over = (builder.add_columns(name, axes, unit="kW", cost=cost, description="exchange missed") for name in ("short", "over"))
        terms = [(1.0, short), (-1.0, over)]
        rows = builder.add_rows("asked", axes, terms, "==", 0.0, unit="kW", parameters=[(1.0, asked)], description="exchange asked for")
        builder.add_to_rows(rows[matrix.row], matrix.col, matrix.data)
        return CompiledProgram(builder.build())

    @cached_property
    def band(self) -> tuple[np.ndarray, np.ndarray]:
        """Interval of power in which its exchange lies whatever it does [kW], (period,)."""
        matrix = self.program.outputs[EXCHANGE].matrix
        positive, negative = matrix.maximum(0), matrix.minimum(0)
        low = positive @ self.program.lower + negative @ self.program.upper
        return np.asarray(low), np.asarray(positive @ self.program.upper + negative @ self.program.lower)

    def offer(self, price: np.ndarray) -> Offer:
        """The response to prices [EUR/kWh], (period,)."""
        matrix = self.program.outputs[EXCHANGE].matrix
        energy = matrix.T @ (self.hours * price)
        at = self._block.positions.ravel()
        # Options that cannot be chosen otherwise are no whole numbers to look for.
        open_to_choice = at[self.program.lower[at] < self.program.upper[at]]
        found = solve_mixed(replace(self.program, c0=self.program.c0 + energy), open_to_choice, gap_eur=self.gap_eur, nodes=self.nodes)
        names = self._block.coords["option"][found.x[at] > 0.5]
        return Offer(
            np.asarray(price, dtype=float),
            found.bound,
            frozenset(map(str, names.tolist())),
            found.objective - float(energy @ found.x),
            matrix @ found.x,
            found.nodes,
        )


def as_offered(offers: Sequence[Offer], band: tuple[np.ndarray, np.ndarray], hours: np.ndarray, periods: np.ndarray) -> ParametricProgram:
    """A distribution operator as the transmission operator knows it: an exchange within its band, at the cost that its offers prove.

    Args:
        offers: at least one.
        band: see ``DistributionPlanner.band``.
        hours, periods: of the year [h/a], and labels.
    """
    axes, builder = {"period": periods}, ProgramBuilder("offers")
    power = builder.add_columns("power", axes, unit="kW", lower=band[0], upper=band[1], description="power drawn from transmission")
    paid = np.array([offer.price for offer in offers]) * hours
    value = np.array([offer.value for offer in offers])
    # What every cut says at most and at least within the band bounds the cost.
    reach = float(np.max(np.abs(value) + np.abs(paid) @ np.maximum(np.abs(band[0]), np.abs(band[1]))))
    cost = builder.add_columns("cost", {}, unit="EUR/a", lower=-reach, upper=reach, cost=1.0, description="planning cost of the operator")
    cuts = {"offer": np.arange(len(offers))}
    terms = [(1.0, np.broadcast_to(cost, (len(offers),))), (paid, np.broadcast_to(power, paid.shape))]
    builder.add_rows("offers", cuts, terms, ">=", value, unit="EUR/a", description="cost and energy are no less than offered")
    program = builder.build()
    output = program.columns["power"]
    matrix = sparse.csr_matrix((np.ones(len(periods)), (np.arange(len(periods)), output.positions)), shape=(len(periods), program.columns.size))
    return replace(program, outputs={EXCHANGE: Output(Index((Block(EXCHANGE, axes, "kW", 0, "power drawn"),)), matrix)})
