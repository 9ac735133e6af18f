"""The configuration of a study: every setting with its unit, range, default and meaning, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from multiscale.settings import Settings, count, quantity

if TYPE_CHECKING:
    from multiscale.system.costs import Economics
    from multiscale.system.growth import Growth


LARGEST_SEED = 2**31 - 1


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
    battery_wear: float = quantity(0.01, "EUR/kWh", "cost of each kWh charged and of each kWh discharged", lower=0.0, upper=10.0)
    shift_discomfort: float = quantity(0.005, "EUR/kWh", "cost of each kWh of demand moved in time, per hour of shift", lower=0.0, upper=10.0)
    curtailment_cost: float = quantity(0.001, "EUR/kWh", "cost of each kWh of available generation not used", lower=0.0, upper=10.0)
    discount_rate: float = quantity(0.05, "1/a", "discount rate of investments", lower=0.0, upper=0.5)
    pv_cost: float = quantity(1400.0, "EUR/kW", "investment in new photovoltaics", above=0.0)
    battery_cost: float = quantity(450.0, "EUR/kWh", "investment in new storage", above=0.0)
    pv_lifetime: float = quantity(25.0, "a", "lifetime of photovoltaics", above=0.0, upper=100.0)
    battery_lifetime: float = quantity(12.0, "a", "lifetime of storage", above=0.0, upper=100.0)
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


class TariffConfig(Settings):
    """What prosumers pay beside the energy price; the planner sets the network charge within its range."""

    levy: float = quantity(0.10, "EUR/kWh", "taxes and supplier's margin on every kWh imported", lower=0.0, upper=10.0)
    export_deduction: float = quantity(0.01, "EUR/kWh", "what the buyer keeps of the price of exported energy", lower=0.0, upper=10.0)
    trading_fee: float = quantity(0.01, "EUR/kWh", "fee on every kWh traded between prosumers of a platform", lower=0.0, upper=10.0)
    existing_network_cost: float = quantity(0.04, "EUR/kWh", "yearly cost of the existing network per kWh of yearly demand", lower=0.0, upper=10.0)
    charge_min: float = quantity(0.0, "EUR/kWh", "least volumetric network charge", lower=0.0, upper=10.0)
    charge_max: float = quantity(0.30, "EUR/kWh", "largest volumetric network charge", lower=0.0, upper=10.0)

    @model_validator(mode="after")
    def _range(self) -> TariffConfig:
        if self.charge_max < self.charge_min:
            raise ValueError(f"charge_max {self.charge_max:g} EUR/kWh is below charge_min {self.charge_min:g} EUR/kWh; exchange them")
        return self


class MarketConfig(Settings):
    """How a platform clears."""

    kind: Literal["community", "time_of_use"] = Field(
        "community", description="community: one pool of trade; time_of_use: no trade, everybody at the tariff"
    )


class CoordinationConfig(Settings):
    """How the levels agree."""

    kind: Literal["pricing", "bidirectional", "predictive", "hybrid", "integrated"] = Field(
        "pricing",
        description="pricing: prices published once, downwards; bidirectional: prices and profiles to and fro until a proven gap; predictive: no "
        "message; hybrid: negotiation at times, prediction between; integrated: one program",
    )
    signal: Literal["price", "gap", "profile", "probabilistic", "hedged", "envelope"] = Field(
        "envelope",
        description="what is published: a price; import and export prices with a gap; prices with a planned profile and a slope; "
        "the same from scenarios around the forecast; guarding against errors of the forecast by prices; or by limits, with gap, profile and slope",
    )
    import_export_gap: float = quantity(
        0.002, "EUR/kWh", "import price minus export price beyond the tariff (signal=gap, envelope)", lower=0.0, upper=1.0
    )
    slope: float = quantity(0.0005, "EUR/kWh", "price of each kWh that leaves the planned (or usual) profile", lower=0.0, upper=10.0)
    scenarios: int = count(10, "number of scenarios around the forecast (signal=probabilistic)", 2, 1000)
    coverage: float = quantity(
        2.4, "1", "standard deviations of the forecast error guarded against (signal=hedged, envelope; kind=bidirectional)", lower=0.0, upper=5.0
    )
    method: Literal["hybrid", "level", "admm", "columns"] = Field(
        "hybrid", description="how the next prices are found (kind=bidirectional): level bundle and targets together, either alone, or neither"
    )
    gap: float = quantity(1e-4, "1", "relative gap to a proven bound at which a negotiation ends (kind=bidirectional)", lower=0.0, upper=1.0)
    rounds: int = count(40, "largest number of rounds of a negotiation (kind=bidirectional)", 1, 1000)
    checkpoints: Path | None = Field(
        None,
        description="folder in which the negotiation of every day is kept after every round, and from which an interrupted run goes on "
        "(kind=bidirectional)",
    )
    period: float = quantity(6.0, "h", "time from one negotiation to the next (kind=hybrid)", above=0.0, upper=24.0)
    model: Literal["explicit", "learned"] = Field("explicit", description="what a platform learns of the price: Kalman filter or ridge regression")
    history_days: int = count(10, "past days that platforms have learned from (kind=predictive, hybrid)", 0, 366)
    variation: float = quantity(0.15, "1", "standard deviation of demand and generation from one past day to the next", lower=0.0, upper=0.4)

    forecast_error: float = quantity(0.0, "1", "standard deviation of the relative error of forecasts a day ahead", lower=0.0, upper=0.4)
    forecast_seed: int = count(0, "seed of the forecast errors", 0, LARGEST_SEED)

    def settings(self) -> dict[str, object]:
        """What the chosen mechanism takes, by the names of its arguments."""
        forecast: dict[str, object] = {"forecast_error": self.forecast_error, "forecast_seed": self.forecast_seed}
        many = {"scenarios": self.scenarios, "coverage": self.coverage}
        learning = {"model": self.model, "history_days": self.history_days, "variation": self.variation, "slope": self.slope}
        taken: dict[str, dict[str, object]] = {
            "integrated": {},
            "bidirectional": {
                "method": self.method,
                "gap": self.gap,
                "rounds": self.rounds,
                "forecast_error": self.forecast_error,
                "coverage": self.coverage,
                "checkpoints": self.checkpoints,
            },
            "pricing": {"signal": self.signal, "gap": self.import_export_gap, "slope": self.slope, **many, **forecast},
            "predictive": {**learning, **forecast},
            "hybrid": {"period": self.period, **learning, **forecast},
        }
        return taken[self.kind]

    @property
    def reach(self) -> float:
        """Forecast errors that the networks must have room for, as a share of net loads [1]: where their cover is negotiated."""
        return self.coverage * self.forecast_error if self.kind == "bidirectional" else 0.0

    @model_validator(mode="after")
    def _gap_given(self) -> CoordinationConfig:
        if self.signal == "gap" and self.import_export_gap == 0:
            raise ValueError("import_export_gap 0 EUR/kWh is no gap; give one above zero, or use signal=price")
        return self

    @model_validator(mode="after")
    def _something_covered(self) -> CoordinationConfig:
        if self.kind == "bidirectional" and self.forecast_error > 0 and self.coverage == 0:
            raise ValueError("coverage 0 standard deviations covers no forecast error; give one above zero, or forecast_error=0")
        return self


class PlanningConfig(Settings):
    """What the distribution system operator decides."""

    kind: Literal["dso", "none"] = Field("dso", description="dso: reinforcements and network charge; none: nothing is built")
    method: Literal["auto", "decomposition", "strong_duality", "sos1", "big_m", "indicator", "product", "branch_and_cut"] = Field(
        "auto", description="auto: decomposition where it applies, else branch_and_cut; or how the platforms' optimality enters the plan"
    )
    gap_eur: float = quantity(50.0, "EUR/a", "distance of plan and proven bound at which the search ends", lower=0.0)
    gap: float = quantity(0.0, "1", "the same relative to the social cost; whichever is reached first ends the search", lower=0.0, upper=1.0)
    solve_limit: int = count(20_000, "largest number of linear programs (decomposition) or nodes (other methods) of the search", 1)
    time_limit_s: float = quantity(0.0, "s", "time limit of the search for a plan; 0: none, work alone ends it", lower=0.0)
    candidates: int = count(16, "largest number of reinforcement options per distribution system", 0, 1000)
    adoption: bool = Field(True, description="whether prosumers may buy photovoltaics and batteries in answer to the charge")
    recovery_tolerance: float = quantity(
        1e-5, "1", "share by which the charge may earn more than the cost to be recovered; never less", above=0.0, upper=0.1
    )


class RegimeConfig(Settings):
    """Whose interest the operator follows."""

    kind: Literal["social"] = Field("social", description="social: least cost to everybody")


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
    tariff: TariffConfig = TariffConfig()
    market: MarketConfig = MarketConfig()
    coordination: CoordinationConfig = CoordinationConfig()
    planning: PlanningConfig = PlanningConfig()
    regime: RegimeConfig = RegimeConfig()
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

    @model_validator(mode="after")
    def _recoverable(self) -> StudyConfig:
        if self.planning.kind == "dso" and self.tariff.charge_max == 0 and self.tariff.existing_network_cost > 0:
            raise ValueError("tariff.charge_max 0 EUR/kWh cannot recover tariff.existing_network_cost; raise it, or use planning=none")
        return self

    def economics(self) -> Economics:
        """Costs and tariff as the data class of the system."""
        from dataclasses import fields

        from multiscale.system.costs import Economics

        values = self.costs.model_dump() | self.tariff.model_dump()
        return Economics(**{field.name: values[field.name] for field in fields(Economics)})
