"""Heads told by settings: any number, order, stride and anchors, both ways of coding sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_focal
from yolo.errors import ConfigError
from yolo.models.anchor_loss import AnchorLoss
from yolo.models.yolov4.cfg_words import LEFT_OUT, LOSS_WORDS, loss_options
from yolo.models.yolov4.decode import Grid, codes_of, decode, decode_boxes, encode_boxes, make_grid
from yolo.models.yolov4.loss import default_settings, detection_loss
from yolo.models.yolov4.settings import YOLOv4Config, YOLOv4Loss
from yolo.models.yolov4.targets import assign, class_shares

ANCHORS = ((13, 17), (31, 25), (24, 51), (61, 45), (40, 60), (90, 70), (100, 120), (60, 130))
CLASSES = 3


def _config(**options):
    """Two heads of four anchors, at strides 64 and 32, given in this order."""
    usual = {
        "variant": "darknet", "anchors": ANCHORS, "masks": ((4, 5, 6, 7), (0, 1, 2, 3)),
        "strides": (64, 32), "scales_xy": (2.0, 1.5),
    }  # fmt: skip
    return YOLOv4Config(**usual | options)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_heads_come_in_any_order():
    config = _config()
    assert config.strides == (32, 64) and config.scales_xy == (1.5, 2.0)
    assert config.masks == ((0, 1, 2, 3), (4, 5, 6, 7)) and config.mask(64) == (4, 5, 6, 7)
    grid = make_grid(config, (64, 128))
    assert np.array(grid.sizes)[[0, 3, 32, 35]].tolist() == [
        [13, 17],
        [61, 45],
        [40, 60],
        [60, 130],
    ]
    assert _config(scales_xy=()).scales_xy == (1.0, 1.0)
    single = _config(strides=(8,), masks=((7,),), scales_xy=(1.05,))
    assert single.strides == (8,) and single.masks == ((7,),)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"strides": ()}, "strides"),
        ({"strides": (32, 32)}, "different"),
        ({"strides": (0, 32)}, "1 to 256"),
        ({"strides": (64,)}, "mask for each"),
        ({"scales_xy": (1.0,)}, "a scale"),
        ({"scales_xy": (1.0, 9.0)}, "scales_xy"),
        ({"masks": ((4, 5), (0, 8))}, "0..7"),
        ({"masks": (0, 1)}, r"masks are the indices of each stride's anchors.*received \(0, 1\)"),
        ({"anchors": (10, 14, 23, 27)}, r"anchors are pairs.*received \(10, 14, 23, 27\)"),
        ({"anchors": ((10, -14),) * 8}, "anchors are pairs"),
        ({"anchors": ((10, float("nan")),) * 8}, "anchors are pairs"),
        ({"anchors": "yolo_anchors.txt"}, "anchors are pairs.*received 'yolo_anchors.txt'"),
        ({"prior": "0.1"}, "prior is a number, not '0.1'"),
        ({"cfg_loss": {"iou": "area"}}, "iou is one of"),
        (
            {"variant": "yolov4-tiny", "masks": ((0,), (1,))},
            r"yolov4-tiny has the strides \(16, 32\)",
        ),
    ],
)
def test_impossible_heads_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        _config(**change)


def test_a_box_of_new_coords_by_hand():
    maps = {
        32: np.random.default_rng(1).normal(0, 2, (1, 2, 4, 4 * 8)).astype("float32"),
        64: np.random.default_rng(2).normal(0, 2, (1, 1, 2, 4 * 8)).astype("float32"),
    }
    found = decode(_config(new_coords=True), maps, (64, 128))
    assert found["boxes"].shape == (1, 40, 4)
    row, column, anchor = 1, 2, 3  # of stride 32: anchor 61 x 45
    t = maps[32].reshape(2, 4, 4, 8)[row, column, anchor].astype("float64")
    cx, cy = (_sigmoid(t[:2]) * 1.5 - 0.25 + (column, row)) * 32
    w, h = (2 * _sigmoid(t[2:4])) ** 2 * (61, 45)
    index = (row * 4 + column) * 4 + anchor
    expected = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
    np.testing.assert_allclose(found["boxes"][0, index], expected, rtol=1e-5)
    scores = _sigmoid(t[4]) * _sigmoid(t[5:])
    np.testing.assert_allclose(found["scores"][0, index], scores, rtol=1e-5)


@pytest.mark.parametrize("new_coords", [False, True])
def test_encoding_undoes_decoding(new_coords):
    grid = make_grid(_config(), (64, 96))
    raw = np.random.default_rng(0).normal(0, 1.5, (2, 32, 4)).astype("float32")
    boxes = decode_boxes(raw, grid, new_coords=new_coords)
    codes = codes_of(raw, grid, new_coords=new_coords)
    np.testing.assert_allclose(
        encode_boxes(boxes, grid, new_coords=new_coords), codes, rtol=1e-3, atol=1e-4
    )


def test_codes_of_padding_are_finite():
    grid = Grid(np.zeros((1, 2)), np.array([[32.0, 32.0]]), np.array([[9.0, 9.0]]), np.array([1.0]))
    for new_coords in (False, True):
        assert np.isfinite(encode_boxes(np.zeros((1, 4)), grid, new_coords=new_coords)).all()


# ---------------------------------------------------------------- gradients

SIZE = (64, 128)
BOXES = np.array([[[5, 9, 40, 60], [50, 4, 125, 62], [70, 20, 84, 39], [0, 0, 0, 0]]], "float32")
IDS = np.array([[2, 0, 1, -1]], "int32")


def _iou_and_union(p, t):
    overlap = max(min(p[2], t[2]) - max(p[0], t[0]), 0) * max(min(p[3], t[3]) - max(p[1], t[1]), 0)
    union = (p[2] - p[0]) * (p[3] - p[1]) + (t[2] - t[0]) * (t[3] - t[1]) - overlap
    return overlap / union, union


def _aspect(p, t):
    angles = [np.arctan((b[2] - b[0]) / (b[3] - b[1])) for b in (p, t)]
    return 4 / np.pi**2 * (angles[1] - angles[0]) ** 2


def _location(kind, box, truth, code, wanted, trade_off):
    """Return the location loss of one pair in float64."""
    if kind == "mse":
        area = (truth[2] - truth[0]) * (truth[3] - truth[1]) / (SIZE[0] * SIZE[1])
        return 0.5 * (2 - area) * ((code - wanted) ** 2).sum()
    iou, union = _iou_and_union(box, truth)
    low, high = np.minimum(box[:2], truth[:2]), np.maximum(box[2:], truth[2:])
    hull = high - low
    if kind == "iou":
        return 1 - iou
    if kind == "giou":
        return 1 - iou + (hull.prod() - union) / hull.prod()
    offset = (truth[:2] + truth[2:] - box[:2] - box[2:]) / 2
    loss = 1 - iou + (offset**2).sum() / (hull**2).sum()
    return loss if kind == "diou" else loss + trade_off * _aspect(box, truth)


class _Reference:
    """The loss of a new_coords network as loops over float64 numbers, anchor by anchor."""

    def __init__(self, config, settings, raw):
        self.config, self.settings = config, settings
        found = assign(config, settings, SIZE, BOXES, IDS)
        pairs = np.argwhere(np.array(found.positive)[0] > 0)
        self.pairs = [(m, int(np.array(found.anchor)[0, m, s])) for m, s in pairs]
        self.cells = [
            (stride, scale, column, row, np.array(config.anchors[index]))
            for stride, scale, mask in zip(
                config.strides, config.scales_xy, config.masks, strict=True
            )
            for row in range(SIZE[0] // stride)
            for column in range(SIZE[1] // stride)
            for index in mask
        ]
        boxes = [self.box(n, raw)[0] for n in range(len(raw))]
        self.ignored = [
            max(_iou_and_union(box, truth)[0] for truth in BOXES[0, :3]) > settings.ignore_iou
            for box in boxes
        ]
        self.trade_offs = {}
        for m, n in self.pairs:
            aspect = _aspect(boxes[n], BOXES[0, m].astype("float64"))
            iou = _iou_and_union(boxes[n], BOXES[0, m].astype("float64"))[0]
            self.trade_offs[m, n] = aspect / (1 - iou + aspect)

    def box(self, n, raw):
        stride, scale, column, row, anchor = self.cells[n]
        code = _sigmoid(raw[n, :4])
        code[:2] = code[:2] * scale - (scale - 1) / 2
        centre = (code[:2] + (column, row)) * stride
        size = (2 * code[2:]) ** 2 * anchor
        return np.concatenate([centre - size / 2, centre + size / 2]), code

    def __call__(self, raw):
        settings, location, classes, confidence, counted = self.settings, 0.0, 0.0, 0.0, 0
        positive = {n for _, n in self.pairs}
        for m, n in self.pairs:
            truth = BOXES[0, m].astype("float64")
            box, code = self.box(n, raw)
            stride, _, column, row, anchor = self.cells[n]
            wanted = np.concatenate(
                [
                    (truth[:2] + truth[2:]) / 2 / stride - (column, row),
                    np.sqrt((truth[2:] - truth[:2]) / (4 * anchor)),
                ]
            )
            location += _location(settings.iou, box, truth, code, wanted, self.trade_offs[m, n])
            true = {IDS[0, other] for other, there in self.pairs if there == n}
            for c in range(CLASSES):
                classes += np.logaddexp(0, raw[n, 5 + c]) - (c in true) * raw[n, 5 + c]
        for n in range(len(raw)):
            if n in positive or not self.ignored[n]:
                counted += 1
                confidence += np.logaddexp(0, raw[n, 4]) - (n in positive) * raw[n, 4]
        return (
            settings.location_weight * location / len(self.pairs)
            + settings.class_weight * classes / len(self.pairs)
            + settings.confidence_weight * confidence / counted
        )


@pytest.mark.parametrize("kind", ["mse", "iou", "giou", "diou", "ciou"])
def test_gradients_of_new_coords_equal_a_loop_in_float64(kind):
    config = _config(new_coords=True)
    settings = YOLOv4Loss(iou=kind, positive_iou=0.2, ignore_iou=0.4)
    rng = np.random.default_rng(3)
    maps = {
        32: tf.constant(rng.normal(0, 0.7, (1, 2, 4, 32)), tf.float32),
        64: tf.constant(rng.normal(0, 0.7, (1, 1, 2, 32)), tf.float32),
    }
    with tf.GradientTape() as tape:
        tape.watch(maps)
        parts = detection_loss(
            config, settings, maps, SIZE, {"boxes": BOXES, "classes": IDS},
            anchor_loss=AnchorLoss("cross-entropy"),
        )  # fmt: skip
        total = sum(parts.values())
    gradient = tape.gradient(total, maps)
    gradient = np.concatenate([gradient[stride].numpy().reshape(-1, 8) for stride in (32, 64)])
    raw = np.concatenate([maps[stride].numpy().reshape(-1, 8) for stride in (32, 64)])
    raw = raw.astype("float64")
    reference = _Reference(config, settings, raw)
    assert len(reference.pairs) > 3  # more than one anchor for an object
    np.testing.assert_allclose(float(total), reference(raw), rtol=1e-4)
    numeric = np.zeros_like(raw)
    for place in np.ndindex(*raw.shape):
        step = np.zeros_like(raw)
        step[place] = 1e-5
        numeric[place] = (reference(raw + step) - reference(raw - step)) / 2e-5
    np.testing.assert_allclose(gradient, numeric, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize(
    "loss",
    [keras_focal.FocalLoss(), keras_focal.QualityFocalLoss(), keras.losses.MeanSquaredError()],
)
def test_every_loss_plugs_into_new_coords_and_four_heads(loss):
    config = YOLOv4Config(
        "darknet", ANCHORS, ((0, 1), (2, 3), (4, 5), (6, 7)), strides=(8, 16, 32, 64),
        new_coords=True,
    )  # fmt: skip
    maps = {
        s: tf.random.stateless_normal((1, 64 // s, 128 // s, 2 * 8), (s, 1)) for s in config.strides
    }
    with tf.GradientTape() as tape:
        tape.watch(maps)
        parts = detection_loss(
            config, default_settings(config, loss), maps, SIZE, {"boxes": BOXES, "classes": IDS},
            anchor_loss=AnchorLoss(loss),
        )  # fmt: skip
        total = sum(parts.values())
    for gradient in tape.gradient(total, maps).values():
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


# ---------------------------------------------------------------- classes of one anchor


def _class_loss(logits, boxes, ids, **settings):
    """Return the class loss of a head of one anchor, one cell, and the gradient of its logits."""
    config = YOLOv4Config("darknet", ((30, 30),), ((0,),), strides=(64,))
    logits = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        row = tf.concat([tf.zeros(5), logits], axis=0)
        parts = detection_loss(
            config, YOLOv4Loss(class_weight=1.0, **settings),
            {64: tf.reshape(row, (1, 1, 1, -1))}, (64, 64),
            {"boxes": np.float32([boxes]), "classes": np.int32([ids])},
            anchor_loss=AnchorLoss("cross-entropy"),
        )  # fmt: skip
    return float(parts["class_loss"]), tape.gradient(parts["class_loss"], logits).numpy()


def test_two_classes_on_one_anchor_are_both_learned():
    boxes, logits = [[20, 20, 50, 50], [18, 22, 50, 50], [10, 10, 44, 40]], np.zeros(4)
    for _ in range(40):
        loss, gradient = _class_loss(logits, boxes, [0, 2, 2])
        logits = logits - 4.0 * gradient
    np.testing.assert_allclose(_sigmoid(logits), [1, 0, 1, 0], atol=0.02)
    assert loss < 0.05


def test_an_anchors_loss_is_cross_entropy_with_all_its_classes():
    logits = np.array([0.3, -1.2, 0.8])
    boxes = [[20, 20, 50, 50], [18, 22, 50, 50], [10, 10, 44, 40]]
    expected = np.log1p(np.exp(logits)).sum() - logits[0] - logits[2]
    loss, gradient = _class_loss(logits, boxes, [0, 2, 2])
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, _sigmoid(logits) - [1, 0, 1], rtol=1e-5)


@pytest.mark.parametrize("objects", [12, 32, 70])
def test_shares_of_many_objects(objects):
    config, rng = _config(), np.random.default_rng(objects)
    corner = rng.uniform(0, 60, (2, objects, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 60, (2, objects, 2))], axis=-1)
    ids = rng.integers(-1, 2, (2, objects))
    targets = assign(config, YOLOv4Loss(positive_iou=0.3), (64, 128), boxes, ids)
    found = np.array(tf.function(class_shares)(targets))
    positive, anchor = np.array(targets.positive) > 0, np.array(targets.anchor)
    for b, m, s in np.argwhere(positive):
        same = positive[b] & (anchor[b] == anchor[b, m, s])
        alike = same & (ids[b] == ids[b, m])[:, None]
        assert found[b, m, s] == pytest.approx(same.sum() / alike.sum())
    assert found[positive].max() > 1


# ---------------------------------------------------------------- the words of a cfg


def test_classes_with_factors_count_more():
    box, logits = [[20, 20, 50, 50]], np.array([0.3, -1.2])
    plain, _ = _class_loss(logits, box, [1])
    loss, gradient = _class_loss(logits, box, [1], class_factors=(1.0, 5.0))
    np.testing.assert_allclose(loss, plain + 4 * np.log1p(np.exp(1.2)), rtol=1e-5)
    np.testing.assert_allclose(gradient, [_sigmoid(0.3), 5 * (_sigmoid(-1.2) - 1)], rtol=1e-5)
    with pytest.raises(ConfigError, match="each of the 2 classes"):
        _class_loss(logits, box, [1], class_factors=(1.0, 5.0, 2.0))


def test_factors_reach_box_and_objectness():
    config = YOLOv4Config("darknet", ((30, 30),), ((0,),), strides=(32,))
    maps = {32: tf.zeros((1, 2, 2, 7))}

    def parts(**settings):
        return detection_loss(
            config, YOLOv4Loss(confidence_weight=4.0, ignore_iou=1.0, **settings), maps, (64, 64),
            {"boxes": np.float32([[[2, 2, 30, 30]]]), "classes": np.int32([[1]])},
            anchor_loss=AnchorLoss("cross-entropy"),
        )  # fmt: skip

    usual, more = parts(), parts(class_factors=(1.0, 3.0))
    assert float(more["location_loss"]) == pytest.approx(3 * float(usual["location_loss"]))
    half = np.log(2)  # of each of the four anchors, one of them positive
    assert float(usual["confidence_loss"]) == pytest.approx(4 * half)
    assert float(more["confidence_loss"]) == pytest.approx(6 * half)


def test_the_focal_loss_of_a_cfg_is_darknets():
    box, logits = [[20, 20, 50, 50]], np.array([0.3, -1.2])
    _, gradient = _class_loss(logits, box, [1], class_focal=True)
    p = _sigmoid(-1.2)
    factor = 0.5 * -(1 - p) * (2 * p * np.log(p) + p - 1)
    np.testing.assert_allclose(gradient, factor * (_sigmoid(logits) - [0, 1]), rtol=1e-5)


def test_darknets_defaults():
    found = loss_options({}, 2)
    assert found == {
        "iou": "mse", "ignore_iou": 0.5, "positive_iou": 1.0, "label_smoothing": 0.0,
        "location_weight": 1.0, "confidence_weight": 1.0, "class_focal": False,
    }  # fmt: skip
    assert set(LOSS_WORDS) & set(LEFT_OUT) == {"max_delta"}  # taken for one of its two uses


def test_words_of_a_cfg_become_settings_of_the_loss():
    words = {
        "ignore_thresh": ".7", "iou_thresh": "0.2", "iou_loss": "ciou", "iou_normalizer": "0.035",
        "obj_normalizer": "0.4", "cls_normalizer": "0.5", "label_smooth_eps": "0.1 # a remark",
        "counters_per_class": "100, 50, 1", "max_delta": "20", "focal_loss": "1",
    }  # fmt: skip
    assert set(words) == set(LOSS_WORDS)
    config = _config(cfg_loss=loss_options(words, 3))
    found = default_settings(config, keras.losses.BinaryCrossentropy())
    assert found == YOLOv4Loss(
        iou="ciou", positive_iou=0.2, ignore_iou=0.7, label_smoothing=0.1, location_weight=0.5,
        confidence_weight=8.0, class_weight=0.25, class_focal=True, class_factors=(1, 2, 20),
    )  # fmt: skip
    focal = default_settings(config, keras_focal.FocalLoss())
    assert focal.confidence_weight == pytest.approx(1.6)
    assert focal.confidence_normalizer == "positives"
    assert loss_options({"iou_loss": "anything"}, 3)["iou"] == "iou"


@pytest.mark.parametrize(
    "words, message",
    [
        ({"ignore_thresh": "half"}, "ignore_thresh='half' is no number"),
        ({"iou_normalizer": "nan"}, "iou_normalizer lies in"),
        ({"obj_normalizer": "-1"}, "obj_normalizer lies in"),
        ({"counters_per_class": "1,2"}, "each of the 3 classes; received 2"),
    ],
)
def test_words_that_mean_nothing_are_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        loss_options(words, 3)
