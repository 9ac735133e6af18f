import itertools

import numpy as np
import pytest

from multiscale.coordination.uncertainty.agreement import Level, aggregated, agree, holding_cost

NONE = np.array([np.inf]), np.array([5.0])


def uniform(size, rho):
    return (1.0 - rho) * np.eye(size) + rho * np.ones((size, size))


def three_levels(own_price=0.05):
    """A TSO with cheap flexibility, a DSO with a little, four platforms with dear ones."""
    platforms = [Level(f"p{k}", "dso", 10.0 + k, np.array([6.0, np.inf]), np.array([own_price, 2.0])) for k in range(4)]
    return [
        Level("tso", "", 40.0, np.array([200.0, np.inf]), np.array([0.01, 0.10])),
        Level("dso", "tso", 20.0, np.array([15.0, np.inf]), np.array([0.03, 1.0])),
        *platforms,
    ]


def agreed(levels, rho, **more):
    sizes = {"tso": 2, "dso": 5}
    return agree(levels, {n: uniform(k, rho) for n, k in sizes.items()}, **more)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7, 1.0])
def test_agreement_is_proven_cheapest_and_cheaper_than_hedging_alone(rho):
    found = agreed(three_levels(), rho)
    assert found.bound <= found.cost + 1e-9
    assert found.gap <= 1e-5
    assert found.cost < 0.5 * found.alone
    assert found.alone == pytest.approx(sum(holding_cost(level, 2 * level.deviation) for level in three_levels()))


def test_bands_that_are_less_correlated_cost_less():
    costs = [agreed(three_levels(), rho).cost for rho in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert (np.diff(costs) > 0).all()


def test_bands_add_less_than_linearly_unless_fully_correlated():
    parts = np.array([3.0, 4.0])
    assert aggregated(parts, uniform(2, 0.0)) == pytest.approx(5.0)
    assert aggregated(parts, uniform(2, 1.0)) == pytest.approx(7.0)
    assert 5.0 < aggregated(parts, uniform(2, 0.5)) < 7.0


def test_the_optimum_is_that_of_a_fine_grid():
    levels = [
        Level("parent", "", 2.0, np.array([8.0, np.inf]), np.array([0.02, 0.5])),
        Level("a", "parent", 5.0, np.array([4.0, np.inf]), np.array([0.03, 1.0])),
        Level("b", "parent", 3.0, *NONE),
    ]
    matrix = uniform(3, 0.4)
    found = agree(levels, {"parent": matrix})
    best = np.inf
    for a, b in itertools.product(np.linspace(0, 5, 101), np.linspace(0, 3, 61)):
        left = aggregated(np.array([2.0, a, b]), matrix)
        best = min(best, holding_cost(levels[0], 2 * left) + holding_cost(levels[1], 2 * (5 - a)) + holding_cost(levels[2], 2 * (3 - b)))
    assert found.cost == pytest.approx(best, rel=2e-3)
    assert found.bound <= best + 1e-9


def test_who_has_cheap_flexibility_keeps_its_own():
    found = agreed(three_levels(own_price=0.001), 1.0)
    for k in range(4):
        assert found.kept[f"p{k}"] == pytest.approx(3.0, abs=1e-6)  # 6 kW cover two deviations of 3 kW
    assert found.handed["dso"] > 0


def test_payments_and_the_own_share_make_up_the_marginal_cost_of_all_uncertainty():
    """Euler's rule for the norm: what children pay plus the parent's own share is its marginal cost times its pooled error, which covers its cost."""
    found = agreed(three_levels(), 0.5)
    parts = np.array([20.0, *(found.handed[f"p{k}"] for k in range(4))])
    own_share = (uniform(5, 0.5) @ parts)[0] / found.pooled["dso"]
    received = sum(found.price[f"p{k}"] * found.handed[f"p{k}"] for k in range(4))
    marginal = found.price["p0"] / ((uniform(5, 0.5) @ parts)[1] / found.pooled["dso"])
    assert received + marginal * own_share * 20.0 == pytest.approx(marginal * found.pooled["dso"], rel=1e-9)
    dso = three_levels()[1]
    spent = holding_cost(dso, 2 * found.kept["dso"]) + found.price["dso"] * found.handed["dso"]
    assert marginal * found.pooled["dso"] >= spent - 1e-9


def test_the_price_is_the_slope_of_the_cost_by_the_error_handed_over():
    def cost(step):
        levels = three_levels()
        levels[2] = Level("p0", "dso", levels[2].deviation + step, levels[2].amount, levels[2].price)
        return agreed(levels, 0.5, tolerance=1e-10, rounds=200)

    found = cost(0.0)
    assert found.kept["p0"] == pytest.approx(0.0, abs=1e-6)
    slope = (cost(0.05).cost - cost(-0.05).cost) / 0.1
    assert found.price["p0"] == pytest.approx(slope, rel=1e-3)


def test_a_message_goes_up_and_one_down_for_every_node_below_the_top():
    traffic = agreed(three_levels(), 0.5).traffic
    assert traffic.messages == 2 * 5
    assert traffic.fields == {"up: band", "up: handed", "down: price"}


def test_what_is_no_correlation_is_refused():
    levels = three_levels()
    with pytest.raises(ValueError, match="node 'dso': its correlation must be 5 x 5"):
        agree(levels, {"tso": uniform(2, 0.5), "dso": uniform(4, 0.5)})
    with pytest.raises(ValueError, match="node 'tso': its correlation is not symmetric, not one on the diagonal, or not positive"):
        agree(levels, {"tso": uniform(2, 1.5), "dso": uniform(5, 0.5)})


def test_flexibility_that_is_not_there_is_refused():
    short = [Level("parent", "", 5.0, np.array([4.0]), np.array([0.1])), Level("child", "parent", 1.0, *NONE)]
    with pytest.raises(ValueError, match=r"node 'parent' has 4 kW of flexibility, 10 kW are needed"):
        agree(short, {"parent": uniform(2, 0.0)})
