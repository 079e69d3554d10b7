"""The three parts of YOLOv4's loss; the confidence part is any element-wise Keras loss."""

from __future__ import annotations

from keras import ops

from yolo.boxes.overlap import box_similarity, map_sizes, max_iou
from yolo.models.replicas import sum_over_replicas
from yolo.models.yolov4.decode import Grid, decode_boxes, flatten, make_grid
from yolo.models.yolov4.settings import LOSS_SCALINGS, YOLOv4Config, YOLOv4Loss
from yolo.models.yolov4.targets import Targets, assign

PARTS = ("location_loss", "confidence_loss", "class_loss")


def default_settings(config: YOLOv4Config, loss) -> YOLOv4Loss:
    """Return the weights that suit a confidence loss: focal ones count by their positives.

    Args:
        config: the network's settings.
        loss: a Keras loss, or a function.
    """
    scaling = "cross-entropy"
    if hasattr(loss, "select"):
        scaling = "mining"
    elif getattr(loss, "gamma", 0) or getattr(loss, "soft_targets", False):
        scaling = "focal"
    return YOLOv4Loss(**LOSS_SCALINGS[scaling])


def make_state(config: YOLOv4Config) -> None:
    """Return what the loss remembers from batch to batch: nothing.

    Args:
        config: the network's settings.
    """
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
        ground_truth: "boxes" (batch, M, 4) xyxy in pixels and "classes" (batch, M) int32, -1
            for padding.
        anchor_loss: an `AnchorLoss` for the objectness logits.

    Returns:
        Scalars "location_loss", "confidence_loss" and "class_loss"; their sum is the loss.
    """
    sizes = map_sizes(config.strides, image_size)
    raw = flatten(config, maps)  # (batch, N, 5 + C)
    grid = make_grid(config, sizes)
    targets = assign(config, settings, image_size, ground_truth["boxes"], ground_truth["classes"])
    location, classes, similarity = _positive_losses(settings, raw, grid, targets)

    # Levels own consecutive slots of a pair list and consecutive anchors of a picture.
    slot_ends = _running_sums([len(mask) for mask in config.masks])
    anchor_ends = _running_sums(
        [rows * columns * len(mask) for (rows, columns), mask in zip(
            sizes, config.masks, strict=True)]
    )  # fmt: skip
    pairs = _per_level(targets.positive, slot_ends, settings.per_level)
    location = _per_level(location, slot_ends, True)
    classes = _per_level(classes, slot_ends, True)
    counts = [ops.maximum(sum_over_replicas(count), 1.0) for count in pairs]

    decoded = ops.stop_gradient(decode_boxes(raw[..., :4], grid))
    overlap = max_iou(decoded, targets.boxes_xyxy, targets.valid)
    truth = _objectness(targets, similarity if anchor_loss.soft_targets else None, raw)
    used = ops.cast(ops.logical_or(truth > 0, overlap <= settings.ignore_iou), "float32")
    confidence, used = anchor_loss(truth, raw[..., 4], used, decoded)
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
    balance = settings.balance[-len(sizes) :]
    weighted = [value * factor for value, factor in zip(confidence, balance, strict=True)]
    return {
        "location_loss": settings.location_weight * _divide(location, counts),
        "confidence_loss": confidence_weight * _divide(weighted, confidence_counts),
        "class_loss": settings.class_weight * _divide(classes, counts),
    }


def _positive_losses(settings: YOLOv4Loss, raw, grid: Grid, targets: Targets):
    """Return location loss, class loss and IoU of each pair, (batch, M, S), 0 where none."""
    shape = ops.shape(raw)
    batch, anchors = shape[0], shape[1]
    first = ops.reshape(ops.arange(batch, dtype="int32") * anchors, (-1, 1, 1))
    rows = ops.take(ops.reshape(raw, (-1, raw.shape[-1])), targets.anchor + first, axis=0)
    # rows: (batch, M, S, 5 + C), the predictions at the responsible anchors
    at_pairs = Grid(*(ops.take(part, targets.anchor, axis=0) for part in grid))
    predicted = decode_boxes(rows[..., :4], at_pairs)
    truth = targets.boxes_xyxy[..., None, :] + ops.zeros_like(predicted)
    location = (1.0 - box_similarity(predicted, truth, settings.iou)) * targets.positive
    similarity = ops.stop_gradient(box_similarity(predicted, truth, "iou")) * targets.positive

    # Binary cross-entropy against smoothed integer labels: the sum over classes of
    # softplus(z) - low * z, corrected at the true class; no one-hot targets are made.
    logits = rows[..., 5:]
    low = settings.label_smoothing / 2.0
    every = ops.sum(ops.softplus(logits) - low * logits, axis=-1)
    ids = targets.class_ids[..., None, None] + ops.zeros_like(targets.anchor)[..., None]
    at_class = ops.take_along_axis(logits, ids, axis=-1)[..., 0]
    classes = (every - (1.0 - settings.label_smoothing) * at_class) * targets.positive
    return location, classes, similarity


def _objectness(targets: Targets, similarity, raw):
    """Return (batch, N) targets: 1 at positive anchors, or their IoU where soft ones are asked."""
    shape = ops.shape(raw)
    batch, anchors = shape[0], shape[1]
    first = ops.reshape(ops.arange(batch, dtype="int32") * (anchors + 1), (-1, 1, 1))
    # Pairs that are not positive write to one spare place behind each picture's anchors.
    place = ops.where(targets.positive > 0, targets.anchor, anchors) + first
    place = ops.reshape(place, (-1,))
    value = targets.positive
    if similarity is not None:
        value = ops.maximum(similarity, 1e-3) * targets.positive
    total = batch * (anchors + 1)
    truth = ops.segment_max(ops.reshape(value, (-1,)), place, num_segments=total)
    truth = ops.reshape(ops.maximum(truth, 0.0), (batch, anchors + 1))
    return truth[:, :anchors]


def _running_sums(counts):
    ends = [0]
    for count in counts:
        ends.append(ends[-1] + count)
    return ends


def _per_level(values, ends, split):
    """Sum `values` over each level's part of the last axis, or over all of it for every level."""
    levels = len(ends) - 1
    if not split:
        return [ops.sum(values)] * levels
    return [ops.sum(values[..., ends[i] : ends[i + 1]]) for i in range(levels)]


def _divide(sums, counts):
    return sum(value / count for value, count in zip(sums, counts, strict=True))
