"""Where the choices stand: the shipped folders of YAML files, and which groups and choices they hold."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def shipped_folder(name: str) -> Path:
    """Folder ``conf`` or ``studies``: next to the package in a working copy (whatever else is installed), or a package of the installed wheel.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    root = Path(__file__).resolve().parents[2]
    places = [root / name] if (root / "pyproject.toml").is_file() else []
    spec = importlib.util.find_spec(f"multiscale.{name}")
    places += [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(f"folder '{name}' of the package multiscale is missing; install the package again")


def groups(private: Path | None = None) -> dict[str, list[str]]:
    """Group -> its choices, in the order of the primary configuration.

    Args:
        private: a folder of the user's own choices, laid out like the shipped one.
    """
    places = [shipped_folder("conf"), *([private] if private else [])]
    found: dict[str, set[str]] = {}
    for place in places:
        for file in place.glob("*/*.yaml"):
            found.setdefault(file.parent.name, set()).add(file.stem)
    order = defaults()
    return {
        group: sorted(found[group], key=lambda choice: (choice != order.get(group), choice)) for group in [*order, *sorted(set(found) - set(order))]
    }


def defaults() -> dict[str, str]:
    """Group -> the choice taken where none is made."""
    import yaml

    primary = yaml.safe_load((shipped_folder("conf") / "config.yaml").read_text(encoding="utf-8"))
    return {group: choice for entry in primary["defaults"] if isinstance(entry, dict) for group, choice in entry.items()}
