"""What the terminal and the figures can show."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from multiscale.doctor.finding import Finding

SIGNS = "✓ ✗ − → ² …"


def check_appearance(_: Path) -> Iterator[Finding]:
    """Signs of the terminal, fonts of the figures."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        SIGNS.encode(encoding)
    except UnicodeEncodeError:
        yield Finding("warning", "terminal", f"its encoding {encoding} lacks {SIGNS}; others are shown", "set PYTHONIOENCODING=utf-8 or LANG=C.UTF-8")
    else:
        yield Finding("ok", "terminal", f"shows all signs ({encoding})")
    yield _fonts()


def _fonts() -> Finding:
    import matplotlib as mpl
    from matplotlib import font_manager

    family = [str(name) for name in mpl.rcParams["font.sans-serif"]]
    for name in family:
        try:
            font_manager.findfont(name, fallback_to_default=False)
        except ValueError:
            continue
        return Finding("ok", "fonts", f"{name} for figures")
    return Finding("warning", "fonts", f"none of {', '.join(family[:3])}, ... is there", "python -m pip install --force-reinstall matplotlib")
