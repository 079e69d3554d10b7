"""The loss: against loops in NumPy, its plug, its normalisers, and pictures without objects."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_focal
from yolo.models.anchor_loss import AnchorLoss
from yolo.models.retinanet.decode import encode_boxes, make_anchors
from yolo.models.retinanet.loss import default_settings, detection_loss
from yolo.models.retinanet.settings import PROFILES, RetinaNetLoss, from_profile
from yolo.models.retinanet.targets import IGNORED, assign

CONFIG = from_profile("paper")
SIZE = (64, 96)
CLASSES = 3
BOXES = np.array(
    [
        [[4, 6, 40, 44], [30, 10, 90, 60], [0, 0, 0, 0]],
        [[10, 12, 50, 46], [0, 0, 0, 0], [0, 0, 0, 0]],
    ],
    "float32",
)
IDS = np.array([[0, 2, -1], [1, -1, -1]], "int32")
ANCHORS = np.array(make_anchors(CONFIG, SIZE))


def _outputs(seed=0, prior=0.01):
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.log(prior / (1 - prior)), 1, (2, len(ANCHORS), CLASSES))
    return {
        "class_logits": tf.constant(logits, tf.float32),
        "box_deltas": tf.constant(rng.normal(0, 0.3, (2, len(ANCHORS), 4)), tf.float32),
    }


def _loss(outputs, boxes=BOXES, ids=IDS, *, loss="focal", config=CONFIG, settings=None, **more):
    return detection_loss(
        config, settings or RetinaNetLoss(), outputs, SIZE,
        {"boxes": tf.constant(boxes), "classes": tf.constant(ids)},
        anchor_loss=AnchorLoss(loss), **more,
    )  # fmt: skip


def _reference(outputs, settings, normalizer="batch"):
    """Return the paper's two losses by loops over pictures and anchors, in float64."""
    matched = np.array(assign(CONFIG, settings, SIZE, ANCHORS, BOXES, IDS).matched)
    logits = np.array(outputs["class_logits"], "float64")
    deltas = np.array(outputs["box_deltas"], "float64")
    location, classes = np.zeros(2), np.zeros(2)
    for b in range(2):
        for n in np.flatnonzero(matched[b] != IGNORED):
            truth = np.zeros(CLASSES)
            if matched[b, n] >= 0:
                truth[IDS[b, matched[b, n]]] = 1
                coded = np.array(encode_boxes(BOXES[b, matched[b, n]][None], ANCHORS[n][None]))
                error = np.abs(deltas[b, n] - coded[0])
                beta = settings.beta
                location[b] += np.where(
                    error < beta, 0.5 * error**2 / beta, error - 0.5 * beta
                ).sum()
            p = 1 / (1 + np.exp(-logits[b, n]))
            p_t, weight = np.where(truth > 0, p, 1 - p), np.where(truth > 0, 0.25, 0.75)
            classes[b] += (-weight * (1 - p_t) ** 2 * np.log(p_t)).sum()
    positives = (matched >= 0).sum(axis=1)
    if normalizer == "picture":
        count = np.maximum(positives, 1)
        return (location / count).mean(), (classes / count).mean()
    return location.sum() / positives.sum(), classes.sum() / positives.sum()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("normalizer", ["batch", "picture"])
def test_the_parts_equal_the_slow_reference(normalizer, force):
    settings, outputs = RetinaNetLoss(force_match=force), _outputs()
    config = from_profile("paper", normalizer=normalizer)
    parts = _loss(outputs, settings=settings, config=config)
    location, classes = _reference(outputs, settings, normalizer)
    assert float(parts["location_loss"]) == pytest.approx(location, rel=1e-4)
    assert float(parts["class_loss"]) == pytest.approx(classes, rel=1e-4)


def test_ignored_anchors_have_no_gradient():
    outputs = _outputs()
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        total = sum(_loss(outputs).values())
    gradient = tape.gradient(total, outputs)
    matched = np.array(assign(CONFIG, RetinaNetLoss(), SIZE, ANCHORS, BOXES, IDS).matched)
    by_class = np.abs(gradient["class_logits"]).sum(axis=-1)
    assert (matched == IGNORED).any() and (by_class[matched == IGNORED] == 0).all()
    assert (by_class[matched != IGNORED] > 0).all()
    by_box = np.abs(gradient["box_deltas"]).sum(axis=-1)
    assert (by_box[matched >= 0] > 0).all() and (by_box[matched < 0] == 0).all()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_batch_without_objects_still_teaches_the_background(profile):
    config = from_profile(profile)
    outputs = _outputs()
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        parts = _loss(outputs, ids=np.full((2, 3), -1, "int32"), config=config)
        total = sum(parts.values())
    gradient = tape.gradient(total, outputs)
    assert float(parts["location_loss"]) == 0 < float(parts["class_loss"]) < np.inf
    slopes = np.array(gradient["class_logits"])
    assert np.isfinite(slopes).all() and (slopes > 0).all()
    assert not np.array(gradient["box_deltas"]).any()


def test_no_room_for_objects_at_all():
    parts = _loss(_outputs(), np.zeros((2, 0, 4), "float32"), np.zeros((2, 0), "int32"))
    assert np.isfinite(float(parts["class_loss"])) and float(parts["location_loss"]) == 0


