"""Texts use the words of the field: a short list of words that readers stumbled over, each with a plain one for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PLAIN = {
    "beside": "next to, together with, in addition to",
    "course": "profile, time series",
    "courses": "profiles, time series",
    "crew": "group, staff",
    "dearer": "more expensive",
    "dearest": "most expensive",
    "endless": "unbounded",
    "for ever": "continuously, indefinitely",
    "left out": "omitted",
    "mend": "remedy, correct",
    "mends": "corrects",
    "nobody": "no customer, no platform",
    "told": "stated, published, distinguished",
    "whoever": "a customer who, a node that",
    "without end": "without limit",
}
"""Word -> what to write."""

WORDS = re.compile(rf"\b({'|'.join(PLAIN)})\b", re.IGNORECASE)

TEXTS = [path for folder in ("multiscale", "conf", "docs") for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".py", ".yaml", ".md") and "generated" not in path.parts]


@pytest.mark.parametrize("path", TEXTS, ids=[str(path.relative_to(ROOT)) for path in TEXTS])
def test_texts_use_plain_words(path: Path):
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    found = [f"line {number}: {word[0]!r}; write {PLAIN[word[0].lower()]}" for number, line in lines for word in WORDS.finditer(line)]
    assert not found
