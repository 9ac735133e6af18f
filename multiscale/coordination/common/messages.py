"""What platforms disclose to each other, and the count of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from multiscale.tariffs import Prices


@dataclass(frozen=True)
class Headroom:
    """By how much a limit grows when what a child measures of itself turns out low.

        headroom_t clip((begins_t / own_t - 1) / (begins_t / ends_t - 1), 0, 1)

    Attributes:
        power: all of it [kW], (period,).
        begins, ends: own demand (for imports) or photovoltaics (for exports) [kW], (period,), below which there is some headroom, and all of it.
    """

    power: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    def at(self, own: np.ndarray) -> np.ndarray:
        """Part of the headroom that is open [kW], (period,), to a child that measures so much of its own [kW], (period,)."""
        least = 1e-9 * np.maximum(self.begins, 1.0)
        low = self.begins / np.maximum(own, least) - 1.0
        lowest = self.begins / np.maximum(self.ends, least) - 1.0
        share = np.divide(low, lowest, out=np.zeros_like(low), where=lowest > 1e-9)
        return np.clip(share, 0.0, 1.0) * self.power


@dataclass(frozen=True)
class Signal:
    """What a parent publishes to a child for one horizon.

    Attributes:
        import_price, export_price: prices of energy from and to the parent [EUR/kWh], (period,); export <= import.
        tariff: prices of the tariff components that are decided, component -> prices.
        import_limit, export_limit: what the connection can carry [kW], (period,).
        planned: exchange the parent has planned for the child [kW], (period,).
        deviation_price: what each kWh off the plan costs the child [EUR/kWh]; zero publishes no plan.
        import_headroom, export_headroom: how the limits follow what the child measures of its own demand and photovoltaics; None: they do not.
        retail: whether a supplier sells at these prices, who keeps what they earn beyond the nodal price.
        even: whether the child, of all its schedules that cost least, takes that in which its members draw and feed in most evenly: a flat price
            leaves many schedules that cost the same, and what becomes of it must not depend on which one a solver returns.
    """

    import_price: np.ndarray
    export_price: np.ndarray
    tariff: Prices
    import_limit: np.ndarray
    export_limit: np.ndarray
    planned: np.ndarray
    deviation_price: float = 0.0
    import_headroom: Headroom | None = None
    export_headroom: Headroom | None = None
    retail: bool = False
    even: bool = False

    def __post_init__(self) -> None:
        if (self.export_price > self.import_price + 1e-12).any():
            t = int(np.argmax(self.export_price - self.import_price))
            raise ValueError(
                f"signal: export price {self.export_price[t]:.6g} is above import price {self.import_price[t]:.6g} EUR/kWh in period {t}; "
                "a child would buy and sell without limit"
            )

    def seen(self, demand: np.ndarray, generation: np.ndarray) -> Signal:
        """What the signal says to a child with so much inflexible demand and photovoltaics of its own [kW], (period,): limits with their headroom."""
        most = self.import_limit if self.import_headroom is None else np.maximum(self.import_limit + self.import_headroom.at(demand), 0.0)
        least = self.export_limit if self.export_headroom is None else np.maximum(self.export_limit + self.export_headroom.at(generation), 0.0)
        return replace(self, import_limit=most, export_limit=least, import_headroom=None, export_headroom=None)

    def parameters(self) -> dict[str, object]:
        """Prices, limits (without headroom, see ``seen``) and plan as parameters of a platform's program."""
        names = ("import_price", "export_price", "import_limit", "export_limit", "planned", "deviation_price")
        return {name: getattr(self, name) for name in names} | dict(self.tariff)

    def content(self) -> dict[str, object]:
        """What is sent of it, by name."""
        headrooms = {"import_headroom": self.import_headroom, "export_headroom": self.export_headroom}
        sent = self.parameters() | {
            f"{n}: {part}": value for n, headroom in headrooms.items() if headroom is not None for part, value in vars(headroom).items()
        }
        return sent if self.deviation_price > 0 else {n: v for n, v in sent.items() if n not in ("planned", "deviation_price")}


@dataclass
class Traffic:
    """Messages between nodes: how many, how large, and which fields left which boundary.

    Attributes:
        messages: number.
        bytes: payload (arrays and numbers, eight bytes each).
        fields: names of the fields that were disclosed, with the direction: ``down`` or ``up``.
    """

    messages: int = 0
    bytes: int = 0
    fields: set[str] = field(default_factory=set)

    def count(self, direction: str, **content: object) -> None:
        """One message with the given fields."""
        self.messages += 1
        for name, value in content.items():
            self.bytes += 8 * int(np.asarray(value).size)
            self.fields.add(f"{direction}: {name}")
