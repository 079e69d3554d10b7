"""Geometry and colour, each against numbers worked out by hand or by OpenCV."""

import colorsys

import cv2
import numpy as np
import pytest
import tensorflow as tf

from yolo.data import augment
from yolo.pictures.fit import fit_window


def window_of(size, target, origin, canvas):
    rows = (tf.constant([pair], tf.float64) for pair in (size, target, origin, canvas))
    return augment.visible_window(*rows)


def numbers(window):
    return [np.asarray(field)[0].tolist() for field in window]


def test_a_picture_inside_the_canvas_is_seen_whole():
    window = window_of((480, 640), (312, 416), (52, 0), (416, 416))
    assert numbers(window) == [[0, 0], [480, 640], [52, 0], [364, 416], [0.65, 0.65], [52, 0]]


def test_a_picture_beyond_the_canvas_is_cut_on_both_sides():
    window = window_of((100, 100), (200, 50), (-60, 90), (100, 100))
    # rows: twice as large, from 60 on: 30..80 fill 0..100; columns: halved, 90..100 show 0..20
    assert numbers(window) == [[30, 0], [80, 20], [0, 90], [100, 100], [2, 0.5], [-60, 90]]


@pytest.mark.parametrize("origin", [(-1e4, -1e4), (1e4, 1e4)])
@pytest.mark.parametrize("target", [(0.01, 0.01), (30, 5000)])
def test_something_is_always_seen(origin, target):
    start, end, low, high, scale, _ = numbers(window_of((40, 50), target, origin, (64, 96)))
    assert all(b - a >= 1 for a, b in zip(start + low, end + high, strict=True))
    assert min(start + low) >= 0 and end[0] <= 40 and end[1] <= 50
    assert high[0] <= 64 and high[1] <= 96 and min(scale) > 0


