"""Check composed values against the models and put every error into words: key, value, reason, remedy."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from multiscale.config.errors import ConfigProblem
from multiscale.config.models import MOVED, STUDY_NAME, StudyConfig
from multiscale.settings import ONE_WORD, holds_names, inner_settings, kinds, names_of, unit_of
from multiscale.tariffs import written_out

_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "finite": "a finite number",
    "model": "a group of keys",
}
_PATTERNS = {STUDY_NAME: "may hold small letters, digits, - and _ only, at most 40", ONE_WORD: "holds blanks; give one word"}


def checked(values: dict[str, Any], known: set[str]) -> tuple[StudyConfig | None, list[ConfigProblem]]:
    """Check values; those at fault are set aside and the rest is checked again, so that nothing hides behind them.

    Args:
        values: composed values; those at fault are removed.
        known: keys that are at fault already and were omitted.

    Returns:
        The configuration, or ``None`` where anything is at fault, and the problems found here.
    """
    found: list[ConfigProblem] = []
    faulty = set(known)
    if isinstance(values.get("tariff"), dict):
        values["tariff"] = written_out(values["tariff"])
    while True:
        try:
            config = StudyConfig.model_validate(values)
        except ValidationError as error:
            removed = False
            for item in error.errors():
                location, model = _located(item["loc"])
                named = len(location) == 2 and holds_names(StudyConfig.model_fields[location[0]])
                unknown_kind = item["type"].startswith("union_tag")
                # A named group without a kind is not one of the standard ones: its name is at fault.
                key = ".".join([*location, "kind"] if unknown_kind and not (named and item["type"] == "union_tag_not_found") else location)
                location = [*location, "kind"] if unknown_kind and not named else location
                rule = item["type"] == "value_error" and isinstance(item["input"], dict)
                # A rule over several keys says nothing where one of them is at fault itself.
                if key in faulty or (rule and any(other.startswith(f"{key}.") and _last(other) in item["msg"] for other in faulty)):
                    continue
                faulty.add(key)
                removed = _remove(values, location) or removed
                found.append(_problem(key, item, model))
            if not removed:
                return None, found
        else:
            return (None if found or known else config), found


def close_matches(given: str, known: Sequence[str]) -> str:
    """The remedy for a misspelt name: the nearest ones, or all if there are few."""
    matches = difflib.get_close_matches(given, known, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(matches)}?" if matches else (f"; there are {', '.join(known)}" if len(known) <= 16 else "")


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _located(loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel] | None]:
    """Keys along an error's location, without kinds, positions in lists and branches of unions; and the model that declares the last of them."""
    keys: list[str] = []
    holder: type[BaseModel] | None = None
    inside: Mapping[str, type[BaseModel]] = {"": StudyConfig}
    name_follows = False
    for part in map(str, loc):
        if name_follows:
            keys.append(part)
            name_follows = False
            continue
        if "" not in inside and part in inside:
            inside = {"": inside[part]}
            continue
        if "" not in inside:
            break
        holder = inside[""]
        keys.append(part)
        declared = holder.model_fields.get(part)
        inside = inner_settings(declared) if declared else {}
        name_follows = declared is not None and holds_names(declared)
    return keys, holder


def _remove(values: dict[str, Any], location: list[str]) -> bool:
    for name in location[:-1]:
        values = values[name]
    if not location or location[-1] not in values:
        return False
    if isinstance(values[location[-1]], dict) and _is_group(location):
        return False
    del values[location[-1]]
    return True


def _is_group(location: list[str]) -> bool:
    models: list[type[BaseModel]] = [StudyConfig]
    for name in location:
        models = [inner for model in models if name in model.model_fields for inner in inner_settings(model.model_fields[name]).values()]
    return bool(models)


