"""The loss against a slow reference written from the formulas, and what plugs into it."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_focal
from yolo.boxes.overlap import box_similarity
from yolo.boxes.pairwise import pairwise_iou
from yolo.models.anchor_loss import AnchorLoss
from yolo.models.yolov4.decode import decode_boxes, flatten, make_grid
from yolo.models.yolov4.loss import default_settings, detection_loss
from yolo.models.yolov4.settings import (
    LOSS_SCALINGS,
    TINY_MASKS,
    YOLOV4_TINY_ANCHORS,
    YOLOv4Config,
    YOLOv4Loss,
)
from yolo.models.yolov4.targets import assign

CONFIG = YOLOv4Config("yolov4-tiny", YOLOV4_TINY_ANCHORS, TINY_MASKS["custom"])
CLASSES = 3
SIZE = (64, 96)
BOXES = np.array(
    [
        [[4, 6, 30, 40], [50, 8, 90, 60], [10, 10, 20, 25], [0, 0, 0, 0]],
        [[8, 2, 88, 62], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
    ],
    "float32",
)
IDS = np.array([[0, 2, 1, -1], [1, -1, -1, -1]], "int32")


def _maps(seed=0, batch=2):
    rng = np.random.default_rng(seed)
    return {
        16: tf.constant(rng.normal(0, 1, (batch, 4, 6, 24)), tf.float32),
        32: tf.constant(rng.normal(0, 1, (batch, 2, 3, 24)), tf.float32),
    }


def _loss(maps, boxes=BOXES, ids=IDS, *, loss="cross-entropy", settings=None):
    element = AnchorLoss(loss)
    settings = settings or YOLOv4Loss()
    return detection_loss(
        CONFIG, settings, maps, SIZE, {"boxes": tf.constant(boxes), "classes": tf.constant(ids)},
        anchor_loss=element,
    )  # fmt: skip


def _reference(maps, settings, cell_loss):
    """Return the three parts by loops over pictures, objects and anchors."""
    raw = np.array(flatten(CONFIG, maps), "float64")
    grid = make_grid(CONFIG, SIZE)
    decoded = np.array(decode_boxes(raw[..., :4].astype("float32"), grid), "float64")
    targets = assign(CONFIG, settings, SIZE, BOXES, IDS)
    positive, anchor = np.array(targets.positive), np.array(targets.anchor)
    location = np.zeros(2)
    classes, pairs, confidence, counted = np.zeros((4, 2))
    for b in range(2):
        objects = BOXES[b][IDS[b] >= 0]
        truth = np.zeros(raw.shape[1])
        for m, s in np.argwhere(positive[b] > 0):
            n, level = anchor[b, m, s], s // 3
            pairs[level] += 1
            truth[n] = 1
            similarity = box_similarity(decoded[b, n].astype("float32"), BOXES[b, m], settings.iou)
            location[level] += 1 - float(similarity)
            for c in range(CLASSES):
                target = float(c == IDS[b, m])
                target = target * (1 - settings.label_smoothing) + settings.label_smoothing / 2
                z = raw[b, n, 5 + c]
                classes[level] += np.log1p(np.exp(z)) - target * z
        overlap = pairwise_iou(decoded[b], objects).max(axis=1)
        for n in range(raw.shape[1]):
            level = int(n >= 72)
            if truth[n] or overlap[n] <= settings.ignore_iou:
                counted[level] += 1
                confidence[level] += cell_loss(truth[n], raw[b, n, 4])
    if not settings.per_level:
        pairs[:] = pairs.sum()
        counted[:] = counted.sum()
    counts = pairs if settings.confidence_normalizer == "positives" else counted
    weight = settings.confidence_weight * (64 * 96 / 416**2 if settings.by_area else 1)
    balance = np.array(settings.balance[-2:])
    return {
        "location_loss": settings.location_weight * (location / np.maximum(pairs, 1)).sum(),
        "confidence_loss": weight * (balance * confidence / np.maximum(counts, 1)).sum(),
        "class_loss": settings.class_weight * (classes / np.maximum(pairs, 1)).sum(),
    }


def _cross_entropy(y, z):
    return np.log1p(np.exp(z)) - y * z


def _focal(y, z):
    p = 1 / (1 + np.exp(-z))
    p_t, alpha_t = (p, 0.25) if y else (1 - p, 0.75)
    return -alpha_t * (1 - p_t) ** 2 * np.log(p_t)


@pytest.mark.parametrize("scaling", LOSS_SCALINGS)
@pytest.mark.parametrize("iou", ["ciou", "siou", "giou"])
def test_parts_equal_the_slow_reference(scaling, iou):
    settings = YOLOv4Loss(
        **{"positive_iou": 0.3, **LOSS_SCALINGS[scaling], "iou": iou, "label_smoothing": 0.1}
    )
    focal = "focal" in scaling
    found = _loss(_maps(), loss="focal" if focal else "cross-entropy", settings=settings)
    expected = _reference(_maps(), settings, _focal if focal else _cross_entropy)
    assert list(found) == list(expected)
    for part, value in expected.items():
        np.testing.assert_allclose(float(found[part]), value, rtol=2e-4, err_msg=part)


def test_ignored_anchors_have_no_gradient():
    maps = _maps()
    settings = YOLOv4Loss(ignore_iou=0.0, positive_iou=1.0)  # every overlap is ignored
    sources = list(maps.values())
    with tf.GradientTape() as tape:
        tape.watch(sources)
        value = _loss(dict(zip((16, 32), sources, strict=True)), settings=settings)
    gradient = tape.gradient(value["confidence_loss"], sources)
    objectness = np.concatenate([g.numpy().reshape(2, -1, 8)[..., 4] for g in gradient], axis=1)
    grid = make_grid(CONFIG, (64, 96))
    decoded = np.array(decode_boxes(flatten(CONFIG, maps)[..., :4], grid))
    targets = assign(CONFIG, settings, SIZE, BOXES, IDS)
    for b in range(2):
        overlap = pairwise_iou(decoded[b], BOXES[b][IDS[b] >= 0]).max(axis=1)
        positives = set(np.array(targets.anchor)[b][np.array(targets.positive)[b] > 0])
        for n, value in enumerate(objectness[b]):
            assert (value == 0) == (overlap[n] > 0 and n not in positives)


def test_pictures_without_objects_still_teach_the_background():
    for loss in ("cross-entropy", "focal"):
        maps = _maps()
        sources = list(maps.values())
        settings = default_settings(CONFIG, AnchorLoss(loss).loss)
        with tf.GradientTape() as tape:
            tape.watch(sources)
            parts = _loss(
                dict(zip((16, 32), sources, strict=True)),
                np.zeros((2, 4, 4), "float32"), np.full((2, 4), -1, "int32"),
                loss=loss, settings=settings,
            )  # fmt: skip
            total = sum(parts.values())
        assert float(parts["location_loss"]) == float(parts["class_loss"]) == 0
        for gradient in tape.gradient(total, sources):
            assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_no_room_for_objects_at_all():
    parts = _loss(_maps(), np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "int32"))
    assert all(np.isfinite(float(value)) for value in parts.values())


def test_order_and_padding_of_objects_do_not_matter():
    order = [3, 1, 0, 2]
    boxes = np.concatenate([BOXES[:, order], np.full((2, 40, 4), 7, "float32")], axis=1)
    ids = np.concatenate([IDS[:, order], np.full((2, 40), -1, "int32")], axis=1)
    a, b = _loss(_maps()), _loss(_maps(), boxes, ids)
    for part in a:
        np.testing.assert_allclose(float(a[part]), float(b[part]), rtol=1e-5)


def test_gamma_zero_and_alpha_half_is_half_of_cross_entropy():
    half = keras_focal.FocalLoss(alpha=0.5, gamma=0.0)
    settings = YOLOv4Loss()
    focal = _loss(_maps(), loss=half, settings=settings)["confidence_loss"]
    plain = _loss(_maps(), settings=settings)["confidence_loss"]
    np.testing.assert_allclose(float(focal), float(plain) / 2, rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.BinaryCrossentropy(from_logits=True),
        keras.losses.BinaryCrossentropy(reduction="sum"),
        "binary_crossentropy",
        keras_focal.FocalLoss(alpha=None, gamma=0.0),
        keras_focal.FocalLoss(alpha=None, gamma=0.0, from_logits=True),
        lambda y, z: tf.nn.sigmoid_cross_entropy_with_logits(y, z),
    ],
    ids=["logits", "probabilities", "name", "focal", "focal-logits", "function"],
)
def test_whatever_form_cross_entropy_has_the_loss_is_the_same(loss):
    found = _loss(_maps(), loss=loss)["confidence_loss"]
    expected = _loss(_maps())["confidence_loss"]
    np.testing.assert_allclose(float(found), float(expected), rtol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True),
        keras.losses.MeanSquaredError(),
        keras_focal.FocalLossStar(gamma=2.0, beta=1.0),
        keras_focal.BalancedCrossEntropy(),
        keras_focal.QualityFocalLoss(),
        keras_focal.VarifocalLoss(),
        keras_focal.OnlineHardExampleMining(hardest=8),
        keras_focal.OnlineHardExampleMining(hardest=8, nms_iou=0.5),
        keras_focal.OnlineHardExampleMining(hardest=8, negatives_per_positive=3),
    ],
    ids=lambda loss: loss.name,
)
def test_every_element_wise_loss_trains_the_confidence(loss):
    maps = _maps()
    sources = list(maps.values())
    with tf.GradientTape() as tape:
        tape.watch(sources)
        value = _loss(dict(zip((16, 32), sources, strict=True)), loss=loss)["confidence_loss"]
    assert float(value) > 0
    gradient = np.concatenate(
        [g.numpy().reshape(2, -1, 8)[..., 4] for g in tape.gradient(value, sources)], axis=1
    )
    assert np.isfinite(gradient).all() and np.abs(gradient).sum() > 0
    if hasattr(loss, "select"):
        assert ((gradient != 0).sum(axis=1) <= 8).all()


def test_the_callers_loss_is_not_changed():
    loss = keras_focal.FocalLoss(alpha=0.3, gamma=1.5)
    before = loss.get_config()
    element = AnchorLoss(loss)
    assert loss.get_config() == before and loss.reduction != "none"
    assert element.loss.get_config() == {**before, "from_logits": True, "reduction": "none"}


def test_a_loss_of_ones_own_needs_no_config():
    class Squares(keras.losses.Loss):
        def __init__(self, factor):
            super().__init__(reduction="sum")
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * tf.square(y_true - y_pred)

    own = Squares(3.0)
    found = _loss(_maps(), loss=own)["confidence_loss"]
    expected = 3.0 * _loss(_maps(), loss="mean_squared_error")["confidence_loss"]
    np.testing.assert_allclose(float(found), float(expected), rtol=1e-5)
    assert own.reduction == "sum"


def test_soft_targets_are_the_overlap_of_the_predicted_box():
    recorded = {}

    class Recorder(keras.losses.Loss):
        soft_targets = True

        def call(self, y_true, y_pred):
            recorded["truth"] = y_true
            return tf.square(y_true - y_pred)

    settings = YOLOv4Loss(positive_iou=1.0)
    maps = _maps()
    _loss(maps, loss=Recorder(), settings=settings)
    truth = np.array(recorded["truth"])[..., 0]
    grid = make_grid(CONFIG, (64, 96))
    decoded = np.array(decode_boxes(flatten(CONFIG, maps)[..., :4], grid))
    targets = assign(CONFIG, settings, SIZE, BOXES, IDS)
    b, m, s = np.argwhere(np.array(targets.positive) > 0)[0]
    n = np.array(targets.anchor)[b, m, s]
    expected = max(pairwise_iou(decoded[b, n : n + 1], BOXES[b, m : m + 1])[0, 0], 1e-3)
    np.testing.assert_allclose(truth[b, n], expected, rtol=1e-5)
    assert (truth > 0).sum() == np.array(targets.positive).sum()


@pytest.mark.parametrize("bad", [None, 3, "no such loss", keras.losses.BinaryCrossentropy])
def test_what_is_no_loss_is_refused(bad):
    with pytest.raises(ValueError, match="loss must be"):
        AnchorLoss(bad)


def test_default_weights_follow_the_loss():
    assert default_settings(CONFIG, keras_focal.FocalLoss()).confidence_normalizer == "positives"
    assert default_settings(CONFIG, keras_focal.FocalLoss(gamma=0.0)).confidence_normalizer == "all"
    assert (
        default_settings(CONFIG, keras.losses.BinaryCrossentropy()).confidence_normalizer == "all"
    )
    mining = default_settings(CONFIG, keras_focal.OnlineHardExampleMining())
    assert mining == YOLOv4Loss(**LOSS_SCALINGS["mining"])
    with pytest.raises(Exception, match="confidence_normalizer"):
        dataclasses.replace(YOLOv4Loss(), confidence_normalizer="none")


@pytest.mark.parametrize("far", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "loss",
    [keras_focal.FocalLoss(), keras_focal.QualityFocalLoss(), "cross-entropy"],
    ids=["integers", "dense", "cross-entropy"],
)
def test_an_unused_anchor_leaves_no_trace_in_the_gradient(loss, far):
    element = AnchorLoss(loss)
    used, ids = tf.constant([[1.0, 0.0, 1.0]]), tf.constant([[1, 0, -1]])
    quality, boxes = tf.constant([[1.0, 0.0, 0.0]]), tf.zeros((1, 3, 4))
    logits = np.float32([[[0.5, -1.0], [far, 0.5], [1.0, -2.0]]])

    def of_classes(z, used):
        return element.of_classes(ids, quality, z, used, boxes)[0]

    def of_one(z, used):
        return element(quality, z[..., 0], used, boxes)[0]

    for call in (of_classes, of_one):
        found = []
        for z in (logits, np.where(np.isfinite(logits), logits, 0.0)):
            z = tf.constant(z)
            with tf.GradientTape() as tape:
                tape.watch(z)
                value = call(z, used)
            found.append((value.numpy(), tape.gradient(value, z).numpy()))
        (value, slope), (expected, rest) = found
        assert value[0, 1] == 0 and (slope[0, 1] == 0).all()
        assert value[0, 0] > 0 and slope[0, 0, 0] != 0
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        np.testing.assert_allclose(slope, rest, rtol=1e-6)
