"""The charge that recovers a cost without trading."""

import numpy as np
import pytest

from multiscale.coordination.days import uncoordinated_days
from multiscale.coordination.engine import SerialEngine
from multiscale.markets import TimeOfUse


def test_a_revenue_that_is_not_a_number_is_not_taken_for_recovered(system, winter, economics, fleets, monkeypatch):
    """That of the second of two operators, where the first recovers its cost at once."""
    cost = {"north": 3e5, "east": 1e5}
    monkeypatch.setattr("multiscale.coordination.days._reference_determinant", lambda *_: 1e6)
    monkeypatch.setattr("multiscale.coordination.days._determinant", lambda _, __, dso, ___: 1e6 if dso == "north" else np.nan)
    price = {d: np.full(winter.periods, 0.06) for d in system.at_level("dso")}
    with pytest.raises(ValueError, match=r"charge of east: 0.1 times a determinant of nan is no revenue; .*cost to recover \(100000 EUR/a\)"):
        uncoordinated_days(system, winter, economics, fleets, cost | {"south": 2e5}, SerialEngine(), price, TimeOfUse())
