"""What of an installation works, and what to do about the rest: checks that try things instead of asking whether they are there.

finding.py       what a check finds
solvers.py       small programs with known answers, in HiGHS and SCIP, and a bilevel one
cluster.py       two worker processes on this machine
batch_systems.py Slurm and PBS, and the packages they are used through
places.py        cache, output folder, and what their file systems can do
machine.py       cores and memory
versions.py      packages against what is declared
appearance.py    terminal and fonts
examination.py   all of them
"""
