"""How often a picture's file is opened, as the kernel counts it."""

import ctypes
import os
import sys
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from yolo.data.pipeline import NOT_AUGMENTED, BatchPlan, training_dataset
from yolo.data.sample import Sample
from yolo.inference.predictor import predict
from yolo.models.yolov4.settings import YOLOv4Config

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
OPENED = 0x20
COUNT = 4


class Opened:
    """Counts every opening of a file in a folder, by whatever library.

    The kernel joins equal events that follow each other: closings keep openings apart, as long as
    one thread reads.
    """

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.events = libc.inotify_init1(os.O_NONBLOCK)
        opened_or_closed = OPENED | 0x18
        if libc.inotify_add_watch(self.events, os.fsencode(folder), opened_or_closed) < 0:
            pytest.skip(f"inotify: {os.strerror(ctypes.get_errno())}")

    def since(self):
        """Return how often each name was opened since the last call."""
        found = Counter()
        while True:
            try:
                data = os.read(self.events, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                length = int.from_bytes(data[12:16], sys.byteorder)
                if int.from_bytes(data[4:8], sys.byteorder) & OPENED:
                    found[data[16 : 16 + length].rstrip(b"\0").decode()] += 1
                data = data[16 + length :]


@pytest.fixture
def samples(tmp_path):
    rng = np.random.default_rng(3)
    made = []
    for n in range(COUNT):
        image = rng.integers(0, 255, (60, 80, 3), np.uint8)
        path = tmp_path / f"{n}.jpg"
        path.write_bytes(cv2.imencode(".jpg", image)[1].tobytes())
        none = np.zeros(0)
        made.append(
            Sample(path, np.zeros((0, 4), np.float32), none.astype(np.int32), none, none,
                   (60, 80), str(n))
        )  # fmt: skip
    return made


@pytest.fixture
def opened(samples):
    return Opened(samples[0].path.parent)


NAMES = [f"{n}.jpg" for n in range(COUNT)]


@pytest.fixture
def batches(samples, opened, monkeypatch):
    """Return a function: openings for making a dataset, and for three whole epochs of it."""

    def run(cache_bytes=0, **changes):
        row = tf.data.Dataset.range(3 * COUNT)  # an end, where training has none
        monkeypatch.setattr(tf.data.Dataset, "counter", lambda: row)
        options = tf.data.Options()
        options.threading.private_threadpool_size = 1
        augment = replace(NOT_AUGMENTED, special_aug_ratio=1.0, **changes)
        plan = BatchPlan(COUNT, augment, epochs=3, seed=1)
        dataset = training_dataset(samples, plan, image_size=(64, 64), cache_bytes=cache_bytes)
        made = opened.since()
        assert len(list(dataset.with_options(options))) == 3
        return made, opened.since()

    return run


def test_a_header_is_read_once_and_a_picture_once_an_epoch(batches):
    assert batches() == (dict.fromkeys(NAMES, 1), dict.fromkeys(NAMES, 3))


def test_a_mosaic_opens_its_four_pictures_and_no_more(batches):
    _, used = batches(mosaic=1.0)
    assert used.total() == 3 * COUNT * 4


def test_a_picture_kept_in_memory_is_not_opened_again(batches):
    assert batches(cache_bytes=10**6, mosaic=1.0) == (dict.fromkeys(NAMES, 2), {})


def test_prediction_opens_each_picture_once(samples, opened):
    class Blind:
        classes, image_size, resize = ("a",), (64, 64), "letterbox"
        thresholds = YOLOv4Config.thresholds

        def predict_raw(self, images):
            return {"boxes": np.zeros((len(images), 0, 4)), "scores": np.zeros((len(images), 0, 1))}

    assert len(list(predict(Blind(), [sample.path for sample in samples], batch_size=2))) == COUNT
    assert opened.since() == dict.fromkeys(NAMES, 1)
