"""The configuration of a study: every setting with its unit, range, default and meaning, declared once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PrivateAttr, create_model, field_validator, model_validator

from multiscale.coordination.common.settings import CoordinationSettings
from multiscale.coordination.engine import ENGINES, EngineSettings, LocalSettings
from multiscale.coordination.mechanisms import MECHANISMS, mechanism_of
from multiscale.coordination.publication.pricing import PricingSettings
from multiscale.devices import DEVICES, Device
from multiscale.markets import MARKETS, Community, PlatformMarket
from multiscale.measures import MEASURES, Measure
from multiscale.planning import REGIMES, Regime, Social
from multiscale.planning.settings import (
    DistributionPlanSettings,
    DsoPlanSettings,
    NestedPlanSettings,
    NoPlanSettings,
    PlanningSettings,
    TransmissionPlanning,
    TsoPlanSettings,
)
from multiscale.planning.targets import TARGETS, Target
from multiscale.programs.limits import SolverSettings
from multiscale.results.results_settings import ResultsSettings
from multiscale.results.run.output_settings import OutputSettings
from multiscale.results.run.study_record import Setting, StudyRecord
from multiscale.settings import OfKind, Settings, holds_names, inner_settings, kind_name, kinds, unit_of
from multiscale.sources import SOURCES
from multiscale.sources.settings import SystemSettings
from multiscale.system.cost_settings import CostsSettings
from multiscale.system.costs import Economics
from multiscale.tariffs import COMPONENTS, POLICIES, Component, Policy, Tariff, standard_components, with_standard
from multiscale.timeline import HorizonSettings
from multiscale.verification.settings import VerificationSettings

STUDY_NAME = r"^[a-z0-9][a-z0-9_\-]{0,39}$"
"""Pattern of the name of a study: run folders begin with it."""


class StudyInfo(Settings):
    """What is asked."""

    name: Annotated[str, Field(pattern=STUDY_NAME, description="name of the study; the run folder begins with it")] = "study"
    question: str = Field("", description="the question in one sentence; it heads the report")


if TYPE_CHECKING:
    DevicesConfig = Settings
    MeasuresConfig = Settings
else:
    DevicesConfig = create_model(
        "DevicesConfig",
        __base__=Settings,
        __doc__="What prosumers own: costs and behaviour of every kind of device, new ones included.",
        **{key: (kind, Field(default_factory=kind)) for key, kind in DEVICES.items()},
    )
    MeasuresConfig = create_model(
        "MeasuresConfig",
        __base__=Settings,
        __doc__="What may be built where the system names no options: which measures are proposed, at what cost.",
        **{key: (kind, Field(default_factory=kind)) for key, kind in MEASURES.items()},
    )

MOVED = {
    "tariff.charge_max": "tariff.network_charge.price_max",
    "tariff.charge_min": "tariff.network_charge.price_min",
    "tariff.existing_network_cost": "costs.existing_network_cost",
    "costs.battery_wear": "devices.battery.wear",
    "costs.shift_discomfort": "devices.electric_vehicle.discomfort and devices.heat_pump.discomfort",
    "costs.curtailment_cost": "devices.photovoltaics.curtailment_cost",
    "costs.pv_cost": "devices.photovoltaics.investment",
    "costs.battery_cost": "devices.battery.investment",
    "costs.pv_lifetime": "devices.photovoltaics.lifetime",
    "costs.battery_lifetime": "devices.battery.lifetime",
}
"""Keys that settings had before, and their keys today; the old ones are refused."""


class StudyConfig(Settings):
    """Everything that defines a study."""

    study: StudyInfo
    system: Annotated[SystemSettings, OfKind(*(entry.settings for entry in SOURCES.values()))]
    horizon: HorizonSettings = HorizonSettings()
    costs: CostsSettings = CostsSettings()
    devices: DevicesConfig = DevicesConfig()
    measures: MeasuresConfig = MeasuresConfig()
    tariff: dict[str, Annotated[Component, OfKind(*COMPONENTS.values())]] = Field(
        default_factory=standard_components, description="components of the tariff, by name"
    )
    policy: dict[str, Annotated[Policy, OfKind(*POLICIES.values())]] = Field(
        default_factory=dict, description="policy mechanisms, by name: who pays owners of devices for what"
    )
    market: Annotated[PlatformMarket, OfKind(*MARKETS.values(), default="community")] = Community()
    coordination: Annotated[CoordinationSettings, OfKind(*(entry.settings for entry in MECHANISMS.values()), default="pricing")] = PricingSettings()
    planning: Annotated[PlanningSettings, OfKind(DsoPlanSettings, TsoPlanSettings, NestedPlanSettings, NoPlanSettings, default="dso")] = (
        DsoPlanSettings()
    )
    regime: Annotated[Regime, OfKind(*REGIMES.values(), default="social")] = Social()
    targets: dict[str, Annotated[Target, OfKind(*TARGETS.values())]] = Field(
        default_factory=dict, description="what the plan of every operator has to reach, by name"
    )
    engine: Annotated[EngineSettings, OfKind(*(entry.settings for entry in ENGINES.values()), default="local")] = LocalSettings()
    solver: SolverSettings = SolverSettings()
    verification: VerificationSettings = VerificationSettings()
    results: ResultsSettings = ResultsSettings()
    output: OutputSettings = OutputSettings()
    _overrides: tuple[str, ...] = PrivateAttr(default=())

    @property
    def overrides(self) -> tuple[str, ...]:
        """What was asked for in addition to the defaults."""
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
        if isinstance(self.planning, DistributionPlanSettings) and self.costs.existing_network_cost > 0:
            decided = [c for c in self.tariff.values() if c.decided]
            if not decided:
                raise ValueError("tariff: every price is given, so none can recover the network's cost; leave one empty, or planning=none")
            if all(c.price_max == 0 for c in decided):
                raise ValueError("tariff: price_max 0 cannot recover costs.existing_network_cost; raise it, or use planning=none")
        return self

    @model_validator(mode="after")
    def _transmission_plans_one_year(self) -> StudyConfig:
        if isinstance(self.planning, TransmissionPlanning) and len(self.horizon.years) > 1:
            raise ValueError(
                f"horizon.years {list(self.horizon.years)}: planning={self.planning.kind} plans one year; give one, or plan years with planning=dso"
            )
        return self

    @model_validator(mode="after")
    def _nested_is_social(self) -> StudyConfig:
        if isinstance(self.planning, NestedPlanSettings) and not isinstance(self.regime, Social):
            raise ValueError(f"regime {self.regime.kind}: planning=nested is proven for least social cost alone; use regime=social, or planning=dso")
        return self

    @model_validator(mode="after")
    def _policy_is_in_force(self) -> StudyConfig:
        names = [key for name, policy in self.policy.items() for key in policy.components(name)]
        twice = sorted({name for name in names if name in self.tariff or names.count(name) > 1})
        if twice:
            raise ValueError(f"policy: {', '.join(twice)} names a component of the tariff or another policy too; give it another name")
        decided = [name for name, policy in self.policy.items() if policy.decided]
        if decided and not isinstance(self.planning, DsoPlanSettings):
            open_price = f"policy.{decided[0]}.price is left open"
            raise ValueError(f"{open_price}, and planning={kind_name(type(self.planning))} decides none; give it, or choose planning=dso")
        return self

    @model_validator(mode="after")
    def _targets_are_planned_for(self) -> StudyConfig:
        if self.targets and not isinstance(self.planning, DsoPlanSettings):
            named = f"targets {', '.join(self.targets)}"
            raise ValueError(f"{named}: planning={kind_name(type(self.planning))} has no rows for targets; choose planning=dso, or remove them")
        return self

    @model_validator(mode="after")
    def _grows_before(self) -> StudyConfig:
        years, base = self.horizon.years, self.system.growth.base_year
        if len(years) > 1 and base > years[0]:
            raise ValueError(f"horizon.years begin in {years[0]}, before the data's year system.growth.base_year {base}; begin later, or correct it")
        return self

    @model_validator(mode="after")
    def _days_apart(self) -> StudyConfig:
        coupling = [name for name, component in {**self.tariff, **self.policy}.items() if component.couples_days]
        if coupling and self.horizon.days > 1 and mechanism_of(self.coordination).one_day_at_a_time:
            raise ValueError(
                f"coordination '{mechanism_of(self.coordination).name}' plays days one by one, and {coupling[0]} couples them "
                "(a charge on the peak of the year, a quota of the year); use coordination=pricing, bidirectional or integrated, or another tariff"
            )
        return self

    def device_settings(self) -> dict[str, Device]:
        """Settings of the devices by their keys in the registry."""
        return {key: getattr(self.devices, key) for key in DEVICES}

    def measure_settings(self) -> dict[str, Measure]:
        """Settings of the measures by their keys in the registry."""
        return {key: getattr(self.measures, key) for key in MEASURES}

    def economics(self) -> Economics:
        """Costs and tariff as the data class of the system."""
        support = {key: part for name, policy in self.policy.items() for key, part in policy.components(name).items()}
        return Economics.of(self.costs, Tariff({**self.tariff, **support}))

    @property
    def decisive(self) -> dict[str, dict[str, Any]]:
        """Values that the answer depends on, by group: not where it is computed or written."""
        values = {group: dict(inner) for group, inner in self.model_dump(mode="json").items() if group not in ("output", "engine")}
        # Where a negotiation is kept changes nothing of what it leads to.
        values["coordination"].pop("checkpoints", None)
        return values

    def record(self, name: str = "") -> StudyRecord:
        """What a run folder keeps of this configuration.

        Args:
            name: beginning of the run folder's name; default: that of the study.
        """
        values = self.model_dump(mode="json")
        return StudyRecord(
            name=name or self.study.name,
            title=self.system.name,
            config=values,
            settings=tuple(_settings(values, type(self))),
            decisive=self.decisive,
            seeds={"growth": self.system.growth.seed, "solver": self.solver.seed},
            files=(*self.system.files, *self.costs.files, *self.results.files),
            packages=self.system.packages,
            overrides=self.overrides,
            output=self.output,
        )


def _settings(values: Mapping[str, Any], model: type[Settings], prefix: str = "") -> Iterator[Setting]:
    """Every setting in use, with its unit and meaning; a kind means what its settings class says."""
    for name, declared in model.model_fields.items():
        key, value = f"{prefix}{name}", values[name]
        inner = inner_settings(declared)
        if holds_names(declared):
            for part, settings in value.items():
                yield from _settings(settings, inner[settings["kind"]], f"{key}.{part}.")
        elif inner:
            yield from _settings(value, inner[str(value.get("kind", ""))] if kinds(declared) else inner[""], f"{key}.")
        else:
            meaning = declared.description or (str(model.__doc__).strip().splitlines()[0] if name == "kind" else "")
            yield Setting(key, value, unit_of(model, name) or "", meaning)
