import dataclasses

import numpy as np

from multiscale.coordination.common.messages import Headroom, Signal


def signal(**more):
    flat = np.full(3, 10.0)
    return Signal(0.01 * flat, 0.01 * flat, {"network_charge": np.asarray(0.05)}, flat, flat, flat, 0.001, **more)


def test_room_opens_in_proportion_to_the_error_the_own_demand_shows():
    """Nothing at a demand of 100, all at 80; the error 1 / demand lies halfway at 88.9."""
    headroom = Headroom(np.full(4, 30.0), np.full(4, 100.0), np.full(4, 80.0))
    np.testing.assert_allclose(headroom.at(np.array([120.0, 100.0, 2.0 / (1 / 100.0 + 1 / 80.0), 0.0])), [0.0, 0.0, 15.0, 30.0])


def test_who_measures_nothing_has_no_room():
    none = np.zeros(3)
    np.testing.assert_array_equal(Headroom(np.full(3, 30.0), none, none).at(none), 0.0)


def test_a_limit_is_never_below_zero_and_is_sent_with_its_headroom():
    headroom = Headroom(np.full(3, 30.0), np.full(3, 100.0), np.full(3, 80.0))
    published = signal(import_headroom=headroom)
    published = dataclasses.replace(published, import_limit=np.full(3, -20.0))
    high, low = (published.seen(np.full(3, d), np.zeros(3)) for d in (100.0, 80.0))
    np.testing.assert_array_equal(high.import_limit, 0.0)
    np.testing.assert_allclose(low.import_limit, 10.0)
    np.testing.assert_array_equal(low.export_limit, published.export_limit)
    assert {"import_headroom: power", "import_headroom: begins", "import_headroom: ends"} <= set(published.content())
    assert not any(name.startswith("import_headroom") for name in signal().content())
