"""The commands, one file each; ``commands.py`` is the table of them."""

from multiscale.cli.entry import main

__all__ = ["main"]
