import dataclasses

import numpy as np
import pytest

from multiscale.coordination.negotiation.children.carriers import LocalChildren, Refusal
from multiscale.coordination.negotiation.children.program_child import Kept, ProgramChild
from multiscale.coordination.negotiation.children.request import Band, Reply, Request
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.next_prices import first_prices
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.programs import CompiledProgram
from tests.coordination.families import family, unreliable

SMALL = {"prosumers": 5, "steps": 2}


@pytest.fixture(scope="module")
def cases():
    made = {}

    def get(kind, count, seed=1):
        if (kind, count, seed) not in made:
            case = family(kind, count, seed=seed, **SMALL)
            made[kind, count, seed] = case, case.integrated()
        return made[kind, count, seed]

    return get


@pytest.fixture(scope="module")
def agreed(cases):
    """A case, and what its children agree on to a gap of 0.1 % where no message is lost; each is run once."""
    made = {}

    def get(kind, count, seed=1):
        if (kind, count, seed) not in made:
            case, _ = cases(kind, count, seed)
            made[kind, count, seed] = case, negotiation(case, gap=1e-3).run(local(case))
        return made[kind, count, seed]

    return get


def local(case, changed=None):
    """The children of a case in this process; some may be replaced by functions."""
    answers = {}
    for name, program in case.children.items():
        child, reference = ProgramChild(program, case.hours), []

        def answer(request, child=child, reference=reference):
            reference.append(request.prices[0])
            return child.answer(request, reference[0])

        answers[name] = answer
    return LocalChildren(answers | (changed or {}))


def negotiation(case, **options):
    return Negotiation(Parent(case.parent, case.hours, case.bands), case.expected, NegotiationOptions(**options))


def assert_certified(history, optimum):
    room = 1e-6 * abs(optimum)
    for step in history:
        assert step.bound <= optimum + room
        assert step.cost >= optimum - room


@pytest.mark.parametrize(
    ("kind", "count", "most"), [("easy", 4, 12), ("easy", 12, 8), ("hard", 4, 21), pytest.param("hard", 12, 15, marks=pytest.mark.slow)]
)
def test_the_optimum_lies_between_bound_and_cost_in_every_round(cases, agreed, kind, count, most):
    (_, optimum), (_, agreement) = cases(kind, count), agreed(kind, count)
    assert_certified(agreement.history, optimum)
    assert agreement.status == "agreed"
    assert agreement.gap <= 1e-3
    assert agreement.history[-1].round <= most
    bounds, costs = ([getattr(s, k) for s in agreement.history] for k in ("bound", "cost"))
    assert bounds == sorted(bounds)
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("method", ["columns", "level", "admm"])
def test_every_method_ends_at_the_same_optimum(cases, method):
    case, optimum = cases("easy", 4)
    agreement = negotiation(case, method=method, gap=2e-3, rounds=80).run(local(case))
    assert_certified(agreement.history, optimum)
    assert agreement.cost == pytest.approx(optimum, rel=2e-3)


def test_an_agreed_mix_is_feasible_for_parent_and_children(agreed):
    case, agreement = agreed("hard", 4)
    point = agreement.point
    p = case.parent.parameters.vector({"exchange": point.exchange})
    assert case.parent.violation(point.x, p) <= 1e-5
    total = case.parent.objective(point.x, p)
    for k, program in enumerate(case.children.values()):
        settled = ProgramChild(program, case.hours).settle(Kept(point.exchange[k], point.price[k], point.price[k]))
        assert program.violation(settled.x, np.zeros(0)) <= 1e-5
        np.testing.assert_allclose(program.outputs["exchange"].matrix @ settled.x, point.exchange[k], atol=1e-4)
        total += settled.cost
    assert total <= point.cost * (1 + 1e-6)


