"""How one platform clears, and what follows from it for money: one file each."""

from multiscale.markets.community import Community
from multiscale.markets.market import PlatformMarket
from multiscale.markets.time_of_use import TimeOfUse

MARKETS: dict[str, type[PlatformMarket]] = {
    "community": Community,
    "time_of_use": TimeOfUse,
}
"""Markets; a new one is a file and a line here."""

__all__ = ["MARKETS", "Community", "PlatformMarket", "TimeOfUse"]
