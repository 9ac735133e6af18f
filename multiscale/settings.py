"""A group of settings, and numbers with a declared unit: a plain number is in that unit, a text such as ``8 ct/kWh`` is converted."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class Settings(BaseModel):
    """Immutable; unknown keys are refused; numbers are read in their declared units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> object:
        unit = unit_of(cls, str(info.field_name))
        if unit is None:
            return value
        if isinstance(value, bool):
            raise ValueError(f"{value} is no number")
        if not isinstance(value, str):
            return value
        # An import inside: reading the models (for help and tables) must not wait for the unit registry.
        from multiscale.units import UnitError, convert

        try:
            return convert(value, unit)
        except UnitError as error:
            raise ValueError(str(error)) from None


def unit_of(model: type[BaseModel], field: str) -> str | None:
    """Declared unit of a field; ``None`` for texts and flags."""
    extra = model.model_fields[field].json_schema_extra
    return str(extra["units"]) if isinstance(extra, dict) and "units" in extra else None


def quantity(default: float | None, unit: str, meaning: str, *, lower: float | None = None, upper: float | None = None, above: float | None = None) -> Any:
    """Declare a number.

    Args:
        default: value where the configuration is silent, in the unit; None where a number may be absent.
        unit: declared unit; ``1`` for a share or a factor.
        meaning: one line for people.
        lower, upper: valid range, ends included.
        above: the number must be larger than this.
    """
    return Field(default, ge=lower, le=upper, gt=above, allow_inf_nan=False, description=meaning, json_schema_extra={"units": unit})


def count(default: int, meaning: str, lower: int, upper: int | None = None) -> Any:
    """Declare a whole number, with its range."""
    return Field(default, ge=lower, le=upper, description=meaning, json_schema_extra={"units": "1"})
