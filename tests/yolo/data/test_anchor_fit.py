"""Anchors against objects: overlaps by hand, recall per class, and fits that keep their strides."""

import numpy as np
import pytest

from yolo.data import anchor_fit
from yolo.data.anchor_fit import Recall
from yolo.data.sample import Sample
from yolo.models.yolov4.settings import YOLOV4_ANCHORS, YOLOV4_MASKS


def cloud(rng, centre, count):
    return np.maximum(rng.normal(centre, np.array(centre) * 0.08, (count, 2)), 2)


def test_nothing_to_fit_changes_nothing():
    old = np.array([[10.0, 14.0], [23.0, 27.0]])
    none = np.zeros((0, 2))
    assert anchor_fit.fit_shapes(none, old, [(0,), (1,)]).tolist() == old.tolist()
    recall = anchor_fit.shape_recall(none, np.zeros(0), old, ["a"])
    assert recall.per_class == {} and np.isnan(recall.recall)


def test_recall_by_hand():
    sizes = np.array([[10, 10], [10, 20], [10, 21], [100, 1]])
    recall = anchor_fit.shape_recall(sizes, [0, 0, 1, 1], [[10, 10]], ["a", "b", "none"])
    # IoU with 10 x 10: 1, 100/200, 100/210, 10/190
    assert recall.recall == pytest.approx(2 / 4)
    assert recall.mean_iou == pytest.approx((1 + 1 / 2 + 100 / 210 + 10 / 190) / 4)
    assert recall.per_class == {
        "a": (2, 1.0, pytest.approx(0.75)),
        "b": (2, 0.0, pytest.approx((100 / 210 + 10 / 190) / 2)),
    }


def test_boxes_match_where_they_lie():
    boxes = [[0, 0, 10, 10], [5, 0, 15, 10], [100, 100, 110, 110]]
    anchors = [[0, 0, 10, 10], [50, 50, 60, 60]]
    recall = anchor_fit.box_recall(boxes, [0, 0, 0], anchors, ["a"])
    assert recall.recall == pytest.approx(1 / 3) and recall.sampled == 0
    assert recall.mean_iou == pytest.approx((1 + 1 / 3) / 3)
    many = anchor_fit.box_recall(boxes[:1] * 1500, [0] * 1500, anchors, ["a"])
    assert many.sampled == anchor_fit.MOST_BOXES and many.recall == 1


def test_boxes_on_the_networks_picture():
    none = np.zeros(1, bool)
    wide = Sample("a", np.float32([[10, 20, 30, 40]]), np.int32([2]), none, none, (100, 200), "a")
    empty = Sample("b", np.zeros((0, 4), np.float32), np.zeros(0, np.int32), none[:0], none[:0],
                   (9, 9), "b")  # fmt: skip
    boxes, ids = anchor_fit.network_boxes([empty, wide], (100, 100))
    assert boxes.tolist() == [[5, 35, 15, 45]] and ids.tolist() == [2]
    boxes, _ = anchor_fit.network_boxes([wide], (100, 100), "stretch")
    assert boxes.tolist() == [[5, 20, 15, 40]]


def test_k_means_finds_the_clusters():
    rng = np.random.default_rng(0)
    centres = [(20, 20), (40, 110), (90, 40), (150, 150)]
    sizes = np.concatenate([cloud(rng, centre, 200) for centre in centres])
    old = np.array([[10, 14], [23, 27], [37, 58], [81, 82]], float)
    new = anchor_fit.fit_shapes(sizes, old, [(0, 1, 2, 3)])
    assert np.abs(new - np.array(sorted(centres, key=np.prod))).max() <= 3
    assert (anchor_fit.fit_shapes(sizes, old, [(0, 1, 2, 3)]) == new).all()


def test_strides_keep_their_share_of_the_sizes():
    """Objects of one size only: a k-means over all would leave no anchor for others."""
    sizes = cloud(np.random.default_rng(1), (30, 30), 500)
    new = anchor_fit.fit_shapes(sizes, np.array(YOLOV4_ANCHORS), YOLOV4_MASKS)
    assert new[3:].tolist() == [list(anchor) for anchor in YOLOV4_ANCHORS[3:]]
    assert (new[:3] > 20).all() and (new[:3] < 40).all()
    assert (np.diff(new[:3].prod(axis=1)) >= 0).all()


def test_an_anchor_of_two_strides_is_fitted_once_and_an_unused_one_stays():
    rng = np.random.default_rng(2)
    sizes = np.concatenate([cloud(rng, (w, w), 100) for w in (25, 60, 120, 300)])
    old = np.array([[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]], float)
    new = anchor_fit.fit_shapes(sizes, old, [(1, 2, 3), (3, 4, 5)])
    assert new[0].tolist() == [10, 14]
    assert (np.diff(new[1:4].prod(axis=1)) >= 0).all() and new[1:].min() > 15


def test_an_anchor_is_never_smaller_than_a_pixel():
    new = anchor_fit.fit_shapes(np.full((50, 2), 0.2), [[1, 1], [9, 9]], [(0, 1)])
    assert new.min() >= 1


@pytest.mark.parametrize(
    "recall, mean_iou, expected",
    [(0.90, 0.70, False), (0.92, 0.60, True), (0.90, 0.72, True), (0.88, 0.90, False),
     (0.904, 0.705, False)],
)  # fmt: skip
def test_new_anchors_must_be_clearly_better(recall, mean_iou, expected):
    old = Recall(0.90, 0.70, {})
    assert anchor_fit.is_better(Recall(recall, mean_iou, {}), old) == expected
