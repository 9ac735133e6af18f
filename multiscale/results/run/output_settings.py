"""Settings of the output."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from multiscale.settings import Settings


class OutputSettings(Settings):
    """Where the answer goes, and which stages are computed again."""

    folder: Path = Field(Path("runs"), description="folder in which the run folder is made")
    report: bool = Field(True, description="whether the report is written")
    overwrite: bool = Field(True, description="whether the folder of an existing run of exactly this study is replaced")
    stages: Path | None = Field(None, description="folder in which finished stages are kept for other runs; empty: .stages in output.folder")
    reuse: bool = Field(True, description="whether stages that were computed from the same input before are read instead of computed again")

    @property
    def stage_folder(self) -> Path:
        """Folder of finished stages."""
        return self.folder / ".stages" if self.stages is None else self.stages