@pytest.mark.parametrize(
    ("kind", "count", "seed", "channels"),
    [
        ("easy", 4, 1, (3, 4)),
        ("hard", 4, 1, (3, 4)),
        ("hard", 4, 2, (5,)),
        # The channel is that of the cases with four children.
        *(pytest.param(kind, 12, 1, (channel,), marks=pytest.mark.slow) for kind, channel in (("easy", 3), ("hard", 3), ("easy", 4))),
    ],
)
def test_late_lost_repeated_and_reordered_answers_leave_the_certificate_valid_and_take_five_times_the_rounds_at_most(
    cases, agreed, kind, count, seed, channels
):
    (case, optimum), (_, together) = cases(kind, count, seed), agreed(kind, count, seed)
    for channel in channels:
        apart = negotiation(case, gap=1e-3, rounds=200, quorum=0.9).run(unreliable(local(case), channel))
        assert_certified(apart.history, optimum)
        assert apart.status == "agreed"
        assert together.history[-1].step < apart.history[-1].step <= 5 * together.history[-1].step


def test_the_same_seed_gives_the_same_series(cases):
    case, _ = cases("easy", 4)
    runs = [negotiation(case, gap=1e-2, rounds=60, quorum=0.9).run(unreliable(local(case), 5)).history for _ in range(2)]
    assert [(s.cost, s.bound, s.messages) for s in runs[0]] == [(s.cost, s.bound, s.messages) for s in runs[1]]


def test_an_old_answer_bounds_the_answer_to_any_other_price(cases):
    case, _ = cases("hard", 4)
    run = negotiation(case, gap=1e-3, rounds=3)
    run.run(local(case))
    rng = np.random.default_rng(0)
    for name, program in case.children.items():
        child = ProgramChild(program, case.hours)
        for _ in range(3):
            price = rng.uniform(-0.02, 0.15, 24)
            exact = CompiledProgram(child.program).solve_optimal(price).objective
            assert run.least(name, price) <= exact + 1e-6 * abs(exact)


def silent(_):
    raise TimeoutError


BAD = {
    "infeasible on its own": (lambda _: Refusal("program 'x' ended infeasible"), "infeasible"),
    "crashes": (silent, "TimeoutError"),
    "not a number": (lambda r: Reply(r.number, np.full(len(r.prices), np.nan), np.zeros(1), np.zeros((1, 24))), "least cost that is not a finite"),
    "wrong shape": (lambda r: Reply(r.number, np.zeros(len(r.prices)), np.zeros(1), np.zeros((1, 23))), r"wrong shape: .*\(1, 23\)"),
    "outside its band": (lambda r: Reply(r.number, np.zeros(len(r.prices)), np.zeros(1), np.full((1, 24), 1e9)), "outside its declared band"),
    "a round never asked": (lambda r: Reply(99, np.zeros(len(r.prices)), np.zeros(1), np.zeros((1, 24))), "round 99, which was not asked"),
    "no reply": (lambda _: "hello", "answered str"),
}


@pytest.mark.parametrize("what", list(BAD))
def test_a_bad_child_is_excluded_and_named_and_the_rest_agrees(cases, what):
    case, _ = cases("easy", 4)
    answer, reason = BAD[what]
    agreement = negotiation(case, method="level", gap=1e-2).run(local(case, {"child 002": answer}))
    assert agreement.status == "partial"
    assert list(agreement.excluded) == ["child 002"]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(agreement.excluded["child 002"])
    assert agreement.gap <= 1e-2
    # What is left is the problem in which this child draws what was expected of it.
    rest = dataclasses.replace(case, children={k: v for k, v in case.children.items() if k != "child 002"})
    assert agreement.bound <= without(rest, case) * (1 + 1e-6)
    assert agreement.cost >= without(rest, case) * (1 - 1e-6)


def without(rest, case):
    from multiscale.programs import Link, compose, solve

    axes = case.parent.parameters["exchange"]
    place = list(case.children).index("child 002")
    fixed = {"fixed": _constant(case.expected[place])}
    links = [Link(c, "exchange", axes.positions[i]) for i, c in enumerate(case.children) if c in rest.children]
    links.append(Link("fixed", "exchange", axes.positions[place]))
    return solve(compose("rest", case.parent, rest.children | fixed, links)).objective


def _constant(profile):
    from multiscale.programs import ProgramBuilder

    builder = ProgramBuilder("fixed")
    given = builder.add_columns("exchange", {"period": np.arange(24)}, unit="kW", lower=profile, upper=profile)
    builder.add_output("exchange", {"period": np.arange(24)}, [(1.0, given)], unit="kW")
    return builder.build()


