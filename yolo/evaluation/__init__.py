"""Scores of a detector on labelled pictures: PASCAL VOC's average precision and COCO's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo.boxes.detections import Detections
from yolo.data.dataset import class_ids
from yolo.data.sample import Sample
from yolo.errors import ConfigError


def align_classes(
    detections: Sequence[Detections], samples: Sequence[Sample], classes: Sequence[str]
) -> list[Detections]:
    """Return the detections with class ids that index into `classes`, matched by name.

    A model may know more classes than the data set has labels for, or in another order; COCO's
    are known by either of their names. Detections of a class that the data set lacks are dropped:
    nothing there can judge them. Those without class names are taken to count as the data set does.

    Raises:
        ValueError: there are not as many detections as samples.
        ConfigError: the model and the data set have no class name in common.
    """
    if len(detections) != len(samples):
        raise ValueError(
            "Scores need one Detections per sample. "
            f"Received: {len(detections)} for {len(samples)} samples."
        )
    classes, aligned = tuple(classes), []
    for found in detections:
        if not found.class_names or found.class_names == classes:
            aligned.append(found)
            continue
        known_ids = class_ids(found.class_names, classes)
        lookup = np.array([known_ids.get(name, -1) for name in found.class_names], np.int32)
        if lookup.max() < 0:
            raise ConfigError(
                "The model and the data set have no class name in common. "
                f"Model: {_some(found.class_names)}. Data set: {_some(classes)}. "
                "Give the data set's own class list, or the weights trained on it."
            )
        ids = lookup[found.class_ids]
        known = ids >= 0
        aligned.append(
            Detections(found.boxes_xyxy[known], found.scores[known], ids[known], classes)
        )
    return aligned


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)} in all)" if len(names) > 5 else "")
