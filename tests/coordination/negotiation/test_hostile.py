"""Children that say what is not true: each is named and excluded, or the bound stays below the optimum and the cost above it."""

import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.forecast import day_errors
from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.prepared import realise_day, respond, silent
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.program_child import Kept, ProgramChild
from multiscale.coordination.negotiation.children.remote_children import RemoteChildren
from multiscale.coordination.negotiation.children.request import Request
from multiscale.coordination.negotiation.consistency import contradiction, not_kept, not_of_schedule
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.publication.pricing import Pricing, PricingSettings
from multiscale.markets import Community
from multiscale.operation import operating_tree
from multiscale.programs import ProgramBuilder, ProgramError
from tests.coordination.families import family
from tests.coordination.negotiation.test_excluded import best_around
from tests.operated import coordinate_days
from tests.variants import changed, charged

NAME = "child 002"


def said(reply, values=None, costs=None, profiles=None):
    """A reply with other contents."""
    given = {"values": values, "costs": costs, "profiles": profiles}
    return dataclasses.replace(reply, **{what: array for what, array in given.items() if array is not None})


def at_prices(reply):
    """Own costs of the offers that answer the prices, one for each value."""
    return reply.costs[: len(reply.values)]


class Unreadable:
    """Raises what no array raises."""

    def __array__(self, *_, **__):
        raise RuntimeError("boom")


