"""Where the jobs of a sweep are computed, chosen with the words of Hydra: ``hydra/launcher=submitit_slurm hydra.launcher.timeout_min=120``.

settings.py        what the settings of all launchers have in common
basic.py           one job after the other
joblib.py          several processes on this machine
submitit_local.py  the same through submitit, as a rehearsal of a batch system
submitit_slurm.py  job arrays of Slurm
table.py           the table of launchers
words.py           from overrides to settings
attempt.py         one job as a batch system runs it
batched.py         the loop that submits jobs, notes how they end, and ends in order when it is interrupted
"""
