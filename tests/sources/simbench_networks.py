"""SimBench's own networks, loaded once per test run (each takes seconds)."""

import functools
import warnings

from multiscale.sources.simbench import convert, load_network

LV = "1-LV-rural1--0-sw"
MVLV = "1-MVLV-rural-4.101-1-sw"


@functools.lru_cache(maxsize=4)
def network(code):
    return load_network(code)


@functools.lru_cache(maxsize=4)
def system(code):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return convert(network(code), code)
