"""Numbers in sentences say no more than what holds."""

import pandas as pd

from multiscale.results.tables.table import Table
from multiscale.results.words.numbers import THIN, reached_percent


def test_what_is_reached_at_least_is_not_rounded_up():
    assert reached_percent(0.99891) == f"99.8{THIN}%"
    assert reached_percent(1.0) == f"100{THIN}%"
    assert reached_percent(0.5) == f"50{THIN}%"
    assert reached_percent(-0.0301) == f"−3.1{THIN}%"


def test_a_voltage_beyond_its_limit_is_not_shown_as_the_limit():
    frame = pd.DataFrame({"where": ["bus", "line"], "worst value": [1.1004, 101.23], "limit": [1.1, 100.0], "unit": ["pu", "%"]})
    cells = [[text for text, _ in row] for row in Table("violations", "", frame).cells()]
    assert cells == [["bus", "1.1004", "1.1", "pu"], ["line", "101.2", "100", "%"]]
