"""``python -m multiscale.cli``."""

import sys

from multiscale.cli.entry import main

if __name__ == "__main__":
    sys.exit(main())