UNTRUE = {
    "bound 5 % too high": lambda r, _: said(r, values=r.values + 0.05 * np.abs(r.values)),
    "bound 1e9 too high": lambda r, _: said(r, values=r.values + 1e9),
    "bound too high every second time": lambda r, k: said(r, values=r.values + (0.05 if k % 2 else -0.05) * np.abs(r.values)),
    "bound too high from the third answer on": lambda r, k: said(r, values=r.values + (0.01 * np.abs(r.values) if k > 2 else 0.0)),
    "cost 20 % too low": lambda r, _: said(r, costs=0.8 * r.costs),
    "cost 0.1 % too low": lambda r, _: said(r, costs=0.999 * r.costs),
    "cost and bound 20 % of the cost too low": lambda r, _: said(r, r.values - 0.2 * r.costs.max(), 0.8 * r.costs),
    "cost and bound 0.1 % of the cost too low": lambda r, _: said(r, r.values - 0.001 * r.costs.max(), 0.999 * r.costs),
    "cost and bound too high": lambda r, _: said(r, r.values + 0.05 * at_prices(r), 1.05 * r.costs),
    "fixed cost that is not there": lambda r, _: said(r, r.values + 50.0, r.costs + 50.0),
    "negative cost": lambda r, _: said(r, costs=-np.abs(r.costs) - 1.0),
    "negative cost and no bound": lambda r, _: said(r, r.values - 1e5, -np.abs(r.costs) - 1.0),
    "profile that was not priced": lambda r, _: said(r, profiles=np.roll(r.profiles, 6, axis=1)),
    "less drawn than it needs, and no bound": lambda r, _: said(r, r.values - 1e5, profiles=r.profiles - 0.3 * np.abs(r.profiles)),
    "anew each time, bound too high": lambda r, _: dataclasses.replace(said(r, values=r.values + 0.05 * np.abs(r.values)), anew=True),
    "bound that is not a number": lambda r, _: said(r, values=r.values * np.nan),
    "cost that is not a number": lambda r, _: said(r, costs=r.costs * np.nan),
    "profile that is not a number": lambda r, _: said(r, profiles=r.profiles * np.nan),
    "infinite bound": lambda r, _: said(r, values=np.full_like(r.values, np.inf)),
    "cost 5 % too low from the third answer on": lambda r, k: said(r, costs=r.costs * (0.95 if k > 2 else 1.0)),
    "cost and bound too high from the third answer on": lambda r, k: said(r, r.values + 0.05 * at_prices(r), 1.05 * r.costs) if k > 2 else r,
    "untrue once, and then anew": lambda r, k: dataclasses.replace(said(r, values=1.05 * r.values), anew=True) if k == 3 else r,
    "profile of 23 periods": lambda r, _: said(r, profiles=r.profiles[:, :23]),
    "profile of 48 periods from the third answer on": lambda r, k: said(r, profiles=np.hstack([r.profiles] * (2 if k > 2 else 1))),
    "profile in W": lambda r, _: said(r, profiles=1e3 * r.profiles),
    "profile in MW": lambda r, _: said(r, profiles=1e-3 * r.profiles),
    "cost and bound times 1000": lambda r, _: said(r, 1e3 * r.values, 1e3 * r.costs),
    "cost and bound in thousands": lambda r, _: said(r, 1e-3 * r.values, 1e-3 * r.costs),
    "cost in thousands": lambda r, _: said(r, costs=1e-3 * r.costs),
    "bound that is text": lambda r, _: said(r, values=["much"] * len(r.values)),
    "bound that is complex": lambda r, _: said(r, values=r.values * (1 + 1j)),
    "profiles of different lengths": lambda r, _: said(r, profiles=[[1.0, 2.0], [3.0]]),
    "more goods than were asked for": lambda r, _: dataclasses.replace(r, goods=2),
    "no goods": lambda r, _: dataclasses.replace(said(r, profiles=1e3 * r.profiles), goods=0),
    "round that is a list": lambda r, _: dataclasses.replace(r, number=[r.number]),
    "bound that no float holds": lambda r, _: said(r, values=[10**400] * len(r.values)),
    "bound that cannot be read": lambda r, _: said(r, values=Unreadable()),
    "one bound that is not a number": lambda r, _: said(r, values=np.where(np.arange(len(r.values)) == 1, np.nan, r.values)),
    "cost of the best offer 3 % too low": lambda r, _: said(r, costs=np.where(r.costs == r.costs.min(), 0.97 * r.costs, r.costs)),
    "negated profile": lambda r, _: said(r, profiles=-r.profiles),
    "cost and bound that rise with every answer": lambda r, k: said(r, r.values + k, r.costs + k),
    "cost and bound of 1e300": lambda r, _: said(r, r.values + 1e300, r.costs + 1e300),
    "bound of -1e300": lambda r, _: said(r, values=r.values - 1e300),
    "100,000 offers in one answer": lambda r, _: said(r, costs=r.costs[0] + np.arange(1e5), profiles=np.tile(r.profiles[0], (100_000, 1))),
}
POOR = {
    "no bound": lambda r, _: said(r, values=r.values - 1e6),
    "bound too low every second time": lambda r, k: said(r, values=r.values - (0.05 * np.abs(r.values) if k % 2 else 0.0)),
    "one offer of a reply": lambda r, _: said(r, costs=r.costs[:1], profiles=r.profiles[:1]),
    "first cost far too high": lambda r, k: said(r, costs=r.costs * (2.0 if k == 1 else 1.0)),
}


@dataclasses.dataclass
class Untrue(RemoteChildren):
    """Children of which some answer what ``how`` makes of their reply and of the number of the reply."""

    names: tuple[str, ...] = ()
    how: object = None

    def __post_init__(self):
        super().__post_init__()
        self.asked = dict.fromkeys(self.names, 0)

    def ask(self, requests):
        out = []
        for child, reply in super().ask(requests):
            if child in self.asked:
                self.asked[child] += 1
            out.append((child, self.how(reply, self.asked[child]) if child in self.asked else reply))
        return out


@pytest.fixture(scope="module")
def case():
    return family("easy", 4, prosumers=5, steps=2)


@pytest.fixture(scope="module")
def optimum(case):
    return case.integrated()


class Pretends(RemoteChildren):
    """Children of which one answers as if its program were another one; what is operated is its own."""

    def __init__(self, case, program):
        super().__init__(SerialEngine(), case.children, case.hours)
        self.pretended = RemoteChildren(SerialEngine(), {NAME: program}, case.hours)

    def ask(self, requests):
        mine = {c: r for c, r in requests.items() if c == NAME}
        return super().ask({c: r for c, r in requests.items() if c != NAME}) + self.pretended.ask(mine)


