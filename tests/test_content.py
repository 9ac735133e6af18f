import dataclasses
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multiscale.content import content_key
from multiscale.coordination.negotiation.children.platform_child import PlatformSource
from multiscale.markets import Community
from multiscale.operation import Design, operating_tree
from multiscale.planning.persistence import Restriction
from multiscale.system import LoadingLimits
from tests.variants import priced

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def source(system, winter, economics, fleets):
    tree = operating_tree(system, winter, economics, fleets, Design(), Community())
    return PlatformSource(tree.platforms.data["north 1"], {"network_charge": np.asarray(0.05)})


def test_a_copy_has_the_same_key_here_and_in_another_process(source, tmp_path):
    # The copy has lost what was worked out from the tables; nothing of it may stand in the key.
    assert content_key(pickle.loads(pickle.dumps(source))) == content_key(source)
    file = tmp_path / "source.pickle"
    file.write_bytes(pickle.dumps((source, source.reduced())))
    code = "import pickle, sys; from multiscale.content import content_key; s, p = pickle.load(open(sys.argv[1], 'rb'))"
    command = [sys.executable, "-c", f"{code}; print(content_key(s), content_key(p))", file]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.split() == [content_key(source), content_key(source.reduced())]


def test_any_other_content_has_another_key(source):
    data = source.data
    louder = data.fleet.data.copy(deep=True)
    louder["demand"].values[3, 7] = np.nextafter(louder["demand"].values[3, 7], np.inf)
    branches = dict(data.network.branch_columns)
    branches["rating_kva"] = branches["rating_kva"] + np.eye(1, len(branches["rating_kva"]))[0] * 1e-9
    others = [
        dataclasses.replace(source, tariff={"network_charge": np.asarray(0.051)}),
        *(
            dataclasses.replace(source, data=dataclasses.replace(data, **change))
            for change in (
                {"fleet": dataclasses.replace(data.fleet, data=louder)},
                {"network": dataclasses.replace(data.network, branch_columns=branches)},
                {"network": None},
                {"economics": dataclasses.replace(data.economics, tariff=priced(levy=0.10 + 1e-12))},
                {"limits": LoadingLimits.full()},
                {"root_voltage": 1.01},
            )
        ),
    ]
    keys = {content_key(s) for s in (source, *others)}
    assert len(keys) == 1 + len(others)


def test_adjacent_labels_and_numbers_are_distinguished():
    assert content_key("ab", "c") != content_key("a", "bc")
    assert content_key(np.zeros(4)) != content_key(np.zeros((2, 2)))
    assert content_key(np.array(["a", "b, c"], dtype=object)) != content_key(np.array(["a, b", "c"], dtype=object))
    assert content_key(np.zeros(2, dtype=np.float32)) != content_key(np.zeros(1, dtype=np.float64))


def test_what_cannot_be_looked_into_is_refused():
    with pytest.raises(TypeError, match="an object of type function has no content key"):
        content_key({"a": content_key})


def test_sets_inside_a_data_class_have_the_same_key_in_every_process():
    code = (
        "from multiscale.content import content_key; from multiscale.planning.persistence import Restriction; "
        "print(content_key(Restriction(frozenset('abcdefgh'), frozenset('xyz'))), content_key((1, Restriction(frozenset('ab')))))"
    )
    # Processes of different seeds order sets differently; without a seed the order is another one in every process.
    other = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": other}
    ).stdout
    here = content_key(Restriction(frozenset("abcdefgh"), frozenset("xyz"))), content_key((1, Restriction(frozenset("ab"))))
    assert said.split() == list(here)
    assert len(set(here)) == 2
    assert content_key(Restriction(frozenset("a"))) != content_key(Restriction(frozenset(), frozenset("a")))
