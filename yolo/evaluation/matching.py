"""Which detection means which object, in pictures and not in rankings: confusions and mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.labels import CROWD_SHARE
from yolo.boxes.pairwise import covered_share, pairwise_iou
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


def match(found: Detections, sample: Sample) -> np.ndarray:
    """Return each detection's object, overlapped by `MATCH_IOU` and taken once at most, or -1.

    Pairs of one class go first and then those of two, each by falling overlap: a box of the
    wrong class on an object that was found rightly as well takes nothing from it. What is left on
    a difficult object or in a crowd belongs to that, any number of times.
    """
    objects = np.full(len(found), -1)
    if not len(found) or not len(sample.class_ids):
        return objects
    iou = pairwise_iou(found.boxes_xyxy, sample.boxes_xyxy)
    same = found.class_ids[:, None] == np.asarray(sample.class_ids)[None]
    order = np.argsort(-(iou + 2 * same), axis=None, kind="stable")
    taken = np.zeros(len(sample.class_ids), bool)
    for i, j in zip(*np.unravel_index(order, iou.shape), strict=True):
        if iou[i, j] >= MATCH_IOU and objects[i] < 0 and not taken[j]:
            objects[i], taken[j] = j, True
    ignored = in_crowds(found, sample) | ((iou >= MATCH_IOU) & np.asarray(sample.difficult, bool))
    left = (objects < 0) & ignored.any(axis=1)
    objects[left] = ignored[left].argmax(axis=1)
    return objects


def in_crowds(found: Detections, sample: Sample) -> np.ndarray:
    """Tell in which of a picture's crowds each detection lies, (detections, objects) bool."""
    crowd = np.asarray(sample.crowd, bool)
    if not crowd.any():
        return np.zeros((len(found), len(crowd)), bool)
    return (covered_share(found.boxes_xyxy, sample.boxes_xyxy) >= CROWD_SHARE) & crowd


def confusion_matrix(
    detections: Sequence[Detections], samples: Sequence[Sample], classes: Sequence[str], *,
    score_threshold: float,
) -> np.ndarray:  # fmt: skip
    """Count what was taken for what, of detections that score at least `score_threshold`.

    Difficult objects, and what is found on them, are left out.

    Returns:
        (C + 1, C + 1) int64: rows are what is there, columns what was said; the last row is
        background taken for an object, the last column objects that were overlooked.
    """
    matrix = np.zeros((len(classes) + 1,) * 2, np.int64)
    for found, objects, ids, difficult in _judged(detections, samples, classes, score_threshold):
        counts = ~difficult[objects]
        np.add.at(matrix, (ids[objects[counts]], found.class_ids[counts]), 1)
        overlooked = ~difficult
        overlooked[[*objects, -1]] = False
        np.add.at(matrix, (ids[overlooked], -1), 1)
    return matrix


def picture_results(
    detections: Sequence[Detections], samples: Sequence[Sample], classes: Sequence[str], *,
    score_threshold: float,
) -> list[PictureResult]:  # fmt: skip
    """Judge every picture by itself, by the detections that score at least `score_threshold`.

    The worst come first, by rising F1; of equal ones those with more mistakes.
    """
    results = []
    judged = _judged(detections, samples, classes, score_threshold)
    for index, (found, objects, ids, difficult) in enumerate(judged):
        right, counts = found.class_ids == ids[objects], ~difficult[objects]
        missed = ~difficult
        missed[[*objects[right], -1]] = False
        hits, false = np.count_nonzero(right & counts), np.flatnonzero(~right & counts)
        results.append(PictureResult(index, found, int(hits), np.flatnonzero(missed), false))
    return sorted(results, key=lambda r: (r.f1, -len(r.missed) - len(r.false), r.index))


def _judged(
    detections: Sequence[Detections], samples: Sequence[Sample], classes: Sequence[str],
    score_threshold: float,
) -> Iterator[tuple[Detections, np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """Yield, for each picture, the detections that count and what `match` says of them.

    With them go the objects' class ids and whether they are difficult; both end with an entry
    for no object, of the class -1.
    """
    for found, sample in zip(align_classes(detections, samples, classes), samples, strict=True):
        found = found[found.scores >= score_threshold]
        difficult = np.append(np.asarray(sample.difficult, bool), False)
        yield found, match(found, sample), np.append(sample.class_ids, -1), difficult
