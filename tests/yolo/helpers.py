"""What tests of several packages call: drawn squares, a folder's names, a model seen by threads."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from yolo.models.backbones.csp_darknet import NumberedConvolutions


@contextlib.contextmanager
def narrow(by=8):
    """Let what is built in this context have a part of the channels of Darknet's networks.

    Their layers, with names and order, stay; to train, save and convert them is quicker.
    """
    whole = NumberedConvolutions.__call__

    def call(self, x, filters, size, **options):
        return whole(self, x, filters // by, size, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NumberedConvolutions, "__call__", call)
        yield


def squares(count=8, size=64, seed=0, *, rows=3, sides=(16, 30)):
    """Return pictures of one bright square each on dark noise, and where it is.

    Each picture has `rows` rows of truth, all but the first padding; sides lie in the half-open
    range `sides`.
    """
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, size, size, 3), np.uint8)
    boxes = np.zeros((count, rows, 4), "float32")
    classes = np.full((count, rows), -1, "int32")
    for i in range(count):
        side = rng.integers(*sides)
        x, y = rng.integers(0, size - side, 2)
        images[i, y : y + side, x : x + side] = (230, 40, 40) if i % 2 else (40, 230, 40)
        boxes[i, 0], classes[i, 0] = (x, y, x + side, y + side), i % 2
    return images, {"boxes": boxes, "classes": classes}


def everything(folder):
    """Return the names of all that lies in a folder, at any depth."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def seen_from_threads(model, pictures, count=8):
    """Return what each of several threads finds that look at all pictures, starting together.

    Each takes the pictures in an order of its own; the answers are in that of `pictures`.
    """
    start = threading.Barrier(count)

    def look(number):
        order = np.random.default_rng(number).permutation(len(pictures))
        start.wait(timeout=60)
        found = {i: model.predict_raw(pictures[i][None]) for i in order}
        return [found[i] for i in range(len(pictures))]

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(look, range(count)))
