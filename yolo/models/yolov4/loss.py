"""The three parts of YOLOv4's loss; the confidence part is any element-wise Keras loss."""

from __future__ import annotations

import operator
from itertools import accumulate

from keras import ops

from yolo.boxes.ignored import in_crowd
from yolo.boxes.overlap import box_similarity, map_sizes, max_iou
from yolo.errors import ConfigError
from yolo.models.replicas import sum_over_replicas
from yolo.models.yolov4.decode import (
    Grid,
    codes_of,
    decode_boxes,
    encode_boxes,
    flatten,
    make_grid,
)
from yolo.models.yolov4.settings import YOLOv4Config, YOLOv4Loss, scaled
from yolo.models.yolov4.targets import Targets, assign, class_shares

PARTS = ("location_loss", "confidence_loss", "class_loss")
_IGNORED = -1.0  # in the place of an anchor's target


def default_settings(config: YOLOv4Config, loss) -> YOLOv4Loss:
    """Return the weights that suit a confidence loss: focal ones count by their positives.

    What a cfg says of the loss counts, too.
    """
    scaling = "cross-entropy"
    if hasattr(loss, "select"):
        scaling = "mining"
    elif getattr(loss, "gamma", 0) or getattr(loss, "soft_targets", False):
        scaling = "focal"
    return YOLOv4Loss(**scaled(scaling, config.cfg_loss))


def make_state(config: YOLOv4Config) -> None:
    """Return what the loss remembers from batch to batch: nothing."""
    return None


def detection_loss(
    config: YOLOv4Config, settings: YOLOv4Loss, maps, image_size, ground_truth, *, anchor_loss
) -> dict:  # fmt: skip
    """Return the weighted parts of the loss of a batch.

    Args:
        config: the network's settings.
        settings: weights, normalisers and thresholds.
        maps: the network's outputs, {stride: (batch, h, w, anchors * (5 + C))}.
        image_size: (height, width) of the batch's pictures.
        ground_truth: "boxes" (batch, M, 4) xyxy in pixels and "classes" (batch, M) int32; what
            numbers below 0 mean is said in `yolo.boxes.labels`.
        anchor_loss: an `AnchorLoss` for the objectness logits.

    Returns:
        Scalars "location_loss", "confidence_loss" and "class_loss"; their sum is the loss.

    Raises:
        ConfigError: `class_factors` has not one for each class.
    """
    sizes = map_sizes(config.strides, image_size)
    raw = flatten(config, maps)  # (batch, N, 5 + C)
    if len(settings.class_factors) not in (0, raw.shape[-1] - 5):
        raise ConfigError(
            f"class_factors has a number for each of the {raw.shape[-1] - 5} classes, or none; "
            f"received {len(settings.class_factors)}"
        )
    grid = make_grid(config, image_size)
    targets = assign(config, settings, image_size, ground_truth["boxes"], ground_truth["classes"])
    location, classes, similarity = _positive_losses(
        config, settings, raw, grid, targets, image_size
    )

    # Levels own consecutive slots of a pair list and consecutive anchors of a picture.
    masks = [len(mask) for mask in config.masks]
    cells = [rows * columns for rows, columns in sizes]
    slot_ends = list(accumulate(masks, initial=0))
    anchor_ends = list(accumulate(map(operator.mul, cells, masks), initial=0))
    pairs = _per_level(targets.positive, slot_ends, settings.per_level)
    location = _per_level(location, slot_ends, True)
    classes = _per_level(classes, slot_ends, True)
    counts = [ops.maximum(sum_over_replicas(count), 1.0) for count in pairs]

    decoded = ops.stop_gradient(decode_boxes(raw[..., :4], grid, new_coords=config.new_coords))
    overlap = max_iou(decoded, targets.boxes_xyxy, targets.valid)
    value = targets.positive
    if anchor_loss.soft_targets:
        value = ops.maximum(similarity, 1e-3) * targets.positive
    found = _at_anchors(targets, value, raw)
    truth = ops.maximum(found, 0.0)
    crowded = in_crowd(decoded, targets.boxes_xyxy, targets.crowd)
    background = (overlap <= settings.ignore_iou) & (found != _IGNORED) & ~crowded
    used = ops.cast((truth > 0) | background, "float32")
    confidence, used = anchor_loss(truth, raw[..., 4], used, decoded)
    if settings.class_factors:
        factors = _at_anchors(targets, _class_factors(settings, targets) * targets.positive, raw)
        confidence = confidence * ops.where(truth > 0, factors, 1.0)
    confidence = _per_level(confidence, anchor_ends, True)
    if settings.confidence_normalizer == "positives" and anchor_loss.select is None:
        confidence_counts = counts
    else:
        used_counts = _per_level(used, anchor_ends, settings.per_level)
        confidence_counts = [ops.maximum(sum_over_replicas(count), 1.0) for count in used_counts]

    confidence_weight = settings.confidence_weight
    if settings.by_area:
        rows, columns = sizes[0]
        area = ops.cast(rows * columns, "float32") * config.strides[0] ** 2
        confidence_weight = confidence_weight * area / 416**2
    balance = _balance(settings, len(sizes))
    weighted = [value * factor for value, factor in zip(confidence, balance, strict=True)]
    return {
        "location_loss": settings.location_weight * _divide(location, counts),
        "confidence_loss": confidence_weight * _divide(weighted, confidence_counts),
        "class_loss": settings.class_weight * _divide(classes, counts),
    }


def _balance(settings: YOLOv4Loss, levels: int) -> tuple[float, ...]:
    """Return the factor of each level; finer ones than `balance` has count as its finest."""
    missing = levels - len(settings.balance)
    return (settings.balance[:1] * missing + settings.balance)[-levels:]


