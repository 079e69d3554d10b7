"""What lies on a label to ignore is neither object nor background, in both families."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_focal
from yolo.boxes.labels import CROWD, DIFFICULT
from yolo.boxes.pairwise import pairwise_iou
from yolo.models.anchor_loss import AnchorLoss
from yolo.models.families import FAMILIES
from yolo.models.retinanet.settings import RetinaNetLoss, from_profile
from yolo.models.retinanet.targets import BACKGROUND, IGNORED
from yolo.models.retinanet.targets import assign as match
from yolo.models.yolov4.settings import YOLOv4Config, YOLOv4Loss
from yolo.models.yolov4.targets import assign

SIZE = (128, 128)
YOLO = YOLOv4Config(
    "darknet", ((20, 24), (40, 40), (90, 70), (30, 60)), ((0, 1), (2, 3)), strides=(16, 32)
)
RETINA = from_profile("paper")
OBJECT = [70, 70, 110, 120]


def _raw(seed=0):
    rng = np.random.default_rng(seed)
    return {
        16: tf.constant(rng.normal(0, 0.3, (1, 8, 8, 14)), tf.float32),
        32: tf.constant(rng.normal(0, 0.3, (1, 4, 4, 14)), tf.float32),
    }


def _confidence(boxes, ids, maps=None, loss="cross-entropy", **settings):
    """Return the slope of every objectness logit, the decoded boxes and the parts of the loss."""
    family = FAMILIES["yolov4"]
    maps = maps or _raw()
    with tf.GradientTape() as tape:
        tape.watch(maps)
        parts = family.loss.detection_loss(
            YOLO, YOLOv4Loss(**settings), maps, SIZE,
            {"boxes": np.float32([boxes]), "classes": np.int32([ids])},
            anchor_loss=AnchorLoss(loss),
        )  # fmt: skip
        total = sum(parts.values())
    slopes = tape.gradient(total, maps)
    flat = np.concatenate([slopes[stride].numpy().reshape(-1, 7) for stride in (16, 32)])
    decoded = np.array(family.decode.decode(YOLO, maps, SIZE)["boxes"])[0]
    return flat, decoded, {name: float(value) for name, value in parts.items()}


def _shares(boxes, region):
    low, high = np.maximum(boxes[:, :2], region[:2]), np.minimum(boxes[:, 2:], region[2:])
    inside = np.maximum(high - low, 0).prod(axis=1)
    return inside / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


@pytest.mark.parametrize(
    "loss", ["cross-entropy", keras_focal.FocalLoss(), keras_focal.QualityFocalLoss()],
    ids=["cross-entropy", "focal", "quality"],
)  # fmt: skip
def test_yolo_learns_nothing_on_a_difficult_object(loss):
    difficult = [10, 12, 50, 52]
    flat, decoded, _ = _confidence([OBJECT, difficult], [1, DIFFICULT], loss=loss, ignore_iou=0.3)
    targets = assign(YOLO, YOLOv4Loss(), SIZE, np.float32([[OBJECT, difficult]]), [[1, DIFFICULT]])
    assert not np.array(targets.positive)[0, 1].any()
    claimed = np.array(targets.anchor)[0, 1][np.array(targets.ignored)[0, 1] > 0]
    near = np.flatnonzero(pairwise_iou(decoded, np.float32([difficult]))[:, 0] > 0.3)
    assert len(claimed) and len(near) > 1
    assert (flat[[*claimed, *near]] == 0).all()  # box, objectness and classes
    rest = np.setdiff1d(np.arange(len(flat)), [*claimed, *near])
    on_object = pairwise_iou(decoded, np.float32([OBJECT]))[:, 0] > 0.3
    assert (flat[rest][~on_object[rest], 4] != 0).all()


def test_yolo_learns_nothing_in_a_crowd():
    crowd = [0, 0, 128, 60]
    flat, decoded, _ = _confidence([OBJECT, crowd], [1, CROWD])
    inside = _shares(decoded, np.float32(crowd)) >= 0.5
    assert inside.sum() > 20 and (flat[inside] == 0).all()
    on_object = pairwise_iou(decoded, np.float32([OBJECT]))[:, 0] > 0.5
    assert (flat[~inside & ~on_object, 4] != 0).all()


def test_an_object_in_a_crowd_is_still_learned():
    _, _, alone = _confidence([OBJECT], [1])
    flat, _, parts = _confidence([OBJECT, [-90, -90, 218, 218], OBJECT], [1, CROWD, DIFFICULT])
    assert parts["location_loss"] == pytest.approx(alone["location_loss"])
    assert parts["class_loss"] == pytest.approx(alone["class_loss"])
    targets = assign(YOLO, YOLOv4Loss(), SIZE, np.float32([[OBJECT]]), [[1]])
    positives = np.array(targets.anchor)[0, 0][np.array(targets.positive)[0, 0] > 0]
    assert set(np.flatnonzero(flat[:, 4])) == set(positives)


@pytest.mark.parametrize("ids", [[1, DIFFICULT], [1, CROWD]])
def test_labels_that_reach_nothing_change_nothing(ids):
    tiny = [0, 0, 0, 0]
    flat, _, parts = _confidence([OBJECT, tiny], ids)
    expected, _, alone = _confidence([OBJECT], [1])
    assert parts == alone
    np.testing.assert_array_equal(flat, expected)


def _matched(boxes, ids, **settings):
    anchors = FAMILIES["retinanet"].decode.make_anchors(RETINA, SIZE)
    found = match(
        RETINA, RetinaNetLoss(**settings), SIZE, anchors, np.float32([boxes]), np.int32([ids])
    )
    return np.array(found.matched)[0], np.array(anchors)


@pytest.mark.parametrize("settings", [{}, {"force_match": True}, {"matcher": "atss"}])
def test_retinanets_anchors_of_a_difficult_object_are_ignored(settings):
    difficult = [10, 12, 50, 52]
    as_object, anchors = _matched([OBJECT, difficult], [1, 0], **settings)
    found, _ = _matched([OBJECT, difficult], [1, DIFFICULT], **settings)
    assert (as_object == 1).sum() > 1 and (found[as_object == 1] == IGNORED).all()
    np.testing.assert_array_equal(found[as_object != 1], as_object[as_object != 1])
    if not settings:
        near = pairwise_iou(anchors, np.float32([difficult]))[:, 0] >= 0.4
        assert (found[near] == IGNORED).all()


@pytest.mark.parametrize("settings", [{}, {"matcher": "atss"}])
def test_retinanets_background_in_a_crowd_is_ignored(settings):
    crowd = [0, 0, 128, 60]
    without, anchors = _matched([OBJECT], [1], **settings)
    found, _ = _matched([OBJECT, crowd], [1, CROWD], **settings)
    inside = (_shares(anchors, np.float32(crowd)) >= 0.5) & (without == BACKGROUND)
    assert inside.sum() > 100 and (found[inside] == IGNORED).all()
    np.testing.assert_array_equal(found[~inside], without[~inside])


def test_retinanets_ignored_anchors_have_no_gradient():
    family, rng = FAMILIES["retinanet"], np.random.default_rng(0)
    found, anchors = _matched([OBJECT, [0, 0, 128, 60]], [1, CROWD])
    logits = tf.constant(rng.normal(0, 1, (1, len(anchors), 2)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        parts = family.loss.detection_loss(
            RETINA, RetinaNetLoss(),
            {"class_logits": logits, "box_deltas": tf.zeros((1, len(anchors), 4))}, SIZE,
            {"boxes": np.float32([[OBJECT, [0, 0, 128, 60]]]), "classes": np.int32([[1, CROWD]])},
            anchor_loss=AnchorLoss(keras.losses.BinaryFocalCrossentropy()),
        )  # fmt: skip
        total = sum(parts.values())
    slopes = tape.gradient(total, logits).numpy()[0]
    assert (slopes[found == IGNORED] == 0).all() and (slopes[found != IGNORED] != 0).all()
