"""From the words of Hydra among the overrides to the settings of a launcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from multiscale.config.checking import close_matches
from multiscale.config.loading import parse_overrides
from multiscale.sweep.combinations import SweepError
from multiscale.sweep.launchers.joblib import JoblibSettings
from multiscale.sweep.launchers.settings import LauncherSettings
from multiscale.sweep.launchers.table import LAUNCHERS

GROUP, KEYS = "hydra/launcher", "hydra.launcher."


def words_of_hydra(overrides: Sequence[str]) -> list[str]:
    """Those of the overrides that are meant for Hydra, not for the study."""
    return [text for text in overrides if text.lstrip("+~").startswith(("hydra/", "hydra."))]


def split(overrides: Sequence[str]) -> tuple[list[str], LauncherSettings | None]:
    """The overrides of the study, and the launcher that the others choose; None where they choose none.

    Raises:
        SweepError: a word of Hydra that has no meaning here, a launcher that there is not, or settings that are not valid; all of them.
        ConfigError: a word that cannot be read.
    """
    mine = words_of_hydra(overrides)
    others = [text for text in overrides if text not in mine]
    if not mine:
        return others, None
    kind, values, problems = "", {}, []  # type: tuple[str, dict[str, Any], list[str]]
    for word in parse_overrides([text.lstrip("+") for text in mine]):
        key = str(word.key_or_group)
        if word.is_sweep_override() or word.is_delete():
            problems.append(f"{word.input_line}: a sweep has one launcher; give one value")
        elif key == GROUP:
            kind = str(word.value())
        elif key.startswith(KEYS):
            _put(values, key.removeprefix(KEYS).split("."), word.value())
        else:
            problems.append(f"{key}: of Hydra's words only {GROUP} and {KEYS}* are read; folders are chosen with output.folder")
    if kind and kind not in LAUNCHERS:
        problems.append(f"{GROUP} = {kind}: no such launcher; there are {', '.join(LAUNCHERS)}")
    if not kind and values:
        problems.append(f"{KEYS}{next(iter(values))}: say of which launcher, with {GROUP}={'|'.join(LAUNCHERS)}")
    if not problems:
        try:
            return others, LAUNCHERS[kind](**values)
        except ValidationError as error:
            problems = [_said(kind, found) for found in error.errors()]
    raise SweepError("; ".join(problems))


def of_manifest(stored: dict[str, Any]) -> LauncherSettings:
    """The launcher that a manifest names; the default where it names none.

    Raises:
        SweepError: a launcher that this version does not have, or settings it does not take.
    """
    if not stored:
        return JoblibSettings()
    try:
        return LAUNCHERS[str(stored.get("kind"))](**stored)
    except (KeyError, ValidationError):
        raise SweepError(f"the launcher of the sweep ({stored.get('kind')}) cannot be used any more; choose one with {GROUP}=...") from None


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    *above, last = path
    for name in above:
        values = values.setdefault(name, {})
    values[last] = value


def _said(kind: str, found: Any) -> str:
    key = f"{KEYS}{'.'.join(str(part) for part in found['loc'])}"
    if found["type"] == "extra_forbidden":
        known = [name for name in LAUNCHERS[kind].model_fields if name != "kind"]
        return f"{key}: {GROUP}={kind} has no such setting{close_matches(str(found['loc'][0]), known)}"
    return f"{key} = {found['input']!r}: {found['msg']}"
