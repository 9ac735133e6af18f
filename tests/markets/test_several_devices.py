"""Members with several devices behind one meter, given as arrays: random ones, with a connection, devices that have to supply, and none that works.

Every answer is that of a linear program of the member, written out here and solved by HiGHS; who has no schedule is named.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import block_array, eye_array

from multiscale.devices.one_state import OneState
from multiscale.markets.batched.batch import Batch, Group, Pool
from multiscale.markets.batched.respondents import AnswerError, Respondents


def random_device(random, periods, step):
    """A store with bounds, loss, gain from elsewhere and costs that change: it may have to draw, or to supply, and may have no schedule."""
    low = np.round(random.uniform(-2, 4, (1, periods)))
    high = low + np.round(random.uniform(0, 4, (1, periods))) * (random.random((1, periods)) < 0.8)
    power, gain, loss = np.round(random.uniform(0, 6, 2)), random.uniform(0.8, 1.0, 2), random.uniform(0, 0.1) * random.integers(0, 2)
    bounds = np.full((1, 1), power[0]), np.full((1, 1), power[1]), np.ones((1, 1)), np.full((1, 1), gain[0]), np.full((1, 1), 1 / gain[1])
    wear, below, above = random.choice([0.0, 0.01, 0.02], 3)
    changing = np.full((1, 1), 1 - loss * step), random.uniform(-1, 1, (1, periods)), low, high
    return OneState(np.zeros(1, dtype=int), *bounds, *changing, wear, low + 0.3, low + 1.0, below, above)


def by_linear_program(pool, batch, price):
    """Least cost of the only member of a batch, with what it pays the pool; None where there is no schedule."""
    hours, periods, one = pool.hours, len(price), eye_array(len(price))
    demand, pv = batch.demand[0], batch.pv[0]
    most_in, most_out = (sum(np.ravel(getattr(d, name))[0] for d in batch.devices) for name in ("power_in", "power_out"))
    costs = [-pool.unused_cost * hours, (price + batch.fee_in[0]) * hours, (batch.fee_out[0] - price) * hours, pool.value_of_lost_load * hours]
    upper = [pv, np.minimum(batch.cap_in[0], demand + most_in + 1), np.minimum(batch.cap_out[0], pv + most_out + 1), demand + most_in + 1]
    lower, balance = [np.zeros(periods)] * 4, [one, one, -one, one]
    states, limits = [[] for _ in batch.devices], []
    for k, d in enumerate(batch.devices):
        earlier = np.roll(np.eye(periods), 1, axis=0) * np.ravel(d.keep)[0]
        gained = [-pool.step_hours * d.gain_in.item() * one, pool.step_hours * d.gain_out.item() * one]
        for other in range(len(batch.devices)):
            states[other] += [*gained, one - earlier, None, None] if other == k else [0 * one] * 5
        # Drawn, supplied, the state, and how far it lies below and above its kinks.
        costs += [d.wear * hours, d.wear * hours, 0 * hours, d.cost_below * hours, d.cost_above * hours]
        lower += [np.zeros(periods)] * 2 + [d.low[0]] + [np.zeros(periods)] * 2
        upper += [np.full(periods, d.power_in.item()), np.full(periods, d.power_out.item()), d.high[0]] + [np.full(periods, np.inf)] * 2
        balance += [-one, one, 0 * one, 0 * one, 0 * one]
        for sign, beyond in ((-1, 3), (1, 4)):
            row = [0 * one] * (4 + 5 * len(batch.devices))
            row[4 + 5 * k + 2], row[4 + 5 * k + beyond] = sign * one, -one
            limits.append(row)
    rows = [balance, *([0 * one] * 4 + each for each in states)]
    fixed = np.concatenate([demand, *(d.shift[0] for d in batch.devices)])
    most = np.concatenate([v for d in batch.devices for v in (-d.kink_below[0], d.kink_above[0])])
    bounds = np.stack([np.concatenate(lower), np.concatenate(upper)], axis=1)
    found = linprog(np.concatenate(costs), A_ub=block_array(limits), b_ub=most, A_eq=block_array(rows), b_eq=fixed, bounds=bounds)
    assert found.status in (0, 2), found.message
    return None if found.status == 2 else found.fun + float(hours @ (pool.unused_cost * pv))


@pytest.mark.parametrize("connected", [False, True], ids=["no limit", "a connection"])
def test_an_answer_is_that_of_a_linear_program(connected):
    answered = 0
    for seed in range(45):
        random = np.random.default_rng(seed)
        periods, step = int(random.choice([1, 2, 3, 6, 12])), float(random.choice([0.25, 1.0, 2.0]))
        pool = Pool(random.uniform(10, 400, periods), step, float(random.choice([0.0, 1.0, 10.0])), float(random.choice([0.0, 0.05])))
        devices = tuple(random_device(random, periods, step) for _ in range(random.integers(2, 4)))
        caps = random.uniform(0, 4, (2, 1, 1)) if connected else np.full((2, 1, 1), np.inf)
        demand, pv = (random.uniform(0, most, (1, periods)) * (random.random((1, periods)) < 0.7) for most in (2, 5))
        batch = Batch(np.array(["one"]), demand, pv, np.full((1, 1), random.choice([0.0, 0.1])), np.zeros((1, 1)), *caps, devices, kind="several")
        respondents = Respondents(pool, [Group(batch, np.zeros(1, dtype=int))])
        for spread in (0.0, 0.5):
            price = random.normal(0.1, spread, periods)
            exact = by_linear_program(pool, batch, price)
            if exact is None:
                with pytest.raises(AnswerError, match="'one' with several: no schedule keeps its state"):
                    respondents.at(price)
                continue
            answered += 1
            found = respondents.at(price)[0]
            money = pool.hours * price * found.net
            assert found.cost + money.sum() == pytest.approx(exact, abs=1e-7 * (1 + abs(exact) + np.abs(money).sum()))
            assert found.error <= 1e-7 * (1 + abs(exact) + np.abs(money).sum())
    assert 20 <= answered <= 80
