"""One dataset and one table of all jobs of a sweep.

    run_file.py     the dataset of a run, as it is stored, read fast
    labels.py       labels of every dimension over all jobs
    job_table.py    summaries, one row for each job
    dataset.py      the dataset, with the swept keys as dimensions
    collected.py    the command

Each imports only from those above it.
"""
