"""Overlaps and overlap losses against hand-computed cases and identities."""

import math

import numpy as np
import pytest
import tensorflow as tf

from yolo.boxes.overlap import (
    LOCATION_KINDS,
    box_similarity,
    max_iou,
    overlaps,
    shape_iou,
    to_xyxy,
)
from yolo.boxes.pairwise import covered_share, pairwise_iou

A = np.array([[0.0, 0.0, 4.0, 2.0]], "float32")
B = np.array([[2.0, 1.0, 6.0, 5.0]], "float32")
# overlap 2 x 1 = 2, areas 8 and 16, union 22, hull 6 x 5 = 30


def test_no_boxes():
    assert pairwise_iou(np.zeros((0, 4)), B).shape == (0, 1)
    assert pairwise_iou(A, np.zeros((0, 4))).shape == (1, 0)


def test_pairwise_iou_by_hand():
    np.testing.assert_allclose(pairwise_iou(A, np.concatenate([A, B])), [[1.0, 2 / 22]])


def test_a_box_without_area_overlaps_nothing():
    assert pairwise_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]) == 0


def test_sides_may_count_the_last_pixel():
    a, b = [[0, 0, 1, 1]], [[1, 0, 2, 1]]
    assert pairwise_iou(a, b) == 0
    np.testing.assert_allclose(pairwise_iou(a, b, extra=1.0), [[2 / 6]])


def test_a_covered_share_by_hand():
    np.testing.assert_allclose(covered_share(A, B), [[2 / 8]])
    np.testing.assert_allclose(covered_share(B, A), [[2 / 16]])
    assert covered_share([[1, 1, 1, 1]], A) == 0


def test_overlaps_broadcast():
    np.testing.assert_allclose(
        overlaps(A[:, None], np.stack([A, B], 1)), [[1.0, 2 / 22]], rtol=1e-6
    )


def test_corners_of_a_centre_and_a_size():
    np.testing.assert_array_equal(to_xyxy(np.array([[4.0, 3.0, 4.0, 4.0]])), B)


def test_shape_iou_by_hand():
    np.testing.assert_allclose(shape_iou(np.array([4.0, 2.0]), np.array([2.0, 4.0])), 4 / 12)


def test_similarities_by_hand():
    np.testing.assert_allclose(box_similarity(A, B, "iou"), [2 / 22], rtol=1e-5)
    np.testing.assert_allclose(box_similarity(A, B, "giou"), [2 / 22 - 8 / 30], rtol=1e-5)
    # centres (2, 1) and (4, 3): 8 apart squared; the hull's diagonal squared is 36 + 25
    diou = 2 / 22 - 8 / 61
    np.testing.assert_allclose(box_similarity(A, B, "diou"), [diou], rtol=1e-5)
    v = 4 / math.pi**2 * (math.atan(4 / 2) - math.atan(4 / 4)) ** 2
    ciou = diou - v * v / (1 - 2 / 22 + v)
    np.testing.assert_allclose(box_similarity(A, B, "ciou"), [ciou], rtol=1e-4)
    # SIoU: the centres lie on a diagonal, so the angle cost is 1
    distance = (1 - math.exp(-((2 / 6) ** 2))) + (1 - math.exp(-((2 / 5) ** 2)))
    shape = (1 - math.exp(-0.0)) ** 4 + (1 - math.exp(-2 / 4)) ** 4
    siou = 2 / 22 - (distance + shape) / 2
    np.testing.assert_allclose(box_similarity(A, B, "siou"), [siou], rtol=1e-3)


@pytest.mark.parametrize("kind", LOCATION_KINDS)
def test_a_box_is_most_like_itself(kind):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 100, (50, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 80, (50, 2))], 1).astype("float32")
    np.testing.assert_allclose(box_similarity(boxes, boxes, kind), np.ones(50), atol=2e-3)
    others = np.roll(boxes, 1, axis=0)
    assert (np.array(box_similarity(boxes, others, kind)) <= 1.0).all()


@pytest.mark.parametrize("kind", LOCATION_KINDS)
@pytest.mark.parametrize(
    "box", [[0, 0, 0, 0], [5, 5, 5, 9], [1e4, 1e4, 2e4, 2e4], [0, 0, 4, 2], [-9, -9, -8, -8]]
)
def test_gradients_are_finite_for_degenerate_and_distant_boxes(kind, box):
    predicted = tf.constant([box], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        value = 1 - box_similarity(predicted, tf.constant(A), kind)
    assert np.isfinite(value).all()
    assert np.isfinite(tape.gradient(value, predicted)).all()


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou", "siou"])
def test_boxes_apart_are_pulled_together(kind):
    predicted = tf.constant([[20.0, 0.0, 24.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(predicted)
        loss = 1 - box_similarity(predicted, tf.constant(A), kind)
    gradient = tape.gradient(loss, predicted)[0]
    assert gradient[0] + gradient[2] > 0, "descent must move the box to the left"


def test_unknown_similarity_is_refused():
    with pytest.raises(ValueError, match="eiou"):
        box_similarity(A, B, "eiou")


def overlapping_boxes(objects):
    """Return 40 boxes and `objects` ground truths for each of two pictures, and which are valid."""
    rng = np.random.default_rng(objects)
    corner = rng.uniform(0, 50, (2, 40 + objects, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(1, 40, corner.shape)], -1)
    boxes = boxes.astype("float32")
    return boxes[:, :40], boxes[:, 40:], rng.uniform(size=(2, objects)) < 0.7


def compiled_max_iou(objects=None, **options):
    """Return `max_iou` in a graph, by default one that does not know the number of objects."""
    signature = [
        tf.TensorSpec((None, 40, 4)),
        tf.TensorSpec((None, objects, 4)),
        tf.TensorSpec((None, objects), tf.bool),
    ]
    return tf.function(max_iou, input_signature=signature, **options)


@pytest.mark.parametrize("make", [lambda: max_iou, compiled_max_iou])
def test_max_iou_in_blocks_equals_the_full_matrix(make):
    function = make()
    for objects in (0, 1, 31, 32, 33, 70):
        predicted, truth, valid = overlapping_boxes(objects)
        found = np.array(function(predicted, truth, valid))
        for i in range(2):
            expected = pairwise_iou(predicted[i], truth[i][valid[i]]).max(axis=1, initial=0)
            np.testing.assert_allclose(found[i], expected, atol=1e-6)


def test_max_iou_of_unknown_objects_compiles_with_xla():
    given = overlapping_boxes(33)
    found = compiled_max_iou(jit_compile=True)(*given)
    np.testing.assert_allclose(found, max_iou(*given), atol=1e-6)


@pytest.mark.parametrize("objects", [None, 70])
def test_max_iou_holds_all_boxes_against_one_block_of_objects(objects):
    function = compiled_max_iou(objects).get_concrete_function()
    graph = function.graph.as_graph_def(add_shapes=True)
    nodes = [*graph.node, *(node for body in graph.library.function for node in body.node_def)]
    shapes = [
        [side.size for side in shape.dim]
        for node in nodes
        for shape in node.attr["_output_shapes"].list.shape
    ]
    # (batch, 40 boxes, objects compared at once), the last -1 where it is not known
    pairs = [shape for shape in shapes if len(shape) == 3 and shape[1] == 40]
    assert {shape[2] for shape in pairs} - {1, 4} == {32}
    assert len(pairs) < 40  # of one block: several would be computed at once
