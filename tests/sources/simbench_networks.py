"""SimBench's own networks, loaded once for all processes of a test run (each takes seconds)."""

import functools
import warnings

from multiscale.sources.simbench import convert, load_network
from tests.kept_for_all import kept_for_all

LV = "1-LV-rural1--0-sw"
MVLV = "1-MVLV-rural-4.101-1-sw"


@functools.lru_cache(maxsize=4)
def network(code):
    return kept_for_all(code, lambda: load_network(code))


@functools.lru_cache(maxsize=4)
def system(code):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return convert(network(code), code)
