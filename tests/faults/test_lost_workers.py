"""T26 and T27 in their quick form: a worker is killed, one goes on, and ends as one alone would.

T25 is `tests/yolo/training/test_devices.py`; T28 to T30, with workers that only pretend to train,
`tests/yolo/cli/test_launch.py`.
"""

import os

import pytest

from benchmarks.faults import workers

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and /proc of Unix")


def test_a_killed_worker_costs_nothing(tmp_path, capfd):
    row = workers.killed(workers.Cluster(tmp_path), quick=True)
    assert row.survived == row.tried > 0, capfd.readouterr().err
