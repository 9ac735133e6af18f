from multiscale.compare_mechanisms.unseen_days import reached, unseen_days_table


def test_what_was_learned_is_worth_something_on_unseen_days(north_alone):
    table = unseen_days_table(north_alone(2050.0), [0, 4], 3)
    assert (table["cost"] >= table["bound"] * (1 - 1e-6)).all()
    # The same fresh days for all.
    assert (table.groupby("day")["bound"].nunique() == 1).all()
    found = reached(table).set_index(["model", "past days"])["value reached"]
    assert (found <= 1.0).all()
    for model in ("explicit", "learned"):
        assert found[model, 4] > found[model, 0] + 0.1