def agreed(case, how, rounds=12, names=(NAME,)):
    return agreed_with(case, Untrue(SerialEngine(), case.children, case.hours, names=names, how=how), rounds)


def agreed_with(case, children, rounds=12):
    parent = Parent(case.parent, case.hours, case.bands)
    return Negotiation(parent, case.expected, NegotiationOptions(gap=1e-3, rounds=rounds)).run(children)


def shrunk(program, share):
    """A program whose batteries are so many times as large."""
    upper = program.upper.copy()
    for name in ("charge", "discharge", "stored"):
        upper[program.columns[name].positions] *= share
    return dataclasses.replace(program, upper=upper)


def best_of_others(case, given):
    """The optimum of everything as one program, in which the child draws a given profile at no cost."""
    builder = ProgramBuilder(NAME)
    drawn = builder.add_columns("exchange", {"period": np.arange(24)}, unit="kW", lower=given, upper=given)
    builder.add_output("exchange", {"period": np.arange(24)}, [(1.0, drawn)], unit="kW")
    return dataclasses.replace(case, children=case.children | {NAME: builder.build()}).integrated()


FURTHER = (
    "cost in thousands",
    "cost and bound times 1000",
    "cost and bound in thousands",
    "profile of 23 periods",
    "profile in W",
    "bound that is complex",
    "profiles of different lengths",
    "no goods",
    "round that is a list",
    "bound of -1e300",
    "infinite bound",
    "profile that is not a number",
    "cost that is not a number",
    "cost and bound 20 % of the cost too low",
    "negative cost and no bound",
    "bound too high every second time",
    "cost 0.1 % too low",
    "cost and bound too high from the third answer on",
    "cost 5 % too low from the third answer on",
    "profile in MW",
    "more goods than were asked for",
    "bound that is not a number",
    "one bound that is not a number",
    "negated profile",
    "bound that no float holds",
)
"""Tried with ``-m slow`` alone: each resembles another one."""


def each(kinds, further):
    return [pytest.param(kind, marks=pytest.mark.slow) if kind in further else kind for kind in kinds]


@pytest.mark.parametrize("what", each(UNTRUE, FURTHER))
def test_what_is_not_true_is_found_and_its_child_named(case, what):
    agreement = agreed(case, UNTRUE[what])
    assert list(agreement.excluded) == [NAME], agreement.excluded
    assert agreement.status == "partial"
    # The others agree around what was taken for it; what that costs it is in neither bound nor cost.
    around = best_of_others(case, agreement.point.exchange[list(case.children).index(NAME)])
    assert agreement.bound <= around * (1 + 1e-7)
    assert agreement.cost >= around * (1 - 1e-7)
    assert agreement.gap <= 1e-3


PRETENDED = {
    "has no battery": lambda case: shrunk(case.children[NAME], 0.0),
    "has half its battery": lambda case: shrunk(case.children[NAME], 0.5),
    "has twice its battery": lambda case: shrunk(case.children[NAME], 2.0),
} | {f"lives on another day ({d})": lambda _, d=d: family("easy", 4, day=d, prosumers=5, steps=2).children[NAME] for d in (1, 2, 3)}


@pytest.mark.parametrize("what", each(PRETENDED, ("has half its battery", "lives on another day (2)", "lives on another day (3)")))
def test_a_child_that_pretends_to_be_another_is_found_in_operation_though_nothing_it_says_contradicts_itself(case, what):
    agreement = agreed_with(case, Pretends(case, PRETENDED[what](case)))
    assert list(agreement.excluded) == [NAME], agreement.excluded
    around = best_of_others(case, agreement.point.exchange[list(case.children).index(NAME)])
    assert agreement.bound <= around * (1 + 1e-7)
    assert agreement.cost >= around * (1 - 1e-7)


