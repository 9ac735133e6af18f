"""The enlarged SimBench case of the comparisons, for the benchmarks."""

from multiscale.compare_mechanisms.enlarged import CODE, DAY, many_dsos, one_day, tree_of

__all__ = ["CODE", "DAY", "many_dsos", "one_day", "tree_of"]
