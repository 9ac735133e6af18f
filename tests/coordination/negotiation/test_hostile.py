"""Children that say what is not true: each is named and excluded, or the bound stays below the optimum and the cost above it."""

import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.mechanism import Mechanism
from multiscale.coordination.common.prepared import silent
from multiscale.coordination.engine import SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.program_child import ProgramChild
from multiscale.coordination.negotiation.children.remote_children import RemoteChildren
from multiscale.coordination.negotiation.children.request import Request
from multiscale.coordination.negotiation.consistency import contradiction, not_kept
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
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


def agreed(case, how, rounds=12):
    children = Untrue(SerialEngine(), case.children, case.hours, names=(NAME,), how=how)
    parent = Parent(case.parent, case.hours, case.bands)
    return Negotiation(parent, case.expected, NegotiationOptions(gap=1e-3, rounds=rounds)).run(children)


def best_of_others(case, given):
    """The optimum of everything as one program, in which the child draws a given profile at no cost."""
    builder = ProgramBuilder(NAME)
    drawn = builder.add_columns("exchange", {"period": np.arange(24)}, unit="kW", lower=given, upper=given)
    builder.add_output("exchange", {"period": np.arange(24)}, [(1.0, drawn)], unit="kW")
    return dataclasses.replace(case, children=case.children | {NAME: builder.build()}).integrated()


@pytest.mark.parametrize("what", list(UNTRUE))
def test_what_is_not_true_is_found_and_its_child_named(case, what):
    agreement = agreed(case, UNTRUE[what])
    assert list(agreement.excluded) == [NAME], agreement.excluded
    assert agreement.status == "partial"
    # The others agree around what was taken for it; what that costs it is in neither bound nor cost.
    around = best_of_others(case, agreement.point.exchange[list(case.children).index(NAME)])
    assert agreement.bound <= around * (1 + 1e-7)
    assert agreement.cost >= around * (1 - 1e-7)
    assert agreement.gap <= 1e-3


@pytest.mark.parametrize("what", list(POOR))
def test_a_poor_answer_that_is_true_leaves_the_bound_below_the_optimum_and_the_cost_above_it(case, optimum, what):
    agreement = agreed(case, POOR[what])
    assert not agreement.excluded
    for step in agreement.history:
        assert step.bound <= optimum * (1 + 1e-7)
        assert step.cost >= optimum * (1 - 1e-7)
    assert agreement.status == ("agreed" if agreement.gap <= 1e-3 else "open")


def test_without_a_bound_a_negotiation_does_not_call_itself_agreed(case):
    agreement = agreed(case, POOR["no bound"], rounds=3)
    assert agreement.status == "open"
    assert agreement.gap > 1.0


def test_true_children_are_never_accused():
    for kind, seed in (("easy", 2), ("hard", 3), ("hard", 4)):
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
    assert "cannot be operated: no" in not_kept(1.0, reply.profiles[0], prices[0], hours, [], Refusal("no"))


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
