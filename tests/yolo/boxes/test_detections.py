"""Detections: checked at birth, then relied upon."""

import csv
import io
import json
import sys
import types

import cv2
import numpy as np
import pytest

from yolo.boxes.detections import CSV_COLUMNS, Detections
from yolo.errors import ConfigError, YoloError

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


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([0, 0, 1, 1], [0.5], [0]), r"boxes \(N, 4\)"),
        (([[0, 0, 1]], [0.5], [0]), r"shapes \(1, 3\)"),
        (([[0, 0, 1, 1]], [[0.5]], [0]), r"\(1, 1\)"),
        (([[0, 0, np.nan, 1]], [0.5], [0]), "boxes_xyxy must be finite"),
        (([[0, 0, 1, 1]], [1.5], [0]), r"scores must lie in 0\.\.1. Received: 1.5"),
        (([[0, 0, 1, 1]], [np.nan], [0]), "scores must lie in"),
    ],
)
def test_what_is_no_detection_is_refused_at_birth(arguments, words):
    with pytest.raises(ValueError, match=words):
        Detections(*arguments)


def test_selecting_by_class_score_and_area():
    found = Detections(
        [[0, 0, 10, 10], [0, 0, 2, 2], [0, 0, 5, 5]], [0.9, 0.8, 0.3], [1, 0, 1], NAMES
    )
    assert found.where(classes="dog").scores.tolist() == pytest.approx([0.9, 0.3])
    assert len(found.where(classes=["dog", "cat"])) == len(found.where()) == 3
    assert found.where(classes="dog", score=0.5).areas.tolist() == [100.0]
    assert found.where(score=0.3, area=25).labels == ["dog", "dog"]
    assert len(found.where(classes=[])) == 0
    with pytest.raises(ConfigError, match="no class 'cow' here; there are cat, dog"):
        found.where(classes=["cow"])


def test_what_was_found_in_words():
    found = Detections([[0, 0, 1, 1]] * 3, [0.9, 0.8, 0.7], [1, 0, 1], NAMES)
    assert found.counts == {"dog": 2, "cat": 1}
    assert found.summary() == "2 dog, 1 cat" and repr(found) == "Detections(2 dog, 1 cat)"
    assert Detections.empty(NAMES).summary() == "nothing found"
    assert [one.labels for one in found] == [["dog"], ["cat"], ["dog"]]


# ---------------------------------------------------------------------- other programs' forms


def test_csv_holds_what_json_holds_whatever_the_name():
    found = Detections([[1, 2, 3, 4.5]], [0.25], [0], ('a "large", cat',))
    header, row = csv.reader(io.StringIO(found.to_csv()))
    assert tuple(header) == CSV_COLUMNS
    assert row == ['a "large", cat', "0", "0.25", "1.0", "2.0", "3.0", "4.5"]
    assert Detections.empty(NAMES).to_csv() == ",".join(CSV_COLUMNS) + "\n"


def test_yolo_text_is_the_inverse_of_its_definition():
    boxes = np.float32([[0, 0, 40, 30], [10, 20, 30, 25], [-5, -5, 10, 10]])
    text = Detections(boxes, [0.9, 0.8, 0.7], [0, 1, 0], NAMES).to_yolo_text((30, 40))
    rows = np.array([line.split() for line in text.splitlines()], float)
    assert rows[:, 0].tolist() == [0, 1, 0]
    centre, half = rows[:, 1:3] * (40, 30), rows[:, 3:] * (20, 15)
    back = np.concatenate([centre - half, centre + half], axis=1)
    np.testing.assert_allclose(back, np.maximum(boxes, 0), atol=1e-3)
    assert Detections.empty(NAMES).to_yolo_text((30, 40)) == ""


def test_supervision_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(YoloError, match="pip install supervision"):
        found().to_supervision()


def test_supervision_gets_its_fields(monkeypatch):
    stand_in = types.SimpleNamespace(Detections=lambda **fields: fields)
    monkeypatch.setitem(sys.modules, "supervision", stand_in)
    fields = found().to_supervision()
    assert set(fields) == {"xyxy", "confidence", "class_id", "data"}
    assert fields["data"]["class_name"].tolist() == ["dog", "cat"]
    assert fields["class_id"].dtype == int


def test_supervision_itself():
    pytest.importorskip("supervision")
    result = found().to_supervision()
    assert len(result) == 2 and len(result[result.confidence > 0.5]) == 1
    assert len(Detections.empty(NAMES).to_supervision()) == 0


def decoded(png):
    assert png.startswith(b"\x89PNG")
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_a_notebook_shows_the_picture():
    image = np.full((60, 80, 3), 7, np.uint8)
    one = Detections([[10, 20, 50, 55]], [0.5], [1], NAMES).on(image)
    shown = decoded(one._repr_png_())
    assert shown.shape == image.shape and (shown[20, 10] != 7).any() and (shown[58, 75] == 7).all()
    assert (image == 7).all()
    assert one[:0].image is image and one.clipped((60, 80)).image is image
    np.testing.assert_array_equal(decoded(one[:0]._repr_png_()), image)


def test_without_a_picture_it_shows_the_boxes():
    shown = decoded(Detections([[10, 20, 150, 55]], [0.5], [1], NAMES)._repr_png_())
    assert shown.shape == (63, 158, 3) and (shown[30, 10] != 128).any()
    assert decoded(Detections.empty()._repr_png_()).shape == (40, 40, 3)
    far = Detections([[0, 0, 1e9, 1e9]], [0.5], [0])._repr_png_()
    assert decoded(far).shape == (2048, 2048, 3), "a sheet of bounded size"
