import numpy as np
import pytest

from multiscale.coordination.publication.sharing import NetworkHeadroom
from multiscale.operation.tree import exchange_bounds


@pytest.fixture(scope="module")
def day(north_alone):
    """A transformer that carries the evening, but not everything at once."""
    return north_alone(2080.0)


@pytest.fixture(scope="module")
def widened(day):
    room = NetworkHeadroom(day.model, "north")
    start = np.array([day.forecast.exchange[c] for c in room.children])
    target = np.maximum(start, np.array([exchange_bounds(day.model.fleets[c])[1] for c in room.children]))
    return room, start, target, room.widened(start, target)


def test_limits_lie_on_the_way_and_no_customer_is_cut_off_for_them(widened):
    room, start, target, limit = widened
    assert (limit >= start - 1e-9).all()
    assert (limit <= target + 1e-9).all()
    assert room.relief(limit).max() <= room.relief(start).max() + 1e-3


def test_who_stops_short_of_its_target_is_held_up_by_the_network(widened):
    """Nobody can have more without somebody being cut off; where there is room for all, all have it."""
    room, _, target, limit = widened
    short = target - limit > 1e-2
    assert short.any(axis=0).any()
    assert not short.all(axis=0).all()
    for k in range(len(room.children)):
        more = limit.copy()
        more[k] += np.where(short[k], 5.0, 0.0)
        assert (room.relief(more)[short[k]] > 1.0).all()


def test_all_go_the_same_share_of_their_way_behind_one_full_line(widened):
    _, start, target, limit = widened
    way = target - start
    share = (limit - start) / np.maximum(way, 1e-9)
    shared = (target - limit > 1e-2).all(axis=0) & (way > 1.0).all(axis=0)
    assert shared.any()
    np.testing.assert_allclose(share[0, shared], share[1, shared], atol=1e-4)
