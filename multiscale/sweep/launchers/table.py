"""The table of launchers."""

from __future__ import annotations

from collections.abc import Mapping

from multiscale.settings import kind_name
from multiscale.sweep.launchers.basic import BasicSettings
from multiscale.sweep.launchers.joblib import JoblibSettings
from multiscale.sweep.launchers.settings import LauncherSettings
from multiscale.sweep.launchers.submitit_local import SubmititLocalSettings
from multiscale.sweep.launchers.submitit_slurm import SubmititSlurmSettings

LAUNCHERS: Mapping[str, type[LauncherSettings]] = {
    kind_name(settings): settings for settings in (JoblibSettings, BasicSettings, SubmititLocalSettings, SubmititSlurmSettings)
}
"""Word of Hydra -> settings. A new launcher is one file and one line here."""
