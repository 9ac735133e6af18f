"""How the report speaks of a coordination mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from multiscale.results.run.run_result import RunResult


@dataclass(frozen=True)
class Words:
    """A mechanism in words.

    Attributes:
        name: in tables and legends.
        heading: of the report's section on operation.
        text: below the heading.
        by: completes "operated ...".
    """

    name: str
    heading: str
    text: str
    by: str


_REFERENCE = "The integrated optimum, one program over all levels, is the reference."

WORDS: Mapping[str, Words] = {
    "integrated": Words("integrated optimum", "Operation: the integrated optimum", "All levels are operated as one program.", "as one program"),
    "flat": Words("flat tariff: no coordination", "Operation: a flat tariff", f"Nothing is coordinated. {_REFERENCE}", "at a flat tariff"),
    "pricing": Words(
        "published prices",
        "Operation: published prices and the answers to them",
        f"Each level publishes prices to the level below once; nothing comes back. {_REFERENCE}",
        "by published prices alone",
    ),
    "bidirectional": Words(
        "negotiation",
        "Operation: prices and profiles to and fro",
        f"Parents and children exchange prices and exchange profiles until cost and proven bound meet. {_REFERENCE}",
        "by negotiation",
    ),
    "predictive": Words(
        "prediction",
        "Operation: prediction without messages",
        f"Nothing is communicated: each platform predicts the price that its own measurements have taught it. {_REFERENCE}",
        "by prediction without messages",
    ),
    "hybrid": Words(
        "negotiation and prediction",
        "Operation: negotiation at times, prediction between",
        f"Prices are negotiated at fixed times; in between platforms predict. {_REFERENCE}",
        "by negotiation at times and prediction between",
    ),
}
"""One line for each mechanism."""


def words(mechanism: str) -> Words:
    """A mechanism in words; one without words of its own speaks by its name."""
    return WORDS.get(mechanism, Words(mechanism, f"Operation: {mechanism}", _REFERENCE, f"by {mechanism}"))


def chosen(result: RunResult) -> str:
    """The mechanism of the run."""
    return str(result.value("coordination.mechanism") or result.config().get("coordination", {}).get("kind", ""))
