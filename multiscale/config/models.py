"""The configuration of a study: every setting with its unit, range, default and meaning, declared once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PrivateAttr, create_model, field_validator, model_validator

from multiscale.coordination.common.settings import CoordinationSettings
from multiscale.coordination.mechanisms import MECHANISMS
from multiscale.coordination.publication.pricing import PricingSettings
from multiscale.devices import DEVICES, Device
from multiscale.markets import MARKETS, Community, PlatformMarket
from multiscale.planning import REGIMES, Regime, Social
from multiscale.settings import LARGEST_SEED, OfKind, Settings, count, quantity
from multiscale.tariffs import COMPONENTS, Component, Tariff, standard_components, with_standard

if TYPE_CHECKING:
    from multiscale.system.costs import Economics
    from multiscale.system.growth import Growth


class StudyInfo(Settings):
    """What is asked."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,39}$", description="name of the study; the run folder begins with it")] = "study"
    question: str = Field("", description="the question in one sentence; it heads the report")


class GrowthConfig(Settings):
    """Growth scenario: shares of prosumers with a device, and the size of new ones."""

    heat_pump_share: float = quantity(0.0, "1", "share of prosumers with a heat pump", lower=0.0, upper=1.0)
    ev_share: float = quantity(0.0, "1", "share of prosumers with an electric vehicle", lower=0.0, upper=1.0)
    pv_share: float = quantity(0.0, "1", "share of prosumers with photovoltaics", lower=0.0, upper=1.0)
    battery_share: float = quantity(0.0, "1", "share of prosumers with a battery (only those with photovoltaics get one)", lower=0.0, upper=1.0)
    heat_pump_kw: float = quantity(3.5, "kW", "electric power of a new heat pump", above=0.0, upper=100.0)
    ev_kw: float = quantity(11.0, "kW", "charging power of a new electric vehicle", above=0.0, upper=350.0)
    pv_kw: float = quantity(6.0, "kW", "peak power of a new photovoltaic plant", above=0.0, upper=1000.0)
    battery_kw: float = quantity(3.0, "kW", "converter power of a new battery", above=0.0, upper=1000.0)
    battery_kwh: float = quantity(6.0, "kWh", "usable energy of a new battery", above=0.0, upper=10000.0)
    load_factor: float = quantity(1.0, "1", "factor on inflexible demand", lower=0.0, upper=10.0)
    seed: int = count(0, "seed of the random choice of prosumers", 0, LARGEST_SEED)

    def scenario(self) -> Growth:
        """The same as the data class of the system."""
        from multiscale.system.growth import Growth

        return Growth(**self.model_dump())


class SystemConfig(Settings):
    """What exists: where the system comes from, what of it is studied, how it grows."""

    kind: Literal["simbench", "tiny", "pandapower", "folder"] = Field(description="where the system comes from")
    name: str = Field("", description="title of the system in the report; empty: named by its source")
    code: str = Field("", description="simbench: code of the case, e.g. 1-EHVHVMVLV-mixed-all-2-sw")
    prosumers: Literal["connection_points", "customers"] = Field(
        "connection_points",
        description="simbench: who is a prosumer; connection_points: every low-voltage bus with a device; customers: every plain load, "
        "the other devices of its bus dealt out",
    )
    path: Path | None = Field(None, description="pandapower: network file (json, xlsx, m); folder: folder of tables")
    dsos: Literal["all"] | tuple[str, ...] = Field("all", description="distribution systems studied, by name, or all")
    platforms: Annotated[int, Field(ge=1)] | Literal["all"] | tuple[str, ...] = Field(
        "all", description="trading platforms: names, a number per distribution system (spread over its feeders), or all"
    )
    voltage_setpoint_pu: Annotated[float, Field(ge=0.9, le=1.1)] | None = Field(
        None, description="voltage that on-load tap changers of the distribution systems hold, in pu; null: as the source says"
    )
    growth: GrowthConfig = GrowthConfig()

    @model_validator(mode="after")
    def _source(self) -> SystemConfig:
        if self.kind == "simbench" and not self.code:
            raise ValueError("code is empty; a simbench system needs one, e.g. code=1-EHVHVMVLV-mixed-all-2-sw")
        if self.kind != "simbench" and self.prosumers != "connection_points":
            raise ValueError(f"prosumers '{self.prosumers}' is a choice of simbench systems; a {self.kind} system says itself who its prosumers are")
        if self.kind in ("pandapower", "folder"):
            if self.path is None:
                raise ValueError(f"path is not given; a {self.kind} system needs the path of its data")
            if not self.path.exists():
                raise ValueError(f"path '{self.path}' does not exist")
            if self.kind == "folder" and not self.path.is_dir():
                raise ValueError(f"path '{self.path}' is no folder; give the folder that holds the tables")
        return self


