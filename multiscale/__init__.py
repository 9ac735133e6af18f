"""Bilevel multiscale planning and TSO/DSO coordination with peer-to-peer energy trading platforms."""

__version__ = "0.1.0"
