"""What a section of a report is made of, and how it is made so that one part that fails does not cost the reader the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from multiscale.results.figures.style import Remark
from multiscale.results.run.run_result import RunResult
from multiscale.results.tables.table import Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exhibit:
    """A figure or a table of a section, or the sentence that says why it is not there.

    Attributes:
        caption: of a figure.
        figure: SVG.
        paper: whether the figure is for paper, and for screens without scripts: an interactive one shows the same.
        live: interactive figure, for screens.
        table: the table.
        missing: what stands in its place.
        failed: whether it is missing since an error kept it from being made.
    """

    caption: str = ""
    figure: str = ""
    paper: bool = False
    live: str = ""
    table: Table | None = None
    missing: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Section:
    """One section of the report.

    Attributes:
        key: its anchor in the page.
        title: its heading.
        text: what is said before its exhibits.
        blocks: its exhibits in order; None where there is nothing of the kind to show.
    """

    key: str
    title: str
    text: str = ""
    blocks: Sequence[Exhibit | None] = ()


@dataclass(frozen=True)
class Interactive:
    """An interactive figure as it stands in the page.

    Attributes:
        html: see ``embedded``.
        caption: how it is used, and what it does not hold.
    """

    html: str
    caption: str


def figure(
    result: RunResult, caption: str, draw: Callable[[RunResult], str | Remark | None], of: str, *, optional: bool = False, paper: bool = False
) -> Exhibit | None:
    """A drawn figure; ``paper``: an interactive one shows the same on screens."""
    drawn = made(draw, result, f"figure of {of}", optional=optional)
    return _instead(drawn) if isinstance(drawn, Remark) else Exhibit(caption=caption, figure=drawn, paper=paper) if drawn else None


def interactive(result: RunResult, make: Callable[[RunResult], Interactive | None], of: str) -> Exhibit | None:
    """An interactive figure; None where the result does not hold the data for it."""
    found = made(make, result, f"interactive figure of {of}", optional=True)
    return _instead(found) if isinstance(found, Remark) else Exhibit(caption=found.caption, live=found.html) if found else None


def table(result: RunResult, make: Callable[[RunResult], Table | None], of: str, *, optional: bool = False) -> Exhibit | None:
    """A table."""
    found = made(make, result, f"table of {of}", optional=optional)
    return _instead(found) if isinstance(found, Remark) else Exhibit(table=found) if found is not None else None


class _Failure(Remark):
    """What is said in place of something that an error kept from being made."""


def _instead(remark: Remark) -> Exhibit:
    return Exhibit(missing=remark.text, failed=isinstance(remark, _Failure))


def made(make: Callable[[RunResult], Any], result: RunResult, what: str, *, optional: bool) -> Any:
    """What was made of the result, or why there is none; None where that needs no word.

    One part that fails does not cost the reader the others; the log has the reason.
    """
    try:
        found = make(result)
    except Exception as error:
        logger.exception("report: the %s could not be made", what)
        return _Failure(f"No {what}: an error kept it from being made ({type(error).__name__}: {error}).")
    return found if found is not None or optional else Remark(f"No {what}: the result does not hold the data for it.")
