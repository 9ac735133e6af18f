"""A platform that cannot be dealt with: isolated, named, and the rest operated, proven and reported around what it was taken to draw."""

import dataclasses
import json
from collections import OrderedDict

import numpy as np
import pytest

from multiscale.assessment import settle_day
from multiscale.config import load_config
from multiscale.coordination.common.integrated import integrated_optimum
from multiscale.coordination.engine import DaskEngine, SerialEngine, TaskError
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.children.carriers import Refusal
from multiscale.coordination.negotiation.children.platform_child import PlatformSource
from multiscale.coordination.negotiation.children.remote_children import RemoteChildren
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.devices.fleet import Fleet
from multiscale.markets import Community
from multiscale.operation import operating_tree
from multiscale.programs import ProgramError
from multiscale.results import RunResult
from multiscale.results.words.closing_table import print_closing_table
from multiscale.verification.injections import bus_injections
from tests.coordination.tasks import KillsItsWorker, NeverEnds
from tests.results.conftest import leave_undrawn
from tests.variants import changed, charged

OPTIONS = NegotiationOptions(gap=1e-13, rounds=4)
"""A gap that rounding does not attain: a child that fails in a later round is asked in one."""
CHARGE = 0.05


@pytest.fixture(scope="module")
def towns(system, winter, economics, fleets):
    """Feeders so large that the DSOs move the nodal prices, and no customer is cut off."""
    larger = changed(system, "devices", "p_kw", {f"{d} town": 1500.0 for d in system.at_level("dso")})
    return operating_tree(larger, winter, economics, fleets, charged(system.at_level("dso"), CHARGE), Community())


def broken_by(negotiated, names, how):
    """The negotiation with platforms whose answers are changed on the way: ``how(reply, time asked)``."""
    asked = []

    @dataclasses.dataclass
    class Broken(RemoteChildren):
        def ask(self, requests):
            answers = super().ask(requests)
            asked.extend(c for c, _ in answers if c in names)
            return [(c, how(reply, asked.count(c)) if c in names else reply) for c, reply in answers]

    remote = negotiated.platforms
    negotiated.platforms = Broken(remote.engine, remote.sources, remote.hours)
    return negotiated


def refuses(reply, time):
    return Refusal("is out of order")


def no_number_the_second_time(reply, time):
    return reply if time < 2 else dataclasses.replace(reply, costs=reply.costs * np.nan)


def best_around(tree, name, given):
    """The optimum of all others by another way: in the place of the platform stands a single load that draws the given exchange, at a known cost."""
    assert (given >= 0).all()
    data = tree.fleets[name].data.isel(prosumer=[0]).copy(deep=True)
    for field in ("pv", "ev", "heat_pump", "pv_rating", "ev_power", "heat_pump_power", "battery_power", "battery_energy"):
        data[field].values[:] = 0.0
    data["demand"].values[0] = given
    # Reactive power stays what the DSO's network is built for.
    data["reactive"].values[0] = tree.fleets[name].data.reactive.values.sum(axis=0)
    economics = tree.economics
    fleets = dict(tree.fleets) | {name: Fleet(name, tree.horizon, data)}
    other = operating_tree(tree.system, tree.horizon, economics, fleets, tree.design, Community())
    own = float((tree.horizon.hours_per_year * given).sum()) * (CHARGE + economics.tariff.components["levy"].price)
    found = integrated_optimum(other, tolerance=1e-9)
    return found.cost - own, found.bound - own


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("north 2", no_number_the_second_time),
        ("south 1", refuses),
        pytest.param("north 2", refuses, marks=pytest.mark.slow),
        pytest.param("south 1", no_number_the_second_time, marks=pytest.mark.slow),
    ],
)
def test_cost_and_bound_are_those_of_the_others_around_the_given_exchange(towns, name, how):
    negotiated = broken_by(negotiation_of(towns, SerialEngine(), OPTIONS), [name], how)
    agreement = negotiated.run()
    outcome = outcome_of(negotiated, agreement)
    assert agreement.status == "partial"
    assert list(outcome.excluded) == [name]
    assert name not in outcome.platform_x
    assert set(outcome.platform_x) == set(towns.platforms) - {name}
    cost, bound = best_around(towns, name, outcome.exchange[name])
    assert outcome.bound <= cost + 1e-9 * abs(cost)
    assert outcome.cost >= bound - 1e-9 * abs(cost)
    assert outcome.gap <= 1e-6


