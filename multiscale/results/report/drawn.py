"""The sections of a report as they are shown: figures drawn, tables set. It is what takes long, and it depends on the answer alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
import xarray as xr

from multiscale.results.report.sections import Section, appendix, sections
from multiscale.results.run.run_result import RunResult

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)

OF_THE_RUN = ("time.", "memory.")
"""Begin of the keys of the summary that differ between two runs of one study."""

_READ = ("config", "settings", "overrides", "certificates", "approximations", "notes", "ledger_head")
_PLACES = ("output", "engine")
"""Groups of settings that say where a study is computed and written, not what comes out."""


@dataclass(frozen=True)
class DrawnSection:
    """One section.

    Attributes:
        key: its anchor in the page.
        title: its heading.
        text: what is said before its exhibits.
        html: its exhibits.
    """

    key: str
    title: str
    text: str
    html: str


@dataclass(frozen=True)
class DrawnSections:
    """The body of a report.

    Attributes:
        body, appendix: its sections in order.
        failed: parts that could not be made.
    """

    body: tuple[DrawnSection, ...]
    appendix: tuple[DrawnSection, ...]
    failed: int


def read_by_sections(result: RunResult) -> dict[str, Any]:
    """All that ``drawn_sections`` reads: two results of which this is the same have the same sections."""
    record = result.provenance()
    config = {group: values for group, values in record.get("config", {}).items() if group not in _PLACES}
    settings = [setting for setting in record.get("settings", []) if setting["key"].split(".", 1)[0] not in _PLACES]
    overrides = [text for text in record.get("overrides", []) if text.lstrip("+~").split("=", 1)[0].split(".", 1)[0] not in _PLACES]
    data = xr.Dataset() if result.dataset is None else result.dataset
    return {
        "dataset": data,
        "attributes": {name: value for name, value in data.attrs.items() if name != "provenance"},
        "declarations": {str(name): dict(variable.attrs) for name, variable in data.variables.items()},
        "summary": _lasting(result.summary),
        "status": result.status,
        "record": {name: record.get(name) for name in _READ} | {"config": config, "settings": settings, "overrides": overrides},
    }


def drawn_sections(result: RunResult) -> DrawnSections:
    """Draw the sections of a result; parts whose data are missing are replaced by one sentence."""
    known = replace(result, summary=_lasting(result.summary), details={}).of_year()
    body, more = sections(known), [section for section in appendix(known) if section.blocks]
    failed = sum(block.failed for section in (*body, *more) for block in section.blocks if block is not None)
    return DrawnSections(in_html(body), in_html(more), failed)


def in_html(found: Sequence[Section]) -> tuple[DrawnSection, ...]:
    """The sections with their exhibits set in HTML."""
    template = TEMPLATES.get_template("exhibits.html.j2")
    return tuple(DrawnSection(section.key, section.title, section.text, template.render(blocks=section.blocks)) for section in found)


def _lasting(summary: Mapping[str, tuple[Any, str]]) -> dict[str, tuple[Any, str]]:
    return {key: entry for key, entry in summary.items() if not key.startswith(OF_THE_RUN)}
