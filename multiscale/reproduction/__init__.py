"""A run computed again from what its folder records, and compared with it value by value.

differences.py    what two results differ in
recorded.py       the configuration that a run folder records, and what around it has changed
reproduce.py      the command
"""
