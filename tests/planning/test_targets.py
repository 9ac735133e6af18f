"""Plans with targets are those of brute force, targets that do not bind change nothing, and what cannot be reached is relaxed by the least."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from multiscale import bilevel
from multiscale.planning import NoPlanError, PlanningProblem, Regime, relaxation, solve_plan
from multiscale.planning.attainable import Attainable
from multiscale.planning.persistence import Restriction, linked_plans, one_by_one
from multiscale.planning.plan import Effort
from multiscale.planning.regimes import REGIMES
from multiscale.planning.targets import TARGETS, BillCap, Emissions, RenewableShare, Target, UnservedEnergy
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


def test_kinds_by_name():
    assert list(TARGETS) == ["renewable_share", "emissions", "unserved_energy", "bill_cap", "budget"]
    assert {kind: target.model_fields["kind"].default for kind, target in TARGETS.items()} == {kind: kind for kind in TARGETS}


CASES = [
    # regime, kind of target, how much stricter than the plan without it, seed
    ("social", Emissions, 0.02, 1),
    ("social", BillCap, 0.005, 1),
    ("social", RenewableShare, 0.01, 1),
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
    assert not plan.targets["strict"].missed()
    return True


@pytest.mark.parametrize(("kind", "target", "share", "seed"), CASES)
def test_every_target(kind: str, target: type[Target], share: float, seed: int):
    as_brute_force(REGIMES[kind](), target, share, 4, 4, seed)


@pytest.mark.parametrize(("kind", "seed"), [("totex_sharing", 3), ("output_incentive", 1)])
def test_a_cap_on_unserved_energy_binds_where_the_operator_would_cut_off_more(kind: str, seed: int):
    """The operator omits a line and pays the penalty; half of what is cut off then is permitted, and the plan is that of brute force."""
    problem, regime = regulated_feeder(4, 4, seed=seed), REGIMES[kind]()
    free = solve_plan(problem, regime, targets={"served": UnservedEnergy(most=1e6)}, **SETTINGS)
    most = 0.5 * free.targets["served"].value
    assert most > 0.05
    targets: dict[str, Target] = {"served": UnservedEnergy(most=most)}
    plan = solve_plan(problem, regime, targets=targets, **SETTINGS)
    assert plan.status == "optimal"
    assert plan.targets["served"].value <= most * (1 + 1e-6)
    assert plan.objective > free.objective + 1e-6
    assert plan.objective == pytest.approx(brute(problem, regime, targets).best[0], abs=1e-5 * problem.existing_cost)


def test_targets_hold_in_every_year_that_is_planned():
    """Two years of growing demand, each with a cap on emissions of its own; what the first builds stays: as all pairs of sets of options."""
    years = {"2030": regulated_feeder(3, 4, seed=1), "2035": regulated_feeder(3, 4, seed=1, growth=1.15)}
    weights, caps = {"2030": 4.0, "2035": 3.0}, {}
    for year, problem in years.items():
        caps |= {year: stricter(problem, SOCIAL, Emissions, 0.01)}

    def plan_year(year: str, restriction: Restriction):
        problem = years[year].among(restriction.required, restriction.excluded)
        return solve_plan(problem, SOCIAL, targets=caps[year], **SETTINGS)

    found = linked_plans(weights, [("2030", "2035")], one_by_one(plan_year), gap=1e-7, gap_eur=0.0, most=40)
    value, least = {}, np.inf
    for year, problem in years.items():
        known = brute(problem, SOCIAL, caps[year])
        value[year] = {tuple(z.tolist()): known.best_of(z, np.ones(1))[0] for z in known.sets()}
    for first, second in itertools.product(value["2030"], value["2035"]):
        if all(a <= b for a, b in zip(first, second, strict=True)):
            least = min(least, weights["2030"] * value["2030"][first] + weights["2035"] * value["2035"][second])
    assert np.isfinite(least)
    assert found.objective == pytest.approx(least, rel=1e-5)
    assert not any(plan.targets["strict"].missed() for plan in found.plans.values())
    # No price leads to answers on the limit itself in both years: what the targets cost is what tells that they bind.
    free = linked_plans(
        weights,
        [("2030", "2035")],
        one_by_one(lambda y, r: solve_plan(years[y].among(r.required, r.excluded), SOCIAL, **SETTINGS)),
        gap=1e-7,
        gap_eur=0.0,
        most=40,
    )
    assert found.objective > free.objective + 1e-5


def test_the_relaxation_said_is_the_least():
    """With the limit that is said there is a plan, with one a little stricter none: by brute force."""
    problem = regulated_feeder(4, 4, seed=1)
    targets: dict[str, Target] = {"share": RenewableShare(least=0.6)}
    assert not np.isfinite(brute(problem, SOCIAL, targets).best[0])
    with pytest.raises(NoPlanError) as error:
        solve_plan(problem, SOCIAL, targets=targets, **SETTINGS)
    assert error.value.status == "infeasible"
    assert "its targets cannot be reached; the least relaxation is 'share' from 0.6 to " in str(error.value)
    said = float(str(error.value).split(" to ")[1].split()[0].rstrip(";"))
    assert np.isfinite(brute(problem, SOCIAL, {"share": RenewableShare(least=said)}).best[0])
    assert not np.isfinite(brute(problem, SOCIAL, {"share": RenewableShare(least=said + 2e-5)}).best[0])


@pytest.mark.parametrize(
    ("count", "said"), [(1, "'share' has to move from 0.6 to 0.45 at least, which is proven"), (2, "relaxations of 0.25 of the limits in sum")]
)
def test_where_only_a_bound_is_known_what_is_needed_at_least_is_said(monkeypatch: pytest.MonkeyPatch, count: int, said: str):
    """A search that ends before a relaxation is found still proves that smaller ones do not suffice."""
    found = SimpleNamespace(objective=np.inf, bound=0.25, certificate=None, status=bilevel.Status.TIME_LIMIT)
    monkeypatch.setattr(relaxation.bilevel, "solve", lambda *_, **__: found)
    targets: dict[str, Target] = dict([("share", RenewableShare(least=0.6)), ("clean", Emissions(most=1.0))][:count])
    problem = regulated_feeder(3, 4, seed=1)
    error = relaxation.unreached(problem, SOCIAL, targets, Effort(tolerance=TOLERANCE))
    assert error.status == "infeasible"
    assert said in str(error)
    assert "the search for the least relaxation ended before" in str(error)
    found.bound = 0.0
    assert "no relaxation was found with which a plan reaches them" in str(
        relaxation.unreached(problem, SOCIAL, targets, Effort(tolerance=TOLERANCE))
    )


def test_targets_that_contradict_each_other_are_named_before_a_plan_is_searched():
    """Nothing is emitted where nobody is served, and everybody is served with energy from above: not both, whatever is built and charged."""
    problem = limited_sun()
    both: dict[str, Target] = {"clean": Emissions(most=1e-4), "served": UnservedEnergy(most=0.0)}
    for name, target in both.items():
        assert Attainable(problem, {name: target}).together
    assert not Attainable(problem, both).together
    with pytest.raises(NoPlanError, match=r"the least relaxation is 'clean' from 0.0001 t/a to .*; targets 'clean' .* contradict each other"):
        solve_plan(problem, SOCIAL, targets=both, **SETTINGS)


def test_what_no_operation_reaches_is_said_with_what_can_be_reached():
    """Where lines carry less than is needed and may not be reinforced, the least unserved energy is that of a linear program."""
    problem = limited_sun()
    rhs = problem.program.b0.copy()
    rhs[problem.program.rows["rating_forward"].positions] *= 0.3
    problem = replace(problem, program=replace(problem.program, b0=rhs), excluded=np.ones(problem.annuity.size, dtype=bool))
    served: dict[str, Target] = {"served": UnservedEnergy(most=0.0)}
    best = Attainable(problem, served).best("served")
    assert best > 0.1
    assert not Attainable(problem, served).together
    assert Attainable(problem, {"served": UnservedEnergy(most=best * (1 + 1e-6))}).together
    assert not Attainable(problem, {"served": UnservedEnergy(most=best * (1 - 1e-4))}).together
    with pytest.raises(NoPlanError, match=r"'served' from 0 kWh/a to .*no operation of networks and devices reaches 'served'"):
        solve_plan(problem, REGIMES["unregulated"](), targets=served, **SETTINGS)


def limited_sun() -> PlanningProblem:
    """The feeder with at most a tenth of a kW of photovoltaics at every node."""
    problem = regulated_feeder(4, 4, seed=1)
    program, upper = problem.program, problem.program.upper.copy()
    size = program.columns["pv"].positions
    upper[size] = np.minimum(upper[size], 0.1)
    return replace(problem, program=replace(program, upper=upper))


def test_targets_that_the_plan_reaches_anyway_change_nothing(problem_with_adoption: PlanningProblem):
    """The decomposition knows no targets: its plan stands where it reaches them."""
    plain = solve_plan(problem_with_adoption, SOCIAL, gap=1e-6)
    loose: dict[str, Target] = {"e": Emissions(most=1e6), "u": UnservedEnergy(most=1e6), "b": BillCap(most=1e9)}
    loose["p"] = BillCap(group="north 1", most=1e9)
    plan = solve_plan(problem_with_adoption, SOCIAL, targets=loose, gap=1e-6)
    assert plan.objective == plain.objective
    assert plan.message == plain.message
    assert set(plan.targets) == set(loose)
    with pytest.raises(NoPlanError, match="its plan misses targets \\(e\\)"):
        solve_plan(problem_with_adoption, SOCIAL, targets={"e": Emissions(most=1e-3)}, method="decomposition", gap=1e-6)


def test_what_is_reached_is_what_the_answer_does(problem_with_adoption: PlanningProblem):
    """Renewable energy, exchange and payments of groups against the columns of the follower."""
    problem = problem_with_adoption
    targets: dict[str, Target] = {"s": RenewableShare(least=0.0), "e": Emissions(most=1e6, intensity=1.0), "p": BillCap(most=1e9)}
    targets |= {name: BillCap(group=name, most=1e9) for name in problem.participants}
    plan = solve_plan(problem, SOCIAL, targets=targets, gap=1e-6)
    program, x, hours = problem.program, plan.solution.primal["operation"], problem.horizon.hours_per_year
    used = sum(float((program.columns.values(f"{c}/new_pv_power", x) * hours).sum()) for c in problem.participants)
    used += sum(float((program.columns.values(f"{c}/pv", x) * hours).sum()) for c in problem.participants if f"{c}/pv" in program.columns)
    used -= float((program.columns.values("curtailed", x) * hours).sum())
    passive = problem.passive_outputs["renewable"]
    drawn = float((plan.drawn * hours).sum())
    assert used > 0
    assert plan.targets["s"].value == pytest.approx((used + passive) / (used + passive + drawn), rel=1e-9)
    assert plan.targets["e"].value == pytest.approx(1e-3 * float((np.maximum(plan.drawn, 0.0) * hours).sum()), rel=1e-9)
    # All groups together pay for the energy of the operator at the forecast price, and everything under the tariff.
    paid = sum(plan.targets[name].value for name in ("p", *problem.participants))
    tariff = sum(
        float(np.sum(problem.tariff.price(name, plan.prices) * (float((program.outputs[f"billed {name}"].matrix @ x)[0]) + problem.passive[name])))
        for name in problem.tariff.components
    )
    assert paid == pytest.approx(float((plan.drawn * hours * problem.energy_price).sum()) + tariff, rel=1e-9)