class HorizonConfig(Settings):
    """Which days of the year are computed, and in which steps."""

    days: int = count(2, "number of representative days", 1, 366)
    step_hours: float = quantity(1.0, "h", "length of a time step; it divides a day", lower=0.25, upper=24.0)
    peaks: bool = Field(True, description="whether the peak day is one of the days")
    seed: int = count(0, "seed of the choice of typical days", 0, LARGEST_SEED)

    @field_validator("step_hours")
    @classmethod
    def _whole_steps(cls, value: float) -> float:
        if abs(24.0 / value - round(24.0 / value)) > 1e-9:
            raise ValueError(f"{value:g} h does not divide a day; use e.g. 0.25, 0.5, 1, 2, 3 h")
        return value

    @model_validator(mode="after")
    def _room_for_typical(self) -> HorizonConfig:
        if self.peaks and self.days < 2:
            raise ValueError("days 1 cannot hold the peak day and a typical day; use days=2 or more, or peaks=false")
        return self


class CostsConfig(Settings):
    """What things cost society."""

    value_of_lost_load: float = quantity(5.0, "EUR/kWh", "cost of unserved energy", above=0.0, upper=1000.0)
    discount_rate: float = quantity(0.05, "1/a", "discount rate of investments", lower=0.0, upper=0.5)
    existing_network_cost: float = quantity(0.04, "EUR/kWh", "yearly cost of the existing network per kWh of yearly demand", lower=0.0, upper=10.0)
    co2_price: float = quantity(70.0, "EUR/t", "price of carbon dioxide emitted by wholesale generators", lower=0.0, upper=5000.0)
    reinforcement_table: Path | Literal["default"] = Field(
        "default", description="CSV table of reinforcement costs, or default: the one that comes along"
    )

    @model_validator(mode="after")
    def _table_readable(self) -> CostsConfig:
        if isinstance(self.reinforcement_table, Path):
            if not self.reinforcement_table.is_file():
                raise ValueError(f"reinforcement_table '{self.reinforcement_table}' is no file")
            from multiscale.system.options import COST_COLUMNS

            lines = self.reinforcement_table.read_text(encoding="utf-8", errors="replace").splitlines()
            head = next((line for line in lines if line and not line.startswith("#")), "")
            missing = [column for column in COST_COLUMNS if column not in [cell.strip().strip('"') for cell in head.split(",")]]
            if missing:
                raise ValueError(f"reinforcement_table '{self.reinforcement_table}' lacks the columns {', '.join(missing)}; add them")
        return self


if TYPE_CHECKING:
    DevicesConfig = Settings
else:
    DevicesConfig = create_model(
        "DevicesConfig",
        __base__=Settings,
        __doc__="What prosumers own: costs and behaviour of every kind of device, new ones included.",
        **{key: (kind, Field(default_factory=kind)) for key, kind in DEVICES.items()},
    )

MOVED = {
    "costs.battery_wear": "devices.battery.wear",
    "costs.shift_discomfort": "devices.electric_vehicle.discomfort and devices.heat_pump.discomfort",
    "costs.curtailment_cost": "devices.photovoltaics.curtailment_cost",
    "costs.pv_cost": "devices.photovoltaics.investment",
    "costs.battery_cost": "devices.battery.investment",
    "costs.pv_lifetime": "devices.photovoltaics.lifetime",
    "costs.battery_lifetime": "devices.battery.lifetime",
}
"""Keys that settings had before, and their keys today; the old ones are refused."""


class PlanningConfig(Settings):
    """What the distribution system operator decides."""

    kind: Literal["dso", "none"] = Field("dso", description="dso: reinforcements and network charge; none: nothing is built")
    method: Literal["auto", "decomposition", "strong_duality", "sos1", "big_m", "indicator", "product", "branch_and_cut"] = Field(
        "auto", description="auto: decomposition where it applies, else that of the regime; the others: how the platforms' optimality enters the plan"
    )
    gap_eur: float = quantity(50.0, "EUR/a", "distance of plan and proven bound at which the search ends", lower=0.0)
    gap: float = quantity(0.0, "1", "the same relative to the objective; whichever is reached first", lower=0.0, upper=1.0)
    solve_limit: int = count(20_000, "largest number of linear programs (decomposition) or nodes (other methods) of the search for a plan", 1)
    time_limit_s: float | None = quantity(None, "s", "time limit of the search for a plan; empty: work alone limits it", above=0.0)
    candidates: int = count(16, "largest number of reinforcement options per distribution system", 0, 1000)
    adoption: bool = Field(True, description="whether prosumers may buy photovoltaics and batteries in answer to the charge")
    recovery_tolerance: float = quantity(1e-5, "1", "largest surplus of revenue over the cost to recover, relative to it", above=0.0, upper=0.1)


