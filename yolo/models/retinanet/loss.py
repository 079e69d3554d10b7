"""The two parts of RetinaNet's loss; the class part is any element-wise Keras loss."""

from __future__ import annotations

import keras
from keras import ops

from yolo.boxes.overlap import box_similarity
from yolo.models.replicas import sum_over_replicas
from yolo.models.retinanet.decode import decode_boxes, encode_boxes, make_anchors
from yolo.models.retinanet.settings import PROFILES, RetinaNetConfig, RetinaNetLoss
from yolo.models.retinanet.targets import IGNORED, assign, overlaps

PARTS = ("location_loss", "class_loss")
AVERAGE_START, AVERAGE_KEPT = 100.0, 0.9  # those of detectron2


def default_settings(config: RetinaNetConfig, loss) -> RetinaNetLoss:
    """Return the settings of the network's profile, whatever the loss."""
    return RetinaNetLoss(**PROFILES[config.profile].loss)


class RunningPositives(keras.layers.Layer):
    """The running mean of the number of positive anchors in a batch, by which losses are divided.

    A layer, so that the model which holds it saves it; it has nothing to train.

    Reference:
        detectron2/modeling/meta_arch/dense_detector.py, `_ema_update`.
    """

    def __init__(self):
        super().__init__(dtype="float32", name="running_positives")
        self.mean = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(AVERAGE_START), trainable=False,
            dtype="float32", autocast=False, aggregation="only_first_replica", name="mean",
        )  # fmt: skip
        self.built = True

    def call(self, count, training=None):
        """Return the mean, a scalar, moved on by a batch's count when training."""
        if training:
            self.mean.assign(AVERAGE_KEPT * self.mean + (1.0 - AVERAGE_KEPT) * count)
        return ops.convert_to_tensor(self.mean)


def make_state(config: RetinaNetConfig) -> RunningPositives | None:
    """Return what the loss remembers from batch to batch, None if nothing."""
    return RunningPositives() if config.normalizer == "average" else None


def detection_loss(
    config: RetinaNetConfig, settings: RetinaNetLoss, outputs, image_size, ground_truth, *,
    anchor_loss, average=None,
) -> dict:  # fmt: skip
    """Return the weighted parts of the loss of a batch.

    The class loss is summed over all classes of all anchors that are not ignored, the location
    loss over the positives; both are divided by what `config.normalizer` says.

    Args:
        config: the network's settings.
        settings: matching and weights.
        outputs: those of the network.
        image_size: (height, width) of the batch's pictures.
        ground_truth: "boxes" (batch, M, 4) xyxy in pixels and "classes" (batch, M) int32; what
            numbers below 0 mean is said in `yolo.boxes.labels`.
        anchor_loss: an `AnchorLoss` for the class logits.
        average: the state that `make_state` made, which takes the number of positives and
            returns its running mean; None divides by the number itself.

    Returns:
        Scalars "location_loss" and "class_loss"; their sum is the loss.

    Reference:
        Lin et al. (2017), section 4.1, "Focal Loss" and "Training".
    """
    logits = ops.cast(outputs["class_logits"], "float32")  # (batch, N, K)
    deltas = ops.cast(outputs["box_deltas"], "float32")
    anchors = make_anchors(config, image_size)
    targets = assign(
        config, settings, image_size, anchors, ground_truth["boxes"], ground_truth["classes"]
    )
    positive = ops.cast(targets.matched >= 0, "float32")  # (batch, N)
    owner = ops.maximum(targets.matched, 0)
    truth = ops.take_along_axis(targets.boxes_xyxy, owner[..., None], axis=1)  # (batch, N, 4)
    # Anchors without an object are compared with themselves: nothing infinite can arise there.
    truth = ops.where(positive[..., None] > 0, truth, anchors)
    boxes = decode_boxes(config, deltas, anchors)

    box_losses = _box_losses(config, settings, deltas, boxes, truth, anchors) * positive
    class_of = ops.take_along_axis(targets.class_ids, owner, axis=1)
    quality = positive
    if anchor_loss.soft_targets:
        quality = ops.maximum(overlaps(ops.stop_gradient(boxes), truth), 1e-3) * positive
    used = ops.cast(targets.matched != IGNORED, "float32")
    class_losses, used = anchor_loss.of_classes(
        class_of, quality, logits, used, ops.stop_gradient(boxes)
    )

    # Mining keeps a fixed number of anchors, so its loss is their mean.
    class_weights = _share_of_sum(config, used, None) if anchor_loss.select else None
    weights = _share_of_sum(config, positive, average)
    class_weights = weights if class_weights is None else class_weights
    location = ops.sum(ops.sum(box_losses, axis=1) * weights)
    classes = ops.sum(ops.sum(class_losses, axis=1) * class_weights)
    return {
        "location_loss": settings.location_weight * location,
        "class_loss": settings.class_weight * classes,
    }


def _share_of_sum(config: RetinaNetConfig, counted, average):
    """Return by what each picture's sum of losses is multiplied, (batch,) or a scalar.

    All counts are those of the whole batch, on however many replicas it lies.
    """
    if config.normalizer == "picture":
        pictures = sum_over_replicas(ops.cast(ops.shape(counted)[0], "float32"))
        return 1.0 / (ops.maximum(ops.sum(counted, axis=1), 1.0) * pictures)
    count = ops.maximum(sum_over_replicas(ops.sum(counted)), 1.0)
    if config.normalizer == "average" and average is not None:
        count = average(count)
    return 1.0 / count


def _box_losses(config, settings: RetinaNetLoss, deltas, boxes, truth, anchors):
    """Return the box loss of every anchor, (batch, N)."""
    if settings.box_loss == "giou":
        return 1.0 - box_similarity(boxes, truth, "giou")
    error = ops.abs(deltas - encode_boxes(truth, anchors))
    if settings.box_loss == "smooth_l1":
        beta = settings.beta
        error = ops.where(error < beta, 0.5 * ops.square(error) / beta, error - 0.5 * beta)
    return ops.sum(error, axis=-1)
