"""Which detection means which object, in pictures and not in rankings: confusions and mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.pairwise import pairwise_iou
from yolo.data.sample import Sample
from yolo.evaluation import align_classes
from yolo.models.thresholds import MATCH_IOU


@dataclass(frozen=True, eq=False)
class PictureResult:
    """How well the objects of one picture were found.

    Args:
        index: the picture's place in the data set.
        found: the detections that count, of the score asked for and better.
        hits: objects found with their class.
        missed: (m,) indices of objects that were not, difficult ones left out.
        false: (f,) indices of detections in `found` that are no object of their class.
    """

    index: int
    found: Detections
    hits: int
    missed: np.ndarray
    false: np.ndarray

    @property
    def f1(self) -> float:
        """Twice the hits by objects and detections; 1 for a picture rightly left empty."""
        wrong = len(self.missed) + len(self.false)
        return 2 * self.hits / (2 * self.hits + wrong) if self.hits or wrong else 1.0


def match(found: Detections, sample: Sample, *, iou_threshold: float = MATCH_IOU) -> np.ndarray:
    """Pair detections with objects, whatever their classes, each at most once.

    Pairs of one class go first and then those of two, each by falling overlap: a box of the
    wrong class on an object that was found rightly as well takes nothing from it.

    Args:
        found: the detections.
        sample: the objects.
        iou_threshold: the least IoU of a pair.

    Returns:
        (len(found),) index of each detection's object, -1 for none.
    """
    objects = np.full(len(found), -1)
    if not len(found) or not len(sample.class_ids):
        return objects
    iou = pairwise_iou(found.boxes_xyxy, sample.boxes_xyxy)
    same = found.class_ids[:, None] == np.asarray(sample.class_ids)[None]
    order = np.argsort(-(iou + 2 * same), axis=None, kind="stable")
    taken = np.zeros(len(sample.class_ids), bool)
    for i, j in zip(*np.unravel_index(order, iou.shape), strict=True):
        if iou[i, j] >= iou_threshold and objects[i] < 0 and not taken[j]:
            objects[i], taken[j] = j, True
    return objects


def confusion_matrix(
    detections: Sequence[Detections], samples: Sequence[Sample], classes: Sequence[str], *,
    score_threshold: float, iou_threshold: float = MATCH_IOU,
) -> np.ndarray:  # fmt: skip
    """Count what was taken for what.

    Args:
        detections: what was found, one entry per sample.
        samples: the labelled pictures; difficult objects, and what is found on them, are left out.
        classes: class names.
        score_threshold: detections that score less are left out.
        iou_threshold: the least IoU of a detection and its object.

    Returns:
        (C + 1, C + 1) int64: rows are what is there, columns what was said; the last row is
        background taken for an object, the last column objects that were overlooked.
    """
    count = len(classes)
    matrix = np.zeros((count + 1, count + 1), np.int64)
    for found, sample in zip(align_classes(detections, classes), samples, strict=True):
        found = found[found.scores >= score_threshold]
        objects = match(found, sample, iou_threshold=iou_threshold)
        overlooked = ~np.asarray(sample.difficult, bool)
        for said, j in zip(found.class_ids, objects, strict=True):
            if j < 0:
                matrix[count, said] += 1
            elif not sample.difficult[j]:
                matrix[sample.class_ids[j], said] += 1
                overlooked[j] = False
        np.add.at(matrix, (np.asarray(sample.class_ids)[overlooked], count), 1)
    return matrix


def picture_results(
    detections: Sequence[Detections], samples: Sequence[Sample], classes: Sequence[str], *,
    score_threshold: float, iou_threshold: float = MATCH_IOU,
) -> list[PictureResult]:  # fmt: skip
    """Judge every picture by itself, the worst first.

    Args:
        detections: what was found, one entry per sample.
        samples: the labelled pictures.
        classes: class names.
        score_threshold: detections that score less are left out.
        iou_threshold: the least IoU of a detection and its object.

    Returns:
        One entry a picture, by rising F1; of equal ones those with more mistakes first.
    """
    results = []
    aligned = align_classes(detections, classes)
    for index, (found, sample) in enumerate(zip(aligned, samples, strict=True)):
        found = found[found.scores >= score_threshold]
        objects = match(found, sample, iou_threshold=iou_threshold)
        known = objects >= 0
        right = np.zeros(len(found), bool)
        right[known] = found.class_ids[known] == sample.class_ids[objects[known]]
        hard = np.asarray(sample.difficult, bool)
        on_hard = np.zeros(len(found), bool)
        on_hard[known] = hard[objects[known]]
        missed = ~hard
        missed[objects[right]] = False
        hits = int(np.count_nonzero(right & ~on_hard))
        false = np.flatnonzero(~right & ~on_hard)
        results.append(PictureResult(index, found, hits, np.flatnonzero(missed), false))
    return sorted(results, key=lambda r: (r.f1, -len(r.missed) - len(r.false), r.index))
