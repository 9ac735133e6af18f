"""From a study to its answer in Python and notebooks: run, look, plot, ask why."""

from __future__ import annotations

import html
from dataclasses import dataclass, fields
from pathlib import Path

from multiscale.results import RunResult


@dataclass(frozen=True)
class Picture:
    """A figure of a run; a notebook shows it.

    Attributes:
        svg: the figure.
    """

    svg: str

    def _repr_html_(self) -> str:
        return self.svg

    def save(self, path: Path | str) -> Path:
        """Write it to a file (SVG)."""
        path = Path(path)
        path.write_text(self.svg, encoding="utf-8")
        return path


class NothingToPlotError(ValueError):
    """The run holds nothing that the figure shows."""


class Plots:
    """The figures of a run, as in its report."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def network(self) -> Picture:
        """Map of the network: loading of branches, before and with the plan, and what is built."""
        from multiscale.results.figures.maps import loading_map

        return self._picture("network", loading_map(self._run.of_year()))

    def voltage(self) -> Picture:
        """Map of voltages, lowest and highest."""
        from multiscale.results.figures.voltages import voltage_figure

        return self._picture("voltage", voltage_figure(self._run.of_year()))

    def prices(self) -> Picture:
        """Prices of energy over the representative days."""
        from multiscale.results.figures.plots import price_figure

        return self._picture("prices", price_figure(self._run.of_year()))

    def exchange(self) -> Picture:
        """Power drawn from above over the representative days."""
        from multiscale.results.figures.plots import exchange_figure

        return self._picture("exchange", exchange_figure(self._run.of_year()))

    def duration(self) -> Picture:
        """Duration curves of the highest loaded branches."""
        from multiscale.results.figures.plots import duration_figure

        return self._picture("duration", duration_figure(self._run.of_year()))

    def money(self) -> Picture:
        """Who pays and who receives, by flow of money."""
        from multiscale.results.figures.money_plots import money_figure

        return self._picture("money", money_figure(self._run.of_year()))

    def bills(self) -> Picture:
        """How bills change, by kind of customer."""
        from multiscale.results.figures.money_plots import bills_figure

        return self._picture("bills", bills_figure(self._run.of_year()))

    def _picture(self, name: str, drawn: object) -> Picture:
        if not isinstance(drawn, str):
            why = getattr(drawn, "text", "the dataset does not hold what it shows")
            raise NothingToPlotError(f"{self._run.folder.name}: no figure of '{name}': {why}")
        return Picture(drawn)


@dataclass(frozen=True, repr=False)
class Run(RunResult):
    """A run as a notebook shows it: the answer line by line, figures (``plot``), and why it is so (``why``). ``dataset`` is plain xarray."""

    @property
    def plot(self) -> Plots:
        """Figures, as methods."""
        return Plots(self)

    @property
    def why(self) -> str:
        """What ``multiscale explain`` says."""
        from multiscale.results.words.explanation import explained

        return "\n".join(f"{part.question}\n" + "\n".join(f"  {line}" for line in part.lines) for part in explained(self))

    def __repr__(self) -> str:
        lines = [f"{self.folder.name}: {self.status}"]
        return "\n".join([*lines, *(f"  {label}: {text}" for label, text in self._facts())])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{html.escape(label)}</th><td style='text-align:left'>{html.escape(text)}</td></tr>"
            for label, text in self._facts()
        )
        return f"<p><b>{html.escape(self.folder.name)}</b>: {html.escape(self.status)}</p><table>{cells}</table>"

    def _facts(self) -> list[tuple[str, str]]:
        from multiscale.results.words.answer import answer

        note = [("Note", str(self.details["message"]))] if self.details.get("message") else []
        if self.dataset is None:
            return note
        marks = {True: "✓ ", False: "✗ ", None: ""}
        return note + [(fact.label, ("! " if fact.warned else marks[fact.good]) + fact.text) for fact in answer(self.of_year())]


def run(*overrides: str) -> Run:
    """Run a study; one that was computed before from exactly the same input is computed again out of its stages.

    Args:
        overrides: what differs from the defaults, as on the command line: ``"study=tiny"``, ``"tariff.levy='12 ct/kWh'"``.

    Raises:
        ConfigError, InvalidSystemError: what is wrong with configuration and data, all of it.
        NoAnswerError: no plan satisfies the conditions, or none was found in time.
    """
    from multiscale.config import load_config
    from multiscale.study import run_study

    return _shown(run_study(load_config(overrides)))


def load_run(folder: Path | str) -> Run:
    """Read a run folder.

    Raises:
        RunFolderError: there is no run.
    """
    return _shown(RunResult.load(folder))


def _shown(result: RunResult) -> Run:
    return Run(**{one.name: getattr(result, one.name) for one in fields(result)})
