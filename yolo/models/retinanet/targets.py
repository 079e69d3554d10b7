"""Which anchors are positive, negative or ignored, and which object a positive belongs to."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from yolo.boxes.ignored import at_least_one, in_crowd
from yolo.boxes.labels import CROWD, DIFFICULT
from yolo.boxes.overlap import fold_blocks, map_sizes, overlaps
from yolo.models.retinanet.decode import at_most, make_anchors
from yolo.models.retinanet.settings import RetinaNetConfig, RetinaNetLoss

BACKGROUND = -1
IGNORED = -2
ATSS_CELLS = 9  # candidates of an object on each level (Zhang et al. 2020, k)
_BLOCK = 8  # objects compared at once: memory is a few times anchors x block


class Targets(NamedTuple):
    """What each anchor shall learn, as integers; no dense map of classes is made.

    Attributes:
        matched: (batch, N) int32: index of the object, `BACKGROUND` or `IGNORED`.
        boxes_xyxy: (batch, M, 4) the objects' boxes in pixels.
        class_ids: (batch, M) int32, 0 where there is no object to learn.
    """

    matched: Any
    boxes_xyxy: Any
    class_ids: Any


def assign(
    config: RetinaNetConfig, settings: RetinaNetLoss, image_size, anchors, boxes_xyxy, class_ids
) -> Targets:
    """Match anchors (N, 4), of `decode.make_anchors`, with objects.

    Difficult objects are matched like all others; the anchors that would be theirs are ignored. So
    are those in a crowd that would be background. Boxes are (batch, M, 4) pixels, and class ids
    (batch, M); what numbers below 0 mean is said in `yolo.boxes.labels`.

    Reference:
        Lin et al. (2017), section 4, "Anchors".
    """
    boxes, class_ids = at_least_one(boxes_xyxy, class_ids)
    there = ops.all(boxes[..., 2:] > boxes[..., :2], axis=-1)
    crowd = ops.logical_and(class_ids == CROWD, there)
    valid = ops.logical_and(ops.logical_or(class_ids >= 0, class_ids == DIFFICULT), there)
    if settings.matcher == "atss":
        matched = _by_statistics(config, image_size, anchors, boxes, valid)
    else:
        matched = _by_overlap(settings, anchors, boxes, valid)
    owner = ops.take_along_axis(class_ids, ops.maximum(matched, 0), axis=1)
    ignored = ops.logical_and(matched >= 0, owner == DIFFICULT)
    crowded = ops.logical_and(matched == BACKGROUND, in_crowd(anchors[None], boxes, crowd))
    matched = ops.where(ops.logical_or(ignored, crowded), IGNORED, matched)
    return Targets(ops.stop_gradient(matched), boxes, ops.maximum(class_ids, 0))


def matched_anchors(
    config: RetinaNetConfig, settings: RetinaNetLoss, image_size, boxes_xyxy, class_ids
) -> list[np.ndarray]:
    """Return the anchors that learn the objects of each picture, as boxes to be drawn.

    Takes what `assign` does; for each picture (k, 4) float32 xyxy.
    """
    anchors = make_anchors(config, tuple(int(side) for side in image_size))
    found = assign(config, settings, image_size, anchors, boxes_xyxy, class_ids)
    anchors, matched = ops.convert_to_numpy(anchors), ops.convert_to_numpy(found.matched)
    return [anchors[row >= 0] for row in matched]


def _by_overlap(settings: RetinaNetLoss, anchors, boxes, valid):
    """Return (batch, N) by two thresholds on the best overlap, and by force where wanted."""
    boxes = ops.where(valid[..., None], boxes, -1e6)  # outside of everything none overlaps

    def fold(step, *state):
        """Return the state after step(index of the first, IoU (batch, N, block), *state)."""

        def on_block(first, part, *state):
            return step(first, overlaps(anchors[None, :, None], part[:, None]), *state)

        return fold_blocks(on_block, _BLOCK, [boxes], *state)

    def best_object(first, iou, best, owner):
        block_best = ops.max(iou, axis=-1)  # (batch, N)
        block_owner = ops.cast(ops.argmax(iou, axis=-1), "int32") + first
        return ops.maximum(best, block_best), ops.where(block_best > best, block_owner, owner)

    none = ops.zeros_like(boxes[:, :1, 0] + anchors[None, :, 0])  # (batch, N)
    best, owner = fold(best_object, none, ops.cast(none, "int32"))
    matched = ops.where(
        best >= settings.foreground_iou,
        owner,
        ops.where(best < settings.background_iou, BACKGROUND, IGNORED),
    )
    if not settings.force_match:
        return matched

    def forced_here(first, iou, forced):
        most = ops.max(iou, axis=1, keepdims=True)  # (batch, 1, block), the object's best overlap
        chosen = ops.logical_and(iou >= most, most > 0)
        return (ops.logical_or(forced, ops.any(chosen, axis=-1)),)

    # A forced anchor goes to the object that it overlaps most, which need not be the one that
    # forced it; torchvision's and detectron2's matchers do the same.
    (forced,) = fold(forced_here, ops.cast(none, "bool"))
    return ops.where(forced, owner, matched)


def _by_statistics(config: RetinaNetConfig, image_size, anchors, boxes, valid):
    """Return (batch, N) by adaptive training sample selection.

    On each level the anchors of the cells nearest to an object's centre are its candidates;
    positive are those that overlap it by at least mean plus deviation of all its candidates and
    have their centre inside it. No anchor is ignored.

    Reference:
        Zhang et al. (2020), ATSS, algorithm 1.
    """
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2  # (batch, M, 2)
    candidates, start = [], 0
    for rows, columns in map_sizes(config.strides, image_size):
        cells = rows * columns
        level = anchors[start : start + cells * config.anchors_per_cell]
        cell = ops.reshape(level, (-1, config.anchors_per_cell, 4))[:, 0]
        middle = (cell[:, :2] + cell[:, 2:]) / 2  # (cells, 2)
        distance = ops.sum(ops.square(centres[..., None, :] - middle), axis=-1)
        _, near = ops.top_k(-distance, at_most(cells, ATSS_CELLS))  # (batch, M, k)
        near = ops.cast(near, "int32")[..., None] * config.anchors_per_cell + start
        near = near + ops.arange(config.anchors_per_cell, dtype="int32")
        candidates.append(ops.reshape(near, (*ops.shape(near)[:2], -1)))
        start = start + cells * config.anchors_per_cell
    near = ops.concatenate(candidates, axis=-1)  # (batch, M, S)
    at = ops.take(anchors, near, axis=0)  # (batch, M, S, 4)
    iou = overlaps(at, boxes[..., None, :])
    threshold = ops.mean(iou, axis=-1, keepdims=True) + ops.std(iou, axis=-1, keepdims=True)
    middle = (at[..., :2] + at[..., 2:]) / 2
    inside = ops.logical_and(
        ops.all(middle > boxes[..., None, :2], axis=-1),
        ops.all(middle < boxes[..., None, 2:], axis=-1),
    )
    positive = ops.logical_and(ops.logical_and(iou >= threshold, inside), valid[..., None])
    return _strongest_claim(near, ops.where(positive, iou, 0.0), ops.shape(anchors)[0])


def _strongest_claim(near, iou, count):
    """Return (batch, count): of the objects that claim an anchor the one it overlaps most."""
    batch, objects = ops.shape(near)[:2]
    first = ops.reshape(ops.arange(batch, dtype="int32") * count, (-1, 1, 1))
    place = ops.reshape(near + first, (-1,))
    flat = ops.reshape(iou, (-1,))
    best = ops.maximum(ops.segment_max(flat, place, num_segments=batch * count), 0.0)
    wins = ops.logical_and(flat > 0, flat >= ops.take(best, place))
    owner = ops.reshape(ops.arange(objects, dtype="int32"), (1, -1, 1)) + ops.zeros_like(near)
    owner = ops.where(wins, ops.reshape(owner, (-1,)), BACKGROUND)
    owner = ops.segment_max(owner, place, num_segments=batch * count)
    return ops.reshape(ops.maximum(owner, BACKGROUND), (batch, count))
