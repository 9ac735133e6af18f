"""Peer-to-peer trade with product differentiation, agreed trade by trade: the multi-bilateral economic dispatch.

    min  sum_n [ a_n p_n^2 / 2 + b_n p_n ] + sum_e c_e x_e
    s.t. p_n = sum of x_e over its sales - sum of x_e over its purchases,   lower_n <= p_n <= upper_n,   x_e >= 0

with a directed edge e from a seller to a buyer. An agent may also have a supplier, which takes or gives any power at two prices. Each side keeps its
own copy of a trade; both agree by the alternating direction method of multipliers, whose multiplier is the price of the trade. A message is the
quantity that one side proposes to the other. An agent's own problem has one unknown, its marginal cost, and is solved exactly.

Source: Sorin, Bobo and Pinson, IEEE Trans. Power Syst. 34 (2019) 994-1004; Boyd et al., Foundations and Trends in Machine Learning 3 (2011) 1-122.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agents:
    """Agents with quadratic costs; generation positive, consumption negative.

    Attributes:
        names: (agent,).
        quadratic: a [EUR/kW^2], above zero.
        linear: b [EUR/kW].
        lower, upper: range of the power p [kW].
        outside_buying, outside_selling: what the agent pays its supplier for a kW beyond what it trades, and what it gets for one [EUR/kW], (agent,);
            infinite where it has no supplier.
    """

    names: np.ndarray
    quadratic: np.ndarray
    linear: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    outside_buying: np.ndarray | None = None
    outside_selling: np.ndarray | None = None

    @property
    def highest(self) -> np.ndarray:
        """Largest marginal cost an agent can have [EUR/kW]."""
        return np.full(len(self.names), np.inf) if self.outside_buying is None else self.outside_buying

    @property
    def lowest(self) -> np.ndarray:
        """Smallest marginal cost an agent can have [EUR/kW]."""
        return np.full(len(self.names), -np.inf) if self.outside_selling is None else self.outside_selling

    def power(self, marginal: np.ndarray) -> np.ndarray:
        """Power at a marginal cost [kW], (agent,)."""
        return np.clip((marginal - self.linear) / self.quadratic, self.lower, self.upper)


@dataclass(frozen=True)
class Edges:
    """Directed edges from a seller to a buyer.

    Attributes:
        seller, buyer: positions of the agents, (edge,).
        cost: fee and preferences of both sides c [EUR/kW], (edge,); negative: the two prefer each other.
    """

    seller: np.ndarray
    buyer: np.ndarray
    cost: np.ndarray


@dataclass(frozen=True)
class ConsensusSettings:
    """When to stop.

    Attributes:
        residual: largest relative disagreement of the two sides, and relative change of the trades, at which to stop [1].
        gap: largest relative distance of the objective to its bound at which to stop [1].
        rounds: largest number of rounds.
    """

    residual: float = 1e-3
    gap: float = 1e-3
    rounds: int = 3000


@dataclass(frozen=True)
class Consensus:
    """What the agents have agreed on.

    Attributes:
        trade: x [kW], (edge,).
        price: what the buyer pays and the seller receives, without the cost of the edge, of which each side bears half [EUR/kW], (edge,).
        power: sum of the sales less the purchases of every agent [kW], (agent,).
        marginal: marginal cost of every agent [EUR/kW], (agent,).
        objective: at ``trade`` [EUR].
        bound: proven lower bound of the objective [EUR].
        residual: relative disagreement of the two sides: norm of the difference over norm of the trades [1].
        violation: largest power beyond the range of an agent without a supplier at ``trade`` [kW].
        rounds: rounds of messages.
        messages: messages sent: two per edge and round.
        converged: whether residual and gap are within the settings.
    """

    trade: np.ndarray
    price: np.ndarray
    power: np.ndarray
    marginal: np.ndarray
    objective: float
    bound: float
    residual: float
    violation: float
    rounds: int
    messages: int
    converged: bool

    @property
    def gap(self) -> float:
        """Distance of the objective to its bound, relative to the objective [1]."""
        return (self.objective - self.bound) / max(abs(self.objective), 1e-9)


class _Sides:
    """The two copies of every trade, sorted by the agent that holds them."""

    def __init__(self, agents: int, edges: Edges) -> None:
        owner = np.concatenate([edges.seller, edges.buyer])
        self.order = np.argsort(owner, kind="stable")
        self.owner = owner[self.order]
        self.sign = np.where(self.order < len(edges.seller), 1.0, -1.0)
        self.agents = agents
        count = np.bincount(owner, minlength=agents)
        self.trading = np.flatnonzero(count)
        self.starts = (np.cumsum(count) - count)[self.trading]

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum over the copies of every agent."""
        return np.bincount(self.owner, values, minlength=self.agents)


