"""What tests of several packages share: a network that finds red spots, pictures, detections."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests import children
from yolo.boxes.detections import Detections
from yolo.data import demo
from yolo.data.sample import Sample
from yolo.models.thresholds import Thresholds

RED = (255, 0, 0)


class SpotFinder:
    """Finds every red spot that is still at least three pixels a side in the network's picture.

    Spots are cats; those that are more than three times as wide as high are dogs. It has what
    prediction needs of a `Detector`, and counts the pictures that it was shown.
    """

    classes = ("cat", "dog")
    thresholds = Thresholds(score_threshold=0.25, iou_threshold=0.45)
    notes: dict = {}

    def __init__(self, image_size=(96, 128), resize="letterbox"):
        self.image_size, self.resize = image_size, resize
        self.batches = []

    def predict_raw(self, images):
        images = np.asarray(images)
        assert images.dtype == np.uint8 and images.shape[1:] == (*self.image_size, 3)
        self.batches.append(len(images))
        boxes = np.zeros((len(images), 64, 4), np.float32)
        scores = np.zeros((len(images), 64, 2), np.float32)
        for i, image in enumerate(images):
            red = (image[..., 0] > 170) & (image[..., 1:].max(axis=-1) < 110)
            count, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
            for n, (x, y, w, h, _) in enumerate(stats[1:count][:64]):
                if min(w, h) >= 3:
                    boxes[i, n] = (x, y, x + w, y + h)
                    scores[i, n, int(w > 3 * h)] = 0.9
        return {"boxes": boxes, "scores": scores}


@pytest.fixture
def spot_finder():
    """Return the class; `spot_finder()` is a model."""
    return SpotFinder


@pytest.fixture
def spots():
    """Return a function that paints red boxes on a grey picture of (height, width)."""

    def paint(size, boxes):
        image = np.full((*size, 3), 90, np.uint8)
        for x1, y1, x2, y2 in boxes:
            image[y1:y2, x1:x2] = RED
        return image

    return paint


@pytest.fixture
def two_replicas():
    """Return a function that runs `train_on_replicas.py` and returns the words of its lines."""

    def run(name, rate, *kinds):
        words = [sys.executable, "-m", "tests.yolo.train_on_replicas", name, str(rate)]
        root = Path(__file__).resolve().parents[2]
        done = children.run([*words, *kinds], cwd=root, timeout=600)
        assert done.returncode == 0, done.stderr[-2000:]
        return [line.split() for line in done.stdout.splitlines()[-len(kinds) :]]

    return run


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
    """Return a function that makes detections of cats and dogs from (class id, box, score)."""

    def make(*found):
        ids, boxes, scores = zip(*found, strict=True) if found else ((), (), ())
        return Detections(np.array(boxes, float).reshape(-1, 4), scores, ids, SpotFinder.classes)

    return make


@pytest.fixture(scope="session")
def shapes(tmp_path_factory):
    """Return the folder of a VOC data set of 8 + 4 + 4 pictures."""
    return demo.write_shapes(tmp_path_factory.mktemp("data") / "shapes", train=8, val=4, test=4)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of a cache of the test's own, into which files may be downloaded."""
    monkeypatch.setenv("KERAS_FOCAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KERAS_FOCAL_OFFLINE")
    return tmp_path / "cache"


@pytest.fixture
def offered(monkeypatch):
    """Return a function that makes a file the only weights that have a name."""
    from yolo.weights import catalog, starts

    def offer(url, **known):
        entry = catalog.Entry(url, "test", ("yolov4-tiny",), **known)
        for module in (catalog, starts):
            monkeypatch.setattr(module, "CATALOG", {"yolov4-tiny-coco": entry})

    return offer