class NeverAnswers:
    def __init__(self, children, name):
        self.children, self.name = children, name

    def ask(self, requests):
        return self.children.ask({c: r for c, r in requests.items() if c != self.name})


def test_a_child_that_never_answers_is_excluded_after_a_while(cases):
    case, _ = cases("easy", 4)
    agreement = negotiation(case, method="level", gap=1e-2, patience=4).run(NeverAnswers(local(case), "child 001"))
    assert agreement.status == "partial"
    assert agreement.excluded == {"child 001": "gave no new answer in 4 steps"}
    assert agreement.gap <= 1e-2


def test_a_child_may_say_the_same_twice():
    case = family("easy", 2, prosumers=2)
    parent = Parent(case.parent, case.hours, case.bands)
    name = parent.names[0]
    assert parent.add(name, 1.0, case.expected[0])
    assert not parent.add(name, 1.0, case.expected[0])
    assert parent.add(name, 0.5, case.expected[0])


def test_a_second_day_starts_from_the_prices_of_the_first(agreed):
    _, first = agreed("hard", 4)
    tomorrow = family("hard", 4, seed=1, day=1, **SMALL)
    cold = negotiation(tomorrow, gap=1e-3).run(local(tomorrow))
    lists = np.array(first.prices[-16:])
    warm = Negotiation(Parent(tomorrow.parent, tomorrow.hours, tomorrow.bands), tomorrow.expected, NegotiationOptions(gap=1e-3), lists).run(
        local(tomorrow)
    )
    assert_certified(warm.history, tomorrow.integrated())
    assert warm.history[0].gap < cold.history[0].gap
    assert warm.history[-1].round <= cold.history[-1].round


def test_prices_of_scarcity_are_asked_with_milder_ones_in_the_first_message():
    calm = np.array([[0.03, 0.04, 0.05, 0.04]])
    assert (first_prices(calm) == calm[None]).all()
    scarce = np.array([[0.04, 0.04, 0.04, 3.0]])
    prices = first_prices(scarce)
    assert np.allclose(prices[:, 0], [[0.04, 0.04, 0.04, 3.0], [0.04, 0.04, 0.04, 0.2], [0.04, 0.04, 0.04, 0.08], [0.05] * 4])
    # Prices of handing uncertainty over stay as they are.
    both = first_prices(np.concatenate([scarce, 0.01 * scarce], axis=1), goods=2)
    assert np.allclose(both[:, :, :4], prices)
    assert np.allclose(both[:, :, 4:], 0.01 * scarce)


def test_traffic_counts_what_is_disclosed(cases):
    case, _ = cases("easy", 4)
    run = negotiation(case, method="level", gap=1e-9, rounds=2)
    asked = [len(run.state.prices), 1]
    traffic = run.run(local(case)).traffic
    assert traffic.messages == 2 * 4 * 2
    # Down a number and prices of 24 periods, up a number, and for every price a value, a cost and a profile.
    assert traffic.bytes == 8 * 4 * sum(1 + 24 * k + 1 + 26 * k for k in asked)
    assert traffic.fields == {"down: number", "down: price", "up: number", "up: least_cost", "up: own_cost", "up: exchange"}


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="method 'magic' is unknown"):
        NegotiationOptions(method="magic")
    with pytest.raises(ValueError, match="low <= high"):
        Band(np.ones(2), np.zeros(2))
    case = family("easy", 2, prosumers=2)
    with pytest.raises(ValueError, match="fix them"):
        ProgramChild(case.parent, case.hours)


def test_an_answer_does_not_depend_on_what_was_asked_before():
    case = family("hard", 2, prosumers=4)
    program = next(iter(case.children.values()))
    rng = np.random.default_rng(1)
    reference, price = rng.uniform(0, 0.1, 24), np.full(24, 0.04)
    fresh = ProgramChild(program, case.hours).answer(Request(0, price[None]), reference)
    used = ProgramChild(program, case.hours)
    for _ in range(5):
        used.answer(Request(0, rng.uniform(0, 0.1, (2, 24))), reference)
    again = used.answer(Request(0, price[None]), reference)
    assert (fresh.profiles == again.profiles).all()
    assert (fresh.values == again.values).all()
    assert (fresh.costs == again.costs).all()
