"""Settings of the output."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from multiscale.settings import Settings


class OutputSettings(Settings):
    """Where the answer goes."""

    folder: Path = Field(Path("runs"), description="folder in which the run folder is made")
    report: bool = Field(True, description="whether the report is written")
    overwrite: bool = Field(True, description="whether an existing run of exactly this study is computed again and replaced")
