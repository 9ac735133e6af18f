"""A negotiation taken up from a checkpoint gives the same bits as one that was never interrupted, after whichever round it was interrupted."""

import dataclasses

import numpy as np
import pytest

from multiscale.coordination.common.forecast import ErrorModel
from multiscale.coordination.engine import DaskEngine, SerialEngine
from multiscale.coordination.negotiation.agreed_operation import outcome_of
from multiscale.coordination.negotiation.checkpoint import keep, take_up
from multiscale.coordination.negotiation.children.channel import Channel, ChannelSettings
from multiscale.coordination.negotiation.state import NegotiationOptions
from multiscale.coordination.negotiation.tree import negotiation_of
from multiscale.coordination.uncertainty.day_reserves import forecast_errors
from tests.coordination.negotiation.test_reserves import built


@dataclasses.dataclass(frozen=True)
class Case:
    """Towns [kW], wear of batteries [EUR/kWh], forecast errors, seed of a channel that loses, delays and repeats messages."""

    towns: float = 9000.0
    wear: float = 0.02
    errors: ErrorModel | None = None
    channel: int | None = None


CASES = {
    "energy": Case(),
    "reserves": Case(errors=ErrorModel(0.1)),
    "reserves with tangents learned on the way": Case(towns=1500.0, wear=0.0005, errors=ErrorModel(0.3, common=0.0)),
    "unreliable channel, seed 2": Case(towns=1500.0, channel=2),
    "unreliable channel, seed 5": Case(towns=1500.0, channel=5),
    "unreliable channel and reserves, seed 3": Case(errors=ErrorModel(0.2, common=0.0), channel=3),
}
ORDINARY = ("reserves with tangents learned on the way", "unreliable channel, seed 5")
OPTIONS = NegotiationOptions(gap=1e-6, rounds=40)


@pytest.fixture(scope="module")
def made(system, winter):
    """Name of a case -> its tree, forecast errors, options, and the way to its DSOs."""
    known = {}

    def make(name):
        if name not in known:
            case = CASES[name]
            _, tree = built(system, winter, towns=case.towns, wear=case.wear)
            errors = forecast_errors(tree, case.errors) if case.errors else None
            options = OPTIONS if case.channel is None else dataclasses.replace(OPTIONS, quorum=0.6)
            settings = ChannelSettings(lost=0.05, late=0.5, repeated=0.05, seed=case.channel or 0)
            known[name] = tree, errors, options, (lambda c: c) if case.channel is None else (lambda c: Channel(c, settings))
        return known[name]

    return make


def negotiated(case, engine, kept=None, each=None):
    """Everything that was found, as arrays; ``kept``: checkpoint to go on from; ``each``: called with the negotiation after every round."""
    tree, errors, options, through = case
    negotiation = negotiation_of(tree, engine, options, errors=errors)
    if kept is not None:
        take_up(negotiation, kept)
    agreement = negotiation.run(keep=None if each is None else (lambda _: each(negotiation)), through=through)
    outcome = outcome_of(negotiation, agreement)
    found = {"profile": np.array([(s.cost, s.bound, s.messages, s.bytes) for s in agreement.history])}
    found |= {"columns": agreement.point.x, "exchange": agreement.point.exchange, "price": agreement.point.price}
    found |= {f"weights {d}": w for d, w in agreement.point.weights.items()}
    found["outcome"] = np.array([outcome.cost, outcome.bound])
    for what in ("platform_x", "platform_y", "distribution_x", "exchange", "energy_price", "platform_price"):
        found |= {f"{what} {node}": values for node, values in getattr(outcome, what).items()}
    return found


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, values in one.items():
        assert values.shape == other[name].shape, name
        assert (values == other[name]).all(), name


@pytest.fixture(scope="module")
def uninterrupted(made, tmp_path_factory):
    """Name of a case -> what a negotiation in this process found, and its checkpoints, one after every round."""
    known = {}

    def run(name):
        if name not in known:
            folder, kept = tmp_path_factory.mktemp("kept"), []

            def each(negotiation):
                kept.append(folder / str(len(kept)))
                keep(negotiation, kept[-1])

            known[name] = negotiated(made(name), SerialEngine(), each=each), kept
        return known[name]

    return run


@pytest.mark.parametrize("name", [pytest.param(c, marks=() if c in ORDINARY else pytest.mark.slow) for c in CASES])
def test_resumed_after_any_round_it_ends_at_the_same_bits(made, uninterrupted, name):
    whole, kept = uninterrupted(name)
    assert len(kept) >= 2
    # Of the ordinary cases the first, a middle and the last round; of the slow ones every round.
    for path in (kept[0], kept[len(kept) // 2], kept[-1]) if name in ORDINARY else kept:
        assert_same(negotiated(made(name), SerialEngine(), path), whole)


LEARNING = "reserves with tangents learned on the way"


def test_two_workers_resume_to_the_bits_of_one_process(made, uninterrupted, two_workers):
    """In the middle; what they begin: the test of the tree; after every round: the test below."""
    whole, kept = uninterrupted(LEARNING)
    assert_same(negotiated(made(LEARNING), two_workers, kept[len(kept) // 2]), whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_resumed_after_any_round_on_any_number_of_workers_it_ends_at_the_same_bits(made, uninterrupted, workers):
    whole, kept = uninterrupted(LEARNING)
    with DaskEngine(workers) as engine:
        assert_same(negotiated(made(LEARNING), engine), whole)
        for path in kept:
            assert_same(negotiated(made(LEARNING), engine, path), whole)
