"""Which boxes lie in a crowd."""

import numpy as np
import pytest
import tensorflow as tf

from yolo.boxes.ignored import at_least_one, in_crowd
from yolo.boxes.labels import CROWD, DIFFICULT, PADDING


def test_the_numbers_are_those_that_the_pages_name():
    assert (PADDING, DIFFICULT, CROWD) == (-1, -2, -3)


def test_room_for_one():
    boxes, ids = at_least_one(np.zeros((2, 0, 4)), np.zeros((2, 0)))
    assert boxes.shape == (2, 1, 4) and np.array(ids).tolist() == [[-1], [-1]]


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize("padding", [0, 70])
def test_half_of_a_box_in_one_region_makes_it_crowded(wrap, padding):
    boxes = np.float32([[[0, 0, 10, 10], [5, 0, 15, 10], [6, 0, 16, 10], [40, 40, 41, 41]]])
    regions = np.float32([[[-50, -50, 10, 50], [30, 30, 60, 60]]])  # one is no crowd
    regions = np.pad(regions, ((0, 0), (0, padding), (0, 0)))
    crowd = np.pad([[True, False]], ((0, 0), (0, padding)))
    found = wrap(in_crowd)(tf.constant(boxes), tf.constant(regions), tf.constant(crowd))
    assert np.array(found).tolist() == [[True, True, False, False]]
    found = wrap(in_crowd)(tf.constant(boxes), tf.constant(regions), tf.constant(crowd & False))
    assert np.array(found).tolist() == [[False] * 4]


def test_anchors_of_one_picture_meet_the_crowds_of_each():
    boxes = np.float32([[[0, 0, 10, 10], [20, 20, 30, 30]]])
    regions = np.float32([[[0, 0, 12, 12]], [[19, 19, 40, 40]]])
    found = np.array(in_crowd(boxes, regions, np.ones((2, 1), bool)))
    assert found.tolist() == [[True, False], [False, True]]
