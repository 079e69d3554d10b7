"""Boxes from raw maps, by hand and back again."""

import numpy as np

from yolo.models.yolov4.decode import Grid, decode, decode_boxes, flatten, make_grid
from yolo.models.yolov4.settings import TINY_MASKS, YOLOV4_TINY_ANCHORS, YOLOv4Config

CONFIG = YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["custom"])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_one_box_by_hand():
    grid = Grid(
        np.array([[3.0, 2.0]]), np.array([[16.0, 16.0]]), np.array([[23.0, 27.0]]), np.array([1.05])
    )
    raw = np.array([[0.4, -1.2, 0.1, -0.3]], "float32")
    cx = (_sigmoid(0.4) * 1.05 - 0.025 + 3) * 16
    cy = (_sigmoid(-1.2) * 1.05 - 0.025 + 2) * 16
    w, h = np.exp(0.1) * 23, np.exp(-0.3) * 27
    expected = [[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]]
    np.testing.assert_allclose(decode_boxes(raw, grid), expected, rtol=1e-5)


def test_grid_of_a_picture_that_is_wider_than_high():
    grid = make_grid(CONFIG, (32, 64))
    assert tuple(grid.cells_xy.shape) == (2 * 4 * 3 + 1 * 2 * 3, 2)
    cells = np.array(grid.cells_xy)
    np.testing.assert_array_equal(cells[:3], [[0, 0]] * 3)  # the anchors of a cell are neighbours
    np.testing.assert_array_equal(cells[3], [1, 0])  # then the next column
    np.testing.assert_array_equal(cells[12], [0, 1])  # then the next row
    np.testing.assert_array_equal(np.array(grid.strides)[[0, 23, 24, 29], 0], [16, 16, 32, 32])
    np.testing.assert_array_equal(np.array(grid.sizes)[:3], YOLOV4_TINY_ANCHORS[:3])
    np.testing.assert_array_equal(np.array(grid.sizes)[-1], YOLOV4_TINY_ANCHORS[5])


def test_flatten_follows_the_grids_order():
    maps = {
        16: np.arange(2 * 4 * 3 * 7, dtype="float32").reshape(1, 2, 4, 21),
        32: 1000 + np.arange(2 * 3 * 7, dtype="float32").reshape(1, 1, 2, 21),
    }
    flat = np.array(flatten(CONFIG, maps))
    assert flat.shape == (1, 30, 7)
    np.testing.assert_array_equal(flat[0, 3 * 5 + 2], maps[16][0, 1, 1, 14:21])
    np.testing.assert_array_equal(flat[0, 24 + 3 + 1], maps[32][0, 0, 1, 7:14])


def test_score_is_objectness_times_class_probability():
    maps = {16: np.zeros((1, 2, 2, 21), "float32"), 32: np.zeros((1, 1, 1, 21), "float32")}
    maps[32][0, 0, 0, 4:7] = [1.0, 2.0, -1.0]
    found = decode(CONFIG, maps, (32, 32))
    assert found["boxes"].shape == (1, 15, 4) and found["scores"].shape == (1, 15, 2)
    expected = _sigmoid(1.0) * _sigmoid(np.array([2.0, -1.0]))
    np.testing.assert_allclose(found["scores"][0, 12], expected, rtol=1e-5)
    np.testing.assert_allclose(found["scores"][0, 0], [0.25, 0.25])


def test_any_finite_map_gives_finite_boxes():
    for value in (-1e4, 1e4):
        maps = {
            16: np.full((1, 2, 2, 21), value, "float32"),
            32: np.full((1, 1, 1, 21), value, "float32"),
        }
        assert np.isfinite(decode(CONFIG, maps, (32, 32))["boxes"]).all()


def test_cells_are_spread_over_a_picture_that_no_stride_divides():
    """In Darknet a centre is a share of the grid, whatever its cells measure in pixels."""
    config = YOLOv4Config("darknet", ((20, 24),), ((0,),), strides=(16,))
    maps = {16: np.zeros((1, 6, 7, 6), "float32")}
    boxes = np.array(decode(config, maps, (88, 104))["boxes"][0]).reshape(6, 7, 4)
    x, y = (boxes[..., 0] + boxes[..., 2]) / 2, (boxes[..., 1] + boxes[..., 3]) / 2
    np.testing.assert_allclose(x[3], (np.arange(7) + 0.5) / 7 * 104, rtol=1e-6)
    np.testing.assert_allclose(y[:, 3], (np.arange(6) + 0.5) / 6 * 88, rtol=1e-6)
    np.testing.assert_allclose(boxes[..., 2] - boxes[..., 0], 20, rtol=1e-5)
