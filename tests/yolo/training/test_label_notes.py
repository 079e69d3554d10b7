"""What labels say of detections: whether an object has one class, and how many there may be."""

import numpy as np
import pytest

import yolo
from yolo.data.sample import Sample
from yolo.export import exporter
from yolo.models.thresholds import Thresholds
from yolo.training.label_notes import label_notes
from yolo.weights import loading

USUAL = Thresholds(0.25, 0.45)
BESIDE, ON_IT = (20, 0, 60, 40), (4, 0, 44, 40)  # of (0, 0, 40, 40): IoU 0.33 and 0.82


def sample(*objects):
    ids, boxes = zip(*objects, strict=True) if objects else ((), ())
    none = np.zeros(len(ids), bool)
    boxes = np.float32(boxes).reshape(-1, 4)
    return Sample("a.png", boxes, np.int32(ids), none, none, (99, 99), "a")


@pytest.mark.parametrize(
    "others, one_label",
    [
        ([(1, (50, 50, 90, 90))], True),
        ([(1, (22, 0, 62, 40))], True),
        ([(1, BESIDE)], False),
        ([(1, ON_IT)], False),
        ([(0, ON_IT), (1, (50, 50, 90, 90))], True),
        ([(0, ON_IT)], None),
    ],
)
def test_objects_have_one_label_where_none_lie_on_those_of_other_classes(others, one_label):
    found = label_notes([sample(), sample((0, (0, 0, 40, 40)), *others)], USUAL)
    assert found == ({"one_label": True} if one_label else {})


def test_dense_pictures_raise_the_number_of_objects():
    row = [(0, (i, 0, i + 1, 1)) for i in range(101)]
    assert label_notes([sample(*row[:100])], USUAL) == {}
    assert label_notes([sample(*row)], USUAL) == {"max_detections": 202}


def test_it_travels_with_the_model_and_with_what_is_made_of_it(tmp_path):
    model = yolo.build("yolov4-tiny", classes=["a", "b"], image_size=(64, 64))
    assert model.thresholds == USUAL
    model.notes = {"one_label": True, "max_detections": 202}
    expected = Thresholds(0.25, 0.45, 202, one_label=True)
    assert model.thresholds == expected
    model.save(tmp_path / "a.keras")
    again = loading.load(tmp_path / "a.keras")
    assert again.thresholds == expected
    assert exporter.describe(again, "onnx").thresholds == expected
    assert not exporter.describe(again, "onnx", one_label=False).one_label
