"""Text as a terminal can show it: one whose encoding lacks a sign gets another that says the same in ASCII."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_IN_ASCII = str.maketrans(
    {"✓": "ok", "✗": "FAILED", "−": "-", "–": "-", "→": "->", "×": "x", "…": "...", "·": "*", "²": "^2", "\u202f": " ", "\u00a0": " "}
)


def shown(text: str, console: Console) -> str:
    """The text, with signs that the encoding of the terminal cannot show replaced: ``✓`` by ``ok``, ``✗`` by ``FAILED``.

    Args:
        text: what is to be printed.
        console: where.
    """
    encoding = console.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_IN_ASCII).encode(encoding, "replace").decode(encoding)
    return text
