"""Non-maximum suppression: of boxes that cover the same object, keep the best one.

Plain greedy suppression by IoU. Candidates are taken best first in blocks; a block is compared
with the boxes kept so far and then with itself, so memory stays at a block times the kept boxes
however many candidates there are, and the work stops as soon as enough boxes are kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

_BLOCK = 256


def nms(boxes_xyxy: ArrayLike, scores: ArrayLike, *, iou_threshold: float) -> np.ndarray:
    """Return which boxes survive greedy suppression within one class, best first.

    A box is suppressed when its IoU with a better kept box is greater than the threshold; boxes
    are half-open, so two that only share an edge do not overlap. Equal scores keep input order.

    Args:
        boxes_xyxy: (N, 4) corners, any unit.
        scores: (N,) any finite numbers; greater is better.
        iou_threshold: in 0..1; 1 keeps everything.

    Returns:
        (K,) int64 indices into `boxes_xyxy`.

    Raises:
        ValueError: there are not as many boxes as scores.

    Example:
        >>> boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]]
        >>> nms(boxes, [0.8, 0.9, 0.7], iou_threshold=0.5).tolist()
        [1, 2]
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    scores = np.asarray(scores).reshape(-1)
    if len(boxes) != len(scores):
        raise ValueError(
            f"nms needs one score per box. Received: {len(boxes)} boxes and {len(scores)} scores."
        )
    order = np.argsort(-scores, kind="stable")
    return order[_greedy(boxes[order], None, iou_threshold, None)]


def class_wise_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int | None = None,
    one_label: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Suppress within each class and return the best detections of all classes together.

    Multi-label: a box counts once for every class whose score reaches the threshold, as in
    Darknet. Boxes of different classes never suppress each other. With `one_label` a box counts
    for its best class only, and suppresses those of all classes. Candidates with a box or a
    score that is not finite are left out.

    Args:
        boxes: (N, 4) corners xyxy, any unit.
        scores: (N, C) score of each box for each class.
        score_threshold: the least score (inclusive) of a candidate.
        iou_threshold: in 0..1, see `nms`.
        max_detections: the most detections to return; None for no limit.
        one_label: whether an object has one class.

    Returns:
        boxes (K, 4) float32, scores (K,) float32 and class ids (K,) int32, best first; equal
        scores in the order of the boxes, then of the classes.

    Example:
        >>> boxes, scores, class_ids = class_wise_nms(
        ...     [[0, 0, 10, 10], [0, 0, 10, 9]], [[0.75, 0.25], [0.5, 0.0]],
        ...     score_threshold=0.1, iou_threshold=0.5)
        >>> class_ids.tolist(), scores.tolist()
        ([0, 1], [0.75, 0.25])
        >>> class_wise_nms([[0, 0, 9, 9]], [[0.75, 0.25]], score_threshold=0.1, iou_threshold=0.5,
        ...                one_label=True)[2].tolist()
        [0]

    Reference:
        Darknet, `do_nms_sort` in src/box.c, with plain IoU.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    scores = np.asarray(scores, np.float32)
    if scores.ndim != 2 or len(scores) != len(boxes):
        raise ValueError(
            f"class_wise_nms needs scores of shape ({len(boxes)}, number of classes), one row "
            f"per box. Received: shape {scores.shape}."
        )
    if one_label:
        scores = _best_alone(scores)
    flat = scores.reshape(-1)
    candidates = np.flatnonzero(flat >= score_threshold)  # one pass over all; few are left
    rows = candidates // max(scores.shape[1], 1)
    finite = np.isfinite(boxes[rows]).all(axis=1) & (flat[candidates] < np.inf)
    candidates = candidates[finite]
    candidates = candidates[np.argsort(-flat[candidates], kind="stable")]
    rows, class_ids = np.divmod(candidates, max(scores.shape[1], 1))
    candidate_boxes = boxes[rows]
    groups = None if one_label else class_ids
    kept = _greedy(candidate_boxes.astype(np.float64), groups, iou_threshold, max_detections)
    return candidate_boxes[kept], flat[candidates[kept]], class_ids[kept].astype(np.int32)


def _best_alone(scores: np.ndarray) -> np.ndarray:
    """Return (N, C) scores with all but the first best finite one of each row out of the way."""
    if not scores.size:
        return scores
    scores = np.where(np.isfinite(scores), scores, -np.inf)
    best = scores.argmax(axis=1)[:, None]
    alone = np.full_like(scores, -np.inf)
    np.put_along_axis(alone, best, np.take_along_axis(scores, best, axis=1), axis=1)
    return alone


def _greedy(
    boxes: np.ndarray, groups: np.ndarray | None, iou_threshold: float, max_kept: int | None
) -> np.ndarray:
    """Suppress boxes that are already sorted best first; `groups` never meet, None is one."""
    limit = len(boxes) if max_kept is None else max_kept
    sides = boxes.T.copy()  # (4, N): each side lies together in memory
    areas = np.maximum(sides[2] - sides[0], 0) * np.maximum(sides[3] - sides[1], 0)
    kept = np.zeros(0, np.int64)
    for start in range(0, len(boxes), _BLOCK):
        if len(kept) >= limit:
            break
        block = np.arange(start, min(start + _BLOCK, len(boxes)))
        for first in range(0, len(kept), 4 * _BLOCK):
            better = kept[first : first + 4 * _BLOCK]
            clash = _clash(sides, areas, groups, block, better, iou_threshold)
            block = block[~clash.any(axis=1)]
        clash = np.triu(_clash(sides, areas, groups, block, block, iou_threshold), 1)
        alive = np.ones(len(block), bool)
        for i in np.flatnonzero(clash.any(axis=1)):
            if alive[i]:
                alive &= ~clash[i]
        kept = np.concatenate([kept, block[alive]])
    return kept[:limit]


def _clash(
    sides: np.ndarray,
    areas: np.ndarray,
    groups: np.ndarray | None,
    first: np.ndarray,
    second: np.ndarray,
    iou_threshold: float,
) -> np.ndarray:
    """Return whether IoU > threshold and the group is the same, (len(first), len(second)) bool.

    The quotient is multiplied out: a box without area then has no special case.
    """
    a, b = sides[:, first, None], sides[:, None, second]  # (4, F, 1), (4, 1, S)
    shared = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    np.maximum(shared, 0, out=shared)
    shared *= np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]), 0)
    clash = shared > iou_threshold * (areas[first, None] + areas[second] - shared)
    if groups is not None:
        clash &= groups[first, None] == groups[second]
    return clash
