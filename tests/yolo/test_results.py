"""Detections: checked at birth, then relied upon."""

import json

import numpy as np
import pytest

from yolo.results import Detections

NAMES = ("cat", "dog")


def found():
    return Detections([[0, 0, 1, 2], [3.123, 4, 5, 6]], [0.9, 0.12345678], [1, 0], NAMES)


def test_empty():
    nothing = Detections.empty(NAMES)
    assert len(nothing) == 0 and nothing.labels == [] and nothing.to_json() == []
    assert nothing.boxes_xyxy.shape == (0, 4)
    assert len(Detections([], [], [])) == 0


def test_types_are_converted_once():
    result = found()
    assert result.boxes_xyxy.dtype == np.float32 and result.boxes_xyxy.shape == (2, 4)
    assert result.scores.dtype == np.float32 and result.class_ids.dtype == np.int32
    assert result.class_names == NAMES


def test_boxes_are_not_rounded():
    box = np.float32([0.1, 0.2, 100.3, 200.7])
    np.testing.assert_array_equal(Detections([box], [0.5], [0], NAMES).boxes_xyxy[0], box)


@pytest.mark.parametrize(
    "index, scores",
    [
        (slice(0, 1), [0.9]),
        (slice(5, 9), []),
        (1, [0.12345678]),
        (-1, [0.12345678]),
        (np.array([True, False]), [0.9]),
        ([1, 0], [0.12345678, 0.9]),
    ],
)
def test_indexing_keeps_the_parts_together(index, scores):
    part = found()[index]
    np.testing.assert_array_equal(part.scores, np.float32(scores))
    assert len(part.boxes_xyxy) == len(part.class_ids) == len(scores)
    assert part.class_names == NAMES


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="1 boxes, 2 scores, 1 class ids"):
        Detections([[0, 0, 1, 1]], [0.5, 0.6], [0])


@pytest.mark.parametrize("class_id", [-1, 2])
def test_class_ids_must_have_names(class_id):
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Detections([[0, 0, 1, 1]], [0.5], [class_id], NAMES)


def test_without_names_the_number_is_the_label():
    assert Detections([[0, 0, 1, 1]], [0.5], [7]).labels == ["7"]


def test_json_round_trip():
    entries = json.loads(json.dumps(found().to_json()))
    assert entries[1] == {
        "class": "cat",
        "class_id": 0,
        "score": 0.123457,
        "box": [3.12, 4.0, 5.0, 6.0],
    }
