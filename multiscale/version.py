"""The version of the engine, in a module of its own that everything may import."""

__version__ = "0.1.0"
