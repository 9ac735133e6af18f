"""CPU seconds of ``auto`` on the feeder family as the project writes it, as an ordinary Pyomo block, and rewritten at random.

Run: ``pytest tests/benchmarks/bilevel_spelling.py -m benchmark -s``. CPU seconds are those of this process and of the SCIP processes it started;
figures of a shared machine vary by a third. "As read" is the same solve without the normal form, which every problem had before.
"""

from __future__ import annotations

import numpy as np
import pytest

from multiscale import bilevel
from multiscale.bilevel import solving
from tests.benchmarks.bilevel_feeder import cpu_seconds
from tests.bilevel.feeder import feeder
from tests.bilevel.respelling import OPERATIONS, respelled

pytestmark = pytest.mark.benchmark

CASES = [(15, 24, 1, False, 0), (15, 24, 1, True, 0), (15, 24, 3, False, 0), (15, 24, 3, True, 0), (33, 24, 1, False, 0), (33, 24, 1, True, 0)]


def timed(model, followers):
    """Answer and CPU seconds."""
    began = cpu_seconds()
    solution = bilevel.solve(model, followers, gap=1e-3, time_limit=120)
    return solution, cpu_seconds() - began


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}x{c[1]}-{c[2]}-{'hard' if c[3] else 'base'}-{c[4]}")
def test_seconds_do_not_depend_on_how_a_model_is_written(case, monkeypatch):
    nodes, hours, tariffs, hard, seed = case
    warm = feeder(3, 4, 1)
    bilevel.solve(warm.model, [warm.follower], time_limit=60)
    own = feeder(nodes, hours, tariffs, hard=hard, seed=seed)
    problem = bilevel.read_model(own.model, [own.follower]).problem
    answer, seconds = timed(own.model, [own.follower])
    print(f"\n{nodes}x{hours}, {tariffs} tariffs, {'hard' if hard else 'base'}: own form {seconds:.1f} CPU s, {answer.nodes} nodes")
    taken = []
    for mixture in range(-1, 4):
        rng = np.random.default_rng(mixture + 1)
        operations = [] if mixture < 0 else [operation for operation in OPERATIONS if rng.random() < 0.5]
        other = respelled(problem, operations, seed=mixture + 1)
        found, spent = timed(other.model, other.followers)
        taken.append(spent)
        name = "block" if mixture < 0 else f"mixture {mixture}"
        print(f"  {name}: {spent:.1f} CPU s, {found.nodes} nodes, {found.objective:.6f}, {next(iter(found.methods.values())).split(' ')[0]}")
        assert found.status == answer.status == "optimal"
        assert abs(found.objective) == pytest.approx(abs(answer.objective), rel=2e-3)
        assert {m.split(" ")[0] for m in found.methods.values()} == {m.split(" ")[0] for m in answer.methods.values()}
    monkeypatch.setattr(solving, "normalise", lambda _: None)
    block = respelled(problem)
    for name, (model, followers) in {"own form": (own.model, [own.follower]), "block": (block.model, block.followers)}.items():
        found, spent = timed(model, followers)
        print(f"  as read, {name}: {spent:.1f} CPU s, {found.nodes} nodes, {found.status}, gap {found.gap:.2%}")
    # Reading a block, and a follower with more columns, cost some; the search does not.
    assert np.median(taken) <= 1.5 * seconds + 1.0
