"""Labelled pictures and detections, written down box by box."""

import cv2
import numpy as np
import pytest

from yolo.data.sample import Sample
from yolo.results import Detections

CLASSES = ("cat", "dog")


@pytest.fixture
def labelled(tmp_path):
    """Return a function that makes a sample from (class id, box, difficult) with its picture."""

    def make(name, *objects, size=(60, 80)):
        path = tmp_path / f"{name}.png"
        image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        ids, boxes, difficult = zip(*objects, strict=True) if objects else ((), (), ())
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        ids, difficult = np.array(ids, np.int32), np.array(difficult, bool)
        return Sample(path, boxes, ids, difficult, difficult & False, size, name)

    return make


@pytest.fixture
def detected():
    """Return a function that makes detections from (class id, box, score)."""

    def make(*found):
        ids, boxes, scores = zip(*found, strict=True) if found else ((), (), ())
        return Detections(np.array(boxes, float).reshape(-1, 4), scores, ids, CLASSES)

    return make
