"""Matching: against loops in NumPy, at its thresholds, and in bounded memory."""

import numpy as np
import pytest
import tensorflow as tf

from yolo.boxes.pairwise import pairwise_iou
from yolo.models.retinanet.decode import make_anchors
from yolo.models.retinanet.settings import RetinaNetLoss, from_profile
from yolo.models.retinanet.targets import BACKGROUND, IGNORED, assign, matched_anchors

CONFIG = from_profile("paper")
SIZE = (128, 160)


def random_objects(count, seed, batch=2):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-10, 120, (batch, count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 90, (batch, count, 2))], axis=-1)
    classes = rng.integers(-1, 3, (batch, count))  # some are padding
    return boxes.astype("float32"), classes.astype("int32")


def matched(boxes, classes, config=CONFIG, size=SIZE, **settings):
    anchors = make_anchors(config, size)
    found = assign(config, RetinaNetLoss(**settings), size, anchors, boxes, classes)
    return np.array(found.matched)


def reference(boxes, classes, *, high=0.5, low=0.4):
    """Match one picture by the paper's words, with loops; return what force would add, too."""
    anchors = np.array(make_anchors(CONFIG, SIZE), "float64")
    real = [i for i in range(len(boxes)) if classes[i] >= 0]
    iou = (
        pairwise_iou(anchors, boxes[real].astype("float64"))
        if real
        else np.zeros((len(anchors), 1))
    )
    result = []
    for row in iou:
        best = row.max()
        owner = real[row.argmax()] if real else 0
        result.append(owner if best >= high else BACKGROUND if best < low else IGNORED)
    forced = {}
    for column in range(len(real)):
        best = iou[:, column].max()
        ties = np.flatnonzero(np.isclose(iou[:, column], best, rtol=1e-5)) if best > 0 else []
        forced[real[column]] = {anchor: real[iou[anchor].argmax()] for anchor in ties}
    return np.array(result), forced


@pytest.mark.parametrize("count", [1, 7, 8, 21])
def test_matching_equals_the_slow_one(count):
    boxes, classes = random_objects(count, seed=count)
    found, more = matched(boxes, classes), matched(boxes, classes, force_match=True)
    for picture in range(2):
        expected, forced = reference(boxes[picture], classes[picture])
        np.testing.assert_array_equal(found[picture], expected)
        for anchor in np.flatnonzero(more[picture] != expected):
            assert any(ties.get(anchor) == more[picture, anchor] for ties in forced.values())
        for ties in forced.values():  # of anchors with the same best overlap some are taken
            assert not ties or any(more[picture, a] == owner for a, owner in ties.items())


def test_the_zone_between_the_thresholds_is_ignored():
    anchors = np.array(make_anchors(CONFIG, SIZE))
    box = anchors[3:4].copy()  # 32 x 32 around (4, 4)
    for share, expected in ((0.51, 0), (0.45, IGNORED), (0.39, BACKGROUND)):
        lower = box.copy()
        lower[0, 3] = lower[0, 1] + 32 * share  # the anchor overlaps it by this share
        found = matched(lower[None], np.zeros((1, 1), "int32"))
        assert found[0, 3] == expected
    found = matched(lower[None], np.zeros((1, 1), "int32"), background_iou=0.3)
    assert found[0, 3] == IGNORED


def test_a_small_object_is_found_by_force_only():
    box = np.array([[[20.0, 60.0, 110.0, 68.0]]], "float32")
    classes = np.zeros((1, 1), "int32")
    assert (matched(box, classes) == BACKGROUND).all()
    (forced,) = np.nonzero(matched(box, classes, force_match=True)[0] == 0)
    overlap = pairwise_iou(np.array(make_anchors(CONFIG, SIZE)), box[0])[:, 0]
    assert len(forced) and np.allclose(overlap[forced], overlap.max(), rtol=1e-5)


@pytest.mark.parametrize("matcher", ["iou", "atss"])
def test_pictures_without_objects_are_all_background(matcher):
    for boxes in (np.zeros((2, 0, 4), "float32"), np.zeros((2, 3, 4), "float32")):
        classes = np.full(boxes.shape[:2], -1, "int32")
        assert (matched(boxes, classes, force_match=True, matcher=matcher) == BACKGROUND).all()


def test_an_object_outside_the_picture_forces_nothing():
    box = np.array([[[-900.0, -900.0, -880.0, -880.0]]], "float32")
    found = matched(box, np.zeros((1, 1), "int32"), force_match=True)
    assert (found == BACKGROUND).all()


def atss_reference(boxes, classes):
    """Match one picture by algorithm 1 of Zhang et al. (2020), with loops."""
    anchors = np.array(make_anchors(CONFIG, SIZE), "float64")
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    owner, best = np.full(len(anchors), BACKGROUND), np.zeros(len(anchors))
    for index, (box, label) in enumerate(zip(boxes.astype("float64"), classes, strict=True)):
        if label < 0:
            continue
        candidates, start = [], 0
        for cells in (16 * 20, 8 * 10, 4 * 5, 2 * 3, 1 * 2):
            middle = centres[start : start + cells * 9 : 9]
            distance = np.linalg.norm(middle - (box[:2] + box[2:]) / 2, axis=1)
            for cell in np.argsort(distance, kind="stable")[: min(9, cells)]:
                candidates += range(start + cell * 9, start + cell * 9 + 9)
            start += cells * 9
        iou = pairwise_iou(anchors[candidates], box[None])[:, 0]
        for anchor, overlap in zip(candidates, iou, strict=True):
            inside = (centres[anchor] > box[:2]).all() and (centres[anchor] < box[2:]).all()
            if overlap >= iou.mean() + iou.std() and inside and overlap > best[anchor]:
                owner[anchor], best[anchor] = index, overlap
    return owner


def test_atss_equals_the_slow_one():
    boxes, classes = random_objects(12, seed=3)
    found = matched(boxes, classes, matcher="atss")
    for picture in range(2):
        expected = atss_reference(boxes[picture], classes[picture])
        assert (found[picture] == expected).mean() > 0.999
        assert (expected >= 0).sum() > 20


def test_memory_does_not_grow_with_the_number_of_objects():
    """No tensor on the way holds more than a few objects for every anchor."""
    size, objects = (800, 1333), 500
    anchors = 200_700

    @tf.function
    def match(boxes, classes):
        every = make_anchors(CONFIG, size)
        settings = RetinaNetLoss(force_match=True)
        return assign(CONFIG, settings, size, every, boxes, classes).matched

    graph = match.get_concrete_function(
        tf.TensorSpec((1, objects, 4), tf.float32), tf.TensorSpec((1, objects), tf.int32)
    ).graph
    graphs, largest = [graph], 0
    while graphs:
        current = graphs.pop()
        graphs += (
            [current._get_function(n).graph for n in current._functions if n]
            if hasattr(current, "_functions")
            else []
        )
        for operation in current.get_operations():
            for output in operation.outputs:
                largest = max(largest, output.shape.num_elements() or 0)
    assert anchors <= largest <= anchors * 8 * 4


def test_matched_anchors_are_those_of_the_positives():
    boxes, classes = random_objects(4, 3)
    classes[1] = -1
    first, second = matched_anchors(CONFIG, RetinaNetLoss(), SIZE, boxes, classes)
    anchors = np.array(make_anchors(CONFIG, SIZE))
    assert first.tolist() == anchors[matched(boxes, classes)[0] >= 0].tolist() != []
    assert second.shape == (0, 4)
