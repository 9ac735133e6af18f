"""Cases of one fact: the first in the ordinary suite, further ones with ``-m slow``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first(number: int, cases: Iterable[Any], *, names: int = 1) -> list[Any]:
    """The cases for ``parametrize``, of one or several names: so many ordinary ones, the others marked slow."""
    return [case if k < number else pytest.param(*(case if names > 1 else (case,)), marks=pytest.mark.slow) for k, case in enumerate(cases)]
