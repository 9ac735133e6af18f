"""The assumptions of a run: every setting with its value, unit, meaning and where it was set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from pydantic import BaseModel

from multiscale.config.models import StudyConfig
from multiscale.results.run_result import RunResult
from multiscale.results.tables import Table
from multiscale.results.words import number
from multiscale.settings import unit_of


def settings(values: Mapping[str, Any], model: type[BaseModel] = StudyConfig, prefix: str = "") -> Iterator[tuple[str, Any, str, str]]:
    """Key, value, unit and meaning of every setting."""
    for name, declared in model.model_fields.items():
        key, value = f"{prefix}{name}", values.get(name)
        inner = declared.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from settings(value if isinstance(value, Mapping) else {}, inner, f"{key}.")
        else:
            yield key, value, unit_of(model, name) or "", declared.description or ""


def assumptions_table(result: RunResult) -> Table | None:
    """All settings that the answer depends on."""
    config = result.config()
    if not config:
        return None
    asked = {o.split("=", 1)[0].lstrip("+~") for o in result.provenance().get("overrides", [])}
    rows = []
    for key, value, unit, meaning in settings(config):
        group = key.split(".", maxsplit=1)[0]
        if group in ("output", "engine", "study"):
            continue
        source = "this run" if key in asked or group in asked else "default"
        shown = number(value, 4) if isinstance(value, int | float) else ", ".join(map(str, value)) if isinstance(value, list) else str(value or "–")
        rows.append({"setting": key, "value": shown, "unit": unit, "meaning": meaning, "set by": source})
    return Table("assumptions", "Assumptions", pd.DataFrame(rows))
