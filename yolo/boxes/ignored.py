"""Objects that count neither way, for tensors; their class numbers are in `labels`."""

from __future__ import annotations

from keras import ops

from yolo.boxes.labels import CROWD_SHARE, PADDING
from yolo.boxes.overlap import max_share


def at_least_one(boxes_xyxy, class_ids):
    """Return the objects of a batch with room for one: reductions over none need no case then.

    Boxes (batch, M, 4) become float32 and ids (batch, M) int32, with one more, of padding, if M is
    0 or not known while a graph is made.
    """
    boxes, ids = ops.cast(boxes_xyxy, "float32"), ops.cast(class_ids, "int32")
    if not boxes.shape[1]:
        boxes = ops.pad(boxes, ((0, 0), (0, 1), (0, 0)))
        ids = ops.pad(ids, ((0, 0), (0, 1)), constant_values=PADDING)
    return boxes, ids


def in_crowd(boxes_xyxy, truth_xyxy, crowd):
    """Tell which boxes (batch or 1, N, 4) lie in a crowd, `CROWD_SHARE` of their area in one.

    `crowd` (batch, M) says which labels (batch, M, 4) are crowds. Where a batch has none, nothing
    is compared.
    """
    nowhere = ops.logical_and(boxes_xyxy[..., 0] != boxes_xyxy[..., 0], crowd[:, :1])

    def compare():
        share = max_share(boxes_xyxy + 0.0 * truth_xyxy[:, :1], truth_xyxy, crowd)
        return share >= CROWD_SHARE

    return ops.cond(ops.any(crowd), compare, lambda: nowhere)
