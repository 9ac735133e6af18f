"""Regulatory regimes: whose interest the operator follows, one file each."""

from multiscale.planning.regimes.account import Account, account_of
from multiscale.planning.regimes.comparing import ComparingRegime
from multiscale.planning.regimes.incentive_fee import IncentiveFee
from multiscale.planning.regimes.output_incentive import OutputIncentive
from multiscale.planning.regimes.rate_of_return import RateOfReturn
from multiscale.planning.regimes.regime import Leader, Position, Regime
from multiscale.planning.regimes.revenue_cap import RevenueCap
from multiscale.planning.regimes.social import Social
from multiscale.planning.regimes.totex_sharing import TotexSharing
from multiscale.planning.regimes.unregulated import Unregulated
from multiscale.planning.regimes.yardstick import Yardstick
from multiscale.planning.regimes.yearly_account import StudiedYear, YearlyAccount, yearly_accounts

REGIMES: dict[str, type[Regime]] = {
    "social": Social,
    "rate_of_return": RateOfReturn,
    "revenue_cap": RevenueCap,
    "totex_sharing": TotexSharing,
    "output_incentive": OutputIncentive,
    "incentive_fee": IncentiveFee,
    "unregulated": Unregulated,
    "yardstick": Yardstick,
}
"""Regimes; a new one is a file and a line here."""

__all__ = [
    "REGIMES",
    "Account",
    "ComparingRegime",
    "Leader",
    "Position",
    "Regime",
    "Social",
    "StudiedYear",
    "YearlyAccount",
    "account_of",
    "yearly_accounts",
]
