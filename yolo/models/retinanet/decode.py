"""Anchors, and from raw outputs to boxes in pixels and scores."""

from __future__ import annotations

import numpy as np
from keras import ops

from yolo.boxes.overlap import map_sizes, to_xyxy
from yolo.models.retinanet.settings import RetinaNetConfig


def at_most(count, limit: int):
    """Return the smaller of a number, or scalar tensor, and a limit; a number if it was one."""
    return min(count, limit) if isinstance(count, int) else ops.minimum(count, limit)


def cell_anchors(config: RetinaNetConfig, level: int) -> np.ndarray:
    """Return the anchors of one cell around its centre, (A, 4) float32 xyxy.

    Width is sqrt(area / ratio), height ratio times that, with ratio = height / width; or both are
    those of `config.anchors`, in their order.
    """
    if config.anchors:
        own = np.array(config.anchors, "float32").reshape(len(config.strides), -1, 2)[level]
        return np.concatenate([-own, own], axis=-1) / 2
    scales = np.array(config.anchor_scales) * config.anchor_sizes[level]
    root = np.sqrt(np.array(config.anchor_ratios, "float32"))
    if config.rounded_anchors:
        scales = np.floor(scales + 1e-6)
    scales = scales.astype("float32")
    widths, heights = np.outer(1 / root, scales), np.outer(root, scales)  # (ratios, scales)
    corners = np.stack([-widths, -heights, widths, heights], axis=-1).reshape(-1, 4) / 2
    return np.round(corners) if config.rounded_anchors else corners


def make_anchors(config: RetinaNetConfig, image_size):
    """Return every anchor of a picture: (N, 4) float32 xyxy pixels, finest level first.

    Within a level they go row by row, column by column, and in a cell all scales of a ratio stand
    together. `image_size` (height, width) are numbers or scalar tensors.

    Reference:
        Lin et al. (2017), section 4, "Anchors".
    """
    parts = []
    for level, (rows, columns) in enumerate(map_sizes(config.strides, image_size)):
        steps = (config.strides[level],) * 2
        if config.rounded_anchors:
            steps = (image_size[0] // rows, image_size[1] // columns)
        y, x = (
            (ops.cast(ops.arange(count), "float32") + config.anchor_offset)
            * ops.cast(step, "float32")
            for count, step in zip((rows, columns), steps, strict=True)
        )
        x, y = ops.meshgrid(x, y)  # (rows, columns)
        centres = ops.reshape(ops.stack([x, y, x, y], axis=-1), (-1, 1, 4))
        anchors = centres + ops.convert_to_tensor(cell_anchors(config, level))
        parts.append(ops.reshape(anchors, (-1, 4)))
    return ops.concatenate(parts, axis=0)


def encode_boxes(boxes_xyxy, anchors):
    """Return what `decode_boxes` turns into these boxes (..., N, 4), which have an area.

    For each, the offset of the centre over its anchor's size and the logarithm of the size's ratio.

    Reference:
        Girshick et al. (2014), appendix C.
    """
    size = anchors[..., 2:] - anchors[..., :2]
    box_size = boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]
    offset = (boxes_xyxy[..., 2:] + boxes_xyxy[..., :2] - anchors[..., 2:] - anchors[..., :2]) / 2
    ratio = ops.log(ops.maximum(box_size, 1e-3) / size)
    return ops.concatenate([offset / size, ratio], axis=-1)


def decode_boxes(config: RetinaNetConfig, deltas, anchors):
    """Return (..., N, 4) corners in pixels of the network's picture, from outputs of that shape.

    Finite for any finite input: `config` has the limit. Anchors are (N, 4) xyxy.
    """
    size = anchors[..., 2:] - anchors[..., :2]
    centre = (anchors[..., 2:] + anchors[..., :2]) / 2 + deltas[..., :2] * size
    ratio = ops.minimum(deltas[..., 2:], config.max_log_scale)
    return to_xyxy(ops.concatenate([centre, ops.exp(ratio) * size], axis=-1))


def decode(config: RetinaNetConfig, outputs, image_size) -> dict:
    """Return the best candidates of each level, before any threshold and before suppression.

    A score below those of its level's best `config.candidates` pairs of anchor and class is 0.

    Returns:
        "boxes": (batch, N, 4) xyxy in pixels of the network's picture of `image_size` (height,
        width); "scores": (batch, N, C); N is at most `config.candidates` a level.

    Reference:
        Lin et al. (2017), section 4.1, "Inference".
    """
    logits = ops.cast(outputs["class_logits"], "float32")
    deltas = ops.cast(outputs["box_deltas"], "float32")
    anchors = make_anchors(config, image_size)
    boxes, scores, start = [], [], 0
    for rows, columns in map_sizes(config.strides, image_size):
        count = rows * columns * config.anchors_per_cell
        level = slice(start, start + count)
        start = start + count
        most = at_most(count, config.candidates)
        _, best = ops.top_k(ops.max(logits[:, level], axis=-1), most)  # (batch, most)
        found = ops.take_along_axis(logits[:, level], best[..., None], axis=1)
        score = ops.sigmoid(found)
        if logits.shape[-1] > 1:
            flat = ops.reshape(found, (ops.shape(found)[0], -1))
            last = ops.top_k(flat, most)[0][:, -1]
            # Not minus infinity before the sigmoid: int8 would have to hold it.
            score = ops.where(found >= last[:, None, None], score, 0.0)
        scores.append(score)
        chosen = ops.take_along_axis(deltas[:, level], best[..., None], axis=1)
        boxes.append(decode_boxes(config, chosen, ops.take(anchors[level], best, axis=0)))
    return {"boxes": ops.concatenate(boxes, axis=1), "scores": ops.concatenate(scores, axis=1)}
