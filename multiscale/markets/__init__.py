"""How one platform clears, and what follows from it for money: one file each."""

from multiscale.markets.auction import Auction
from multiscale.markets.bilateral import Bilateral
from multiscale.markets.cleared import Cleared, Measure
from multiscale.markets.community import Community
from multiscale.markets.consensus import Consensus
from multiscale.markets.dispatch import Dispatch
from multiscale.markets.hybrid import Hybrid
from multiscale.markets.market import PlatformMarket
from multiscale.markets.multiclass import Multiclass
from multiscale.markets.positions import PositionError, Positions
from multiscale.markets.time_of_use import TimeOfUse
from multiscale.markets.trades import SUPPLIER, TradeError, Trades

MARKETS: dict[str, type[PlatformMarket]] = {
    "community": Community,
    "time_of_use": TimeOfUse,
    "auction": Auction,
    "bilateral": Bilateral,
    "consensus": Consensus,
    "dispatch": Dispatch,
    "hybrid": Hybrid,
    "multiclass": Multiclass,
}
"""Markets; a new one is a file and a line here."""

__all__ = [
    "MARKETS",
    "SUPPLIER",
    "Auction",
    "Bilateral",
    "Cleared",
    "Community",
    "Consensus",
    "Dispatch",
    "Hybrid",
    "Measure",
    "Multiclass",
    "PlatformMarket",
    "PositionError",
    "Positions",
    "TimeOfUse",
    "TradeError",
    "Trades",
]
