"""The table of commands, in the order of the help."""

from multiscale.cli.collect import COLLECT
from multiscale.cli.command import Command
from multiscale.cli.compare import COMPARE
from multiscale.cli.doctor import DOCTOR
from multiscale.cli.explain import EXPLAIN
from multiscale.cli.futures import FUTURES
from multiscale.cli.ledger import LEDGER
from multiscale.cli.math import MATH
from multiscale.cli.provenance import PROVENANCE
from multiscale.cli.report import REPORT
from multiscale.cli.reproduce import REPRODUCE
from multiscale.cli.resume import RESUME
from multiscale.cli.run import RUN
from multiscale.cli.status import STATUS
from multiscale.cli.validate import VALIDATE

COMMANDS: tuple[Command, ...] = (
    *(RUN, VALIDATE, STATUS, RESUME, COLLECT, FUTURES, REPORT, COMPARE, EXPLAIN, LEDGER, PROVENANCE, REPRODUCE, MATH, DOCTOR),
)
"""A new command is one file and one line here."""
