"""From raw maps to boxes in pixels and scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from yolo.boxes.overlap import map_sizes, to_xyxy
from yolo.models.yolov4.settings import YOLOv4Config


class Grid(NamedTuple):
    """Where each anchor stands; N counts all anchors, finest stride first, then row, column.

    Attributes:
        cells_xy: (N, 2) column and row of the anchor's cell.
        strides: (N,) pixels between cells.
        sizes: (N, 2) width and height of the anchor in pixels.
        scales_xy: (N,) Darknet's scale_x_y of its level.
    """

    cells_xy: Any
    strides: Any
    sizes: Any
    scales_xy: Any


def make_grid(config: YOLOv4Config, grid_sizes) -> Grid:
    """Return the anchors of all levels.

    Args:
        config: strides, anchors and masks.
        grid_sizes: (rows, columns) of each level, finest first; numbers or scalar tensors.
    """
    parts = []
    levels = zip(config.strides, config.masks, config.scales_xy, grid_sizes, strict=True)
    for stride, mask, scale, (rows, columns) in levels:
        count = len(mask)
        column, row = ops.meshgrid(ops.arange(columns), ops.arange(rows))
        cells = ops.stack([ops.reshape(column, (-1,)), ops.reshape(row, (-1,))], axis=-1)
        cells = ops.cast(ops.repeat(cells, count, axis=0), "float32")  # (rows * columns * count, 2)
        ones = ops.ones_like(cells[:, 0])
        sizes = np.array([config.anchors[index] for index in mask], "float32")
        sizes = ops.tile(ops.convert_to_tensor(sizes), (rows * columns, 1))
        parts.append((cells, ones * stride, sizes, ones * scale))
    return Grid(*(ops.concatenate(columns, axis=0) for columns in zip(*parts, strict=True)))


def make_anchors(config: YOLOv4Config, image_size):
    """Return every anchor of a picture around its cell's centre, (N, 4) xyxy pixels."""
    grid = make_grid(config, map_sizes(config.strides, image_size))
    centres = (grid.cells_xy + 0.5) * grid.strides[:, None]
    return to_xyxy(ops.concatenate([centres, grid.sizes], axis=-1))


def flatten(config: YOLOv4Config, maps):
    """Return the raw maps as one (batch, N, 5 + C) float32 tensor, in `Grid`'s order."""
    levels = []
    for stride, mask in zip(config.strides, config.masks, strict=True):
        raw = maps[stride]  # (batch, h, w, anchors * (5 + C))
        levels.append(ops.reshape(raw, (ops.shape(raw)[0], -1, raw.shape[-1] // len(mask))))
    return ops.cast(ops.concatenate(levels, axis=1), "float32")


def decode_boxes(raw_boxes, grid: Grid):
    """Return corners in pixels of the network's picture.

    The centre is (sigmoid(t) * s - (s - 1) / 2 + cell) * stride, the size exp(t) * anchor.

    Args:
        raw_boxes: (..., N, 4) raw x, y, w, h.
        grid: the N anchors they belong to; its arrays may have leading dimensions, too.

    Returns:
        (..., N, 4) xyxy; finite for any finite input.

    Reference:
        darknet/src/yolo_layer.c, get_yolo_box, with `new_coords=0`.
    """
    scale = grid.scales_xy[..., None]
    centre = ops.sigmoid(raw_boxes[..., :2]) * scale - (scale - 1.0) / 2.0 + grid.cells_xy
    centre = centre * grid.strides[..., None]
    # exp(10) anchors are wider than any picture; the clip keeps the box and its gradient finite.
    size = ops.exp(ops.clip(raw_boxes[..., 2:4], -10.0, 10.0)) * grid.sizes
    return to_xyxy(ops.concatenate([centre, size], axis=-1))


def decode(config: YOLOv4Config, maps, image_size) -> dict:
    """Return what the maps say, before any threshold and before suppression.

    Args:
        config: the network's settings.
        maps: its outputs, {stride: (batch, h, w, anchors * (5 + C))}.
        image_size: (height, width) of the network's picture.

    Returns:
        "boxes": (batch, N, 4) xyxy in pixels of the network's picture; "scores": (batch, N, C),
        objectness times class probability.
    """
    raw = flatten(config, maps)
    boxes = decode_boxes(raw[..., :4], make_grid(config, map_sizes(config.strides, image_size)))
    scores = ops.sigmoid(raw[..., 4:5]) * ops.sigmoid(raw[..., 5:])
    return {"boxes": boxes, "scores": scores}
