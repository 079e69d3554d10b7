"""How well anchors fit the objects of a data set, and anchors that fit better.

Works on plain arrays in pixels of the network's picture, whatever detector the anchors are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from yolo.boxes.pairwise import pairwise_iou
from yolo.data.sample import Sample
from yolo.pictures.fit import fit_window

GOOD_IOU = 0.5
FEWEST_REACHED = 0.9  # of a class's objects, else its anchors are no good
ROUNDS, STARTS = 100, 5
FEWEST_A_ANCHOR = 10  # objects; with fewer a stride's anchors stay as they are
MOST_SIZES = 50_000  # k-means looks at a random choice of more
MOST_BOXES, FEWEST_BOXES = 1_000, 100
MOST_PAIRS = 20_000_000  # of an object and an anchor that `box_recall` compares, about
BLOCK_PAIRS = 1_000_000  # compared at once: about 50 MB


@dataclass(frozen=True)
class Recall:
    """What anchors reach.

    Args:
        recall: share of objects that some anchor overlaps with `iou` or more, 0..1.
        mean_iou: mean over the objects of the best anchor's IoU.
        per_class: class name to (objects, recall, mean IoU), for classes with objects.
        iou: the overlap that counts.
        sampled: objects looked at, where not all were; else 0.
    """

    recall: float
    mean_iou: float
    per_class: dict[str, tuple[int, float, float]]
    iou: float = GOOD_IOU
    sampled: int = 0


def network_boxes(
    samples: Sequence[Sample], image_size: tuple[int, int], resize: str = "letterbox"
) -> tuple[np.ndarray, np.ndarray]:
    """Return all objects as the network meets them, without augmentation.

    Args:
        samples: the pictures.
        image_size: (height, width) of the network's picture.
        resize: "letterbox" or "stretch".

    Returns:
        (N, 4) float32 xyxy in pixels of the network's picture, and (N,) int32 class ids.
    """
    boxes, ids = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.int32)]
    for sample in samples:
        if len(sample.class_ids):
            top, left, height, width = fit_window(sample.size, image_size, resize)
            scale = np.array([width / sample.size[1], height / sample.size[0]], np.float32)
            corner = np.array([left, top], np.float32)
            boxes.append(sample.boxes_xyxy * np.tile(scale, 2) + np.tile(corner, 2))
            ids.append(sample.class_ids)
    return np.concatenate(boxes), np.concatenate(ids)


def box_sizes(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return (N, 2) widths and heights of boxes (N, 4)."""
    return boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]


