"""What platforms tell each other, and the count of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np


@dataclass(frozen=True)
class Signal:
    """What a parent publishes to a child for one horizon.

    Attributes:
        import_price, export_price: prices of energy from and to the parent [EUR/kWh], (period,); export <= import.
        network_charge: on imported energy [EUR/kWh].
        import_limit, export_limit: what the connection can carry [kW], (period,).
        planned: exchange the parent has planned for the child [kW], (period,).
        deviation_price: what each kWh off the plan costs the child [EUR/kWh]; zero publishes no plan.
    """

    import_price: np.ndarray
    export_price: np.ndarray
    network_charge: float
    import_limit: np.ndarray
    export_limit: np.ndarray
    planned: np.ndarray
    deviation_price: float = 0.0

    def __post_init__(self) -> None:
        if (self.export_price > self.import_price + 1e-12).any():
            t = int(np.argmax(self.export_price - self.import_price))
            raise ValueError(
                f"signal: export price {self.export_price[t]:.6g} is above import price {self.import_price[t]:.6g} EUR/kWh in period {t}; "
                "a child would buy and sell without end"
            )

    def parameters(self) -> dict[str, object]:
        """The signal as parameters of a platform's program."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass
class Traffic:
    """Messages between nodes: how many, how large, and which fields left which boundary.

    Attributes:
        messages: number.
        bytes: payload (arrays and numbers, eight bytes each).
        fields: names of the fields that were told, with the direction: ``down`` or ``up``.
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
