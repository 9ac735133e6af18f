"""Studies: one folder per question, with the command and the answer."""