@pytest.mark.parametrize("size", [(480, 640), (77, 31), (1, 900), (333, 250), (416, 416)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_the_fitted_size_is_that_of_prediction(size, resize):
    canvas = tf.constant([[416, 608]], tf.float64)
    target = augment.fitted_size(tf.constant([size], tf.float64), canvas, resize=resize)
    expected = fit_window(size, (416, 608), resize)[2:]
    assert np.maximum(np.round(target[0]), 1).tolist() == list(expected)


class TestBoxes:
    window = window_of((100, 100), (200, 200), (-60, 0), (100, 200))  # rows 30..80, all columns

    def move(self, boxes, classes, **rules):
        boxes, classes = augment.move_boxes(
            tf.constant([boxes], tf.float32), tf.constant([classes]), self.window, **rules
        )
        return boxes[0].numpy().tolist(), classes[0].numpy().tolist()

    def test_padding_stays_padding(self):
        assert self.move([[0.0] * 4], [-1]) == ([[0.0] * 4], [-1])

    def test_boxes_move_and_are_cut(self):
        boxes, classes = self.move([[10, 40, 20, 60], [0, 0, 100, 100]], [3, 4])
        assert boxes == [[20, 20, 40, 60], [0, 0, 200, 100]]
        assert classes == [3, 4]

    def test_slivers_are_dropped_by_width_and_by_share(self):
        seen = [[0, 20, 10, 31], [0, 20, 10, 33]]  # one row of 11, 3 rows of 13: 2 and 6 pixels
        assert self.move(seen, [0, 0])[1] == [0, 0]
        assert self.move(seen, [0, 0], min_pixels=2.5)[1] == [-1, 0]
        assert self.move(seen, [0, 0], min_visible=0.2)[1] == [-1, 0]
        assert self.move(seen, [0, 0], min_visible=0.24)[1] == [-1, -1]
        assert self.move(seen, [0, 0], min_visible=0.24)[0] == [[0.0] * 4] * 2


@pytest.mark.parametrize("target", [(48, 64), (200, 130), (96, 128), (31, 333)])
def test_place_resizes_as_opencv_does(target):
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (96, 128, 3)).astype(np.uint8), (0, 0), 2)
    canvas = (target[0] + 7, target[1] + 9)
    placed = augment.place(
        tf.constant(image),
        tf.constant([3, 4]),
        tf.constant([3 + target[0], 4 + target[1]]),
        tf.constant(canvas),
    ).numpy()
    expected = np.full((*canvas, 3), 128, np.uint8)
    expected[3:-4, 4:-5] = cv2.resize(image, target[::-1])
    assert placed.dtype == np.uint8
    assert np.abs(placed.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("chance", [(0.0, 0.0), (0.5, 0.999), (0.3, 0.7)])
def test_the_quarters_of_a_mosaic_tile_the_canvas(chance):
    sizes, corners, inner = augment.mosaic_quarters(
        tf.constant([100, 200], tf.float64), tf.constant(chance, tf.float64)
    )
    count = np.zeros((100, 200), int)
    for (height, width), (top, left) in zip(
        *(x.numpy().astype(int) for x in (sizes, corners)), strict=True
    ):
        count[top : top + height, left : left + width] += 1
    assert (count == 1).all()
    assert 30 <= sizes[0, 0] <= 70 and 60 <= sizes[0, 1] <= 140
    centre = (corners + inner * sizes).numpy()
    assert (centre == centre[0]).all()
    parts = [np.full((*s.astype(int), 3), n) for n, s in enumerate(sizes.numpy())]
    joined = augment.join_quarters([tf.constant(p) for p in parts]).numpy()
    assert joined[[0, 0, -1, -1], [0, -1, 0, -1], 0].tolist() == [0, 1, 2, 3]


def test_blend_is_the_mean_rounded_down():
    first, second = np.meshgrid(np.arange(256), np.arange(256))
    blended = augment.blend(tf.constant(first, tf.uint8), tf.constant(second, tf.uint8))
    np.testing.assert_array_equal(blended, (first + second) // 2)


@pytest.mark.parametrize("axis", [0, 1])
def test_flip_moves_boxes_with_pixels_and_twice_is_nothing(axis):
    image = np.zeros((20, 30, 3), np.uint8)
    image[3:7, 11:25] = 255
    boxes = tf.constant([[11, 3, 25, 7]], tf.float32)
    flipped, moved = augment.flip(tf.constant(image), boxes, axis=axis)
    x1, y1, x2, y2 = moved[0].numpy().astype(int)
    assert (flipped[y1:y2, x1:x2].numpy() == 255).all()
    assert flipped.numpy().sum() == image.sum()
    again, back = augment.flip(flipped, moved, axis=axis)
    np.testing.assert_array_equal(again, image)
    np.testing.assert_array_equal(back, boxes)


def matrix(hue=0.0, saturation=1.0, value=1.0):
    values = (tf.constant([n], tf.float64) for n in (hue, saturation, value))
    return augment.colour_matrix(*values)[0].numpy()


def test_no_change_of_colour_is_the_identity():
    np.testing.assert_allclose(matrix(), np.eye(3), atol=1e-7)
    np.testing.assert_allclose(matrix(hue=1.0), np.eye(3), atol=1e-6)


def test_grey_stays_grey_and_value_is_a_factor():
    grey = np.full(3, 100.0)
    np.testing.assert_allclose(matrix(0.2, 1.7, 1.0) @ grey, grey, rtol=1e-6)
    np.testing.assert_allclose(matrix(0.2, 1.7, 0.5) @ grey, grey / 2, rtol=1e-6)


def test_a_third_of_a_turn_goes_from_red_to_green_to_blue():
    np.testing.assert_allclose(matrix(hue=1 / 3) @ [1, 0, 0], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(matrix(hue=2 / 3) @ [1, 0, 0], [0, 0, 1], atol=1e-6)


def test_saturation_moves_away_from_grey_and_hue_turns_as_in_hsv():
    colour = np.array([0.6, 0.4, 0.3])
    lively = matrix(saturation=1.3) @ colour
    np.testing.assert_allclose(lively - colour.mean(), 1.3 * (colour - colour.mean()), rtol=1e-5)
    before = colorsys.rgb_to_hsv(*colour)[0]
    after = colorsys.rgb_to_hsv(*(matrix(hue=0.05) @ colour))[0]
    assert after - before == pytest.approx(0.05, abs=0.015)
