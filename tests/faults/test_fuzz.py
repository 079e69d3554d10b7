"""Damaged files are read or refused in a line, quickly, in little memory (T14, T15, T16)."""

import sys

import numpy as np
import pytest

from tests.faults.full import weights
from tests.faults.full.inputs import KINDS, measure
from yolo.errors import WeightsError
from yolo.models.yolov4 import network
from yolo.pictures.files import READS_GIF

MEGABYTES = 900  # the promise is 1 GB

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="measures with `resource`")


@pytest.mark.parametrize("kind", [kind for kind, (_, few, _) in KINDS.items() if few])
def test_mutants(kind):
    if kind == "gif" and not READS_GIF:
        pytest.skip("this build of OpenCV reads no GIF")
    report = measure(kind, KINDS[kind][1])
    assert not report.harm
    assert report.survived == report.tried == KINDS[kind][1]
    assert set(report.outcomes) == {"read", "refused"}  # the damage is neither total nor none
    assert report.worst_megabytes < MEGABYTES


def test_lengths_beyond_those_of_all_files_are_refused(tmp_path, monkeypatch):
    """Four of T16's 10,000 `.keras` files: h5py asked for more bytes than a size can say."""
    monkeypatch.setattr(network, "build_network", network.build_network)  # put back afterwards
    mutant = weights.keras(tmp_path)
    for number in (2055, 2911, 4086, 8774):
        read, _ = mutant(np.random.default_rng([2024, number]), number)
        with pytest.raises(WeightsError, match="its weights"):
            read()
