"""Compiled code that is kept for later runs, and forgotten when a source of this folder is newer.

Numba renews what it keeps of a function when the file of that function changes, but not when that of a function it calls does: after an update, or a
change by hand, old code would be run without a word. Source: Numba documentation, "Notes on Caching".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def forget_outdated(function: Any) -> None:
    """Delete what is kept of all compiled functions of this folder from before its last change; ``function`` is one of them."""
    stats = getattr(function, "stats", None)
    if stats is None:
        # Compiling is switched off (NUMBA_DISABLE_JIT).
        return
    changed = max(source.stat().st_mtime_ns for source in Path(__file__).parent.glob("*.py"))
    for kept in Path(stats.cache_path).glob("*.nbi"):
        try:
            if kept.stat().st_mtime_ns < changed:
                kept.unlink()
        except FileNotFoundError:
            # Another process was faster.
            continue
