"""The same problem written in another way: a model with a block follower, rewritten at random without changing what it says.

A problem given as arrays is written as an ordinary Pyomo model: the follower as a block of variables and constraints, the leader's objective and
rows as sums over the block's variables. Every operation of ``OPERATIONS`` then changes how it is written, never what it means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyomo.environ as pyo

OPERATIONS = (
    "split columns",  # x = x1 + x2
    "sum columns",  # a total of what a price multiplies, as a variable of the follower
    "bounds as rows",
    "scale rows",
    "negate rows",
    "equations as pairs",
    "slack columns",  # a'x <= b as a'x + s = b
    "copy columns",  # x' == x, used instead of x in some rows
    "cost column",  # min z with z >= cost
    "redundant rows",
    "constant column",
    "maximise follower",
    "maximise leader",
    "copy decisions",  # continuous copies of binaries, in right-hand sides
    "copy prices",
    "total of the leader",  # a variable for what the leader spends
    "objective as bound",  # min z with z >= objective
    "reorder",
)


@dataclass
class Model:
    """A Pyomo model, its followers, and its leader variables in the order of the problem."""

    model: Any
    followers: list[Any]
    decisions: list[Any]


def respelled(problem, operations=(), seed=0):
    """The problem as a Pyomo model with block followers, under some operations."""
    rng, ops = np.random.default_rng(seed), set(operations)
    assert ops <= set(OPERATIONS)
    m = pyo.ConcreteModel()
    leader, n = problem.leader, problem.leader.size
    m.y = pyo.Var(range(n))
    for k in range(n):
        m.y[k].domain = {"C": pyo.Reals, "B": pyo.Binary, "I": pyo.Integers}[leader.kinds[k]]
        m.y[k].setlb(_end(leader.lower[k]))
        m.y[k].setub(_end(leader.upper[k]))
    m.extra = pyo.Var(pyo.Any, dense=False)
    m.rows = pyo.ConstraintList()
    # What stands for a leader variable in right-hand sides and in costs.
    limit, price = dict(m.y.items()), dict(m.y.items())
    for f in problem.followers:
        for k in f.limit_columns if "copy decisions" in ops else ():
            if leader.integral[k] and limit[k] is m.y[k]:
                limit[k] = m.extra["size", int(k)]
                m.rows.add(limit[k] == 2.0 + 3.0 * m.y[k])
                limit[k] = (limit[k] - 2.0) / 3.0
    blocks, written = [], []
    for f, follower in enumerate(problem.followers):
        block, columns = _block(m, follower, ops, rng, limit, price, f)
        blocks.append(block)
        written.append(columns)
    m.objective_bound = pyo.Var()
    z = dict(m.y.items())
    position = n
    for quantity in leader.quantities:
        f, program = quantity.follower, problem.followers[quantity.follower].program
        for i in range(quantity.size):
            if quantity.kind == "cost":
                z[position + i] = _costs(program, written[f], m.y)
            else:
                row = quantity.matrix.tocsr()[i]
                terms = (float(a) * written[f][j] for j, a in zip(row.indices.tolist(), row.data.tolist(), strict=True))
                z[position + i] = float(quantity.constant[i]) + sum(terms)
        position += quantity.size
    for k in range(n, position):
        low, high = leader.quantity_lower[k - n], leader.quantity_upper[k - n]
        if np.isfinite(low) or np.isfinite(high):
            m.rows.add((_end(low), z[k], _end(high)))
    forms = [(_form(row.form, z), row.lower, row.upper) for row in leader.curved]
    for i in range(leader.matrix.shape[0]):
        row = leader.matrix.tocsr()[i]
        body = sum(float(a) * z[k] for k, a in zip(row.indices.tolist(), row.data.tolist(), strict=True))
        forms.append((body, leader.row_lower[i], leader.row_upper[i]))
    for body, low, high in forms:
        factor = float(rng.uniform(0.5, 3.0)) if "scale rows" in ops else 1.0
        if not np.isfinite(low) and not np.isfinite(high):
            continue
        ends = [None if not np.isfinite(end) else factor * end for end in (low, high)]
        m.rows.add((ends[0], factor * body, ends[1]))
    objective = _form(leader.objective, z)
    if "total of the leader" in ops:
        spent = [(int(k), float(a)) for k, a in zip(leader.objective.columns, leader.objective.coefficients, strict=True) if k < n]
        if spent:
            total = m.extra["spent"]
            m.rows.add(total == sum(a * m.y[k] for k, a in spent))
            objective = objective - sum(a * m.y[k] for k, a in spent) + total
    if "objective as bound" in ops:
        m.rows.add(m.objective_bound >= objective)
        objective = m.objective_bound + 0.0
    if "maximise leader" in ops:
        m.objective = pyo.Objective(expr=-objective, sense=pyo.maximize)
    else:
        m.objective = pyo.Objective(expr=objective)
    return Model(m, blocks, [m.y[k] for k in range(n)])


def _end(value):
    return None if not np.isfinite(value) else float(value)


def _form(form, z):
    linear = sum(float(a) * z[int(k)] for k, a in zip(form.columns, form.coefficients, strict=True))
    products = sum(float(w) * z[int(a)] * z[int(b)] for a, b, w in zip(form.first, form.second, form.products, strict=True))
    return form.constant + linear + products


def _costs(program, x, y):
    priced = program.C.tocoo()
    return (
        float(program.d0)
        + sum(float(c) * x[j] for j, c in enumerate(program.c0) if c)
        + sum(float(w) * y[int(k)] * x[int(j)] for j, k, w in zip(priced.row, priced.col, priced.data, strict=True))
        + sum(float(d) * y[k] for k, d in enumerate(program.d) if d)
    )


def _block(m, follower, ops, rng, limit, price, f):
    """One follower as a block; its columns as expressions."""
    program = follower.program
    m.add_component(f"follower{f}", pyo.Block(concrete=True))
    b = m.component(f"follower{f}")
    n = program.columns.size
    b.x = pyo.Var(range(n), dense=False)
    b.more = pyo.Var(pyo.Any, dense=False)
    b.rows = pyo.ConstraintList()
    columns: list[Any] = [None] * n
    order = rng.permutation(n) if "reorder" in ops else np.arange(n)
    held: list[tuple[Any, float, float]] = []
    for j in order.tolist():
        low, high = float(program.lower[j]), float(program.upper[j])
        if "split columns" in ops and low == 0 and rng.random() < 0.3:
            one, two = b.more["part 1", j], b.more["part 2", j]
            one.setlb(0.0)
            two.setlb(0.0)
            columns[j] = one + two
            if np.isfinite(high):
                one.setub(0.25 * high)
                two.setub(0.75 * high)
            continue
        columns[j] = b.x[j]
        if "bounds as rows" in ops and rng.random() < 0.5:
            held.append((b.x[j], low, high))
            continue
        b.x[j].setlb(_end(low))
        b.x[j].setub(_end(high))
    twins = {}
    for j in range(n):
        if "copy columns" in ops and rng.random() < 0.1:
            twins[j] = b.more["copy", j]
            b.rows.add(twins[j] == columns[j])
    if "constant column" in ops:
        b.more["one"].setlb(1.0)
        b.more["one"].setub(1.0)
    for x, low, high in held:
        factor = float(rng.uniform(0.2, 5.0)) if "scale rows" in ops else 1.0
        if np.isfinite(low):
            b.rows.add(factor * x >= factor * low)
        if np.isfinite(high):
            b.rows.add(factor * x <= factor * high)
    matrix, moved = program.A.tocsr(), program.B.tocsr()
    lines = rng.permutation(program.rows.size) if "reorder" in ops else np.arange(program.rows.size)
    for i in lines.tolist():
        part, other = slice(matrix.indptr[i], matrix.indptr[i + 1]), slice(moved.indptr[i], moved.indptr[i + 1])
        body: Any = 0.0
        for j, a in zip(matrix.indices[part].tolist(), matrix.data[part].tolist(), strict=True):
            body += a * (twins[j] if j in twins and rng.random() < 0.5 else columns[j])
        right: Any = float(program.b0[i])
        if "constant column" in ops and rng.random() < 0.5:
            right = right * b.more["one"]
        right = right + sum(float(a) * limit[k] for k, a in zip(moved.indices[other].tolist(), moved.data[other].tolist(), strict=True))
        if matrix.indptr[i] == matrix.indptr[i + 1] and moved.indptr[i] == moved.indptr[i + 1]:
            continue
        factor = float(rng.uniform(0.2, 5.0)) if "scale rows" in ops else 1.0
        if "negate rows" in ops and rng.random() < 0.5:
            factor = -factor
        left, right = factor * body, factor * right
        if program.equality[i] and "equations as pairs" in ops and rng.random() < 0.5:
            b.rows.add(left <= right)
            b.rows.add(2.5 * left >= 2.5 * right)
        elif program.equality[i]:
            b.rows.add(left == right)
        elif "slack columns" in ops and rng.random() < 0.3:
            slack = b.more["slack", i]
            slack.setlb(0.0)
            b.rows.add(body + slack == right / factor)
        else:
            b.rows.add(left <= right if factor > 0 else left >= right)
            if "redundant rows" in ops and rng.random() < 0.1:
                b.rows.add(0.5 * body <= 0.5 * right / factor + 1.0)
    priced, cost = program.C.tocsc(), float(program.d0)
    cost = cost + sum(float(d) * price[k] for k, d in enumerate(program.d) if d)
    cost = cost + sum(float(c) * columns[j] for j, c in enumerate(program.c0) if c)
    if "cost column" in ops:
        z = b.more["cost"]
        b.rows.add(z >= cost)
        cost = z
    for k in np.flatnonzero(np.diff(priced.indptr)).tolist():
        part = slice(priced.indptr[k], priced.indptr[k + 1])
        terms = list(zip(priced.indices[part].tolist(), priced.data[part].tolist(), strict=True))
        if "sum columns" in ops:
            total = b.more["total", k]
            b.rows.add(total == sum(a * columns[j] for j, a in terms))
            cost = cost + price[k] * total
        elif "copy prices" in ops:
            for j, a in terms:
                tau = m.extra["price", k, j]
                m.rows.add(tau == m.y[k])
                cost = cost + a * tau * columns[j]
        else:
            cost = cost + price[k] * sum(a * columns[j] for j, a in terms)
    b.objective = pyo.Objective(
        expr=-cost if "maximise follower" in ops else cost, sense=pyo.maximize if "maximise follower" in ops else pyo.minimize
    )
    return b, columns