class EngineConfig(Settings):
    """Where the work is done."""

    kind: Literal["local", "serial", "address"] = Field(
        "local", description="local: Dask workers here; serial: this process; address: a running Dask scheduler"
    )
    workers: int = count(2, "number of worker processes (engine=local)", 1, 4096)
    threads_per_worker: int = count(1, "threads of each worker", 1, 256)
    address: str = Field("", description="address of the scheduler, e.g. tcp://10.0.0.1:8786 (engine=address)")

    @model_validator(mode="after")
    def _address_given(self) -> EngineConfig:
        if self.kind == "address" and "://" not in self.address:
            raise ValueError(f"address '{self.address}' is no scheduler address; give e.g. address=tcp://10.0.0.1:8786")
        return self


class SolverConfig(Settings):
    """Limits of a single solve."""

    time_limit_s: float = quantity(600.0, "s", "time limit of a single operation program", above=0.0)
    memory_limit_mb: float = quantity(3000.0, "MB", "memory limit of a solver process", lower=256.0)
    seed: int = count(0, "seed of the solvers", 0, LARGEST_SEED)


class OutputConfig(Settings):
    """Where the answer goes."""

    folder: Path = Field(Path("runs"), description="folder in which the run folder is made")
    report: bool = Field(True, description="whether the report is written")
    overwrite: bool = Field(True, description="whether an existing run of exactly this study is computed again and replaced")


class StudyConfig(Settings):
    """Everything that defines a study."""

    study: StudyInfo
    system: SystemConfig
    horizon: HorizonConfig = HorizonConfig()
    costs: CostsConfig = CostsConfig()
    devices: DevicesConfig = DevicesConfig()
    tariff: dict[str, Annotated[Component, OfKind(*COMPONENTS.values())]] = Field(
        default_factory=standard_components, description="components of the tariff, by name"
    )
    market: Annotated[PlatformMarket, OfKind(*MARKETS.values(), default="community")] = Community()
    coordination: Annotated[CoordinationSettings, OfKind(*(entry.settings for entry in MECHANISMS.values()), default="pricing")] = PricingSettings()
    planning: PlanningConfig = PlanningConfig()
    regime: Annotated[Regime, OfKind(*REGIMES.values(), default="social")] = Social()
    engine: EngineConfig = EngineConfig()
    solver: SolverConfig = SolverConfig()
    output: OutputConfig = OutputConfig()
    _overrides: tuple[str, ...] = PrivateAttr(default=())

    @property
    def overrides(self) -> tuple[str, ...]:
        """What was asked for beside the defaults."""
        return self._overrides

    def asked_by(self, overrides: Sequence[str]) -> StudyConfig:
        """The same configuration, with the overrides it was made from."""
        copy = self.model_copy()
        copy._overrides = tuple(overrides)
        return copy

    @field_validator("tariff", mode="before")
    @classmethod
    def _with_standard(cls, value: object) -> object:
        return with_standard(value) if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _recoverable(self) -> StudyConfig:
        if self.planning.kind == "dso" and self.costs.existing_network_cost > 0:
            decided = [c for c in self.tariff.values() if c.decided]
            if not decided:
                raise ValueError("tariff: every price is given, so none can recover the network's cost; leave one empty, or planning=none")
            if all(c.price_max == 0 for c in decided):
                raise ValueError("tariff: price_max 0 cannot recover costs.existing_network_cost; raise it, or use planning=none")
        return self

    def device_settings(self) -> dict[str, Device]:
        """Settings of the devices by their keys in the registry."""
        return {key: getattr(self.devices, key) for key in DEVICES}

    def economics(self) -> Economics:
        """Costs and tariff as the data class of the system."""
        from dataclasses import fields

        from multiscale.system.costs import Economics

        values = self.costs.model_dump() | {"tariff": Tariff(self.tariff)}
        return Economics(**{field.name: values[field.name] for field in fields(Economics)})