def _positive_losses(
    config: YOLOv4Config, settings: YOLOv4Loss, raw, grid: Grid, targets: Targets, image_size
):
    """Return location loss, class loss and IoU of each pair, (batch, M, S), 0 where none."""
    shape = ops.shape(raw)
    batch, anchors = shape[0], shape[1]
    first = ops.reshape(ops.arange(batch, dtype="int32") * anchors, (-1, 1, 1))
    rows = ops.take(ops.reshape(raw, (-1, raw.shape[-1])), targets.anchor + first, axis=0)
    # rows: (batch, M, S, 5 + C), the predictions at the responsible anchors
    at_pairs = Grid(*(ops.take(part, targets.anchor, axis=0) for part in grid))
    predicted = decode_boxes(rows[..., :4], at_pairs, new_coords=config.new_coords)
    truth = targets.boxes_xyxy[..., None, :] + ops.zeros_like(predicted)
    if settings.iou == "mse":
        codes = codes_of(rows[..., :4], at_pairs, new_coords=config.new_coords)
        wanted = encode_boxes(truth, at_pairs, new_coords=config.new_coords)
        location = _squared_errors(codes, wanted, truth, image_size) * targets.positive
    else:
        location = (1.0 - box_similarity(predicted, truth, settings.iou)) * targets.positive
    similarity = ops.stop_gradient(box_similarity(predicted, truth, "iou")) * targets.positive
    classes = _class_losses(settings, rows[..., 5:], targets) * targets.positive
    if settings.class_factors:
        location = location * _class_factors(settings, targets)
    return location, classes, similarity


def _squared_errors(codes, wanted, truth_xyxy, image_size):
    """Return half the squared errors of the four codes; small objects count up to twice.

    Reference:
        Redmon and Farhadi (2018), YOLOv3; darknet/src/yolo_layer.c, delta_yolo_box, MSE.
    """
    height, width = (ops.cast(side, "float32") for side in image_size)
    sides = truth_xyxy[..., 2:] - truth_xyxy[..., :2]
    weight = 2.0 - sides[..., 0] * sides[..., 1] / (width * height)
    return 0.5 * weight * ops.sum(ops.square(codes - wanted), axis=-1)


def _class_losses(settings: YOLOv4Loss, logits, targets: Targets):
    """Return the class loss of each pair, (batch, M, S), from its logits (batch, M, S, C).

    Binary cross-entropy against smoothed integer labels: the sum over classes of
    softplus(z) - low * z, corrected at the true class; no one-hot targets are made. The classes of
    all objects of an anchor are true: of k pairs there, d of which name a class, each has k / d of
    that class's correction, which is k times the loss against targets of several ones.
    """
    low, high = settings.label_smoothing / 2.0, 1.0 - settings.label_smoothing
    every = ops.sum(ops.softplus(logits) - low * logits, axis=-1)
    ids = targets.class_ids[..., None, None] + ops.zeros_like(targets.anchor)[..., None]
    at_class = ops.take_along_axis(logits, ids, axis=-1)[..., 0]
    correction = high * at_class * class_shares(targets)
    if settings.class_factors:
        factors = _class_factors(settings, targets)
        # The true class alone counts more: softplus(-z) in the place of softplus(z) - z.
        correction = correction - (factors - 1.0) * ops.softplus(-at_class)
    losses = every - correction
    if settings.class_focal:
        losses = losses * _focal_factor(ops.stop_gradient(ops.sigmoid(at_class)))
    return losses


def _focal_factor(probability):
    """Return what Darknet's focal loss multiplies gradients by, at the true class's probability.

    Reference:
        darknet/src/yolo_layer.c, delta_yolo_class: alpha 0.5, gamma 2.
    """
    logarithm = ops.log(probability + 1e-15)
    return -0.5 * (1.0 - probability) * (2.0 * probability * logarithm + probability - 1.0)


def _class_factors(settings: YOLOv4Loss, targets: Targets):
    """Return the factor of each object's class, (batch, M, 1)."""
    factors = ops.convert_to_tensor(settings.class_factors, "float32")
    return ops.take(factors, targets.class_ids, axis=0)[..., None]


def _at_anchors(targets: Targets, value, raw):
    """Return (batch, N): the largest value of the objects that each anchor is responsible for.

    A pair's value (batch, M, S) is above 0 where positive, else 0. Where an anchor would be
    responsible for ignored ones alone it is `_IGNORED`; where for nothing, some other number
    below 0. `raw` (batch, N, ...) counts the anchors.
    """
    shape = ops.shape(raw)
    batch, anchors = shape[0], shape[1]
    first = ops.reshape(ops.arange(batch, dtype="int32") * (anchors + 1), (-1, 1, 1))
    # Pairs that are none write to one spare place behind each picture's anchors.
    place = ops.where(targets.positive + targets.ignored > 0, targets.anchor, anchors) + first
    value = ops.where(targets.ignored > 0, _IGNORED, value)
    found = ops.segment_max(
        ops.reshape(value, (-1,)), ops.reshape(place, (-1,)), num_segments=batch * (anchors + 1)
    )
    return ops.reshape(found, (batch, anchors + 1))[:, :anchors]


def _per_level(values, ends, split):
    """Sum `values` over each level's part of the last axis, or over all of it for every level."""
    levels = len(ends) - 1
    if not split:
        return [ops.sum(values)] * levels
    return [ops.sum(values[..., ends[i] : ends[i + 1]]) for i in range(levels)]


def _divide(sums, counts):
    return sum(value / count for value, count in zip(sums, counts, strict=True))
