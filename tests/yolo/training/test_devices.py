"""Whole runs on two devices, in a process of their own that has divided the processor."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import children
from yolo.errors import ConfigError
from yolo.training.devices import refuse_uneven

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("two_devices.py")
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    work = tmp_path_factory.mktemp("devices")
    done = children.run(
        [sys.executable, SCRIPT, work], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_two_devices_train_as_one(seen):
    assert 0 < seen["furthest"] < 1e-5
    one, two = seen["losses"]
    assert len(one) == 3 and [len(row) for row in one] == [len(row) for row in two]
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5)


def test_a_stopped_run_goes_on_to_the_bit(seen):
    assert seen["same place"] and seen["arrays that differ"] == []


def test_all_devices_refuse_a_step_that_one_must_refuse(seen):
    assert "location_loss" in seen["spoiled"] and "in step 3 (epoch 2, batch 1)" in seen["spoiled"]
    assert seen["refused from"] == 2
    assert "last.keras" in seen["saved"]


def test_an_uneven_batch_is_refused(seen):
    assert seen["uneven"] == "a batch of 5 does not divide among 2 devices; choose 4 or 6"
    with pytest.raises(ConfigError, match="a batch of 2 does not divide among 4 devices; choose 4"):
        refuse_uneven(4, [8, 2])
    refuse_uneven(6, [6, 12])
