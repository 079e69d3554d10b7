"""Damaged files are read or refused in a line, quickly, in little memory (T14, T15, T16)."""

import sys

import pytest

from benchmarks.faults.inputs import KINDS, measure
from yolo.images import READS_GIF

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
