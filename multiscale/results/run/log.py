"""The log of a run: one JSON object per line with time, level, stage and message."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from multiscale.results.run.plain_values import plain


class JsonLines(logging.FileHandler):
    """Writes records of the package's loggers to a file.

    Args:
        path: the file.
        stage: tells the stage under way.
    """

    def __init__(self, path: Path, stage: Callable[[], str]) -> None:
        super().__init__(path, encoding="utf-8")
        self._stage = stage

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "stage": self._stage(),
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None) or {}
        if record.exc_info:
            fields = {**fields, "traceback": logging.Formatter().formatException(record.exc_info)}
        elif getattr(record, "traceback", ""):
            fields = {**fields, "traceback": record.__dict__["traceback"]}
        return json.dumps(plain(line | fields), allow_nan=False)
