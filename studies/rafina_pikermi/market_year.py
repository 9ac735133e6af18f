r"""The local market over a year: every day a linear program, each with the following days in view, of which the first is kept.

Per day, participant j and hour t, in kWh (published equations 1-8; the sign of exports corrected, preferences zero since none are published):

    min  sum_t [ 2 g_imp imp_t + g_exp exp_t + g_com sum_j |q_jt| ]
    s.t. s_jt + q^-_jt + b_jt = G_jt + q^+_jt + a_jt,   sum_j q_jt = 0,   sum_j a_jt = imp_t,   sum_j b_jt = exp_t
         (1 - f_j) L_jt <= s_jt <= (1 + f_j) L_jt,      sum over the day of s_jt = that of L_jt

with consumption s, generation G, trade q = q^+ - q^-, import a and export b. The community pays g_imp on imports a second time, as a penalty.
Buying and selling are bought = q^+ + a, sold = q^- + b, so a kWh from the grid costs 2 g_imp - g_com beyond what trade costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multiscale.programs import CompiledProgram, ProgramBuilder, ProgramSolution

from .participants import Participant
from .published import EXPORT_PRICE, IMPORT_PRICE

HOURS = 24


@dataclass(frozen=True)
class MarketYear:
    """What participants do in a year.

    Attributes:
        load: consumption [kWh], (participant, hour).
        generation: [kWh], (participant, hour).
        gap: largest relative gap between the optimum of a day and the bound from its duals [1].
    """

    load: np.ndarray
    generation: np.ndarray
    gap: float

    @property
    def bought(self) -> np.ndarray:
        """From the community or the grid [kWh], (participant, hour)."""
        return np.maximum(self.load - self.generation, 0.0)

    @property
    def sold(self) -> np.ndarray:
        """To the community or the grid [kWh], (participant, hour)."""
        return np.maximum(self.generation - self.load, 0.0)

    @property
    def inside(self) -> tuple[np.ndarray, np.ndarray]:
        """Bought from and sold to the community [kWh], (participant, hour): what is sold is shared by all who buy in proportion, and the reverse."""
        bought, sold = self.bought, self.sold
        demand, supply = bought.sum(axis=0), sold.sum(axis=0)
        traded = np.minimum(demand, supply)
        shares = [np.divide(traded, total, out=np.zeros_like(traded), where=total > 0) for total in (demand, supply)]
        return bought * shares[0], sold * shares[1]


class Window:
    """The program of so many days; loads and generation are changed from day to day, and each solve begins where the last one ended.

    Args:
        movable: participants with flexibility.
        days: in view.
        trade_cost: g_com [EUR/kWh].
    """

    def __init__(self, movable: Sequence[Participant], days: int, trade_cost: float) -> None:
        hours, count = days * HOURS, len(movable)
        self.flexibility = np.array([p.flexibility for p in movable])[:, None]
        builder, who, when = ProgramBuilder("market day"), {"participant": np.arange(count)}, {"hour": np.arange(hours)}
        both = who | when
        self.net = builder.add_parameters("net", both, unit="kWh", description="load less generation, without flexibility")
        self.rest = builder.add_parameters("rest", when, unit="kWh", description="net demand of all others")
        self.moved = builder.add_columns("moved", both, unit="kWh", lower=-np.inf)
        bought = builder.add_columns("bought", both, unit="kWh", cost=trade_cost)
        sold = builder.add_columns("sold", both, unit="kWh", cost=trade_cost)
        imported = builder.add_columns("import", when, unit="kWh", cost=2 * IMPORT_PRICE - trade_cost)
        exported = builder.add_columns("export", when, unit="kWh", cost=EXPORT_PRICE - trade_cost)
        meter = [(1.0, bought), (-1.0, sold), (-1.0, self.moved)]
        builder.add_rows("meter", both, meter, "==", 0.0, unit="kWh", parameters=[(1.0, self.net)])
        per_day = self.moved.reshape(count, days, HOURS)
        kept = who | {"day": np.arange(days)}
        builder.add_rows("kept", kept, [(1.0, per_day)], "==", 0.0, unit="kWh")
        pool = [(1.0, imported), (-1.0, exported), (-1.0, bought.T), (1.0, sold.T)]
        builder.add_rows("pool", when, pool, "==", 0.0, unit="kWh", parameters=[(1.0, self.rest)])
        self.program = builder.build()
        self.compiled = CompiledProgram(self.program)

    def solve(self, load: np.ndarray, generation: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, ProgramSolution]:
        """Consumption moved [kWh], (participant, hour), and the solution."""
        most = (self.flexibility * load).ravel()
        self.compiled.bound(self.moved.ravel(), -most, most)
        solution = self.compiled.solve_optimal({"net": load - generation, "rest": rest})
        return solution.x[self.moved], solution


def market_year(everyone: Sequence[Participant], *, trade_cost: float, days_in_view: int = 1) -> MarketYear:
    """The market in every day of the profiles.

    Consumption is kept within each day, so days do not depend on each other: with more of them in view the first is the same.

    Args:
        everyone: the participants.
        trade_cost: of each kWh traded inside, for buyer and seller alike [EUR/kWh].
        days_in_view: of each program; the last days of the year see the first ones.
    """
    load, generation = (np.array([getattr(p, name) for p in everyone]) for name in ("load", "generation"))
    if not np.isfinite(load).all() or not np.isfinite(generation).all() or load.min() < 0 or generation.min() < 0:
        raise ValueError("participants: consumption and generation must be numbers that are not negative [kWh]; correct the profiles")
    flexible = np.flatnonzero([p.flexibility > 0 for p in everyone])
    still = np.setdiff1d(np.arange(len(everyone)), flexible)
    out, hours, gap = load.copy(), load.shape[1], 0.0
    if not len(flexible):
        return MarketYear(out, generation, 0.0)
    window = Window([everyone[k] for k in flexible], days_in_view, trade_cost)
    rest = (np.maximum(load[still] - generation[still], 0.0) - np.maximum(generation[still] - load[still], 0.0)).sum(axis=0)
    for first in range(0, hours, HOURS):
        at = (first + np.arange(days_in_view * HOURS)) % hours
        moved, solution = window.solve(load[np.ix_(flexible, at)], generation[np.ix_(flexible, at)], rest[at])
        out[flexible, first : first + HOURS] += moved[:, :HOURS]
        gap = max(gap, solution.gap)
    return MarketYear(np.maximum(out, 0.0), generation, gap)