@pytest.mark.parametrize("both", [("bound 5 % too high", "bound 5 % too high"), ("bound 5 % too high", "cost 20 % too low"), ("above", "below")])
def test_two_untrue_children_are_both_named(case, both):
    """Also two whose untruths add up to nothing: one says 7 EUR/a more of everything, the other 7 EUR/a less."""
    together = UNTRUE | {"above": lambda r, _: said(r, r.values + 7.0, r.costs + 7.0), "below": lambda r, _: said(r, r.values - 7.0, r.costs - 7.0)}
    names = ("child 001", NAME)

    class Two(RemoteChildren):
        def ask(self, requests):
            return [(c, together[both[names.index(c)]](r, 1) if c in names else r) for c, r in super().ask(requests)]

    agreement = agreed_with(case, Two(SerialEngine(), case.children, case.hours))
    assert sorted(agreement.excluded) == list(names)
    assert agreement.gap <= 1e-3


def test_where_all_children_are_untrue_all_are_named(case):
    agreement = agreed(case, lambda r, _: said(r, values=1.05 * r.values + 1.0), names=tuple(case.children))
    assert sorted(agreement.excluded) == sorted(case.children)
    assert agreement.status == "partial"


@pytest.mark.parametrize("what", list(POOR))
def test_a_poor_answer_that_is_true_leaves_the_bound_below_the_optimum_and_the_cost_above_it(case, optimum, what):
    agreement = agreed(case, POOR[what])
    assert not agreement.excluded
    for step in agreement.history:
        assert step.bound <= optimum * (1 + 1e-7)
        assert step.cost >= optimum * (1 - 1e-7)
    assert agreement.status == ("agreed" if agreement.gap <= 1e-3 else "open")


def test_a_child_that_repeats_its_first_answer_does_not_hold_up_the_others(case):
    """It never answers a later round, and is heard in every step."""
    replies = {}
    children = Untrue(SerialEngine(), case.children, case.hours, names=(NAME,), how=lambda r, _: replies.setdefault(0, r))
    options = NegotiationOptions(gap=1e-3, rounds=12, patience=5)
    agreement = Negotiation(Parent(case.parent, case.hours, case.bands), case.expected, options).run(children)
    assert agreement.excluded == {NAME: "gave no new answer in 5 steps"}
    assert len(agreement.history) < 25


def test_a_child_that_has_answered_the_round_is_not_silent_while_slower_ones_are_waited_for(case):
    options = NegotiationOptions(gap=1e-9, rounds=12, patience=5, quorum=0.5)
    negotiation = Negotiation(Parent(case.parent, case.hours, case.bands), case.expected, options)
    children = RemoteChildren(SerialEngine(), case.children, case.hours)
    prompt, lost, *late = case.children
    before = dict(children.ask(negotiation.requests()))
    assert negotiation.take([(c, before[c]) for c in (prompt, lost)], 0.0)
    now = dict(children.ask(negotiation.requests()))
    for arrived in ([(prompt, now[prompt])], [], [], [(c, before[c]) for c in late], [], [], []):
        assert not negotiation.take(arrived, 0.0)
    assert negotiation.state.excluded == {lost: "gave no new answer in 5 steps"}


def test_without_a_bound_a_negotiation_does_not_call_itself_agreed(case):
    agreement = agreed(case, POOR["no bound"], rounds=3)
    assert agreement.status == "open"
    assert agreement.gap > 1.0


@pytest.mark.parametrize(("kind", "seed"), [("easy", 2), ("hard", 3), pytest.param("hard", 4, marks=pytest.mark.slow)])
def test_true_children_are_never_accused(kind, seed):
    case = family(kind, 4, seed=seed, prosumers=5, steps=2)
    children = RemoteChildren(SerialEngine(), case.children, case.hours)
    agreement = Negotiation(Parent(case.parent, case.hours, case.bands), case.expected, NegotiationOptions(gap=1e-3)).run(children)
    assert agreement.status == "agreed", agreement.excluded


