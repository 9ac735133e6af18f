"""Numbers in sentences say no more than what holds."""

from multiscale.results.words.numbers import THIN, reached_percent


def test_what_is_reached_at_least_is_not_rounded_up():
    assert reached_percent(0.99891) == f"99.8{THIN}%"
    assert reached_percent(1.0) == f"100{THIN}%"
    assert reached_percent(0.5) == f"50{THIN}%"
    assert reached_percent(-0.0301) == f"−3.1{THIN}%"
