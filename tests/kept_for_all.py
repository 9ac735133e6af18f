"""What takes long to read, made once for all processes of a test run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from multiscale.file_locks import one_at_a_time
from multiscale.files import write_atomically

FOLDER = "MULTISCALE_TESTS_FOLDER"
"""Environment variable with the folder of one test run; ``conftest.py`` makes and removes it."""

T = TypeVar("T")


def kept_for_all(name: str, make: Callable[[], T]) -> T:
    """What ``make`` leads to: made by the process that comes first, read by the others; nothing is kept from one test run to the next.

    Args:
        name: of the file.
        make: makes something that can be pickled.
    """
    file = Path(os.environ[FOLDER]) / f"{name}.pickle"
    with one_at_a_time(file.with_suffix(".made")):
        if file.is_file():
            return pickle.loads(file.read_bytes())
        made = make()
        write_atomically(file, pickle.dumps(made, pickle.HIGHEST_PROTOCOL))
        return made
