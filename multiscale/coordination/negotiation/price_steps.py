"""Quadratic steps of a parent over what its children have offered: they choose where to look next, and are never part of a certificate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from multiscale.coordination.negotiation.parent import MasterPoint, Parent
from multiscale.programs.quadratic import solve_quadratic

_PRESOLVED = 5000
"""Number of columns above which steps that only choose prices leave out columns that are far from changing."""


def level_price(parent: Parent, centre: np.ndarray, level: float, point: MasterPoint) -> np.ndarray | None:
    """Projection of the centre on the prices at which the parent's model of the dual reaches a level; None where none was found.

        min over pi of  sum_t h_t |pi_t - centre_t|^2 / 2    s.t.    P(pi) + sum_c min_k (f_ck + h pi'y_ck) >= level

    solved in the variables of the dual: with everything scaled by tau >= 0 and r the imbalance left over,
    ``min sum h r^2 / 2 + h centre'r + c'x + f'w - level tau``, and ``pi = centre + r`` [in suitable units].
    """
    model = _step_model(parent, point, centre)
    columns, k, power, coin = model.columns, len(model.offer_cost), model.power, model.coin
    n, size = len(columns), len(parent.names) * len(parent.hours)
    h = np.tile(parent.hours / parent.hours.mean(), len(parent.names))
    unit = model.price_unit
    quadratic = np.concatenate([np.zeros(n + k), h, [0.0]])
    linear = np.concatenate([model.cost, model.offer_cost, h * centre.ravel() / unit, [-(level - model.constant) / coin]])
    shares = sparse.csr_matrix((np.ones(k), (model.owner, np.arange(k))), shape=(len(parent.names), k))
    empty = sparse.csr_matrix((len(parent.names), size))
    # A x - B (Y w - r) - tau b (= or <=) 0,   sum of shares = tau,   lower tau <= x <= upper tau
    rows = [
        sparse.hstack([model.matrix, -model.offers, parent.exchange, -model.rhs[:, None] / power]),
        sparse.hstack([sparse.csr_matrix((len(parent.names), n)), shares, empty, -np.ones((len(parent.names), 1))]),
    ]
    equality = [parent.program.equality, np.ones(len(parent.names), dtype=bool)]
    lower, upper = model.lower / power, model.upper / power
    for bound, sign in ((upper, 1.0), (lower, -1.0)):
        kept = np.flatnonzero(np.isfinite(bound) & ((bound != 0) if sign < 0 else True))
        pick = sparse.csr_matrix((np.full(len(kept), sign), (np.arange(len(kept)), kept)), shape=(len(kept), n))
        rows.append(sparse.hstack([pick, sparse.csr_matrix((len(kept), k + size)), -sign * bound[kept, None]]))
        equality.append(np.zeros(len(kept), dtype=bool))
    simple = np.concatenate([np.where(lower == 0, 0.0, -np.inf), np.zeros(k), np.full(size, -np.inf), [0.0]])
    matrix = sparse.vstack(rows, format="csr")
    found = solve_quadratic(quadratic, linear, matrix, np.zeros(matrix.shape[0]), np.concatenate(equality), simple, np.full(len(simple), np.inf))
    if found is None:
        return None
    return centre + unit * found[0][n + k : n + k + size].reshape(centre.shape)


def balanced(parent: Parent, target: np.ndarray, price: np.ndarray, slope: float, point: MasterPoint) -> np.ndarray | None:
    """The parent's half of an ADMM step: its preferred exchange near the children's [kW]; None where none was found.

    min over x, e of  c'x - h price'e + slope/2 h |e - target|^2    s.t.  A x = b + B e
    """
    model = _step_model(parent, point, price)
    n, size = len(model.columns), target.size
    h = np.tile(parent.hours / parent.hours.mean(), len(parent.names))
    bend = slope * model.power / model.price_unit
    quadratic = np.concatenate([np.zeros(n), bend * h])
    linear = np.concatenate([model.cost, h * (-price.ravel() / model.price_unit - bend * target.ravel() / model.power)])
    matrix = sparse.hstack([model.matrix, -parent.exchange], format="csr")
    low = np.concatenate([model.lower, *(parent.bands[c].low for c in parent.names)]) / model.power
    high = np.concatenate([model.upper, *(parent.bands[c].high for c in parent.names)]) / model.power
    found = solve_quadratic(quadratic, linear, matrix, model.rhs / model.power, parent.program.equality, low, high)
    return None if found is None else found[0][n : n + size].reshape(target.shape) * model.power


def mix_near(
    parent: Parent, price: np.ndarray, target: np.ndarray, slope: float, seen: sparse.csr_matrix, hours: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray] | None:
    """The mix that keeps what the parent itself draws near a target: cost without the price, columns, what the children draw and what it costs them.

    None where none was found.

    min  c'x + f'w + h price'(seen x) + slope/2 h |seen x - target|^2    over the parent's program with its offers
    """
    program, model = parent.program, _step_model(parent, None, price)
    n, k, t = len(model.columns), len(model.offer_cost), len(target)
    # The model's money is that of this parent's hours; the target's periods may be longer.
    h = hours / parent.hours.mean()
    bend = slope * model.power / model.price_unit
    shares = sparse.csr_matrix((np.ones(k), (model.owner, np.arange(k))), shape=(len(parent.names), k))
    matrix = sparse.bmat([[model.matrix, -model.offers, None], [None, shares, None], [seen, None, -sparse.identity(t)]], format="csr")
    rhs = np.concatenate([model.rhs / model.power, np.ones(len(parent.names)), np.zeros(t)])
    equality = np.concatenate([parent.program.equality, np.ones(len(parent.names) + t, dtype=bool)])
    quadratic = np.concatenate([np.zeros(n + k), bend * h])
    linear = np.concatenate([model.cost, model.offer_cost, h * (price / model.price_unit - bend * target / model.power)])
    low = np.concatenate([model.lower / model.power, np.zeros(k), np.full(t, -np.inf)])
    high = np.concatenate([model.upper / model.power, np.full(k + t, np.inf)])
    found = solve_quadratic(quadratic, linear, matrix, rhs, equality, low, high)
    if found is None:
        return None
    offered = np.array([y for c in parent.names for y in parent.profiles[c]])
    x = np.clip(found[0][:n] * model.power, program.lower, program.upper)
    weights = found[0][n : n + k]
    exchange, own = np.zeros((len(parent.names), len(parent.hours))), np.zeros(len(parent.names))
    np.add.at(exchange, model.owner, weights[:, None] * offered)
    np.add.at(own, model.owner, weights * model.offer_cost * model.coin)
    return float(parent.own_costs() @ x) + parent.constant + float(own.sum()), x, exchange, own


def _step_model(parent: Parent, point: MasterPoint | None, price: np.ndarray) -> _StepModel:
    """The master's data in suitable units, without columns that are far from changing."""
    program, costs = parent.program, parent.own_costs()
    largest = max((np.abs(np.array(p)).max(initial=0.0) for p in parent.profiles.values()), default=1.0)
    power = max(float(largest), 1e-6)
    unit = max(float(np.abs(price).mean()), 1e-4)
    coin = parent.hours.mean() * power * unit
    columns, rhs, fixed = np.arange(program.columns.size), program.b0, 0.0
    if point is not None and len(columns) > _PRESOLVED:
        near = np.abs(point.slack) <= 10.0 * unit * parent.hours.mean()
        near |= (point.x > program.lower + 1e-6) & (point.x < program.upper - 1e-6)
        near &= program.upper > program.lower
        columns, away = np.flatnonzero(near), np.flatnonzero(~near)
        rhs = rhs - program.A[:, away] @ point.x[away]
        fixed = float(costs[away] @ point.x[away])
    offers = [(i, f, y) for i, c in enumerate(parent.names) for f, y in zip(parent.costs[c], parent.profiles[c], strict=True)]
    stacked = np.array([y for _, _, y in offers]).reshape(len(offers), len(parent.hours))
    owner = np.array([i for i, _, _ in offers], dtype=int)
    t = len(parent.hours)
    place = sparse.csr_matrix(
        (stacked.ravel() / power, ((owner[:, None] * t + np.arange(t)).ravel(), np.repeat(np.arange(len(offers)), t))),
        shape=(len(parent.names) * t, len(offers)),
    )
    cost = costs[columns] * power / coin
    offer_cost = np.array([f for _, f, _ in offers]) / coin
    constant = parent.constant + fixed
    return _StepModel(
        columns,
        program.A[:, columns],
        parent.exchange @ place,
        rhs,
        cost,
        offer_cost,
        owner,
        program.lower[columns],
        program.upper[columns],
        constant,
        power,
        unit,
        coin,
    )


@dataclass(frozen=True)
class _StepModel:
    """Data of the quadratic steps: powers in units of ``power`` [kW], prices of ``price_unit`` [EUR/kWh], money of ``coin`` [EUR/a]."""

    columns: np.ndarray
    matrix: sparse.csr_matrix
    offers: sparse.csr_matrix
    rhs: np.ndarray
    cost: np.ndarray
    offer_cost: np.ndarray
    owner: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    constant: float
    power: float
    price_unit: float
    coin: float