def _problem(key: str, item: Any, model: type[BaseModel] | None) -> ConfigProblem:
    field = _last(key)
    model = model or StudyConfig
    value, kind = item["input"], item["type"]
    if kind.startswith("union_tag"):
        return _unknown_kind(key, item)
    if kind == "value_error":
        return ConfigProblem(key, "" if isinstance(value, dict | BaseModel) else repr(value), str(item["ctx"]["error"]))
    shown = "" if isinstance(value, dict | BaseModel) or kind == "missing" else repr(value)
    if kind == "extra_forbidden" and key in MOVED:
        return ConfigProblem(key, shown, f"no such key; did you mean {MOVED[key]}?")
    if kind == "extra_forbidden":
        return ConfigProblem(key, shown, _elsewhere(key, model) or f"no such key{close_matches(field, list(model.model_fields))}")
    if kind == "missing":
        meaning = model.model_fields[field].description or "it" if field in model.model_fields else "it"
        return ConfigProblem(key, "", f"is missing; give {meaning} on the command line or in a file")
    if field not in model.model_fields:
        return ConfigProblem(key, shown, str(item["msg"]))
    declared = model.model_fields[field]
    unit = unit_of(model, field)
    suffix = f" {unit}" if unit not in (None, "1") else ""
    choices = names_of(declared)
    if unit is None and len(get_args(declared.annotation)) > 1 and choices and not all(isinstance(a, str) for a in get_args(declared.annotation)):
        return ConfigProblem(key, shown, f"is not valid; give {declared.description}")
    if choices:
        return ConfigProblem(key, shown, f"is not a valid value; use {', '.join(choices)}")
    limits = [f"{word} {limit:g}" for m in declared.metadata for name, word in _LIMITS.items() if (limit := getattr(m, name, None)) is not None]
    if kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        return ConfigProblem(key, f"{value}{suffix}", f"is outside its range; it must be {' and '.join(limits)}{suffix}")
    if kind == "string_pattern_mismatch":
        return ConfigProblem(key, shown, _PATTERNS[item["ctx"]["pattern"]])
    expected = next((text for start, text in _EXPECTED.items() if kind.startswith(start)), declared.description)
    return ConfigProblem(key, shown, f"is not {expected}; give {declared.description or expected}{suffix and ' in' + suffix}")


def _unknown_kind(key: str, item: Any) -> ConfigProblem:
    """A group whose kind is missing or does not exist; of named groups, a name that is not one of the standard ones and has no kind."""
    group, _, name = key.partition(".")
    field = StudyConfig.model_fields[group]
    there = ", ".join(kinds(field))
    if holds_names(field) and item["type"] == "union_tag_not_found":
        if key in MOVED:
            return ConfigProblem(key, "", f"no such key; did you mean {MOVED[key]}?")
        standard = list(field.get_default(call_default_factory=True))
        return ConfigProblem(key, "", f"no such name{close_matches(name, standard)}; a new one needs its kind: +{key}.kind=... ({there})")
    if item["type"] == "union_tag_not_found":
        return ConfigProblem(key, "", f"is missing; use {there}")
    expected = str(item["ctx"]["expected_tags"]).replace("'", "")
    return ConfigProblem(key, repr(item["ctx"]["tag"]), f"is not a valid value; use {expected}")


def _elsewhere(key: str, model: type[BaseModel]) -> str:
    """What to say of a key that settings of another kind have; empty where none has it."""
    group, field = key.split(".", maxsplit=1)[0], _last(key)
    others = kinds(StudyConfig.model_fields[group]) if group in StudyConfig.model_fields else {}
    having = [name for name, other in others.items() if field in other.model_fields]
    chosen = next((name for name, other in others.items() if other is model), "")
    if not having or not chosen:
        return ""
    if holds_names(StudyConfig.model_fields[group]):
        return f"is a key of kind {' or '.join(having)}, not of {chosen}; remove it, or choose another kind"
    return f"is a key of {group}.kind {' or '.join(having)}, not of {chosen}; remove it, or choose {group}={having[0]}"