def test_weak_duality_is_exact_at_the_optimum_of_a_child(case):
    """A bound equal to the cost of an offer is no contradiction, one a millionth above it is."""
    program, hours = case.children[NAME], case.hours
    prices = np.random.default_rng(0).uniform(0.01, 0.1, (3, 24))
    reply = ProgramChild(program, hours).answer(Request(0, prices), prices[0])
    assert contradiction(prices, reply.values, reply.costs, reply.profiles, hours) is None
    above = reply.values + 1e-6 * (np.abs(reply.costs) + np.abs(hours * prices * reply.profiles).sum(axis=1) + 1.0)
    assert "proved that it costs at least" in contradiction(prices, above, reply.costs, reply.profiles, hours)
    assert "cannot operate its agreed exchange: no" in not_kept(1.0, Kept(reply.profiles[0], prices[0], prices[0]), hours, [], 1.0, Refusal("no"))


def test_a_report_of_an_operation_is_made_of_finite_numbers_of_the_right_length(case):
    program, hours = case.children[NAME], case.hours
    price = np.full(24, 0.05)
    offer = ProgramChild(program, hours).answer(Request(0, price[None]), price)
    kept = Kept(offer.profiles[0], price, price)
    settled = ProgramChild(program, hours).settle(kept)
    assert not_kept(offer.costs[0], kept, hours, [(price, offer.values[0])], offer.values[0], settled) is None
    changes = [{"cost": np.nan}, {"cost": "much"}, {"least": None}, {"exchange": settled.exchange[:-1]}, {"exchange": settled.exchange[0]}]
    changes += [{"x": np.nan * settled.x}, {"x": None}, {"y": "a"}, {"least": np.inf}, {"cost": np.array([1.0, 2.0])}]
    for change in changes:
        said = not_kept(offer.costs[0], kept, hours, [(price, offer.values[0])], offer.values[0], dataclasses.replace(settled, **change))
        assert said.startswith(f"reported an operation whose {next(iter(change))} is not"), change
    assert not_kept(offer.costs[0], kept, hours, [], offer.values[0], "done") == "cannot operate its agreed exchange: str was reported"
    assert not_of_schedule(program, settled) is None
    assert "reported that its operation costs" in not_of_schedule(program, dataclasses.replace(settled, cost=0.999 * settled.cost))
    assert "not the one of its schedule" in not_of_schedule(program, dataclasses.replace(settled, exchange=1.01 * settled.exchange))
    assert "numbers; its program has" in not_of_schedule(program, dataclasses.replace(settled, x=settled.x[1:]))


@pytest.fixture(scope="module")
def towns(system, winter, economics, fleets):
    larger = changed(system, "devices", "p_kw", {f"{d} town": 1500.0 for d in system.at_level("dso")})
    return operating_tree(larger, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community())


@pytest.mark.parametrize(
    "what",
    [
        "bound 5 % too high",
        "cost and bound 0.1 % of the cost too low",
        *(pytest.param(w, marks=pytest.mark.slow) for w in ("cost 20 % too low", "cost and bound too high", "negative cost and no bound")),
    ],
)
def test_a_platform_that_says_what_is_not_true_is_named_through_its_dso(towns, what):
    negotiated = negotiation_of(towns, SerialEngine(), NegotiationOptions(gap=1e-5, rounds=20))
    remote = negotiated.platforms
    negotiated.platforms = Untrue(remote.engine, remote.sources, remote.hours, names=("north 2",), how=UNTRUE[what])
    agreement = negotiated.run()
    assert list(agreement.excluded) == ["north 2"]
    outcome = outcome_of(negotiated, agreement)
    assert "north 2" not in outcome.platform_x
    cost, bound = best_around(towns, "north 2", outcome.exchange["north 2"])
    assert outcome.bound <= cost + 1e-9 * abs(cost)
    assert outcome.cost >= bound - 1e-9 * abs(cost)
    assert outcome.gap <= 2e-5


DSO = {
    "bound 5 % too high": lambda r: said(r, values=r.values + 0.05 * np.abs(r.values)),
    "cost 20 % too low": lambda r: said(r, costs=r.costs - 0.2 * np.abs(r.costs)),
    "cost and bound 20 % of the cost too low": lambda r: said(r, r.values - 0.2 * np.abs(at_prices(r)), r.costs - 0.2 * np.abs(r.costs)),
    "cost and bound too high": lambda r: said(r, r.values + 0.05 * np.abs(at_prices(r)), r.costs + 0.05 * np.abs(r.costs)),
    "fixed cost that is not there": lambda r: said(r, r.values + 5e4, r.costs + 5e4),
    "bound a little too high": lambda r: said(r, r.values + 20.0, r.costs + 20.0),
}


