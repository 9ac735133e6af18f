"""Settings that every source of a system has: what of it is studied, and how it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from multiscale.settings import Settings
from multiscale.sources.time_axis import known_zone
from multiscale.system.growth import Growth
from multiscale.system.limits import LoadingLimits


class SystemSettings(Settings):
    """What exists: where the system comes from, what of it is studied, how it grows."""

    name: str = Field("", description="title of the system in the report; empty: named by its source")
    dsos: Literal["all"] | tuple[str, ...] = Field("all", description="distribution systems studied, by name, or all")
    platforms: Annotated[int, Field(ge=1)] | Literal["all"] | tuple[str, ...] = Field(
        "all", description="trading platforms: names, a number per distribution system (spread over its feeders), or all"
    )
    voltage_setpoint_pu: Annotated[float, Field(ge=0.9, le=1.1)] | None = Field(
        None, description="voltage that on-load tap changers of the distribution systems hold, in pu; null: as the source says"
    )
    growth: Growth = Growth()
    limits: LoadingLimits = LoadingLimits()

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders that are read."""
        return ()

    @property
    def packages(self) -> dict[str, str]:
        """What the installed package provides -> name of the package."""
        return {}


class PathSettings(SystemSettings):
    """A system read from a file or folder of the user."""

    path: Path = Field(description="where the data stand")

    @property
    def files(self) -> tuple[Path, ...]:
        """Files and folders that are read."""
        return (self.path,)


class LocalTimeSettings(PathSettings):
    """A system read from files whose time stamps may be local times."""

    time_zone: str = Field("", description="zone of local times in the profiles, e.g. Europe/Berlin; empty: standard time, or as offsets say")

    @field_validator("time_zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        if zone and not known_zone(zone):
            raise ValueError(f"time_zone '{zone}' is no time zone; give a name such as Europe/Berlin, or nothing")
        return zone
