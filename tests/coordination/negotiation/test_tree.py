import dataclasses

import numpy as np
import pandas as pd
import pytest

from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.bidirectional import Bidirectional, BidirectionalSettings
from multiscale.coordination.negotiation.checkpoint import CheckpointError, keep, take_up
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.channel import ChannelSettings
from multiscale.coordination.negotiation.children.remote_children import RemoteChildren
from multiscale.coordination.negotiation.negotiation import Negotiation
from multiscale.coordination.negotiation.parent import Parent
from multiscale.coordination.negotiation.resolution import Resolution
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.markets import Community
from multiscale.operation import Transmission, dso_branch_program, operating_tree
from multiscale.operation.platforms import Platforms
from multiscale.programs import Link, compose, solve
from multiscale.timeline import Horizon
from tests.coordination.families import family, unreliable
from tests.coordination.tasks import kills_its_worker
from tests.operated import coordinate_days
from tests.variants import changed, charged

OPTIONS = NegotiationOptions(gap=1e-5, rounds=40)


@pytest.fixture(scope="module")
def congested(system, winter, economics, fleets):
    """Feeders so large that the DSOs move the nodal prices, and a transformer that is too small."""
    towns = {f"{d} town": 9000.0 for d in system.at_level("dso")}
    here = changed(changed(system, "devices", "p_kw", towns), "branches", "rating_kva", {"north 1 MV/LV transformer": 30.0})
    return operating_tree(here, winter, economics, fleets, charged(system.at_level("dso"), 0.05), Community())


@pytest.fixture(scope="module")
def optimum(congested):
    return integrated_optimum(congested, tolerance=1e-9)


@pytest.fixture(scope="module")
def alone(congested):
    """The negotiation in this process."""
    negotiated = negotiation_of(congested, SerialEngine(), OPTIONS)
    agreement = negotiated.run()
    return negotiated, agreement, outcome_of(negotiated, agreement)


def assert_same(one, other):
    (_, first, made), (_, second, again) = one, other
    assert [(s.cost, s.bound) for s in first.history] == [(s.cost, s.bound) for s in second.history]
    assert made.cost == again.cost
    for platform in made.platform_x:
        assert (made.platform_x[platform] == again.platform_x[platform]).all(), platform
        assert (made.platform_y[platform] == again.platform_y[platform]).all(), platform


def test_the_integrated_optimum_lies_inside_the_certified_interval_in_every_round(alone, optimum):
    _, agreement, outcome = alone
    for step in agreement.history:
        assert step.bound <= optimum.cost * (1 + 1e-9)
        assert step.cost >= optimum.bound * (1 - 1e-9)
    assert agreement.status == "agreed"
    assert outcome.cost == pytest.approx(optimum.cost, rel=1e-5)
    assert outcome.bound <= optimum.cost * (1 + 1e-9)
    assert outcome.cost >= optimum.bound * (1 - 1e-9)


def test_the_gap_of_the_whole_is_at_most_the_gap_of_the_tso_plus_those_of_the_dsos(alone):
    negotiated, agreement, _ = alone
    below = sum(b.negotiation.state.cost - b.negotiation.state.bound for b in negotiated.branches.values())
    assert below >= 0
    assert below <= agreement.cost - agreement.bound + OPTIONS.gap * agreement.cost


def test_every_node_keeps_its_limits_in_what_was_agreed(alone, congested):
    _, _, outcome = alone
    for platform, program in congested.platforms.items():
        free = np.zeros(congested.horizon.periods)
        given = {"import_price": free, "export_price": free, "network_charge": 0.05, "import_limit": 1e7, "export_limit": 1e7}
        p = program.parameters.vector(given | {"planned": free, "deviation_price": 0.0})
        x = outcome.platform_x[platform].copy()
        # Distance from an unpublished plan is not a limit.
        rows = program.A @ x - program.rhs(p)
        plan = program.rows["plan"].positions.ravel()
        rows[plan] = 0.0
        assert np.where(program.equality, np.abs(rows), rows).max() <= 1e-5
    for dso, own in congested.distribution.items():
        drawn = np.array([outcome.exchange[c] for c in own.children])
        p = own.program.parameters.vector({"energy_price": 0.0, "exchange": drawn, "built": 0.0})
        assert own.program.violation(outcome.distribution_x[dso], p) <= 1e-4