def agree(agents: Agents, edges: Edges, settings: ConsensusSettings = ConsensusSettings()) -> Consensus:
    """Trades on which all agents agree, with a certificate.

    Raises:
        ValueError: bad data, or an agent that cannot meet its range with its trades; the message names the agent.
    """
    check(agents, edges)
    sides, count = _Sides(len(agents.names), edges), len(edges.seller)
    half = np.concatenate([edges.cost, edges.cost])[sides.order] / 2
    back = np.empty(2 * count, dtype=int)
    back[sides.order] = np.arange(2 * count)
    degree = np.maximum(np.bincount(sides.owner, minlength=len(agents.names)), 1)
    penalty = float(np.median(agents.quadratic * degree)) / 4
    z, dual = np.zeros(count), np.zeros(count)
    marginal = agents.linear + agents.quadratic * np.clip(0.0, agents.lower, agents.upper)
    best: Consensus | None = None
    for rounds in range(1, settings.rounds + 1):
        # dual is the price over the penalty: what the buyer pays lowers its trade, and raises the seller's.
        target = np.concatenate([z + dual, z - dual])[sides.order] - half / penalty
        marginal, x = _respond(agents, sides, target, penalty, marginal)
        sold, bought = np.split(x[back], 2)
        relaxed_sold, relaxed_bought = (RELAXATION * side + (1.0 - RELAXATION) * z for side in (sold, bought))
        before, z = z, (relaxed_sold + relaxed_bought) / 2
        dual = dual + (relaxed_bought - relaxed_sold) / 2
        size = max(float(np.linalg.norm(sold)), float(np.linalg.norm(bought)), 1e-9)
        apart = float(np.linalg.norm(sold - bought)) / size
        moved = float(np.linalg.norm(z - before)) / size
        if rounds % EVERY == 0 or rounds == settings.rounds:
            if max(apart, moved) <= settings.residual or rounds == settings.rounds:
                best = _judged(agents, edges, (sold + bought) / 2, penalty * dual, marginal, apart, rounds, settings)
                if best.converged:
                    return best
            # Bring both residuals together: a larger penalty presses the two sides together, a smaller one lets prices move trades.
            factor = float(np.clip(np.sqrt(apart / max(moved, 1e-12)), 1 / LARGEST_STEP, LARGEST_STEP)) if rounds <= ADAPTING else 1.0
            if not 0.7 < factor < 1.4:
                penalty, dual = penalty * factor, dual / factor
    assert best is not None
    return best


RELAXATION, EVERY, ADAPTING, LARGEST_STEP = 1.6, 10, 500, 2.0
"""Over-relaxation; rounds between two checks; rounds in which the penalty moves; its largest factor at once."""