@pytest.mark.parametrize("what", each(DSO, ("bound 5 % too high", "fixed cost that is not there", "cost and bound too high")))
def test_an_untrue_dso_in_the_middle_of_the_tree_is_named(towns, what):
    class Middle:
        def __init__(self, children):
            self.children = children

        def ask(self, requests):
            return [(d, DSO[what](r) if d == "north" else r) for d, r in self.children.ask(requests)]

    negotiated = negotiation_of(towns, SerialEngine(), NegotiationOptions(gap=1e-5, rounds=20))
    with pytest.raises(ProgramError, match=r"'north'.*(proved that it costs at least|said that its agreed exchange costs)"):
        outcome_of(negotiated, negotiated.run(through=Middle))


PUBLISHED = {
    "cost 20 % too low": (lambda a: dataclasses.replace(a, own_cost=0.8 * a.own_cost), "said that its schedule costs"),
    "exchange that is not its own": (lambda a: dataclasses.replace(a, exchange=0.9 * a.exchange), "not the one of its schedule"),
    "exchange of another length": (lambda a: dataclasses.replace(a, exchange=a.exchange[:-1]), "exchange that is not .* finite numbers"),
    "schedule in another unit": (lambda a: dataclasses.replace(a, x=1e3 * a.x), "violates a limit of its program"),
    "schedule that is no number": (lambda a: dataclasses.replace(a, x=np.nan * a.x), "schedule that is not .* finite numbers"),
    "cost that is no number": (lambda a: dataclasses.replace(a, own_cost=np.nan), "cost that is not a finite number"),
}


@pytest.mark.parametrize("signal", ["price", "probabilistic", "envelope"])
def test_an_untrue_answer_to_published_signals_is_named(north_alone, signal):
    day = north_alone(2050.0)
    pricing = Pricing(PricingSettings(signal=signal, forecast_error=0.1, scenarios=2))
    signals = {signal: pricing.published(day, day_errors(pricing.settings.error, day.tree, day.name))}
    answers = respond([day.tree], [signals], SerialEngine())[0]
    assert realise_day(day.tree, signals, answers, day.optimum.bound)[signal].cost >= day.optimum.bound * (1 - 1e-9)
    for how, words in PUBLISHED.values():
        untrue = {signal: answers[signal] | {"north 2": how(answers[signal]["north 2"])}}
        with pytest.raises(ProgramError, match=f"mechanism '{signal}': platform 'north 2' .*{words}"):
            realise_day(day.tree, signals, untrue, day.optimum.bound)


@dataclasses.dataclass(frozen=True)
class Overconfident(Mechanism):
    """Operates the integrated optimum, and proves a bound above a cost."""

    above: float
    name = "overconfident"

    def operate(self, days, engine, report_progress=silent):  # noqa: ARG002
        return [{self.name: dataclasses.replace(d.optimum, mechanism=self.name, bound=d.optimum.cost + self.above)} for d in days]


def test_a_bound_above_a_cost_is_an_error_even_where_no_child_contradicts_itself(system, winter, economics, fleets):
    def operated(above):
        design = charged(system.at_level("dso"), 0.05)
        return coordinate_days(system, winter, economics, fleets, design, Community(), SerialEngine(), mechanism=Overconfident(above))

    with pytest.raises(ProgramError, match=r"2016-01-20: mechanism 'overconfident' proved a bound of .* EUR/a, above its own cost of .* EUR/a"):
        operated(50.0)
    assert operated(0.0)[0].outcomes["overconfident"].gap == 0.0


def test_a_negotiation_whose_rounds_run_out_says_so_in_its_outcome(towns):
    negotiated = negotiation_of(towns, SerialEngine(), NegotiationOptions(gap=1e-13, rounds=1))
    outcome = outcome_of(negotiated, negotiated.run())
    assert outcome.shortfall.startswith("negotiation ended after 1 rounds at a gap of ")
