"""Pictures that tell which they are, and which of them each device of several gets."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np

from yolo.config import AugmentConfig
from yolo.data.pipeline import NOT_AUGMENTED, WHOLE, BatchPlan, Share, training_dataset
from yolo.data.sample import Sample

BATCH = 12  # divides among one to four


def pictures(folder: Path, count: int) -> list[Sample]:
    """Write small pictures; the class of the one object in each is its number."""
    made = []
    for n in range(count):
        path = folder / f"{n}.png"
        path.write_bytes(cv2.imencode(".png", np.full((32, 32, 3), 8 * n, np.uint8))[1].tobytes())
        box = np.array([[0, 0, 32, 32]], np.float32)
        flags = np.zeros(1, bool)
        made.append(Sample(path, box, np.array([n], np.int32), flags, flags, (32, 32), str(n)))
    return made


def batches(
    samples, steps: int, part: Share = WHOLE, augment: AugmentConfig = NOT_AUGMENTED, **options
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Return for each step the (images, class ids) of the devices in `part`."""
    plan = BatchPlan(BATCH, augment, epochs=4, seed=3, drop_remainder=False, part=part)
    dataset = training_dataset(samples, plan, image_size=(32, 32), **options)
    taken = [
        (images.numpy(), truth["classes"].numpy())
        for images, truth in itertools.islice(dataset, steps * part.devices)
    ]
    return [taken[i : i + part.devices] for i in range(0, len(taken), part.devices)]


def numbers(ids: np.ndarray) -> list[int]:
    """Return which pictures a batch holds."""
    return [int(row.max()) for row in ids]


def assert_once_an_epoch(samples, workers: int) -> None:
    """Demand that workers see every picture once in each of two epochs, in the batches of one.

    Args:
        samples: of `pictures`.
        workers: how many share every batch.
    """
    steps = -(-len(samples) // BATCH)
    whole = batches(samples, 2 * steps)
    for first in (0, steps):
        seen = [n for step in whole[first : first + steps] for n in numbers(step[0][1])]
        assert sorted(seen) == list(range(len(samples)))
    assert numbers(whole[0][0][1]) != numbers(whole[steps][0][1]), "the same order twice"
    shares = [batches(samples, 2 * steps, Share(w, 1, workers)) for w in range(workers)]
    for step, expected in enumerate(whole):
        found = [n for share in shares for n in numbers(share[step][0][1])]
        assert sorted(found) == sorted(numbers(expected[0][1]))
        sizes = [len(share[step][0][0]) for share in shares]
        assert max(sizes) - min(sizes) <= 1