def test_a_dso_all_of_whose_platforms_fail_still_takes_part(towns):
    children = towns.distribution["south"].children
    negotiated = broken_by(negotiation_of(towns, SerialEngine(), OPTIONS), children, refuses)
    outcome = outcome_of(negotiated, negotiated.run())
    assert dict(outcome.excluded) == dict.fromkeys(children, "is out of order")
    assert set(outcome.distribution_x) == set(towns.distribution)
    assert 0 <= outcome.gap <= 1e-6


def test_a_program_that_cannot_be_made_on_the_worker_leaves_out_its_platform_alone(towns, monkeypatch):
    made = PlatformSource.child

    def fails(self, hours):
        if self.data.fleet.node != "north 1":
            return made(self, hours)
        data = self.data.fleet.data.copy(deep=True)
        data["demand"].values[2, 5] = np.nan
        fleet = Fleet("north 1", self.data.fleet.horizon, data)
        return dataclasses.replace(self, data=dataclasses.replace(self.data, fleet=fleet)).data.program()

    monkeypatch.setattr(PlatformSource, "child", fails)
    monkeypatch.setattr("multiscale.coordination.negotiation.children.remote_children._CACHE", OrderedDict())
    negotiated = negotiation_of(towns, SerialEngine(), OPTIONS)
    outcome = outcome_of(negotiated, negotiated.run())
    assert list(outcome.excluded) == ["north 1"]
    assert "ValueError" in outcome.excluded["north 1"]


