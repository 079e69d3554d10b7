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
        strides: (N, 2) pixels between cells, across and down: the level's stride, but where that
            does not divide the picture, over which Darknet spreads the cells.
        sizes: (N, 2) width and height of the anchor in pixels.
        scales_xy: (N,) Darknet's scale_x_y of its level.
    """

    cells_xy: Any
    strides: Any
    sizes: Any
    scales_xy: Any


def make_grid(config: YOLOv4Config, image_size) -> Grid:
    """Return the anchors of all levels.

    `image_size` (height, width) of the network's picture are numbers or scalar tensors.
    """
    parts = []
    grid_sizes = map_sizes(config.strides, image_size)
    levels = zip(config.masks, config.scales_xy, grid_sizes, strict=True)
    for mask, scale, (rows, columns) in levels:
        count = len(mask)
        column, row = ops.meshgrid(ops.arange(columns), ops.arange(rows))
        cells = ops.stack([ops.reshape(column, (-1,)), ops.reshape(row, (-1,))], axis=-1)
        cells = ops.cast(ops.repeat(cells, count, axis=0), "float32")  # (rows * columns * count, 2)
        ones = ops.ones_like(cells[:, 0])
        across, down = cell_size(image_size, rows, columns)
        strides = ops.stack([ones * across, ones * down], axis=-1)
        sizes = np.array([config.anchors[index] for index in mask], "float32")
        sizes = ops.tile(ops.convert_to_tensor(sizes), (rows * columns, 1))
        parts.append((cells, strides, sizes, ones * scale))
    return Grid(*(ops.concatenate(columns, axis=0) for columns in zip(*parts, strict=True)))


def cell_size(image_size, rows, columns) -> tuple:
    """Return the (width, height) in pixels of the cells of a map of a picture (height, width)."""
    height, width, rows, columns = (
        ops.cast(side, "float32") for side in (*image_size, rows, columns)
    )
    return width / columns, height / rows


def make_anchors(config: YOLOv4Config, image_size):
    """Return every anchor of a picture around its cell's centre, (N, 4) xyxy pixels."""
    grid = make_grid(config, image_size)
    centres = (grid.cells_xy + 0.5) * grid.strides
    return to_xyxy(ops.concatenate([centres, grid.sizes], axis=-1))


def flatten(config: YOLOv4Config, maps):
    """Return the raw maps as one (batch, N, 5 + C) float32 tensor, in `Grid`'s order."""
    levels = []
    for stride, mask in zip(config.strides, config.masks, strict=True):
        raw = maps[stride]  # (batch, h, w, anchors * (5 + C))
        levels.append(ops.reshape(raw, (ops.shape(raw)[0], -1, raw.shape[-1] // len(mask))))
    return ops.cast(ops.concatenate(levels, axis=1), "float32")


def codes_of(raw_boxes, grid: Grid, *, new_coords: bool = False):
    """Return what raw outputs (..., N, 4) say in the units in which Darknet compares them.

    The centre's place from its cell's corner is sigmoid(t) * s - (s - 1) / 2, in cells; the size
    stays t, or is sigmoid(t) with `new_coords`. The grid is that of the N anchors; its arrays may
    have leading dimensions, too.
    """
    size = raw_boxes[..., 2:4]
    size = ops.sigmoid(size) if new_coords else size
    return ops.concatenate([_places(raw_boxes, grid), size], axis=-1)


def encode_boxes(boxes_xyxy, grid: Grid, *, new_coords: bool = False):
    """Return the codes of boxes (..., N, 4), what `codes_of` should be where they are predicted.

    The size is ln(w / anchor), or sqrt(w / (4 anchor)) with `new_coords`.

    Reference:
        darknet/src/yolo_layer.c, delta_yolo_box, the case MSE.
    """
    centre = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2 / grid.strides
    ratio = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]) / grid.sizes
    ratio = ops.maximum(ratio, 1e-7)  # of padding, too, which has no size
    size = ops.sqrt(ratio / 4.0) if new_coords else ops.log(ratio)
    return ops.concatenate([centre - grid.cells_xy, size], axis=-1)


def decode_boxes(raw_boxes, grid: Grid, *, new_coords: bool = False):
    """Return corners (..., N, 4) in pixels of the network's picture, finite for any finite input.

    The centre is (sigmoid(t) * s - (s - 1) / 2 + cell) * stride, the size exp(t) * anchor, or
    (2 sigmoid(t))^2 * anchor with `new_coords`. For the arguments see `codes_of`.

    Reference:
        darknet/src/yolo_layer.c, get_yolo_box; with `new_coords=1` the logistic that a cfg puts
        into the convolution before is taken here.
    """
    centre = (_places(raw_boxes, grid) + grid.cells_xy) * grid.strides
    if new_coords:
        size = 4.0 * ops.square(ops.sigmoid(raw_boxes[..., 2:4])) * grid.sizes
    else:
        # exp(10) anchors are wider than any picture; the clip keeps box and gradient finite.
        size = ops.exp(ops.clip(raw_boxes[..., 2:4], -10.0, 10.0)) * grid.sizes
    return to_xyxy(ops.concatenate([centre, size], axis=-1))


def _places(raw_boxes, grid: Grid):
    """Return (..., N, 2), the centre from its cell's corner, in cells."""
    scale = grid.scales_xy[..., None]
    return ops.sigmoid(raw_boxes[..., :2]) * scale - (scale - 1.0) / 2.0


def decode(config: YOLOv4Config, maps, image_size) -> dict:
    """Return what the maps {stride: (batch, h, w, anchors * (5 + C))} say, before any threshold.

    Returns:
        "boxes": (batch, N, 4) xyxy in pixels of the network's picture; "scores": (batch, N, C),
        objectness times class probability; before suppression.
    """
    raw = flatten(config, maps)
    grid = make_grid(config, image_size)
    boxes = decode_boxes(raw[..., :4], grid, new_coords=config.new_coords)
    scores = ops.sigmoid(raw[..., 4:5]) * ops.sigmoid(raw[..., 5:])
    return {"boxes": boxes, "scores": scores}
