"""Sweeps: every combination of several overrides, each in a run folder of its own.

    combinations.py    overrides with several values -> the jobs
    manifest.py        what a sweep is, written before the first job
    planned.py         from overrides to a checked manifest, and whether a sweep is still the one that was begun
    journal.py         what happened to every job, one line per event
    states.py          how every job stands, from the journal and the run folders
    cores.py           how many jobs may run at the same time
    worker.py          the process that computes jobs
    job_process.py     that process, as seen from the one that started it
    interrupts.py      interrupts of the process that runs a sweep
    progress.py        how far a sweep is, and how long it still takes
    running.py         the loop that hands jobs to workers
    launchers/         where jobs are computed, by the words of Hydra; the loop that submits them to a batch system
    table.py           what is shown of the jobs
    commands.py        run, resume, status
    collect/           one dataset of all jobs

Each imports only from those above it.
"""
