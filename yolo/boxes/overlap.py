"""Geometry of boxes: conversions, overlaps, and the overlap losses, for tensors."""

from __future__ import annotations

import math

from keras import ops

_TINY = 1e-7
_BLOCK = 32  # objects compared at once in `max_iou`


def to_xyxy(boxes_cxcywh):
    """Return (..., 4) corners."""
    centre, half = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def shape_iou(sizes_a, sizes_b):
    """Return the IoU, in 0..1, of boxes that share a centre, from their (width, height)."""
    overlap = ops.prod(ops.minimum(sizes_a, sizes_b), axis=-1)
    union = ops.prod(sizes_a, axis=-1) + ops.prod(sizes_b, axis=-1) - overlap
    return overlap / (union + _TINY)


def overlaps(boxes_a, boxes_b):
    """Return the IoU, in 0..1, of boxes (..., 4) that broadcast against each other."""
    a, b = ([boxes[..., i] for i in range(4)] for boxes in (boxes_a, boxes_b))
    width = ops.minimum(a[2], b[2]) - ops.maximum(a[0], b[0])
    height = ops.minimum(a[3], b[3]) - ops.maximum(a[1], b[1])
    overlap = ops.maximum(width, 0.0) * ops.maximum(height, 0.0)
    area_a, area_b = ((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b))
    return overlap / (area_a + area_b - overlap + _TINY)


def shares(boxes_a, boxes_b):
    """Return which share of each first box lies in the second, else as `overlaps`."""
    a, b = ([boxes[..., i] for i in range(4)] for boxes in (boxes_a, boxes_b))
    width = ops.minimum(a[2], b[2]) - ops.maximum(a[0], b[0])
    height = ops.minimum(a[3], b[3]) - ops.maximum(a[1], b[1])
    overlap = ops.maximum(width, 0.0) * ops.maximum(height, 0.0)
    return overlap / ((a[2] - a[0]) * (a[3] - a[1]) + _TINY)


def max_iou(boxes_xyxy, truth_xyxy, valid):
    """Return (batch, N): each box's largest IoU with any valid ground truth of its picture.

    0 where a picture has none. The ground truths, (batch, M), are taken in blocks, so that memory
    stays at N x 32 however many objects a picture holds.
    """
    return _largest(overlaps, boxes_xyxy, truth_xyxy, valid)


def max_share(boxes_xyxy, regions_xyxy, valid):
    """Return the largest share of each box's area that lies in one region; as `max_iou`."""
    return _largest(shares, boxes_xyxy, regions_xyxy, valid)


def _largest(measure, boxes_xyxy, truth_xyxy, valid):
    """Return the largest `measure` of each box with any valid ground truth, block by block."""
    boxes = boxes_xyxy[:, :, None]  # (batch, N, 1, 4)

    def best_in(truth, valid):
        found = measure(boxes, truth[:, None])  # (batch, N, block)
        return ops.max(found * ops.cast(valid[:, None], found.dtype), axis=-1)

    none = ops.zeros_like(boxes_xyxy[..., 0])
    objects = truth_xyxy.shape[1]
    if objects is not None and objects <= _BLOCK:
        return ops.maximum(none, best_in(truth_xyxy, valid)) if objects else none

    valid = ops.cast(valid, "float32")
    pictures = ops.sum(valid, axis=1, keepdims=True)
    none = none + 0.0 * pictures  # of as many as the loop makes it

    def with_block(first, truth, valid, best):
        return (ops.maximum(best, best_in(truth, valid)),)

    return fold_blocks(with_block, _BLOCK, (truth_xyxy, valid), none)[0]


