"""The folder of a run while it is written and when it is read: lock, stages, log, provenance, status."""
