"""Plans with targets are those of brute force, targets that do not bind change nothing, and what cannot be reached is relaxed by the least."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from multiscale.planning import NoPlanError, PlanningProblem, Regime, solve_plan
from multiscale.planning.attainable import Attainable
from multiscale.planning.regimes import REGIMES
from multiscale.planning.targets import BillCap, Emissions, RenewableShare, Target, UnservedEnergy
from tests.planning.brute_force import BruteForce
from tests.planning.regulated_feeder import regulated_feeder

TOLERANCE = 1e-3
SOCIAL = REGIMES["social"]()
SETTINGS = {"tolerance": TOLERANCE, "gap": 1e-7, "time_limit": 60}


def output(problem: PlanningProblem, name: str) -> np.ndarray:
    return problem.program.outputs[name].matrix.toarray().ravel()


def row(problem: PlanningProblem, target: Target, prices: np.ndarray) -> tuple[np.ndarray, float]:
    """The target written out by hand, ``a'x <= b``."""
    if isinstance(target, RenewableShare):
        return target.least * output(problem, "drawn") - (1.0 - target.least) * output(problem, "renewable"), 0.0
    if isinstance(target, Emissions):
        return target.intensity / 1000.0 * output(problem, "taken"), target.most
    if isinstance(target, UnservedEnergy):
        return output(problem, "unserved"), target.most
    assert isinstance(target, BillCap)
    return output(problem, "feeder/energy value") + float(prices[0]) * output(problem, "feeder/billed network_charge"), target.most


def brute(problem: PlanningProblem, regime: Regime, targets: dict[str, Target]) -> BruteForce:
    def turning(direction: np.ndarray, x: np.ndarray) -> list[float]:
        paid = float(direction[0] * (output(problem, "feeder/billed network_charge") @ x))
        caps = [t.most for t in targets.values() if isinstance(t, BillCap)]
        return [(cap - float(output(problem, "feeder/energy value") @ x)) / paid for cap in caps] if paid > 0 else []

    return BruteForce(problem, regime, TOLERANCE, targets=lambda p: [row(problem, t, p) for t in targets.values()], turning=turning)


def stricter(problem: PlanningProblem, regime: Regime, kind: type[Target], share: float) -> dict[str, Target]:
    """A target that is stricter than what the plan without it reaches, by a share of it."""
    loose = {
        RenewableShare: RenewableShare(least=0.0),
        Emissions: Emissions(most=1e6),
        UnservedEnergy: UnservedEnergy(most=1e6),
        BillCap: BillCap(group="feeder", most=1e6),
    }[kind]
    found = solve_plan(problem, regime, targets={"free": loose}, **SETTINGS).targets["free"].value
    field = "least" if loose.at_least else "most"
    return {"strict": loose.model_copy(update={field: found * (1.0 + share if loose.at_least else 1.0 - share)})}


CASES = [
    # regime, kind of target, how much stricter than the plan without it, seed
    ("social", Emissions, 0.02, 1),
    ("social", BillCap, 0.005, 1),
    ("social", RenewableShare, 0.01, 1),
    ("revenue_cap", UnservedEnergy, 0.5, 3),
    ("unregulated", BillCap, 0.3, 2),
    ("totex_sharing", RenewableShare, 0.005, 2),
]


def as_brute_force(regime: Regime, kind: type[Target], share: float, nodes: int, hours: int, seed: int) -> bool:
    """Compares, and says whether the target can be reached at all."""
    problem = regulated_feeder(nodes, hours, seed=seed)
    targets = stricter(problem, regime, kind, share)
    best = brute(problem, regime, targets).best[0]
    if not np.isfinite(best):
        with pytest.raises(NoPlanError, match="the least relaxation is 'strict' from"):
            solve_plan(problem, regime, targets=targets, **SETTINGS)
        return False
    plan = solve_plan(problem, regime, targets=targets, **SETTINGS)
    assert plan.status == "optimal"
    assert plan.follower_gap <= 1e-6
    assert plan.objective == pytest.approx(best, abs=1e-5 * problem.existing_cost)
    assert plan.targets["strict"].missed == 0
    return True


@pytest.mark.parametrize(("kind", "target", "share", "seed"), CASES)
def test_every_target(kind: str, target: type[Target], share: float, seed: int):
    as_brute_force(REGIMES[kind](), target, share, 4, 4, seed)
