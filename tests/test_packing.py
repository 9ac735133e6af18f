"""What is packed comes back as it was; what is no data is refused, and nothing that is read runs code."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from multiscale.assessment import Ledger
from multiscale.content import content_key
from multiscale.devices import device_settings
from multiscale.operation import Design
from multiscale.packing import PackingError, pack, packed_bytes, unpack, unpacked_bytes
from multiscale.sources import TinySettings
from multiscale.sources.selection import study_system
from multiscale.system import Economics
from multiscale.timeline import Horizon


def returned(value):
    arrays = []

    def keep(array):
        arrays.append(array)
        return str(len(arrays) - 1)

    text = json.dumps(pack(value, keep), allow_nan=False)
    return unpack(json.loads(text), lambda name: arrays[int(name)])


HORIZON = Horizon((pd.Timestamp("2016-01-20"), pd.Timestamp("2016-07-02")), (1.0, 365.0), 3.0, ("peak demand", "typical"))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        -0.0,
        1e-310,
        "a\nb",
        (1, ("two", 3.0)),
        [{}, {"a": (None,)}],
        {pd.Timestamp("2016-01-20"): 1, 2: "two"},
        frozenset({"b", "a"}),
        np.float32(0.1),
        np.arange(6.0).reshape(2, 3)[:, ::2],
        np.zeros((0, 4)),
        np.array([True, False]),
        np.array(["short", "longer"]),
        HORIZON,
        Economics(),
        Design({"o": True}, {"d": {"network_charge": np.array(0.04)}}),
        dict(device_settings()),
        Ledger(),
    ],
)
def test_what_is_packed_comes_back(value):
    found = returned(value)
    assert content_key(found) == content_key(value)
    assert type(found) is type(value)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_numbers_that_are_not_finite_come_back(value):
    assert repr(returned(value)) == repr(value)


def test_tables_come_back_with_labels_and_attributes():
    data = xr.Dataset(
        {"p": (("bus", "period"), [[1.0, np.nan]], {"units": "kW"}), "one": ((), 2.0)}, coords={"bus": ["b1"], "period": ["a", "b"]}, attrs={"x": "y"}
    )
    found = returned(data)
    xr.testing.assert_identical(found, data)
    xr.testing.assert_identical(returned(data.p), data.p)
    frame = pd.DataFrame({"component": ["bus"], "value": [np.inf]}, index=pd.Index([7], name="row"))
    pd.testing.assert_frame_equal(returned(frame), frame)
    texts = returned(xr.Dataset({"t": ("x", np.array(["a", "bc"], dtype=object))}))
    assert texts.t.dtype == object


def test_a_whole_system_and_its_fleets_come_back():
    system = study_system(TinySettings(dsos=("north",)))
    found = returned(system)
    assert content_key(found) == content_key(system)
    before, after = (s.fleet("north 1", HORIZON) for s in (system, found))
    assert content_key(returned(before)) == content_key(before) == content_key(after)


class Pair(NamedTuple):
    a: int
    b: int


def test_a_tuple_of_another_class_is_refused_before_it_is_kept():
    with pytest.raises(PackingError, match="type Pair is no data"):
        packed_bytes({"ends": Pair(1, 2)})


@pytest.mark.parametrize("value", [object(), print, np.array([1, None], dtype=object), {"a": lambda: 0}, 1j])
def test_what_is_no_data_is_refused(value):
    with pytest.raises(PackingError):
        returned(value)


@pytest.mark.parametrize(
    "content",
    [
        {"is": "object", "class": "os:system", "fields": {"command": "true"}},
        {"is": "object", "class": "subprocess:Popen", "fields": {"args": "true"}},
        {"is": "object", "class": "multiscale.cli:main", "fields": {}},
        {"is": "object", "class": "multiscale.nothing:Nothing", "fields": {}},
        {"is": "object", "class": "multiscale.packing:np.random.Generator", "fields": {}},
        {"is": "settings", "class": "multiscale.packing:BaseModel", "values": {}},
        {"is": "object", "class": 7, "fields": {}},
        {"is": "settings", "class": "multiscale.files:write_atomically", "values": {}},
        {"is": "unknown"},
        [1, 2],
    ],
)
def test_only_data_classes_and_settings_of_the_package_are_made(content):
    with pytest.raises(PackingError):
        unpack(content, np.zeros)


def test_one_piece_comes_back_with_the_order_of_its_values_and_arrays_that_are_the_same():
    shared = np.arange(6.0).reshape(2, 3)
    generator = np.random.default_rng(3)
    generator.random(5)
    value = {"shared": [shared, shared], "columns first": np.asfortranarray(shared), "bytes": b"\x00\xff", (1, b"k"): {"a"}, "random": generator}
    found = unpacked_bytes(packed_bytes(value))
    assert found["shared"][0] is found["shared"][1]
    np.testing.assert_array_equal(found["shared"][0], shared)
    assert found["columns first"].flags.f_contiguous
    assert found["bytes"] == b"\x00\xff"
    assert found[1, b"k"] == {"a"}
    np.testing.assert_array_equal(found["random"].random(4), generator.random(4))


def test_a_piece_of_which_any_bit_is_another_is_refused():
    whole = packed_bytes({"values": np.arange(10.0), "text": "t"})
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(PackingError):
            unpacked_bytes(bytes(damaged))


def test_a_random_generator_of_another_kind_is_refused():
    with pytest.raises(PackingError, match="default_rng"):
        packed_bytes(np.random.Generator(np.random.MT19937(0)))
