"""Which anchors are responsible for which objects."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from yolo.boxes.ignored import at_least_one
from yolo.boxes.labels import CROWD, DIFFICULT
from yolo.boxes.overlap import fold_blocks, map_sizes, shape_iou
from yolo.models.yolov4.decode import cell_size, make_anchors
from yolo.models.yolov4.settings import YOLOv4Config, YOLOv4Loss

_BLOCK = 32  # objects compared at once in `class_shares`


class Targets(NamedTuple):
    """Pairs of an object and an anchor, as a fixed-size list; M objects x S anchor slots.

    A slot is an anchor of a level; each object meets each slot once, in the cell that holds its
    centre. No dense map of targets is made: what a pair needs is gathered at its anchor.

    Attributes:
        positive: (batch, M, S) float32, 1 where the anchor is responsible for the object.
        ignored: (batch, M, S) float32, 1 where it would be, were the object not a difficult one.
        anchor: (batch, M, S) int32 index among the picture's N anchors.
        boxes_xyxy: (batch, M, 4) the objects' boxes in pixels.
        class_ids: (batch, M) int32, 0 where there is no object to learn.
        valid: (batch, M) bool, an object, difficult ones included.
        crowd: (batch, M) bool, a crowd.
    """

    positive: Any
    ignored: Any
    anchor: Any
    boxes_xyxy: Any
    class_ids: Any
    valid: Any
    crowd: Any


def assign(
    config: YOLOv4Config, settings: YOLOv4Loss, image_size, boxes_xyxy, class_ids
) -> Targets:
    """Pair objects with anchors by shape: the best one, and all above `settings.positive_iou`.

    The best is sought among the anchors that some level predicts; an anchor that two levels
    share is positive on both. Two objects may claim one anchor; then both pull on its box, and
    the classes of both are true there. Boxes are (batch, M, 4) pixels, and class ids (batch, M);
    what numbers below 0 mean is said in `yolo.boxes.labels`.

    Reference:
        darknet/src/yolo_layer.c, `delta_yolo_box` and `iou_thresh`.
    """
    boxes, class_ids = at_least_one(boxes_xyxy, class_ids)
    sizes = boxes[..., 2:] - boxes[..., :2]  # (batch, M, 2)
    there = ops.all(sizes > 0, axis=-1)
    learned = ops.logical_and(class_ids >= 0, there)
    difficult = ops.logical_and(class_ids == DIFFICULT, there)
    slots = [anchor for mask in config.masks for anchor in mask]
    slot_sizes = np.array([config.anchors[anchor] for anchor in slots], "float32")  # (S, 2)
    overlap = shape_iou(sizes[..., None, :], ops.convert_to_tensor(slot_sizes))  # (batch, M, S)
    best = overlap >= ops.max(overlap, axis=-1, keepdims=True)
    fits = ops.logical_or(best, overlap > settings.positive_iou)
    positive = ops.logical_and(fits, learned[..., None])
    ignored = ops.logical_and(fits, difficult[..., None])
    anchor = _anchor_indices(config, image_size, (boxes[..., :2] + boxes[..., 2:]) / 2)
    return Targets(
        ops.cast(positive, "float32"),
        ops.cast(ignored, "float32"),
        anchor,
        boxes,
        ops.maximum(class_ids, 0),
        ops.logical_or(learned, difficult),
        ops.logical_and(class_ids == CROWD, there),
    )


def class_shares(targets: Targets):
    """Return what the true class of each pair counts, beside others that claim its anchor.

    Where k pairs share an anchor and d of them have the pair's class it is k / d: 1 for all that
    are of one class. (batch, M, S) float32.
    """
    pairs = targets.positive, targets.anchor, targets.class_ids
    objects = targets.anchor.shape[1]

    def counted(positive, anchor, ids):
        """Return how many pairs of a block share each pair's anchor, and its class with it."""
        same = ops.cast(targets.anchor[:, :, None] == anchor[:, None], "float32")
        same = same * positive[:, None]  # (batch, M, block, S)
        of_class = ops.cast(targets.class_ids[:, :, None] == ids[:, None], "float32")
        return ops.sum(same, axis=2), ops.sum(same * of_class[..., None], axis=2)

    def with_block(first, positive, anchor, ids, *sums):
        found = counted(positive, anchor, ids)
        return sums[0] + found[0], sums[1] + found[1]

    if objects is not None and objects <= _BLOCK:
        every, alike = counted(*pairs)
    else:
        none = targets.positive * 0.0
        every, alike = fold_blocks(with_block, _BLOCK, pairs, none, none)
    return ops.maximum(every, 1.0) / ops.maximum(alike, 1.0)


def matched_anchors(
    config: YOLOv4Config, settings: YOLOv4Loss, image_size, boxes_xyxy, class_ids
) -> list[np.ndarray]:
    """Return the anchors that learn the objects of each picture, as boxes to be drawn.

    Takes what `assign` does; for each picture (k, 4) float32 xyxy, anchors centred in their cells.
    One that learns two objects stands there twice.
    """
    image_size = tuple(int(side) for side in image_size)
    anchors = ops.convert_to_numpy(make_anchors(config, image_size))
    found = assign(config, settings, image_size, boxes_xyxy, class_ids)
    positive, index = (ops.convert_to_numpy(part) for part in (found.positive, found.anchor))
    return [anchors[i[p > 0]] for p, i in zip(positive, index, strict=True)]


def _anchor_indices(config, image_size, centres):
    """Return (batch, M, S): the index of each slot's anchor in the cell that holds the centre."""
    indices, offset = [], 0
    levels = zip(config.masks, map_sizes(config.strides, image_size), strict=True)
    for mask, (rows, columns) in levels:
        sides = ops.stack(cell_size(image_size, rows, columns))
        cell = ops.cast(ops.floor(centres / sides), "int32")
        column = ops.clip(cell[..., 0], 0, columns - 1)
        row = ops.clip(cell[..., 1], 0, rows - 1)
        first = offset + (row * columns + column) * len(mask)
        indices += [first + slot for slot in range(len(mask))]
        offset = offset + rows * columns * len(mask)
    return ops.stack(indices, axis=-1)