def fold_blocks(step, size: int, arrays, *state) -> tuple:
    """Return the state after step(index of the first, *parts, *state) on every `size` objects.

    The arrays (batch, M, ...) go on with zeros where the last block is not full. It is a loop, and
    not one operation after another: TensorFlow would compute all blocks at once.
    """
    batch, objects = ops.shape(arrays[0])[:2]
    rests = [len(array.shape) - 2 for array in arrays]
    padded = [
        ops.pad(array, ((0, 0), (0, size), *[(0, 0)] * rest))
        for array, rest in zip(arrays, rests, strict=True)
    ]

    def with_block(number, state):
        first = number * size
        parts = [
            ops.slice(array, (0, first, *[0] * rest), (batch, size, *ops.shape(array)[2:]))
            for array, rest in zip(padded, rests, strict=True)
        ]
        return step(first, *parts, *state)

    return ops.fori_loop(0, (objects + size - 1) // size, with_block, state)


def box_similarity(predicted_xyxy, truth_xyxy, kind="ciou"):
    """Return how alike pairs of boxes are; 1 - similarity is the location loss.

    Args:
        predicted_xyxy: (..., 4).
        truth_xyxy: (..., 4).
        kind: "iou", "giou", "diou", "ciou" or "siou".

    Returns:
        (...) at most 1; "iou" at least 0, "giou" and "diou" at least -1.

    Raises:
        ValueError: `kind` is none of these.

    Reference:
        GIoU: Rezatofighi et al. (2019). DIoU, CIoU: Zheng et al. (2020), equations 7 and 10.
        SIoU: Gevorgyan (2022), equations 1 to 4.
    """
    if kind not in LOCATION_KINDS:
        raise ValueError(f"kind must be one of {LOCATION_KINDS}. Received: {kind!r}.")
    size_p = ops.maximum(predicted_xyxy[..., 2:] - predicted_xyxy[..., :2], 0.0)
    size_t = ops.maximum(truth_xyxy[..., 2:] - truth_xyxy[..., :2], 0.0)
    low = ops.maximum(predicted_xyxy[..., :2], truth_xyxy[..., :2])
    high = ops.minimum(predicted_xyxy[..., 2:], truth_xyxy[..., 2:])
    overlap = ops.prod(ops.maximum(high - low, 0.0), axis=-1)
    union = ops.prod(size_p, axis=-1) + ops.prod(size_t, axis=-1) - overlap
    iou = overlap / (union + _TINY)
    if kind == "iou":
        return iou
    hull = ops.maximum(predicted_xyxy[..., 2:], truth_xyxy[..., 2:]) - ops.minimum(
        predicted_xyxy[..., :2], truth_xyxy[..., :2]
    )
    if kind == "giou":
        hull_area = ops.prod(hull, axis=-1)
        return iou - (hull_area - union) / (hull_area + _TINY)
    centre_p = (predicted_xyxy[..., :2] + predicted_xyxy[..., 2:]) / 2
    centre_t = (truth_xyxy[..., :2] + truth_xyxy[..., 2:]) / 2
    offset = centre_t - centre_p
    if kind == "siou":
        return iou - _siou_penalty(offset, hull, size_p, size_t)
    distance = ops.sum(ops.square(offset), axis=-1) / (ops.sum(ops.square(hull), axis=-1) + _TINY)
    if kind == "diou":
        return iou - distance
    angle_t = ops.arctan2(size_t[..., 0], size_t[..., 1] + _TINY)
    angle_p = ops.arctan2(size_p[..., 0], size_p[..., 1] + _TINY)
    aspect = (4 / math.pi**2) * ops.square(angle_t - angle_p)
    # The trade-off factor is a constant for the gradient, as in the paper.
    trade_off = ops.stop_gradient(aspect / (1.0 - iou + aspect + _TINY))
    return iou - distance - trade_off * aspect


def _siou_penalty(offset, hull, size_p, size_t):
    """Return half the distance cost plus half the shape cost of SIoU."""
    length = ops.sqrt(ops.sum(ops.square(offset), axis=-1) + _TINY)
    sine = ops.minimum(ops.abs(offset[..., 1]) / length, 1.0)
    # cos(2 arcsin(s) - pi/2) = 2 s sqrt(1 - s^2); the square root needs a floor for its gradient.
    angle_cost = 2.0 * sine * ops.sqrt(ops.maximum(1.0 - ops.square(sine), _TINY))
    relative = ops.square(offset / (hull + _TINY))
    distance = ops.sum(1.0 - ops.exp(-(2.0 - angle_cost)[..., None] * relative), axis=-1)
    change = ops.abs(size_p - size_t) / (ops.maximum(size_p, size_t) + _TINY)
    shape = ops.sum(ops.power(1.0 - ops.exp(-change), 4), axis=-1)
    return (distance + shape) / 2


LOCATION_KINDS = ("iou", "giou", "diou", "ciou", "siou")


def map_sizes(strides, image_size) -> list[tuple]:
    """Return (rows, columns) of the map of each stride: cells that begin inside the picture.

    Its (height, width) are numbers or scalar tensors.

    Example:
        >>> map_sizes((16, 32), (64, 80))
        [(4, 5), (2, 3)]
    """
    height, width = image_size
    return [((height + s - 1) // s, (width + s - 1) // s) for s in strides]
