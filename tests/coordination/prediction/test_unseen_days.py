from multiscale.compare_mechanisms.unseen_days import reached, unseen_days_table
from multiscale.coordination.common.forecast import ErrorModel


def test_what_was_learned_is_worth_something_on_unseen_days(north_alone):
    table = unseen_days_table([north_alone(2050.0, history=4, days=2)], [0, 4], ErrorModel(0.1), [24.0])
    assert (table["cost [EUR]"] >= table["bound [EUR]"] * (1 - 1e-6)).all()
    assert set(table["first day"]) == {"2016-01-20"}
    assert set(table["last day"]) == {"2016-01-21"}
    assert set(table["learned from"]) == {"", "2016-01-16 to 2016-01-19"}
    found = reached(table).set_index(["mechanism", "past days"])["value reached"]
    assert found["flat", 0] == 0.0
    assert (found <= 1.0).all()
    for model in ("explicit", "learned"):
        assert found[f"predictive, {model}", 4] > found[f"predictive, {model}", 0] + 0.1
