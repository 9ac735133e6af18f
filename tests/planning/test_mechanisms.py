"""Plans under policy mechanisms, given and decided, are those of brute force; what is paid is a transfer."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.planning import NoPlanError, solve_plan
from multiscale.planning.regimes import REGIMES
from multiscale.planning.targets import RenewableShare
from multiscale.tariffs import BILLED, Component, Volumetric
from multiscale.tariffs.mechanisms.contract_for_difference import ContractForDifference
from multiscale.tariffs.mechanisms.investment_grant import InvestmentGrant
from multiscale.tariffs.mechanisms.premium import Premium
from multiscale.tariffs.mechanisms.pv_grant import PvGrant
from tests.planning.brute_force import BruteForce, refined
from tests.planning.regulated_feeder import CEILING, regulated_feeder

TOLERANCE = 1e-3
SOCIAL = REGIMES["social"]()
CHARGE = {"network_charge": Volumetric(price_max=CEILING)}

GIVEN: dict[str, dict[str, Component]] = {
    "premium": {"support": Premium(price=0.02)},
    "premium paid by the operator": {"support": Premium(price=0.01, receiver="distribution operators")},
    "capability": {"support": Premium(price=0.02, form="available")},
    "contract": ContractForDifference(price=0.06, reference_price=0.05).components("support"),
    "grant": {"support": PvGrant(price=400.0)},
    "share": {"support": InvestmentGrant(price=0.2)},
}


@pytest.mark.parametrize("kind", GIVEN)
def test_given_mechanisms(kind: str):
    problem = regulated_feeder(4, 4, CHARGE | GIVEN[kind], seed=1)
    plan = solve_plan(problem, SOCIAL, tolerance=TOLERANCE, gap=1e-7, time_limit=60)
    if "operator" in kind:
        # Its revenue has a second part: brute force looks at the charge alone.
        x = plan.solution.primal["operation"]
        paid = -0.01 * float((problem.program.outputs[BILLED + "support"].matrix @ x)[0])
        charged = plan.revenue + paid
        assert paid > 0
        assert charged >= plan.account.operating_cost + plan.account.depreciation + plan.account.cost_of_capital + paid - 1e-6
        return
    brute = BruteForce(problem, SOCIAL, TOLERANCE)
    assert plan.status == "optimal"
    assert plan.objective == pytest.approx(brute.best[0], abs=1e-5 * problem.existing_cost)


def decided(components: dict[str, Component], targets: dict, rows, turning=lambda problem, direction, x: [], seed: int = 1, first: int = 9, rounds: int = 6):
    problem = regulated_feeder(3, 4, CHARGE | components, seed=seed)
    plan = solve_plan(problem, SOCIAL, targets=targets, tolerance=TOLERANCE, gap=1e-7, time_limit=60)
    brute = refined(problem, SOCIAL, TOLERANCE, first=first, rounds=rounds, targets=lambda p: rows(problem, p), turning=lambda d, x: turning(problem, d, x))
    built, prices = np.array([float(yes) for yes in plan.built.values()]), np.array([float(plan.prices[name]) for name in ("network_charge", "support")])
    assert plan.status == "optimal"
    scale = problem.existing_cost
    # At the plan's own prices the answer is worth what the plan says and keeps the targets; no price of the grid is better than proven.
    assert brute.value(built, prices, brute.rows(built)) == pytest.approx(plan.objective, abs=1e-5 * scale)
    assert plan.bound <= brute.best[0] + 1e-6 * scale
    return problem, plan, brute


def test_x():
    for seed in (1,2,3):
        base = solve_plan(regulated_feeder(3, 4, CHARGE, seed=seed), SOCIAL, targets={"free": RenewableShare(least=0.0)}, tolerance=TOLERANCE, gap=1e-7, time_limit=60)
        print(seed, base.objective, base.targets)
        for more in (0.0, 0.01,0.03,0.06, 0.1):
          share = base.targets["free"].value + more
          for comp in (PvGrant(price_max=2900.0), Premium(price_max=0.1)):
            def rows(problem, p):
                out = lambda n: problem.program.outputs[n].matrix.toarray().ravel()
                return [(share * out("drawn") - (1 - share) * out("renewable"), 0.0)]
            try:
                problem, plan, brute = decided({"support": comp}, {"s": RenewableShare(least=share)}, rows, seed=seed)
                print(comp.kind, more, plan.objective, brute.best[0], plan.prices, plan.targets["s"].value)
            except NoPlanError as e: print(comp.kind, more, e)
