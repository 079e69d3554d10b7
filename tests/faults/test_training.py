"""T1 to T13, faults of training, in their quick form; `tests.faults.full` has the full counts.

What T8 does once, tests/scripts/test_script_train.py does on a run that it has anyway.
"""

import os

import pytest

from tests.faults.full import training
from tests.faults.full.toy import Toy

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals, limits and /proc of Unix")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    from yolo.models.yolov4 import network

    real = network.build_network
    yield Toy(tmp_path_factory.mktemp("toy"))
    network.build_network = real


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in training.CASES if name != "T8"])
def test_it_survives(toy, name, capfd):
    rows = training.rows_of(training.CASES[name], toy, quick=True)
    assert rows and all(row.tried > 0 for row in rows)
    assert all(row.survived == row.tried for row in rows), capfd.readouterr().err
