"""How figures look: readable in black-and-white print and by colour-blind readers; drawn as SVG inside the page."""

from __future__ import annotations

import contextlib
import io
import re
import textwrap
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#6b7280"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, YELLOW, "#8c6d31", "#b5b5b5", "#5b3a8c")
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++", "oo", "--", "**", "//")
DASHES: tuple[Any, ...] = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
FLOWS: dict[str, tuple[str, str]] = {
    "energy at the boundary": (BLUE, ""),
    "energy of passive customers": (SKY, "..."),
    "energy of platforms": (PURPLE, "xxx"),
    "trade in platforms": (YELLOW, "\\\\\\"),
    "network charge": (ORANGE, ""),
    "capacity charge": ("#8c6d31", "++"),
    "levy": (GREEN, "///"),
    "export deduction": ("#5b3a8c", "--"),
    "trading fee": ("#b5b5b5", "**"),
    "existing network": ("#4b5563", "///"),
    "investment": (RED, "\\\\"),
    "equipment": ("#a3623a", "oo"),
    "real costs borne": ("#1f2937", "||"),
}
"""Flow of money -> colour and hatch: the same in every figure of every report."""
CUSTOMERS: dict[str, str] = {"household": BLUE, "business": ORANGE, "agriculture": GREEN, "customer": "#1f2937"}
"""Kind of customer -> colour."""
OPERATED, INTEGRATED, FORECAST = BLUE, ORANGE, GREEN
"""What is operated, the integrated optimum, and what the parent forecasts."""
BEFORE, AFTER = "#b6bcc6", BLUE
"""Baseline and headline scenario. The baseline is drawn as a wide pale line, so that it is seen where both coincide."""
WIDE, NARROW = 4.5, 1.5
"""Their line widths."""
GROUND = "#f7f8fa"
"""Ground of maps."""


def colour_of(name: str, known: Mapping[str, str]) -> str:
    """The colour of a name; one that is not known has its own too, the same wherever it appears."""
    return known[name] if name in known else COLOURS[zlib.crc32(name.encode()) % len(COLOURS)]


def flow_look(name: str) -> tuple[str, str]:
    """Colour and hatch of a flow of money."""
    if name in FLOWS:
        return FLOWS[name]
    return colour_of(name, {}), HATCHES[zlib.crc32(name.encode()) % len(HATCHES)]


def wrapped(title: str, inches: float, size: float = 11.0) -> str:
    """A title in lines that are not longer than a panel is wide.

    Args:
        title: in bold letters.
        inches: width of the panel.
        size: of the letters [pt].
    """
    return textwrap.fill(title, max(int(inches * 72 / (0.72 * size)), 8))


WIDTH = 9.6
"""Width of a figure [inch]: the text column of the report."""

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": "#9ca3af",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.7,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.color": "#374151",
    "ytick.color": "#374151",
    "legend.fontsize": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "multiscale",
    "figure.dpi": 100,
}


@dataclass(frozen=True)
class Remark:
    """What is said in place of a figure that would show nothing."""

    text: str


@contextlib.contextmanager
def figure_style() -> Iterator[None]:
    """Draw inside this."""
    with mpl.rc_context(_SETTINGS):
        yield


def svg(figure: Figure, description: str, *, dpi: int = 150) -> str:
    """The figure as an SVG element: no outside references, described for readers who do not see it.

    Args:
        figure: drawn in ``figure_style``.
        description: what it shows, one sentence.
        dpi: resolution of parts that are drawn as images.
    """
    stream = io.StringIO()
    # Drawn once: ``savefig`` draws a figure with a layout twice, first to place it.
    figure.set_dpi(dpi)
    FigureCanvasSVG(figure).print_svg(stream, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'<svg([^>]*?) width="[^"]*"', r"<svg\1", text, count=1)
    text = re.sub(r'<svg([^>]*?) height="[^"]*"', r"<svg\1", text, count=1)
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
