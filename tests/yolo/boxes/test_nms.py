"""Suppression: identities, hand-made cases, and a plain reference on random boxes."""

import numpy as np
import pytest

from yolo.boxes.nms import class_wise_nms, nms


def random_boxes(count, seed, span=200.0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, span, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 60, (count, 2))], axis=1)
    return boxes.astype(np.float32), rng.random(count).astype(np.float32)


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / total if total > 0 else 0.0


def plain_nms(boxes, scores, threshold):
    """The definition, two loops."""
    boxes = np.asarray(boxes, np.float64).tolist()
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def test_empty():
    assert nms([], [], iou_threshold=0.5).shape == (0,)
    boxes, scores, class_ids = class_wise_nms(
        np.zeros((0, 4)), np.zeros((0, 3)), score_threshold=0.1, iou_threshold=0.5
    )
    assert boxes.shape == (0, 4) and scores.shape == (0,) and class_ids.shape == (0,)
    assert boxes.dtype == np.float32 and scores.dtype == np.float32
    assert class_ids.dtype == np.int32


def test_no_classes_at_all():
    found = class_wise_nms(
        np.ones((3, 4)), np.zeros((3, 0)), score_threshold=0.0, iou_threshold=0.5
    )
    assert [len(part) for part in found] == [0, 0, 0]


def test_nothing_reaches_the_threshold():
    boxes, scores = random_boxes(10, 0)
    found = class_wise_nms(boxes, scores[:, None], score_threshold=1.1, iou_threshold=0.5)
    assert len(found[0]) == 0


@pytest.mark.parametrize("count", [1, 7, 100, 700])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_equals_the_definition(count, threshold):
    boxes, scores = random_boxes(count, count)
    expected = plain_nms(boxes, scores, threshold)
    assert nms(boxes, scores, iou_threshold=threshold).tolist() == expected


@pytest.mark.parametrize("limit", [None, 40])
def test_one_label_equals_nms_of_each_boxs_best_class(limit):
    boxes, _ = random_boxes(400, 1)
    scores = np.random.default_rng(2).random((400, 3)).astype(np.float32)
    best = scores.max(axis=1)
    rows = np.flatnonzero(best >= 0.5)
    expected = rows[plain_nms(boxes[rows], best[rows], 0.4)][:limit]
    found = class_wise_nms(
        boxes, scores, score_threshold=0.5, iou_threshold=0.4, max_detections=limit, one_label=True
    )
    for ours, wanted in zip(found, (boxes, best, scores.argmax(axis=1)), strict=True):
        np.testing.assert_array_equal(ours, wanted[expected])
    scores[expected[0], 0] = np.nan  # no more than that class of that box is lost
    _, _, ids = class_wise_nms(
        boxes[expected[:1]], scores[expected[:1]], score_threshold=0, iou_threshold=1,
        one_label=True,
    )  # fmt: skip
    assert ids.tolist() == [scores[expected[0], 1:].argmax() + 1]


@pytest.mark.parametrize("shape", [(0, 3), (0, 0), (4, 0)])
def test_one_label_of_nothing(shape):
    found = class_wise_nms(
        np.zeros((shape[0], 4)), np.zeros(shape), score_threshold=0.1, iou_threshold=0.5,
        one_label=True,
    )  # fmt: skip
    assert [len(one) for one in found] == [0, 0, 0]


@pytest.mark.parametrize("limit", [None, 40])
def test_class_wise_equals_nms_of_each_class(limit):
    boxes, _ = random_boxes(400, 1)
    scores = np.random.default_rng(2).random((400, 3)).astype(np.float32)
    expected = []
    for class_id in range(3):
        rows = np.flatnonzero(scores[:, class_id] >= 0.5)
        for k in plain_nms(boxes[rows], scores[rows, class_id], 0.4):
            expected.append((-scores[rows[k], class_id], rows[k], class_id))
    expected = sorted(expected)[:limit]
    assert len(expected) == 40 or limit is None
    found_boxes, found_scores, class_ids = class_wise_nms(
        boxes, scores, score_threshold=0.5, iou_threshold=0.4, max_detections=limit
    )
    np.testing.assert_array_equal(found_boxes, boxes[[row for _, row, _ in expected]])
    np.testing.assert_array_equal(found_scores, [-score for score, _, _ in expected])
    np.testing.assert_array_equal(class_ids, [class_id for _, _, class_id in expected])