def _respond(agents: Agents, sides: _Sides, target: np.ndarray, penalty: float, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Marginal cost of every agent and its copies of the trades.

        min  a p^2 / 2 + b p + penalty/2 sum (x - target)^2   s.t.  p = sum sign x,  lower <= p <= upper,  x >= 0
        =>   x = max(target - sign m / penalty, 0),   p = clip((m - b) / a, lower, upper),   sum sign x(m) = p(m)

    The left side falls and the right side rises with ``m``: Newton's method on a piecewise linear function, kept inside a bracket.
    """
    ends = agents.linear + agents.quadratic * agents.lower, agents.linear + agents.quadratic * agents.upper
    low, high = ends[0].copy(), ends[1].copy()
    turns = sides.sign * penalty * target
    if len(turns):
        low[sides.trading] = np.minimum(low[sides.trading], np.minimum.reduceat(turns, sides.starts))
        high[sides.trading] = np.maximum(high[sides.trading], np.maximum.reduceat(turns, sides.starts))
    # Beyond all turning points the excess grows or falls by trades on one side only.
    need = np.maximum(np.abs(agents.lower), np.abs(agents.upper)) + sides.sum(np.abs(target))
    low, high = low - penalty * need - 1.0, high + penalty * need + 1.0

    def at(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = np.maximum(target - sides.sign * m[sides.owner] / penalty, 0.0)
        return x, sides.sum(sides.sign * x) - agents.power(m)

    fixed, held = np.zeros(len(low), dtype=bool), np.zeros(len(low))
    for price, sign in ((agents.lowest, -1.0), (agents.highest, 1.0)):
        # The supplier takes or gives the rest where the agent would otherwise go beyond its price.
        known = np.isfinite(price)
        if known.any():
            beyond = known & (sign * at(np.where(known, price, 0.0))[1] >= 0.0)
            fixed, held = fixed | beyond, np.where(beyond, price, held)
    m = np.where(fixed, held, np.clip(start, low, high))
    accuracy = 1e-9 * (1.0 + float(need.max()))
    for _ in range(200):
        x, excess = at(m)
        excess = np.where(fixed, 0.0, excess)
        if float(np.abs(excess).max()) <= accuracy:
            break
        slope = sides.sum((x > 0.0).astype(float)) / penalty + ((m > ends[0]) & (m < ends[1])) / agents.quadratic
        low, high = np.where(excess > 0.0, m, low), np.where(excess < 0.0, m, high)
        step = m + np.divide(excess, slope, out=np.full_like(m, np.inf), where=slope > 0.0)
        m = np.where(excess == 0.0, m, np.where((step > low) & (step < high), step, (low + high) / 2))
    return m, x


def _judged(
    agents: Agents,
    edges: Edges,
    trade: np.ndarray,
    price: np.ndarray,
    marginal: np.ndarray,
    residual: float,
    rounds: int,
    settings: ConsensusSettings,
) -> Consensus:
    power = _powers(len(agents.names), edges, trade)
    objective = total_cost(agents, edges, trade, marginal)
    bound = lower_bound(agents, edges, marginal)
    beyond = np.maximum(agents.lower - power, power - agents.upper)
    violation = float(beyond[~np.isfinite(agents.highest)].max(initial=0.0))
    within = residual <= settings.residual and objective - bound <= settings.gap * max(abs(objective), 1e-9)
    return Consensus(trade, price, power, marginal, objective, bound, residual, violation, rounds, 2 * len(trade) * rounds, within)


def _powers(agents: int, edges: Edges, trade: np.ndarray) -> np.ndarray:
    return np.bincount(edges.seller, trade, minlength=agents) - np.bincount(edges.buyer, trade, minlength=agents)


def total_cost(agents: Agents, edges: Edges, trade: np.ndarray, marginal: np.ndarray) -> float:
    """The objective of the whole at some trades [EUR]; agents with a supplier produce what they would at their marginal cost, it takes the rest."""
    power = _powers(len(agents.names), edges, trade)
    supplied = np.isfinite(agents.highest)
    own = np.where(supplied, agents.power(marginal), power)
    rest = np.where(supplied, power - own, 0.0)
    outside = np.where(supplied, np.where(rest > 0.0, agents.highest, agents.lowest), 0.0)
    return float((agents.quadratic * own**2 / 2 + agents.linear * own + outside * rest).sum() + (edges.cost * trade).sum())


def lower_bound(agents: Agents, edges: Edges, marginal: np.ndarray) -> float:
    """Lower bound of the objective by weak duality at any marginal costs m [EUR].

        sum_n min over p of [ C_n(p) - m_n p ]    for  m_buyer <= m_seller + c  on every edge,   outside_selling <= m <= outside_buying

    Marginal costs that break the condition on an edge are lowered first, as little as possible: the lengths of shortest paths. Where that takes one
    below what its supplier pays, nothing is proven (-inf).

    Raises:
        ValueError: costs of edges are negative around a cycle, along which trade would earn without limit.
    """
    m = np.clip(marginal, agents.lowest, agents.highest)
    for _ in range(len(m) + 1):
        lowered = m.copy()
        np.minimum.at(lowered, edges.buyer, m[edges.seller] + edges.cost)
        if (lowered == m).all():
            if (m < agents.lowest - 1e-12).any():
                return -np.inf
            power = agents.power(m)
            return float((agents.quadratic * power**2 / 2 + agents.linear * power - m * power).sum())
        m = lowered
    raise ValueError(
        "consensus: the costs of the edges around a cycle are below zero, trade along it has no limit; raise them to at least zero in sum"
    )


def check(agents: Agents, edges: Edges) -> None:
    """Refuse data that state no problem.

    Raises:
        ValueError: the message names the agent or edge, the field, its value and what to do.
    """
    fields = {"quadratic": "EUR/kW^2", "linear": "EUR/kW", "lower": "kW", "upper": "kW"}
    for field, unit in fields.items():
        values = getattr(agents, field)
        for n in np.flatnonzero(~np.isfinite(values))[:1]:
            raise ValueError(f"agent {str(agents.names[n])!r}: {field} {values[n]} {unit} is not finite; give a number")
    for n in np.flatnonzero(agents.quadratic <= 0.0)[:1]:
        value = f"quadratic {agents.quadratic[n]:g} EUR/kW^2"
        raise ValueError(f"agent {str(agents.names[n])!r}: {value} is not above zero; agents with linear costs clear by a linear program")
    for n in np.flatnonzero(~(agents.lowest <= agents.highest))[:1]:
        prices = f"outside_selling {agents.lowest[n]:g} and outside_buying {agents.highest[n]:g} EUR/kW"
        raise ValueError(f"agent {str(agents.names[n])!r}: {prices} are not two prices, the first no higher than the second; correct them")
    for n in np.flatnonzero(agents.lower > agents.upper)[:1]:
        raise ValueError(f"agent {str(agents.names[n])!r}: lower {agents.lower[n]:g} kW is above upper {agents.upper[n]:g} kW; exchange them")
    size = len(agents.names)
    ends = np.stack([edges.seller, edges.buyer])
    for k in np.flatnonzero(((ends < 0) | (ends >= size)).any(axis=0))[:1]:
        raise ValueError(f"edge {k}: from agent {edges.seller[k]} to agent {edges.buyer[k]}; agents are numbered 0 to {size - 1}")
    for k in np.flatnonzero(edges.seller == edges.buyer)[:1]:
        raise ValueError(f"edge {k}: agent {str(agents.names[edges.seller[k]])!r} cannot trade with itself; remove the edge")
    for k in np.flatnonzero(~np.isfinite(edges.cost))[:1]:
        raise ValueError(f"edge {k}: cost {edges.cost[k]} EUR/kW is not finite; give a number")
    sells, buys = (np.bincount(side, minlength=size) > 0 for side in (edges.seller, edges.buyer))
    for n in np.flatnonzero(~np.isfinite(agents.highest) & (((agents.lower > 0.0) & ~sells) | ((agents.upper < 0.0) & ~buys)))[:1]:
        limits = f"{agents.lower[n]:g} to {agents.upper[n]:g} kW"
        raise ValueError(f"agent {str(agents.names[n])!r}: its range is {limits} and it has no edge to trade that on; add one")
