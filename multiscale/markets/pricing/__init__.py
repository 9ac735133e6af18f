"""How the gain of trading together is shared through prices: one file each."""

from multiscale.markets.pricing.bill_sharing import BillSharing
from multiscale.markets.pricing.mid_market_rate import MidMarketRate
from multiscale.markets.pricing.pay_as_bid import PayAsBid
from multiscale.markets.pricing.pay_as_clear import PayAsClear
from multiscale.markets.pricing.pool_price import PoolPrice
from multiscale.markets.pricing.rule import PricingRule
from multiscale.markets.pricing.supply_demand_ratio import SupplyDemandRatio
from multiscale.markets.pricing.two_sided_uniform import TwoSidedUniform

PRICING: dict[str, type[PricingRule]] = {
    "pool_price": PoolPrice,
    "bill_sharing": BillSharing,
    "mid_market_rate": MidMarketRate,
    "supply_demand_ratio": SupplyDemandRatio,
    "pay_as_bid": PayAsBid,
    "pay_as_clear": PayAsClear,
    "two_sided_uniform": TwoSidedUniform,
}
"""Pricing rules; a new one is a file and a line here."""

__all__ = [
    "PRICING",
    "BillSharing",
    "MidMarketRate",
    "PayAsBid",
    "PayAsClear",
    "PoolPrice",
    "PricingRule",
    "SupplyDemandRatio",
    "TwoSidedUniform",
]