def test_iou_at_the_threshold_is_kept():
    # 10 x 10 and 10 x 5 inside it: IoU exactly 0.5.
    boxes = [[0, 0, 10, 10], [0, 0, 10, 5]]
    assert nms(boxes, [0.9, 0.8], iou_threshold=0.5).tolist() == [0, 1]
    assert nms(boxes, [0.9, 0.8], iou_threshold=0.499).tolist() == [0]


def test_boxes_that_share_an_edge_do_not_overlap():
    boxes = [[0, 0, 10, 10], [10, 0, 20, 10]]
    assert nms(boxes, [0.5, 0.6], iou_threshold=0.0).tolist() == [1, 0]


def test_a_suppressed_box_suppresses_nothing():
    # b overlaps a and c, which do not overlap each other: with b gone, c stays.
    boxes = [[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]]
    assert nms(boxes, [0.9, 0.8, 0.7], iou_threshold=0.2).tolist() == [0, 2]


def test_ties_keep_input_order():
    boxes = np.array([[0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10]], np.float32)
    assert nms(boxes, [0.5, 0.5, 0.5], iou_threshold=0.5).tolist() == [0, 1, 2]
    assert nms(boxes[[0, 0, 1]], [0.5, 0.5, 0.5], iou_threshold=0.5).tolist() == [0, 2]


def test_order_of_input_does_not_matter():
    boxes, scores = random_boxes(300, 5)
    shuffle = np.random.default_rng(6).permutation(300)
    straight = nms(boxes, scores, iou_threshold=0.4)
    shuffled = shuffle[nms(boxes[shuffle], scores[shuffle], iou_threshold=0.4)]
    assert straight.tolist() == shuffled.tolist()


def test_boxes_without_area_are_harmless():
    boxes = [[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 10]]
    assert nms(boxes, [0.9, 0.8, 0.7], iou_threshold=0.0).tolist() == [0, 1, 2]


def test_one_box_counts_for_each_class_that_reaches_the_threshold():
    boxes = [[0, 0, 10, 10]]
    _, scores, class_ids = class_wise_nms(
        boxes, [[0.5, 0.25, 0.9]], score_threshold=0.5, iou_threshold=0.5
    )
    assert class_ids.tolist() == [2, 0]
    np.testing.assert_array_equal(scores, np.float32([0.9, 0.5]))


def test_what_is_not_finite_is_left_out():
    boxes = [[0, 0, 10, 10], [0, 0, np.nan, 10], [20, 0, 30, np.inf], [40, 0, 50, 10]]
    found = class_wise_nms(
        boxes, [[np.nan], [0.9], [0.8], [0.7]], score_threshold=0.1, iou_threshold=0.5
    )
    assert found[0].tolist() == [[40, 0, 50, 10]]


def test_thirty_thousand_candidates_need_no_square_matrix():
    import tracemalloc

    boxes, scores = random_boxes(30_000, 9, span=3000.0)
    tracemalloc.start()
    boxes_kept, _, _ = class_wise_nms(
        boxes, scores[:, None], score_threshold=0.0, iou_threshold=0.5, max_detections=500
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(boxes_kept) == 500
    assert peak < 100e6  # a square of bool alone would be 900 MB


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 boxes and 1 scores"):
        nms(np.zeros((2, 4)), [0.5], iou_threshold=0.5)
    with pytest.raises(ValueError, match=r"\(2, number of classes\)"):
        class_wise_nms(np.zeros((2, 4)), np.zeros(2), score_threshold=0.1, iou_threshold=0.5)