def shape_overlap(sizes: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Return the IoU of boxes laid centre on centre.

    Args:
        sizes: (N, 2) widths and heights.
        shapes: (K, 2) of the anchors.

    Returns:
        (N, K) in 0..1.

    Example:
        >>> shape_overlap(np.array([[10.0, 10.0]]), np.array([[10.0, 20.0], [10.0, 10.0]]))
        array([[0.5, 1. ]])
    """
    a, b = np.asarray(sizes, np.float64)[:, None], np.asarray(shapes, np.float64)[None]
    shared = np.minimum(a, b).prod(-1)
    return shared / np.maximum(a.prod(-1) + b.prod(-1) - shared, 1e-12)


def shape_recall(sizes, class_ids, shapes, classes, *, iou: float = GOOD_IOU) -> Recall:
    """Return the best recall that anchors which lie in every cell can have, per class.

    Sizes (N, 2) and class ids (N,) are those of the objects, shapes (K, 2) widths and heights of
    the anchors; `iou` is the overlap that counts as reached.
    """
    best = _blocks(sizes, lambda part: shape_overlap(part, shapes).max(axis=1))
    return _recall(best, np.asarray(class_ids), classes, iou)


def box_recall(boxes_xyxy, class_ids, anchors_xyxy, classes, *, iou: float = GOOD_IOU) -> Recall:
    """Return the share of objects that any of the anchors matches where both lie, per class.

    For detectors such as RetinaNet, whose anchors are a fixed set of boxes. Of more objects than
    1,000, or fewer where there are very many anchors, a random choice is looked at, always the
    same.
    Boxes (N, 4) and class ids (N,) are those of the objects; anchors (A, 4) are all of the
    network's picture.
    """
    boxes, ids = np.asarray(boxes_xyxy, np.float32), np.asarray(class_ids)
    most = max(FEWEST_BOXES, min(MOST_BOXES, MOST_PAIRS // max(len(anchors_xyxy), 1)))
    sampled = len(boxes) > most
    if sampled:
        chosen = np.random.default_rng(0).choice(len(boxes), most, replace=False)
        boxes, ids = boxes[chosen], ids[chosen]
    anchors = np.asarray(anchors_xyxy, np.float32)
    found = _blocks(
        boxes, lambda part: pairwise_iou(part, anchors).max(axis=1),
        max(1, BLOCK_PAIRS // max(len(anchors), 1)),
    )  # fmt: skip
    return _recall(found, ids, classes, iou, len(boxes) if sampled else 0)


def fit_shapes(sizes, shapes, groups: Sequence[Sequence[int]], *, seed: int = 0) -> np.ndarray:
    """Fit anchors to objects by k-means on 1 - IoU, stride by stride.

    One k-means over everything moves all anchors to where most objects are, and the coarse
    strides are left with anchors for small objects. So each stride keeps its share of the sizes:
    an object belongs to the stride whose present anchors suit it best, and the anchors of a
    stride are fitted to its objects alone. A stride with hardly any object keeps its anchors.

    Args:
        sizes: (N, 2) widths and heights in pixels of the network's picture.
        shapes: (K, 2) the present anchors.
        groups: for each stride, finest first, the indices of its anchors.
        seed: decides the starts.

    Returns:
        (K, 2) rounded to whole pixels, each stride's by area; anchors in no group unchanged.
    """
    sizes, fitted = np.asarray(sizes, np.float64), np.array(shapes, np.float64)
    sizes = sizes[(sizes > 0).all(axis=1)]
    rng = np.random.default_rng(seed)
    if len(sizes) > MOST_SIZES:
        sizes = sizes[rng.choice(len(sizes), MOST_SIZES, replace=False)]
    own, taken = [], set()
    for group in groups:  # an anchor of two strides is fitted with the finer one
        own.append([i for i in dict.fromkeys(group) if i not in taken])
        taken.update(own[-1])
    used = [i for group in own for i in group]
    stride_of = np.concatenate([np.full(len(group), s) for s, group in enumerate(own)])
    if not len(sizes):
        return fitted
    belongs = stride_of[shape_overlap(sizes, fitted[used]).argmax(axis=1)]
    for stride, group in enumerate(own):
        mine = sizes[belongs == stride]
        if group and len(mine) >= FEWEST_A_ANCHOR * len(group):
            centres = np.maximum(np.round(_k_means(mine, len(group), rng)), 1)
            fitted[group] = centres[np.argsort(centres.prod(axis=1), kind="stable")]
    return fitted


def is_better(new: Recall, old: Recall) -> bool:
    """Tell whether new anchors are worth leaving those that pretrained weights know.

    They are when they reach clearly more objects, or as many clearly better.
    """
    if new.recall < old.recall - 0.005:
        return False
    return new.recall > old.recall + 0.005 or new.mean_iou > old.mean_iou + 0.01


def overlooks(found: Recall) -> bool:
    """Tell whether anchors reach less than `FEWEST_REACHED` of a class's objects."""
    return any(share < FEWEST_REACHED for _, share, _ in found.per_class.values())


def _k_means(sizes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return the centres (count, 2) with the best mean IoU of a few starts."""
    best, best_score = sizes[:count], -1.0
    for _ in range(STARTS):
        centres = _start(sizes, count, rng)
        assigned = None
        for _ in range(ROUNDS):
            nearest = shape_overlap(sizes, centres).argmax(axis=1)
            if assigned is not None and (nearest == assigned).all():
                break
            assigned = nearest
            for i in range(count):
                if (nearest == i).any():
                    centres[i] = np.median(sizes[nearest == i], axis=0)
        score = float(shape_overlap(sizes, centres).max(axis=1).mean())
        if score > best_score:
            best, best_score = centres, score
    return best


def _start(sizes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Choose objects far from each other as first centres (k-means++)."""
    centres = sizes[rng.integers(len(sizes))][None]
    while len(centres) < count:
        distance = (1 - shape_overlap(sizes, centres).max(axis=1)) ** 2
        total = distance.sum()
        chance = distance / total if total > 0 else None
        centres = np.concatenate([centres, sizes[rng.choice(len(sizes), p=chance)][None]])
    return centres


def _blocks(rows, function, count: int = 1024) -> np.ndarray:
    """Apply a function to `count` rows at a time, so that memory stays small."""
    rows = np.asarray(rows)
    parts = [function(rows[i : i + count]) for i in range(0, len(rows), count)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _recall(best: np.ndarray, ids: np.ndarray, classes, iou: float, sampled: int = 0) -> Recall:
    per_class = {}
    for class_id, name in enumerate(classes):
        mine = best[ids == class_id]
        if len(mine):
            per_class[name] = (len(mine), float((mine >= iou).mean()), float(mine.mean()))
    if not len(best):
        return Recall(float("nan"), float("nan"), {}, iou, sampled)
    return Recall(float((best >= iou).mean()), float(best.mean()), per_class, iou, sampled)
