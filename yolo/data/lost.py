"""Objects that shrink so much on the network's picture that training drops them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from yolo.data.anchor_fit import box_sizes, network_boxes
from yolo.data.check import Problem
from yolo.data.sample import Sample
from yolo.pictures.sizes import SIZE_MULTIPLE, SIZE_RANGE
from yolo.settings.train import TrainConfig

LOST = "objects that training drops as too small"


def lost_objects(config: TrainConfig, samples: Sequence[Sample]) -> list[Problem]:
    """Say which objects no variation makes large enough to be learned.

    Args:
        config: picture size, resize mode and how pictures are varied.
        samples: the pictures to train on.

    Returns:
        An error with the size that would do if it is all of them, a warning that counts them if
        it is some.
    """
    learned = [sample.learned() for sample in samples]
    boxes, _ = network_boxes(learned, config.image_size, config.resize)
    sides = box_sizes(boxes).min(axis=1)
    largest = config.scale[1] * math.sqrt(1.0 + config.aspect)
    if config.multi_scale and config.resize != "shorter":
        largest *= SIZE_RANGE[1]
    lost = sides * largest < config.min_box_pixels
    if not lost.any():
        return []
    height, width = config.image_size
    what = (
        f"below {config.min_box_pixels:g} pixels on the network's picture of {width}x{height}, "
        "however it is varied"
    )
    # Half of those that are lost are at least that large before anything is varied.
    factor = config.min_box_pixels / max(float(np.median(sides[lost])), 1e-3)
    larger = [math.ceil(side * factor / SIZE_MULTIPLE) * SIZE_MULTIPLE for side in (height, width)]
    size = f"{larger[0]}" if larger[0] == larger[1] else f"{larger[0]}x{larger[1]}"
    mend = f"--image-size {size} keeps half of them; so do pictures cut into parts"
    if lost.all():
        text = f"all {len(lost)} objects are {what}, and nothing would be learned: {mend}"
        return [Problem("error", LOST, text)]
    return [Problem("warning", LOST, f"{lost.sum()} of {len(lost)} are {what}: {mend}")]
