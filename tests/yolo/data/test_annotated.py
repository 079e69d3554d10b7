"""What people marked in one picture, judged and turned into arrays."""

import numpy as np
import pytest

from yolo.data.annotated import MarkedObject, check_objects
from yolo.data.findings import Findings


@pytest.fixture
def checked():
    """Return a function that judges one box in a picture of 80 x 60, and what it noted."""

    def check(box, **options):
        findings = Findings("toys")
        arrays = check_objects(
            [MarkedObject("object 1", "cat", box)], {"cat": 0}, (60, 80), file="a.txt",
            findings=findings, **options,
        )  # fmt: skip
        return arrays["boxes_xyxy"], findings

    return check


def test_shares_are_of_width_and_height(checked):
    boxes, findings = checked((0.25, 0.5, 0.75, 1.0), shares=True)
    assert boxes.tolist() == [[20, 30, 60, 60]]
    assert not findings.warnings and not findings.errors


def test_a_box_that_leaves_its_picture_by_rounding_alone_is_no_repair(checked):
    boxes, findings = checked((0.0, 0.25, 1.0000005, 0.75), shares=True)
    assert boxes.tolist() == [[0, 15, 80, 45]] and not findings.warnings
    boxes, findings = checked((0.0, 0.25, 1.001, 0.75), shares=True)
    assert boxes.tolist() == [[0, 15, 80, 45]]
    assert findings.warnings == {
        "boxes cut at the picture's edge": ["a.txt: object 1 [0, 0.25, 1.001, 0.75]"]
    }


def test_faults_of_shares_are_told_in_shares(checked):
    boxes, findings = checked((0.5, 0.1, 0.25, 0.9), shares=True)
    assert boxes.dtype == np.float32 and len(boxes) == 0
    assert "xmin 0.5 > xmax 0.25" in findings.errors[0]
