"""The regulatory account of several years: it closes, ends at zero when what is recovered is written down, and is that of single assets by hand."""

from __future__ import annotations

import numpy as np
import pytest

from multiscale.planning.regimes import REGIMES, Regime, StudiedYear, yearly_accounts
from multiscale.planning.regimes.capital import Capital
from multiscale.planning.regimes.rate_of_return import RateOfReturn
from multiscale.planning.regimes.revenue_cap import RevenueCap
from multiscale.planning.regimes.social import Social
from multiscale.planning.regimes.totex_sharing import TotexSharing

RATE, EXISTING = 0.05, 100.0
KINDS: list[Regime] = [kind() for kind in REGIMES.values()]
KINDS += [
    RateOfReturn(spread=0.03, used_share=0.5, capitalised_share=0.8),
    TotexSharing(spread=0.02, capitalised_share=0.6),
    RevenueCap(capital_adjustment=0.8, spread=0.01, account_interest=0.02),
    Social(regulatory_life=7, account_interest=0.0),
]


def studied(added: tuple[float, ...] = (500.0, 0.0, 300.0), length: int = 5) -> list[StudiedYear]:
    return [
        StudiedYear(
            year=2030 + length * k,
            length=length,
            added=amount,
            useful=0.7,
            existing_cost=EXISTING,
            revenue=120.0 + 7.0 * k,
            paid=3.0 - k,
            yardstick=130.0,
            discount_rate=RATE,
        )
        for k, amount in enumerate(added)
    ]


@pytest.mark.parametrize("regime", KINDS, ids=lambda r: f"{r.kind}-{len(r.model_fields_set)}")
def test_every_year_closes_and_follows_on_the_one_before(regime: Regime):
    """Money, asset base and account, each of them by another way: values by age, and balances with interest from each year."""
    years, given = yearly_accounts(regime, studied()), {one.year: one for one in studied()}
    assert [one.year for one in years] == list(range(2030, 2045))
    interest = RATE if regime.account_interest is None else regime.account_interest
    for k, one in enumerate(years):
        assert one.residual == pytest.approx(0.0, abs=1e-9)
        assert one.closing_base == pytest.approx(one.base + one.renewals - one.depreciation, abs=1e-9)
        if k:
            assert one.base == pytest.approx(years[k - 1].closing_base + one.additions, abs=1e-9)
            assert one.opening_balance == years[k - 1].closing_balance
        carried = sum((1 + interest) ** (one.year - other.year) * (other.allowed - other.revenue) for other in years[: k + 1])
        assert one.closing_balance == pytest.approx(carried if regime.recovers_cost else 0.0, abs=1e-9)
        assert one.revenue == given[one.studied].revenue
        assert one.payment == given[one.studied].paid


@pytest.mark.parametrize("life", [1, 8, 40])
def test_prices_by_even_cost_recover_an_investment_over_its_life(life: int):
    """The annuity collected in every year leaves nothing in the account at the end of the life, and something before it."""
    invested = 1000.0
    annuity = invested * RATE / (1 - (1 + RATE) ** -life)
    year = StudiedYear(year=2030, length=life, added=invested, existing_cost=EXISTING, revenue=EXISTING + annuity, paid=0.0, discount_rate=RATE)
    found = yearly_accounts(Social(regulatory_life=life, existing_capital_share=0.3), [year])
    assert found[-1].closing_balance == pytest.approx(0.0, abs=1e-9 * invested)
    even = Capital(RATE, life)
    assert found[-1].closing_base == pytest.approx(0.3 * EXISTING * even.base, abs=1e-9 * invested)
    assert sum(one.depreciation - one.renewals for one in found) == pytest.approx(invested, rel=1e-12)
    assert all(one.profit == pytest.approx(0.0, abs=1e-9 * invested) for one in found)
    assert life == 1 or max(one.closing_balance for one in found) > 1.0


def test_two_additions_by_hand():
    """400 EUR over 4 years, 80 EUR two years later, half of the cost of each paid at once; 10 % true cost of capital, 2 % more are allowed."""
    regime = RateOfReturn(spread=0.02, regulatory_life=4, capitalised_share=0.5, existing_capital_share=0.0)
    given = [
        StudiedYear(year=y, length=2, added=a, existing_cost=10.0, revenue=100.0, paid=0.0, discount_rate=0.1)
        for y, a in ((2030, 400.0), (2032, 80.0))
    ]
    found = yearly_accounts(regime, given)
    assert [one.base for one in found] == pytest.approx([200.0, 150.0, 140.0, 80.0])
    assert [one.depreciation for one in found] == pytest.approx([50.0, 50.0, 60.0, 60.0])
    assert [one.additions for one in found] == pytest.approx([200.0, 0.0, 40.0, 0.0])
    assert [one.operating_cost for one in found] == pytest.approx([210.0, 10.0, 50.0, 10.0])
    assert [one.profit for one in found] == pytest.approx([4.0, 3.0, 2.8, 1.6])
    allowed = np.array([210.0 + 50 + 24, 10 + 50 + 18, 50 + 60 + 16.8, 10 + 60 + 9.6])
    assert [one.allowed for one in found] == pytest.approx(allowed)
    assert found[1].closing_balance == pytest.approx(1.1 * (allowed[0] - 100) + allowed[1] - 100)


def test_what_is_shared_enters_the_base_by_the_share_that_is_recovered():
    """With half of what is spent recovered, half of it is in the asset base."""
    year = studied((600.0,))
    without = yearly_accounts(TotexSharing(), studied((0.0,)))
    found = yearly_accounts(TotexSharing(sharing=0.5), year)
    assert [one.base - other.base for one, other in zip(found, without, strict=True)] == pytest.approx([0.5 * 600 * (1 - k / 40) for k in range(5)])


def test_years_with_a_gap_are_refused():
    given = studied()
    with pytest.raises(ValueError, match="2040 of the regulatory account does not follow on 2034"):
        yearly_accounts(Social(), [given[0], given[2]])
