"""Bilevel multiscale planning and TSO/DSO coordination with peer-to-peer energy trading platforms."""

from typing import Any

from multiscale.version import __version__

__all__ = ["__version__", "load_run", "load_system", "run", "run_study"]


def __getattr__(name: str) -> Any:
    """The entry points, imported when they are first used: the package itself loads at once."""
    if name == "load_system":
        from multiscale.sources import load_system

        return load_system
    if name == "run_study":
        from multiscale.study import run_study

        return run_study
    if name in ("run", "load_run"):
        from multiscale import interactive

        return getattr(interactive, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
