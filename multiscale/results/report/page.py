"""The report: one HTML file that opens offline and prints, from the result alone."""

from __future__ import annotations

import errno
from pathlib import Path

from multiscale.files import write_atomically
from multiscale.results.report.drawn import TEMPLATES, DrawnSections, drawn_sections
from multiscale.results.report.embedding import scripts
from multiscale.results.run.plain_values import json_text
from multiscale.results.run.provenance import with_file
from multiscale.results.run.run_result import RunFolderError, RunResult
from multiscale.results.tables.run_tables import costs_table
from multiscale.results.words.answer import answer, failures, reinforcements
from multiscale.results.words.headline import headline
from multiscale.results.words.numbers import euros, number
from multiscale.results.words.planning_words import MODELS, kind_of
from multiscale.version import __version__


def write_report(result: RunResult, path: Path, drawn: DrawnSections | None = None) -> Path:
    """Write the report of a result; parts whose data are missing are replaced by one sentence.

    Args:
        result: what is reported.
        path: the page.
        drawn: its sections, where they are known; they are drawn otherwise.
    """
    drawn = drawn_sections(result) if drawn is None else drawn
    result = result.of_year()
    record = result.provenance()
    facts = answer(result)
    page = TEMPLATES.get_template("report.html.j2").render(
        title=_title(result),
        question=result.config().get("study", {}).get("question", ""),
        version=__version__,
        failures=failures(result),
        headline=headline(result),
        facts=facts,
        built=reinforcements(result),
        number=number,
        euros=euros,
        sections=drawn.body,
        appendix=drawn.appendix,
        computing=costs_table(result),
        record=record,
        files=sorted(p.name for p in result.folder.iterdir() if not p.name.startswith(".")) if result.folder.is_dir() else [],
        scripts=scripts() if any("live-data" in section.html for section in (*drawn.body, *drawn.appendix)) else "",
        model=MODELS[kind_of(result)],
        started=str(result.details.get("started", ""))[:16].replace("T", " "),
        name=result.folder.name.removeprefix(".").removesuffix(".partial"),
    )
    write_atomically(path, page)
    return path


def rebuild_report(folder: Path) -> Path:
    """Write the report of a run folder again, and its new hash into the provenance.

    Raises:
        RunFolderError: the folder holds no whole run, or cannot be written.
    """
    result = RunResult.load(folder)
    if result.dataset is None:
        raise RunFolderError(f"'{folder}' holds no result (status {result.status}); there is nothing to report")
    try:
        path = write_report(result, folder / "report.html")
        record = result.provenance()
        if "files" in record:
            write_atomically(folder / "provenance.json", json_text(with_file(record, path)))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise RunFolderError(f"'{folder}' cannot be written ({error.strerror}); copy it to where you may write") from None
    return path


def _title(result: RunResult) -> str:
    name = (result.dataset.attrs.get("system") if result.dataset is not None else "") or "the network"
    return f"Reinforcement, network charge and trading platforms: {name}"
