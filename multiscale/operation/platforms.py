"""The platforms of a tree: what their programs are built from, and the programs, built where and when they are looked at.

What a program is built from is a small part of its size, so that is what travels to workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from multiscale.devices.fleet import Fleet
from multiscale.operation.clearing import Market
from multiscale.operation.losses import ROWS, Losses, LossState, loss_state
from multiscale.operation.platform import located, platform_program
from multiscale.programs import ParametricProgram
from multiscale.system import Economics, LoadingLimits, Network


@dataclass(frozen=True)
class PlatformData:
    """What a platform's program is built from; see ``platform_program``.

    Attributes:
        fleet: prosumers.
        economics: values and the tariff.
        market: how the platform clears.
        network: low-voltage network, or None.
        root_voltage: voltage at the busbar that feeds the network [pu], (period,) or one for all.
        limits: shares of the ratings that may be used.
        losses: how losses of the network are counted; None where they are not.
    """

    fleet: Fleet
    economics: Economics
    market: Market
    network: Network | None = None
    root_voltage: np.ndarray | float = 1.0
    limits: LoadingLimits = field(default_factory=LoadingLimits)
    losses: Losses | None = None

    def fed_at(self, voltage: np.ndarray) -> PlatformData:
        """The same platform fed at a voltage that is known [pu], (period,)."""
        return replace(self, root_voltage=voltage, limits=self.limits.at_known_busbars())

    def program(self) -> ParametricProgram:
        """The program at prosumer resolution, with the network."""
        return platform_program(
            self.fleet, self.economics, self.market, network=self.network, root_voltage=self.root_voltage, limits=self.limits, losses=self.losses
        )

    def loss_state(self, program: ParametricProgram, x: np.ndarray) -> LossState | None:
        """Losses of a schedule ``x`` of the platform's program; None where it counts none."""
        if self.network is None or self.losses is None:
            return None
        own = located(self.fleet, self.network, self.limits, self.root_voltage)
        return loss_state(program, own.tree, own.reactive, self.losses, x)

    @staticmethod
    def network_binds(program: ParametricProgram) -> bool:
        """Whether limits or losses of the low-voltage network stand in the platform's program: limits that can bind."""
        return any(block.name.startswith(("rating_", "voltage_", ROWS)) for block in program.rows)


class Platforms(Mapping[str, ParametricProgram]):
    """Platform -> program, each built when it is first looked at, and kept.

    Args:
        data: platform -> what its program is built from.
    """

    def __init__(self, data: Mapping[str, PlatformData]) -> None:
        self.data = dict(data)
        self._built: dict[str, ParametricProgram] = {}

    def __getstate__(self) -> dict[str, object]:
        """What the programs are built from: they are built anew where the object arrives."""
        return {"data": self.data, "_built": {}}

    def with_networks(self, networks: Mapping[str, Network]) -> Platforms:
        """The same platforms, some of them with another network."""
        return Platforms({name: replace(data, network=networks.get(name, data.network)) for name, data in self.data.items()})

    def fed_at(self, voltages: Mapping[str, np.ndarray]) -> Platforms:
        """The same platforms, some of them fed at a voltage that is known [pu], platform -> (period,)."""
        return Platforms({name: data.fed_at(voltages[name]) if name in voltages else data for name, data in self.data.items()})

    def exchanged(self, data: Mapping[str, PlatformData]) -> Platforms:
        """The same platforms, some of them built from something else; programs of the others are kept."""
        other = Platforms(self.data | dict(data))
        other._built = {name: program for name, program in self._built.items() if name not in data}
        return other

    def __getitem__(self, name: str) -> ParametricProgram:
        if name not in self._built:
            self._built[name] = self.data[name].program()
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)