class Losing(SerialEngine):
    """Workers of which one is lost whenever a child is asked, together with the answers of the two asked before and after it."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def map(self, function, tasks, homes=None, patience=np.inf):
        names = list(tasks)
        if function.__name__ == "answer_child" and self.name in names:
            k = names.index(self.name)
            raise TaskError("a worker was lost", names[max(k - 1, 0) : k + 2]) from RuntimeError("killed")
        return super().map(function, tasks, homes, patience)


def test_a_child_with_which_its_worker_is_lost_takes_no_other_with_it(towns):
    negotiated = negotiation_of(towns, Losing("east 1"), OPTIONS)
    outcome = outcome_of(negotiated, negotiated.run())
    assert outcome.excluded == {"east 1": "its worker was lost (killed)"}
    assert 0 <= outcome.gap <= 1e-6


@pytest.mark.slow
def test_a_program_that_kills_its_worker_time_after_time_takes_no_other_with_it(towns):
    with DaskEngine(2) as engine:
        negotiated = negotiation_of(towns, engine, OPTIONS)
        sources = negotiated.platforms.sources
        killing = KillsItsWorker(sources["north 2"].data, sources["north 2"].tariff)
        negotiated.platforms = RemoteChildren(engine, dict(sources) | {"north 2": killing}, negotiated.platforms.hours)
        outcome = outcome_of(negotiated, negotiated.run())
    assert list(outcome.excluded) == ["north 2"]
    assert "its worker was lost" in outcome.excluded["north 2"]
    assert 0 <= outcome.gap <= 1e-6


@pytest.mark.slow
def test_a_child_that_never_answers_is_given_up_and_its_worker_works_on(towns):
    with DaskEngine(2) as engine:
        negotiated = negotiation_of(towns, engine, OPTIONS)
        sources, hours = negotiated.platforms.sources, negotiated.platforms.hours
        silent = NeverEnds(sources["north 2"].data, sources["north 2"].tariff)
        negotiated.platforms = RemoteChildren(engine, dict(sources) | {"north 2": silent}, hours, patience=4.0)
        outcome = outcome_of(negotiated, negotiated.run())
    assert outcome.excluded == {"north 2": "gave no answer in 4 s"}
    assert 0 <= outcome.gap <= 1e-6


def test_a_dso_that_is_excluded_is_named_since_its_network_is_not_known(towns):
    negotiated = negotiation_of(towns, SerialEngine(), OPTIONS)

    def answers(request):
        raise ProgramError("has lost its network")
        yield

    negotiated.branches["north"].answers = answers
    agreement = negotiated.run()
    with pytest.raises(ProgramError, match=r"DSOs excluded .*'north': 'ProgramError: has lost its network'"):
        outcome_of(negotiated, agreement)


def test_it_is_shown_at_its_busbar_and_only_its_boundary_is_booked(towns):
    negotiated = broken_by(negotiation_of(towns, SerialEngine(), OPTIONS), ["north 2"], refuses)
    outcome = outcome_of(negotiated, negotiated.run())
    injections = bus_injections(towns, outcome, ["north"], relief=False)
    busbar = towns.system.boundary_bus("north 2")
    np.testing.assert_allclose(injections.p.sel(bus=busbar), outcome.exchange["north 2"])
    inside = set(towns.fleets["north 2"].data.bus.values.tolist()) - {busbar}
    assert not inside & set(injections.bus.values.tolist())
    ledger = settle_day(towns, outcome)
    assert ledger.residual <= 1e-9
    whole = outcome_of(negotiated := negotiation_of(towns, SerialEngine(), OPTIONS), negotiated.run())
    # Without it on both sides, what is compared is the same set of prosumers.
    assert settle_day(towns, whole, {"north 2"}).real.sum() < settle_day(towns, whole).real.sum()
    assert settle_day(towns, whole, {"north 2"}).residual <= 1e-9


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A whole run of the tiny study in which the worker cannot make the program of one platform."""
    from multiscale.study import run_study

    made = PlatformSource.child

    def fails(self, hours):
        if self.data.fleet.node == "north 2":
            raise ProgramError("program 'north 2' ended infeasible: ev_energy")
        return made(self, hours)

    overrides = ["study=tiny", "planning=none", "system.dsos=[north]", "horizon=one_day", "horizon.step_hours=4", "coordination=bidirectional"]
    overrides += ["results.operated=[]"]
    config = load_config([*overrides, f"output.folder={tmp_path_factory.mktemp('runs')}"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PlatformSource, "child", fails)
        patch.setattr("multiscale.coordination.negotiation.children.remote_children._CACHE", OrderedDict())
        leave_undrawn(patch)
        return run_study(config)


def test_a_run_completes_with_a_status_that_says_so(run, capsys):
    assert (run.status, run.exit_code) == ("feasible", 0)
    assert run.value("coordination.excluded") == 1
    assert run.value("coordination.excluded_nodes") == "north 2"
    assert run.value("coordination.value_reached") is None
    assert 0 <= run.value("coordination.gap") <= 1e-4
    assert abs(run.value("ledger.money_residual")) <= 1e-9
    assert abs(run.value("ledger.energy_residual")) <= 1e-9
    note = json.loads((run.folder / "status.json").read_text())["message"]
    assert "excluded north 2 (program 'north 2' ended infeasible: ev_energy)" in note
    print_closing_table(run)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Excluded ✗ 1 platform (north 2)" in shown
    assert "Note" in shown
    report = (run.folder / "report.html").read_text()
    assert "Excluded" in report
    assert "north 2" in report


def test_nothing_is_guessed_of_what_is_not_known(run):
    data = RunResult.load(run.folder).of_year().dataset
    theirs = data.prosumer_node.values == "north 2"
    assert theirs.any()
    assert np.isnan(data.bill.values[:, theirs]).all()
    assert np.isfinite(data.bill.values[:, ~theirs]).all()
    assert np.isnan(data.energy.sel(node="north 2")).all()
    assert np.isfinite(data.exchange.sel(node="north 2", scenario="plan")).all()
    assert np.isnan(data.cost_of.sel(mechanism="bidirectional"))
    assert np.isfinite(data.voltage.sel(scenario="plan")).all()
    assert run.value("ac.year.hours") == 8784
    inside = [bus for bus in data.bus.values.tolist() if bus.startswith("north 2")]
    assert inside
    assert np.isfinite(data.year_lowest_voltage.sel(bus=inside)).all()
