"""Stages: what goes in has a key, what comes out is kept under it, and a stage whose key is known is not computed again.

The key of a stage is the hash of its name, of the code and the packages it computes with, and of everything it is given: settings and plain data by
their content, what other stages led to by their keys. A stage therefore gets nothing but what its key knows: what is not handed to its function
cannot change its answer.

    <folder>/<stage>-<key>/value.json     what came out, see ``packing``
    <folder>/<stage>-<key>/arrays.npz     its arrays below 1 MB
    <folder>/<stage>-<key>/about.json     hashes of these files, what went in, the seconds it took
    <folder>/arrays/<hash>.npy            larger arrays, each once whatever number of stages holds it
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from multiscale.content import content_key, file_hash
from multiscale.file_locks import one_at_a_time
from multiscale.files import folder_written_atomically, write_atomically
from multiscale.packing import pack, unpack
from multiscale.results.run.code_version import code_hash, package_version
from multiscale.results.run.provenance import PACKAGES

logger = logging.getLogger(__name__)

T = TypeVar("T")
U = TypeVar("U")

LARGE_BYTES = 1_000_000
"""Arrays from this size on are kept apart, once for all stages that hold them."""

KEY_DIGITS = 32

SMALL = "s"
"""Start of the names of smaller arrays; the others are named by their hash, which has no such letter."""


class Artefact(Generic[T]):
    """What a stage led to; read from the disk when it is first asked for.

    Attributes:
        key: of the stage.
    """

    def __init__(self, key: str, load: Callable[[], T]) -> None:
        self.key = key
        self._load: Callable[[], T] | None = load
        self._value: list[T] = []

    @property
    def value(self) -> T:
        """What came out."""
        if self._load is not None:
            self._value, self._load = [self._load()], None
        return self._value[0]

    def entry(self: Artefact[dict[str, U]], name: str) -> Artefact[U]:
        """What came out under a name."""
        return Artefact(content_key(self.key, name)[:KEY_DIGITS], lambda: self.value[name])


@dataclass(frozen=True)
class StageRecord:
    """What provenance says of a stage: its key, whether it was read instead of computed, and the seconds that computing it took."""

    stage: str
    key: str
    reused: bool
    seconds: float


@dataclass
class Stages:
    """The stages of one run.

    Attributes:
        folder: where artefacts are kept for other runs; None keeps none.
        reuse: whether artefacts that are there are read.
        records: the stages so far, in order.
    """

    folder: Path | None = None
    reuse: bool = True
    records: list[StageRecord] = field(default_factory=list)

    def run(
        self,
        stage: str,
        compute: Callable[..., T],
        given: Mapping[str, object],
        *,
        means: Callable[[], Mapping[str, object]] = dict,
        label: str = "",
        more: object = None,
        keep: Callable[[T], bool] = lambda _: True,
    ) -> Artefact[T]:
        """Compute a stage, or read what it led to before.

        Args:
            stage: its name.
            compute: function of what is given and of the means.
            given: name -> settings, plain data, or artefacts of other stages (which are handed over as their values).
            means: makes what it is computed with and what is not in the key (an engine, progress); asked for only where the stage is computed.
            label: what the stage is about where a study has several of the name; for provenance.
            more: what else the answer depends on, for the key: hashes of files that are read, settings of the means.
            keep: whether what came out is kept for others: not what a clock ended.

        Raises:
            TypeError: what is given has no key, or what comes out is no data.
        """
        named, (key, place, parts) = f"{stage} {label}".strip(), self._key(stage, given, more)
        if (found := self._read(named, key, place)) is not None:
            return found
        with self._alone(place):
            # Another run, or another job of a sweep, may have computed it meanwhile.
            if (found := self._read(named, key, place)) is not None:
                return found
            return self._computed(named, key, place, compute, given, means, keep, {"stage": stage, "given": dict(parts)})

    def run_each(
        self,
        stage: str,
        compute: Callable[[Mapping[str, Mapping[str, object]]], Mapping[str, tuple[float, U]]],
        given: Mapping[str, Mapping[str, object]],
        *,
        keep: Callable[[U], bool] = lambda _: True,
    ) -> dict[str, U]:
        """Compute several stages of one name at once, without those that were computed before.

        Args:
            stage: its name.
            compute: label -> what is given, of those that are not known -> label -> seconds that it took and what came out.
            given: label -> what is given, as of ``run``.
            keep: whether what came out is kept for others.
        """
        keys = {label: self._key(stage, each, None) for label, each in given.items()}
        with contextlib.ExitStack() as inside:
            # In one order in all processes, so that none waits for another that waits for it.
            for shared in sorted({place for _, place, _ in keys.values() if place is not None}):
                inside.enter_context(self._alone(shared))
            known = {label: self._read(f"{stage} {label}".strip(), key, place) for label, (key, place, _) in keys.items()}
            values = {
                label: {n: v.value if isinstance(v, Artefact) else v for n, v in each.items()}
                for label, each in given.items()
                if known[label] is None
            }
            computed = compute(values) if values else {}
            for label, (seconds, value) in computed.items():
                key, place, parts = keys[label]
                self._finished(f"{stage} {label}".strip(), key, place, value, seconds, keep, {"stage": stage, "given": dict(parts)})
        return {label: computed[label][1] if found is None else found.value for label, found in known.items()}

    def _key(self, stage: str, given: Mapping[str, object], more: object) -> tuple[str, Path | None, list[tuple[str, str]]]:
        """Key of a stage, its place on the disk, and the keys of what it is given."""
        parts = [(name, value.key if isinstance(value, Artefact) else content_key(value)) for name, value in sorted(given.items())]
        key = content_key(stage, _code(), parts, more)[:KEY_DIGITS]
        return key, None if self.folder is None else self.folder / f"{stage}-{key}", parts

    def _read(self, named: str, key: str, place: Path | None) -> Artefact[Any] | None:
        """What a stage led to before; None where that is not known, or not to be read."""
        if place is None or not self.reuse or not place.is_dir():
            return None
        try:
            seconds, load = _opened(place)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            logger.warning("%s is damaged (%s: %s); the stage is computed again", place, type(error).__name__, error)
            return None
        logger.info("stage %s: read from %s", named, place)
        self.records.append(StageRecord(named, key, True, seconds))
        return Artefact(key, load)

    @contextlib.contextmanager
    def _alone(self, place: Path | None) -> Iterator[None]:
        """Of the processes that come to the same stage, one computes it, and the others wait for what it leads to."""
        with contextlib.ExitStack() as inside:
            if place is not None and self.reuse:
                try:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    inside.enter_context(one_at_a_time(place.with_name(f".{place.name}.computed")))
                except OSError as error:
                    logger.warning("%s cannot be written (%s); other runs may compute the same stage at the same time", place.parent, error)
            yield

    def _computed(
        self,
        named: str,
        key: str,
        place: Path | None,
        compute: Callable[..., T],
        given: Mapping[str, object],
        means: Callable[[], Mapping[str, object]],
        keep: Callable[[T], bool],
        about: Mapping[str, object],
    ) -> Artefact[T]:
        """Compute a stage and keep what it leads to."""
        started = time.perf_counter()
        value = compute(**{n: v.value if isinstance(v, Artefact) else v for n, v in given.items()}, **means())
        self._finished(named, key, place, value, time.perf_counter() - started, keep, about)
        return Artefact(key, lambda: value)

    def _finished(
        self, named: str, key: str, place: Path | None, value: U, seconds: float, keep: Callable[[U], bool], about: Mapping[str, object]
    ) -> None:
        """Keep and record what a stage led to."""
        if place is not None and keep(value):
            try:
                _keep(value, place, {**about, "seconds": round(seconds, 3)})
            except OSError as error:
                logger.warning("stage %s cannot be kept in %s (%s); other runs will compute it again", named, self.folder, error)
        self.records.append(StageRecord(named, key, False, round(seconds, 3)))


@cache
def _code() -> str:
    """Hash of the package and of the versions of what it computes with; the code of a process does not change while it runs."""
    return content_key(code_hash(), [package_version(name) for name in PACKAGES])


def _keep(value: object, place: Path, about: Mapping[str, object]) -> None:
    """Write an artefact in one move; large arrays go where all stages share them."""
    small: dict[str, np.ndarray] = {}
    large = place.parent / "arrays"

    def keep(array: np.ndarray) -> str:
        if array.nbytes < LARGE_BYTES:
            name = f"{SMALL}{len(small)}"
            small[name] = array
            return name
        digest = content_key(array)
        path = large / f"{digest}.npy"
        if not _is_whole(path):
            large.mkdir(parents=True, exist_ok=True)
            write_atomically(path, _npy(array))
        return digest

    content = pack(value, keep)
    with folder_written_atomically(place) as fresh:
        fresh.mkdir()
        (fresh / "value.json").write_text(json.dumps(content, allow_nan=False), encoding="utf-8")
        np.savez(fresh / "arrays.npz", **small)  # type: ignore[arg-type]
        files = {file.name: file_hash(file) for file in sorted(fresh.iterdir())}
        (fresh / "about.json").write_text(json.dumps({**about, "files": files}, indent=1), encoding="utf-8")


def _opened(place: Path) -> tuple[float, Callable[[], Any]]:
    """The seconds that an artefact took, and the function that reads it.

    Raises:
        OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError: it is not whole; what is damaged may be any JSON.
    """
    about = json.loads((place / "about.json").read_text(encoding="utf-8"))
    seconds = float(about["seconds"])
    if set(about["files"]) != {"value.json", "arrays.npz"}:
        raise ValueError("about.json names other files than were written")
    for name, expected in about["files"].items():
        if file_hash(place / name) != expected:
            raise ValueError(f"content of {name} has changed")
    content = json.loads((place / "value.json").read_text(encoding="utf-8"))
    large = place.parent / "arrays"

    def missing(inner: Any) -> None:
        if isinstance(inner, dict):
            name = inner.get("array")
            if isinstance(name, str) and not name.startswith(SMALL) and not _is_whole(large / f"{name}.npy"):
                raise ValueError(f"array {name} is missing or has changed")
            for part in inner.values():
                missing(part)
        elif isinstance(inner, list):
            for part in inner:
                missing(part)

    missing(content)

    def load() -> Any:
        with np.load(place / "arrays.npz", allow_pickle=False) as stored:
            small = {name: stored[name] for name in stored.files}
        return unpack(content, lambda name: small[name] if name in small else np.load(large / f"{name}.npy", mmap_mode="r"))

    return seconds, load


def _is_whole(path: Path) -> bool:
    """Whether a large array is there, and is what its name says."""
    try:
        return content_key(np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))) == path.stem
    except (OSError, ValueError, EOFError):
        return False


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
