"""Every box with every other, in NumPy; `overlap` has what tensors need."""

from __future__ import annotations

import numpy as np


def pairwise_iou(boxes_a, boxes_b, *, extra: float = 0.0) -> np.ndarray:
    """Return the IoU (N, M) of every box (N, 4) with every other (M, 4), 0 for one without area.

    A side is `extra` pixels longer than its corners are apart: 1 where the right and lower edges
    are the last pixels inside.

    Example:
        >>> pairwise_iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [5, 5, 6, 6]]))
        array([[0.33333333, 0.        ]])
    """
    shared, areas_a, areas_b = _areas(boxes_a, boxes_b, extra)
    union = areas_a + areas_b - shared
    return np.where(shared > 0, shared / np.maximum(union, 1e-12), 0.0)


def covered_share(boxes, others) -> np.ndarray:
    """Return the share (N, M) of each box (N, 4) that each other box (M, 4) covers.

    Example:
        >>> covered_share(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2]]))
        array([[0.5]])
    """
    shared, areas, _ = _areas(boxes, others, 0.0)
    return shared / np.maximum(areas, 1e-6)


def _areas(boxes_a, boxes_b, extra: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the areas shared (N, M), of the one boxes (N, 1) and of the others (1, M)."""
    a, b = np.asarray(boxes_a)[:, None], np.asarray(boxes_b)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + extra
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    areas = (np.prod(box[..., 2:] - box[..., :2] + extra, axis=-1) for box in (a, b))
    return shared, *areas