@pytest.mark.slow  # two workers: the test below
@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_agrees_on_the_same_to_the_last_bit(alone, congested, workers):
    with DaskEngine(workers) as engine:
        negotiated = negotiation_of(congested, engine, OPTIONS)
        agreement = negotiated.run()
        assert_same(alone, (negotiated, agreement, outcome_of(negotiated, agreement)))


def test_with_two_workers_one_killed_in_the_middle_changes_nothing(alone, congested, two_workers, tmp_path):
    negotiated = negotiation_of(congested, two_workers, OPTIONS)
    killed = []

    def kill(step):
        if step.round in (2, 4):
            two_workers.map(kills_its_worker, {"a": (str(tmp_path / f"killed {step.round}"),)})
            killed.append(step.round)

    agreement = negotiated.run(watch=kill)
    assert killed == [2, 4]
    assert_same(alone, (negotiated, agreement, outcome_of(negotiated, agreement)))


def test_the_driver_builds_no_program_of_a_platform(alone, congested):
    class Sealed(Platforms):
        def __getitem__(self, name):
            raise AssertionError(f"the driver looked at the program of {name}")

    sealed = dataclasses.replace(congested, platforms=Sealed(congested.platforms.data))
    negotiated = negotiation_of(sealed, SerialEngine(), OPTIONS)
    agreement = negotiated.run()
    assert_same(alone, (negotiated, agreement, outcome_of(negotiated, agreement)))


def test_taken_up_from_a_checkpoint_it_goes_on_as_if_never_interrupted(alone, congested, tmp_path):
    path = tmp_path / "negotiation.pickle"

    class StoppedError(Exception):
        pass

    first = negotiation_of(congested, SerialEngine(), OPTIONS)

    def interrupt(_):
        keep(first, path)
        if first.negotiation.state.round == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        first.run(keep=interrupt)
    second = negotiation_of(congested, SerialEngine(), OPTIONS)
    take_up(second, path)
    assert second.negotiation.state.round == 3
    agreement = second.run()
    assert_same(alone, (second, agreement, outcome_of(second, agreement)))


def test_a_checkpoint_of_another_tree_or_none_is_refused(alone, congested, tmp_path):
    path = tmp_path / "negotiation.pickle"
    keep(alone[0], path)
    other = negotiation_of(congested.under(charged(congested.distribution, 0.06)), SerialEngine(), OPTIONS)
    with pytest.raises(CheckpointError, match="belongs to another tree, design, method or version; delete it"):
        take_up(other, path)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        take_up(other, path)


def test_quarter_hours_below_and_hours_above_agree_on_the_mean(system, economics):
    """The reference: all levels as one program, in which each period of the TSO sees the mean of two periods below."""
    fine, coarse = (Horizon((pd.Timestamp("2016-01-20"),), (366.0,), h) for h in (2.0, 4.0))
    towns = changed(system, "devices", "p_kw", {f"{d} town": 9000.0 for d in system.at_level("dso")})
    fleets = {p: towns.fleet(p, fine) for p in towns.at_level("platform")}
    tree = operating_tree(towns, fine, economics, fleets, charged(towns.at_level("dso"), 0.05), Community())
    tree = dataclasses.replace(tree, transmission=Transmission(towns, coarse, economics))
    negotiated = negotiation_of(tree, SerialEngine(), OPTIONS)
    agreement = negotiated.run()
    outcome = outcome_of(negotiated, agreement)
    resolution = Resolution(fine, coarse)
    below = {d: resolution.seen_from_above(dso_branch_program(tree, d).fix({"energy_price": 0.0})) for d in tree.distribution}
    positions = negotiated.top.program().parameters["exchange"].positions
    links = [Link(d, "exchange", positions[k]) for k, d in enumerate(tree.transmission.children)]
    optimum = solve(compose("whole", negotiated.top.program(), below, links)).objective
    assert agreement.bound <= optimum * (1 + 1e-9)
    assert outcome.cost >= optimum * (1 - 1e-7)
    assert outcome.cost == pytest.approx(optimum, rel=1e-4)
    # The TSO's energy is that of the DSO, though the DSO's power moves within the TSO's step.
    drawn = outcome.exchange["north"]
    np.testing.assert_allclose(resolution.means(drawn) * coarse.step_hours, drawn.reshape(-1, 2).sum(axis=1) * fine.step_hours)
    assert np.ptp(drawn.reshape(-1, 2), axis=1).max() > 1.0


