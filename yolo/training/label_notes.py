"""What the labels of the training pictures say of the detections to expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo.boxes.pairwise import pairwise_iou
from yolo.data.sample import Sample
from yolo.models.thresholds import Thresholds

# Suppression drops a box above 0.45 or 0.5. Two equal boxes side by side that overlap 0.3 must be
# found a sixth of their side nearer to each other before the one drops the other.
APART = 0.3


def label_notes(samples: Sequence[Sample], usual: Thresholds) -> dict[str, Any]:
    """Return what a model notes of its training pictures, see `Thresholds.noted`.

    `one_label` where there are several classes and no two objects of different classes overlap
    more than `APART`; `max_detections` where a picture holds more objects than, by the family's
    `usual` thresholds, would be shown.
    """
    notes: dict[str, Any] = {}
    several = len({int(i) for sample in samples for i in np.unique(sample.class_ids)}) > 1
    if several and not any(map(_lie_on_each_other, samples)):
        notes["one_label"] = True
    most = max((len(sample.class_ids) for sample in samples), default=0)
    if most > usual.max_detections:
        notes["max_detections"] = 2 * most
    return notes


def _lie_on_each_other(sample: Sample) -> bool:
    """Tell whether two objects of different classes have one place."""
    ids = np.asarray(sample.class_ids)
    if len(np.unique(ids)) < 2:
        return False
    iou = pairwise_iou(sample.boxes_xyxy, sample.boxes_xyxy)
    return bool((iou[ids[:, None] != ids] > APART).any())
