"""Mechanisms compared on one system: ``python -m multiscale.compare_mechanisms WHAT [options] [overrides]``."""
