"""``python -m multiscale``: the command line where its script is not on the path."""

from multiscale.cli import main

main()