def test_order_and_padding_of_objects_do_not_matter():
    turned = _loss(_outputs(), BOXES[:, ::-1].copy(), IDS[:, ::-1].copy())
    padded = _loss(
        _outputs(), np.pad(BOXES, ((0, 0), (0, 9), (0, 0))),
        np.pad(IDS, ((0, 0), (0, 9)), constant_values=-1),
    )  # fmt: skip
    for name, value in _loss(_outputs()).items():
        assert float(turned[name]) == pytest.approx(float(value), rel=1e-6)
        assert float(padded[name]) == pytest.approx(float(value), rel=1e-6)


def test_gamma_zero_and_alpha_half_is_half_of_cross_entropy():
    half = _loss(_outputs(), loss=keras_focal.FocalLoss(alpha=0.5, gamma=0.0))
    whole = _loss(_outputs(), loss="cross-entropy")
    assert float(half["class_loss"]) == pytest.approx(float(whole["class_loss"]) / 2, rel=1e-5)


def test_giou_is_zero_for_perfect_boxes_and_l1_counts_the_coded_distance():
    settings = RetinaNetLoss(box_loss="giou")
    matched = np.array(assign(CONFIG, settings, SIZE, ANCHORS, BOXES, IDS).matched)
    truth = np.stack([BOXES[b][np.maximum(matched[b], 0)] for b in range(2)])
    truth = np.where(matched[..., None] >= 0, truth, ANCHORS)
    exact = np.array(encode_boxes(truth, ANCHORS))
    outputs = {**_outputs(), "box_deltas": tf.constant(exact)}
    assert float(_loss(outputs, settings=settings)["location_loss"]) == pytest.approx(0, abs=1e-4)
    shifted = {**outputs, "box_deltas": tf.constant(exact + 0.25)}
    l1 = RetinaNetLoss(box_loss="l1")
    assert float(_loss(shifted, settings=l1)["location_loss"]) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        keras.losses.BinaryCrossentropy(), keras.losses.BinaryCrossentropy(from_logits=True),
        keras.losses.BinaryFocalCrossentropy(), keras.losses.MeanSquaredError(),
        keras_focal.FocalLoss(alpha=[0.2, 0.3, 0.4]), keras_focal.FocalLossStar(),
        keras_focal.BalancedCrossEntropy(), keras_focal.QualityFocalLoss(),
        keras_focal.VarifocalLoss(), keras_focal.OnlineHardExampleMining(hardest=16),
        keras_focal.OnlineHardExampleMining(hardest=16, negatives_per_positive=3, nms_iou=0.7),
        lambda y, z: tf.nn.sigmoid_cross_entropy_with_logits(y, z),
    ],
    ids=lambda loss: type(loss).__name__,
)  # fmt: skip
def test_every_element_wise_loss_trains_the_classes(loss):
    outputs = _outputs()
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        value = _loss(outputs, loss=loss)["class_loss"]
    slopes = np.array(tape.gradient(value, outputs)["class_logits"])
    assert np.isfinite(slopes).all() and slopes.any() and float(value) > 0


def test_mining_counts_the_anchors_that_it_keeps():
    plain = keras.losses.BinaryCrossentropy(from_logits=True)
    mining = keras_focal.OnlineHardExampleMining(plain, hardest=5)
    outputs = _outputs()
    value = float(_loss(outputs, loss=mining)["class_loss"])
    matched = np.array(assign(CONFIG, RetinaNetLoss(), SIZE, ANCHORS, BOXES, IDS).matched)
    logits = np.array(outputs["class_logits"], "float64")
    truth = np.zeros_like(logits)
    for b, n in np.argwhere(matched >= 0):
        truth[b, n, IDS[b, matched[b, n]]] = 1
    by_anchor = (np.logaddexp(0, logits) - truth * logits).sum(axis=-1)
    by_anchor[matched == IGNORED] = 0
    hardest = np.sort(by_anchor, axis=1)[:, -5:]
    assert value == pytest.approx(hardest.mean(), rel=1e-5)


def test_soft_targets_are_the_overlap_of_the_predicted_box():
    seen = {}

    @keras.saving.register_keras_serializable(package="test")
    class Spy(keras_focal.QualityFocalLoss):
        def __call__(self, y_true, y_pred, sample_weight=None):
            seen["truth"] = np.array(y_true)
            return super().__call__(y_true, y_pred, sample_weight)

    _loss(_outputs(), loss=Spy(from_logits=True))
    matched = np.array(assign(CONFIG, RetinaNetLoss(), SIZE, ANCHORS, BOXES, IDS).matched)
    values = seen["truth"].max(axis=-1)
    assert (values[matched < 0] == 0).all()
    assert ((values[matched >= 0] > 0) & (values[matched >= 0] < 1)).all()


def test_the_running_mean_divides_both_parts():
    config = from_profile(normalizer="average")
    settings = default_settings(config, None)
    parts = _loss(_outputs(), config=config, settings=settings, average=lambda count: 50.0)
    again = _loss(_outputs(), config=config, settings=settings, average=lambda count: 100.0)
    for name in parts:
        assert float(parts[name]) == pytest.approx(2 * float(again[name]), rel=1e-5)


def test_default_settings_are_the_profiles():
    assert default_settings(CONFIG, "focal") == RetinaNetLoss()
    assert RetinaNetLoss().beta == pytest.approx(1 / 9)
    assert default_settings(from_profile("torchvision-v2"), "focal").box_loss == "giou"
