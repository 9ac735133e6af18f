"""Regulatory regimes: whose interest the operator follows, one file each."""

from multiscale.planning.regimes.regime import Leader, Regime
from multiscale.planning.regimes.revenue_cap import RevenueCap
from multiscale.planning.regimes.social import Social

REGIMES: dict[str, type[Regime]] = {
    "social": Social,
    "revenue_cap": RevenueCap,
}
"""Regimes; a new one is a file and a line here."""

__all__ = ["REGIMES", "Leader", "Regime", "RevenueCap", "Social"]
