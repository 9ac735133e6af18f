"""What must hold of the outcome of a mechanism, each said in words where it does not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from multiscale.assessment.accounts import settle_day
from multiscale.assessment.energy import energy_account
from multiscale.coordination.common.outcome import Outcome
from multiscale.operation import OperatingTree
from multiscale.operation.tree import BEYOND
from multiscale.programs import ParametricProgram
from tests.fuzz_coordination.reference import Reference, Whole

ROUNDING = 4e-13
"""Rounding of a sum of some thousand numbers, relative to the sum of their amounts [1]: 2^-53 for each operation."""


def violations(tree: OperatingTree, outcome: Outcome, truth: Reference) -> Iterator[str]:
    """Everything that is wrong with an outcome under certainty."""
    rounding = ROUNDING * truth.size
    name = outcome.mechanism
    if not outcome.bound <= truth.high + rounding:
        above = f"above the optimum {truth.high:.12g} by {outcome.bound - truth.high:.3g} EUR/a"
        yield f"{name}: bound {outcome.bound:.12g} {above} (rounding {rounding:.2g})"
    lacking = _lacking(tree, outcome)
    if not outcome.cost + lacking >= truth.low - rounding:
        below = f"below the optimum {truth.low:.12g} by {truth.low - outcome.cost:.3g} EUR/a"
        yield f"{name}: cost {outcome.cost:.12g} {below} (of which tolerances explain {lacking:.2g})"
    if not outcome.bound <= outcome.cost + lacking + rounding:
        yield f"{name}: bound {outcome.bound:.12g} above its own cost {outcome.cost:.12g} by {outcome.bound - outcome.cost:.3g} EUR/a"
    yield from _energy(tree, outcome)
    yield from _money(tree, outcome)


def _lacking(tree: OperatingTree, outcome: Outcome) -> float:
    """What the schedules lack to be feasible, bought at the value of lost load [EUR/a]; two exchanges of one node may differ by as much."""
    dearest = tree.economics.value_of_lost_load * tree.horizon.hours_per_year
    missing = 0.0
    for platform, x in outcome.platform_x.items():
        program, drawn = tree.platforms[platform], outcome.exchange[platform]
        missing += _off(program, x, _parameters(tree, outcome, platform)) * dearest.max()
        missing += float(dearest @ np.abs(program.outputs["exchange"].matrix @ x - drawn))
    for dso, own in tree.distribution.items():
        program, x = own.program, outcome.distribution_x[dso]
        below = np.array([outcome.exchange[c] for c in own.children]).reshape(len(own.children), tree.horizon.periods)
        p = program.parameters.vector({"energy_price": 0.0, "exchange": below, "built": tree.design.choice(own.options)})
        missing += _off(program, x, p) * dearest.max()
        missing += float(dearest @ np.abs(program.outputs["exchange"].matrix @ x - outcome.exchange[dso]))
    return missing


def _off(program: ParametricProgram, x: np.ndarray, p: np.ndarray) -> float:
    """Sum of all violations of rows and bounds."""
    excess = program.A @ x - program.rhs(p)
    rows = np.where(program.equality, np.abs(excess), np.maximum(excess, 0.0))
    return float(rows.sum() + np.maximum(np.maximum(program.lower - x, x - program.upper), 0.0).sum())


def _parameters(tree: OperatingTree, outcome: Outcome, platform: str) -> np.ndarray:
    """Parameters of a platform's program at what it was told, so that its plan and limits hold."""
    program = tree.platforms[platform]
    dso = next(d for d, own in tree.distribution.items() if platform in own.children)
    if platform in outcome.signals:
        return program.parameters.vector(outcome.signals[platform].parameters())
    x = outcome.platform_x[platform]
    drawn = program.outputs["exchange"].matrix @ x
    above, below = (program.columns.values(n, x) for n in ("above_plan", "below_plan"))
    free = np.zeros(tree.horizon.periods)
    given = {"import_price": free, "export_price": free, "import_limit": BEYOND, "export_limit": BEYOND}
    return program.parameters.vector(given | {"planned": drawn - above + below, "deviation_price": 0.0} | dict(tree.prices(dso)))


def wrong_prices(tree: OperatingTree, optimum: Outcome, whole: Whole, truth: Reference, rng: np.random.Generator) -> Iterator[str]:
    """Price of a member in some period against finite differences: what its balance costs more at more and at less demand.

    A dual ``y`` of an optimum is a subgradient, so ``optimum(b + d) >= optimum(b) + y d`` for d of either sign: left derivative <= y <= right one.
    """
    dso, own = next((d, o) for d, o in tree.distribution.items() if o.children)
    platform = str(rng.choice(own.children))
    program = tree.platforms[platform]
    balance = program.rows["prosumer_balance"].positions.ravel()
    row = int(rng.choice(balance))
    y, at = float(optimum.platform_y[platform][row]), int(whole.rows_of(dso, platform)[row])
    for more in (1.0, -1.0):
        there = whole.optimum(at, more)
        short = optimum.bound - (optimum.cost - optimum.bound) + y * more - there.high
        if not short <= ROUNDING * (truth.size + there.size):
            label = program.rows.label(row)
            yield f"price: {label} has dual {y:.9g}; {more:+g} kW cost {there.high - truth.low:.9g} EUR/a, {short:.3g} less than it says"


def _energy(tree: OperatingTree, outcome: Outcome) -> Iterator[str]:
    for platform in outcome.platform_x:
        _, residual = energy_account(tree, platform, outcome)
        if not residual <= 1e-6:
            yield f"{outcome.mechanism}: the energy account of {platform!r} leaves {residual:.3g} of its demand"
    for dso, own in tree.distribution.items():
        x, columns = outcome.distribution_x[dso], own.program.columns
        passive = tree.system.passive(dso, tree.horizon)
        drawn = (passive.demand - passive.generation).sum("bus").values + sum(outcome.exchange[c] for c in own.children)
        for sign, block in ((-1, "unserved"), (1, "curtailed"), (-1, "shed"), (1, "spilled")):
            if block in columns:
                drawn = drawn + sign * columns.values(block, x).sum(axis=0)
        off = np.abs(drawn - outcome.exchange[dso]).max()
        if not off <= 1e-5 * (1.0 + np.abs(drawn).max()):
            yield f"{outcome.mechanism}: {dso!r} draws {off:.3g} kW more or less than its customers and platforms"


def _money(tree: OperatingTree, outcome: Outcome) -> Iterator[str]:
    ledger = settle_day(tree, outcome)
    if not ledger.residual <= 1e-9:
        yield f"{outcome.mechanism}: flows of money do not sum to zero, by {ledger.residual:.3g} of their volume"