def test_steps_that_do_not_fit_are_refused(winter):
    with pytest.raises(ValueError, match=r"steps of 2 h below and 3 h above do not fit"):
        Resolution(winter, dataclasses.replace(winter, step_hours=3.0))


def test_an_unreliable_channel_between_tso_and_dsos_leaves_the_certificate_valid(congested, optimum):
    negotiated = negotiation_of(congested, SerialEngine(), dataclasses.replace(OPTIONS, quorum=0.5, rounds=100))
    agreement = negotiated.run(through=lambda children: unreliable(children, 2))
    assert agreement.status == "agreed"
    for step in agreement.history:
        assert step.bound <= optimum.cost * (1 + 1e-9)
        assert step.cost >= optimum.bound * (1 - 1e-9)


def test_a_platform_that_cannot_answer_is_excluded_and_named(congested):
    negotiated = negotiation_of(congested, SerialEngine(), OPTIONS)
    name = "north 2"

    @dataclasses.dataclass
    class Broken(RemoteChildren):
        def ask(self, requests):
            return [(c, Refusal("is out of order") if c == name else r) for c, r in super().ask(requests)]

    remote = negotiated.platforms
    negotiated.platforms = Broken(remote.engine, remote.sources, remote.hours)
    agreement = negotiated.run()
    assert agreement.status == "partial"
    assert negotiated.excluded() == {name: "is out of order"} == agreement.excluded
    assert outcome_of(negotiated, agreement).excluded == {name: "is out of order"}
    assert agreement.gap <= OPTIONS.gap


def test_a_platform_that_is_infeasible_on_its_own_is_named_with_the_conflict():
    case = family("easy", 2, prosumers=2)
    name, program = next(iter(case.children.items()))
    due = program.rows["due"].positions
    broken = dataclasses.replace(program, b0=np.where(np.arange(program.rows.size) == due[0], 1e6, program.b0))
    remote = RemoteChildren(SerialEngine(), case.children | {name: broken}, case.hours)
    agreement = Negotiation(Parent(case.parent, case.hours, case.bands), case.expected, NegotiationOptions(gap=1e-2)).run(remote)
    assert agreement.status == "partial"
    assert list(agreement.excluded) == [name]
    assert "infeasible" in agreement.excluded[name]
    assert "due" in agreement.excluded[name]


def test_a_study_day_carries_the_mechanism_next_to_the_references(system, winter, economics, fleets):
    design = charged(system.at_level("dso"), 0.05)
    said = []
    mechanism = Bidirectional(BidirectionalSettings())
    days = coordinate_days(system, winter, economics, fleets, design, Community(), SerialEngine(), mechanism=mechanism, report_progress=said.append)
    outcome, reference = days[0].outcomes["bidirectional"], days[0].outcomes["integrated"]
    assert outcome.bound <= reference.cost * (1 + 1e-9)
    assert outcome.cost >= reference.bound * (1 - 1e-9)
    assert outcome.history[-1].gap <= 1e-3
    assert outcome.traffic.messages > 0
    assert any(f.startswith("up: ") for f in outcome.traffic.fields)
    assert "gap" in said[-1]


def test_a_study_may_negotiate_over_an_unreliable_channel(system, winter, economics, fleets):
    design = charged(["north", "east"], 0.05)
    channel = ChannelSettings(lost=0.1, late=0.5, repeated=0.1, seed=3)
    mechanism = Bidirectional(BidirectionalSettings(gap=1e-3, rounds=100, quorum=0.5, channel=channel))
    [day] = coordinate_days(system, winter, economics, fleets, design, Community(), SerialEngine(), mechanism=mechanism)
    found = day.outcomes["bidirectional"]
    assert found.gap <= 1e-3
    assert found.bound <= day.outcomes["integrated"].cost * (1 + 1e-9)
