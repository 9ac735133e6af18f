"""The configuration of a study: every setting with its unit, range, default and meaning, declared once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from multiscale.coordination.engine import ENGINES
from multiscale.coordination.engine.settings import EngineSettings, LocalSettings
from multiscale.planning.settings import DsoPlanSettings, NoPlanSettings, PlanningSettings
from multiscale.programs.limits import SolverSettings
from multiscale.results.output_settings import OutputSettings
from multiscale.results.study_record import Setting, StudyRecord
from multiscale.settings import LARGEST_SEED, OfKind, Settings, count, inner_settings, kinds, quantity, unit_of
from multiscale.sources import SOURCES
from multiscale.sources.settings import SystemSettings
from multiscale.system.cost_settings import CostsSettings, TariffSettings
from multiscale.system.costs import Economics
from multiscale.timeline import HorizonSettings


class StudyInfo(Settings):
    """What is asked."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_\-]{0,39}$", description="name of the study; the run folder begins with it")] = "study"
    question: str = Field("", description="the question in one sentence; it heads the report")


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


class RegimeConfig(Settings):
    """Whose interest the operator follows."""

    kind: Literal["social"] = Field("social", description="social: least cost to everybody")


class StudyConfig(Settings):
    """Everything that defines a study."""

    study: StudyInfo
    system: Annotated[SystemSettings, OfKind(*(entry.settings for entry in SOURCES.values()))]
    horizon: HorizonSettings = HorizonSettings()
    costs: CostsSettings = CostsSettings()
    tariff: TariffSettings = TariffSettings()
    market: MarketConfig = MarketConfig()
    coordination: CoordinationConfig = CoordinationConfig()
    planning: Annotated[PlanningSettings, OfKind(DsoPlanSettings, NoPlanSettings, default="dso")] = DsoPlanSettings()
    regime: RegimeConfig = RegimeConfig()
    engine: Annotated[EngineSettings, OfKind(*(entry.settings for entry in ENGINES.values()), default="local")] = LocalSettings()
    solver: SolverSettings = SolverSettings()
    output: OutputSettings = OutputSettings()
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
        if isinstance(self.planning, DsoPlanSettings) and self.tariff.charge_max == 0 and self.tariff.existing_network_cost > 0:
            raise ValueError("tariff.charge_max 0 EUR/kWh cannot recover tariff.existing_network_cost; raise it, or use planning=none")
        return self

    def economics(self) -> Economics:
        """Costs and tariff as the data class of the system."""
        return Economics.of(self.costs, self.tariff)

    def record(self, name: str = "") -> StudyRecord:
        """What a run folder keeps of this configuration.

        Args:
            name: beginning of the run folder's name; default: that of the study.
        """
        values = self.model_dump(mode="json")
        decisive = {group: dict(inner) for group, inner in values.items() if group not in ("output", "engine")}
        # Where a negotiation is kept changes nothing of what it leads to.
        decisive["coordination"].pop("checkpoints", None)
        return StudyRecord(
            name=name or self.study.name,
            title=self.system.name,
            config=values,
            settings=tuple(_settings(values, type(self))),
            decisive=decisive,
            seeds={"growth": self.system.growth.seed, "horizon": self.horizon.seed, "solver": self.solver.seed},
            files=(*self.system.files, *self.costs.files),
            packages=self.system.packages,
            overrides=self.overrides,
            output=self.output,
        )


def _settings(values: Mapping[str, Any], model: type[Settings], prefix: str = "") -> Iterator[Setting]:
    """Every setting in use, with its unit and meaning; a kind means what its settings class says."""
    for name, declared in model.model_fields.items():
        key, value = f"{prefix}{name}", values[name]
        inner = inner_settings(declared)
        if inner:
            yield from _settings(value, inner[str(value.get("kind", ""))] if kinds(declared) else inner[""], f"{key}.")
        else:
            meaning = declared.description or (str(model.__doc__).strip().splitlines()[0] if name == "kind" else "")
            yield Setting(key, value, unit_of(model, name) or "", meaning)
