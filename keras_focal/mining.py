"""Online hard example mining, the rival that focal loss is measured against."""

from functools import partial
from typing import Any

import keras
from keras import ops

from keras_focal import _arguments as check
from keras_focal._base import ElementLoss, both, only, spread
from keras_focal._common import Arguments
from keras_focal._labels import differ
from keras_focal._selection import greedy, hardest_by_loss
from keras_focal._types import Tensor


@keras.saving.register_keras_serializable(package="keras_focal")
class OnlineHardExampleMining(Arguments, ElementLoss):
    """Keeps the loss of each picture's hardest anchors and drops that of all others.

    Two forms: the `hardest` anchors by loss; or, with `negatives_per_positive`, as many in all
    but at a fixed ratio, so that positives are never crowded out. Detectors call `select`,
    which can also spread the choice over the picture by non-maximum suppression.

    Args:
        loss: a Keras loss that works element by element; None is binary cross-entropy from
            logits. It is copied.
        hardest: anchors kept per picture, at least 1.
        negatives_per_positive: None, or the ratio, 3 in the paper. Positives then take at most
            hardest / (1 + ratio) places, and negatives at most ratio times as many as there are
            positives kept (a picture without positives counts as one positive).
        nms_iou: None, or the intersection over union in (0, 1] above which an anchor is dropped
            beside a harder one; used where `select` is given boxes.
        from_logits: None leaves the inner loss as it is; True or False rebuilds it so.
        reduction: as in `keras.losses.Loss`; a mean counts the kept elements only.
        name: name of the loss.
        dtype: dtype of the result.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> loss = OnlineHardExampleMining(hardest=2, reduction="none")
        >>> losses = loss(np.zeros((1, 4)), np.array([[0.0, -9.0, 3.0, 1.0]], "float32"))
        >>> [round(float(x), 3) for x in losses[0]]
        [0.0, 0.0, 3.049, 1.313]

    Reference:
        Shrivastava et al. 2016 (arXiv:1604.03540); Lin et al. 2017, section 5.1 and table 1d.
    """

    def __init__(
        self,
        loss: Any = None,
        *,
        hardest: int = 128,
        negatives_per_positive: float | None = None,
        nms_iou: float | None = None,
        from_logits: bool | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "online_hard_example_mining",
        dtype: Any = None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        if loss is None:
            loss = keras.losses.BinaryCrossentropy(from_logits=from_logits is not False)
        if isinstance(loss, dict):
            loss = keras.losses.deserialize(loss)
        if not isinstance(loss, keras.losses.Loss) or isinstance(loss, OnlineHardExampleMining):
            raise TypeError(
                "loss: expected a keras.losses.Loss that works element by element, "
                f"received {loss!r}"
            )
        config = {**loss.get_config(), "reduction": "none"}
        if from_logits is not None:
            if "from_logits" not in config and not hasattr(loss, "from_logits"):
                raise TypeError(
                    "from_logits: expected None for a loss that does not take it, received "
                    f"{from_logits!r} for {type(loss).__name__}"
                )
            config["from_logits"] = check.flag("from_logits", from_logits)
        self.loss = type(loss).from_config(config)
        self.hardest = check.integer("hardest", hardest, low=1)
        self.negatives_per_positive = None
        if negatives_per_positive is not None:
            self.negatives_per_positive = check.number(
                "negatives_per_positive", negatives_per_positive, low=0
            )
        self.nms_iou = None
        if nms_iou is not None:
            self.nms_iou = check.number("nms_iou", nms_iou, low=0, high=1)

    @property
    def soft_targets(self) -> bool:  # type: ignore[override]
        """Whether the inner loss wants qualities in [0, 1]."""
        return getattr(self.loss, "soft_targets", False)

    @property
    def from_logits(self) -> bool:
        """Whether the inner loss takes logits."""
        return bool(getattr(self.loss, "from_logits", False))

    def elements(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the inner loss of each prediction, before any selection.

        Raises:
            ValueError: the inner loss does not give one value per prediction.
        """
        return self._inner(y_true, y_pred, None)[0]

    def _inner(
        self, y_true: Tensor, y_pred: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the inner loss of each prediction, and which of them count."""
        y_pred = ops.convert_to_tensor(y_pred)
        if isinstance(self.loss, ElementLoss):
            losses, kept = self.loss.evaluate(y_true, y_pred, mask)
            if len(losses.shape) != len(y_pred.shape):
                raise ValueError(
                    f"loss: {type(self.loss).__name__}: expected one value per prediction "
                    f"{tuple(y_pred.shape)}, received {tuple(losses.shape)}"
                )
            return losses, kept
        kept = None if mask is None else spread(mask, y_pred)
        y_pred = only(kept, y_pred)
        y_true = only(kept, ops.convert_to_tensor(y_true))
        # Keras's losses average over the last axis: one of length 1 leaves them whole
        losses = self.loss(ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1))
        ignore = getattr(self.loss, "ignore_label", None)
        if ignore is not None:
            kept = both(kept, spread(differ(y_true, ignore), y_pred))
        return ops.reshape(losses, ops.shape(y_pred)), kept

    def select(
        self, losses: Tensor, positives: Tensor, valid: Tensor, boxes_xyxy: Tensor | None = None
    ) -> Tensor:
        """Choose the anchors to learn from. No gradient flows through the choice.

        With boxes and `nms_iou` the picks are made one by one, each the hardest that overlaps no
        earlier pick by more than `nms_iou`; memory is that of the losses, whatever their number.
        At a fixed ratio positives are picked first.

        Args:
            losses: (batch, anchors), the loss of each anchor, summed over classes.
            positives: (batch, anchors) bool, anchors matched to an object.
            valid: (batch, anchors) bool, anchors that are not ignored.
            boxes_xyxy: (batch, anchors, 4) or (1, anchors, 4), in pixels; used with `nms_iou`.

        Returns:
            (batch, anchors) float32, 1 for chosen anchors and 0 for all others.

        Example:
            >>> import numpy as np
            >>> mining = OnlineHardExampleMining(hardest=4, negatives_per_positive=3)
            >>> losses = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]], "float32")
            >>> positives = np.array([[False, False, False, False, True]])
            >>> mask = mining.select(losses, positives, np.ones((1, 5), bool))
            >>> [int(x) for x in mask[0]]
            [1, 1, 1, 0, 1]
        """
        losses = ops.cast(ops.stop_gradient(ops.convert_to_tensor(losses)), "float32")
        positives = ops.cast(ops.convert_to_tensor(positives), "bool")
        valid = ops.cast(ops.convert_to_tensor(valid), "bool")
        lowest = ops.full_like(losses, -float("inf"))
        # a loss that is not a number must surface, not hide: it counts as the hardest
        losses = ops.where(ops.isnan(losses), -lowest, losses)
        if self.nms_iou is None or boxes_xyxy is None:
            pick = hardest_by_loss
        else:
            boxes = ops.cast(ops.stop_gradient(ops.convert_to_tensor(boxes_xyxy)), "float32")
            boxes = boxes + ops.expand_dims(ops.zeros_like(losses), -1)  # (batch, anchors, 4)
            pick = partial(greedy, boxes_xyxy=boxes, iou_threshold=self.nms_iou)
        batch = ops.shape(losses)[0]
        if self.negatives_per_positive is None:
            scores = ops.where(valid, losses, lowest)
            quota = ops.full((batch,), float(self.hardest))
            return ops.stop_gradient(pick(scores, self.hardest, quota))
        ratio = self.negatives_per_positive
        most = max(1, int(self.hardest / (1.0 + ratio)))
        scores = ops.where(ops.logical_and(valid, positives), losses, lowest)
        chosen = pick(scores, most, ops.full((batch,), float(most)))
        count = ops.sum(chosen, axis=-1)
        quota = ops.minimum(ops.floor(ratio * ops.maximum(count, 1.0)), self.hardest - count)
        negatives = ops.logical_and(valid, ops.logical_not(positives))
        scores = ops.where(negatives, losses, lowest)
        return ops.stop_gradient(chosen + pick(scores, self.hardest, quota, chosen))

    def evaluate(
        self, y_true: Tensor, y_pred: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the inner loss with everything not selected set to 0, and what was selected.

        Labels and predictions have one shape, (batch, anchors) or (batch, anchors, classes).
        """
        losses, counts = self._inner(y_true, y_pred, mask)
        kept = self._chosen(y_true, losses, counts)
        return only(kept, losses), kept

    def _chosen(self, y_true: Tensor, losses: Tensor, counts: Tensor | None) -> Tensor:
        """Select anchors by the sum of their losses; positives are those with a label above 0."""
        y_true = ops.convert_to_tensor(y_true)
        check.same_shape(y_true.shape, losses.shape)
        if len(losses.shape) not in (2, 3):
            raise ValueError(
                "y_pred: expected (batch, anchors) or (batch, anchors, classes), "
                f"received {tuple(losses.shape)}"
            )
        y_true = y_true + ops.zeros_like(losses, dtype=y_true.dtype)
        if counts is None:
            counts = ops.ones_like(losses, dtype="bool")
        true = ops.logical_and(y_true > 0, counts)
        if len(losses.shape) == 2:
            chosen = self.select(losses, true, counts)
        else:
            chosen = self.select(
                ops.sum(losses, axis=-1), ops.any(true, axis=-1), ops.any(counts, axis=-1)
            )
            chosen = ops.expand_dims(chosen, -1)
        return ops.logical_and(chosen > 0, counts)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        return {
            **super().get_config(),
            "loss": keras.losses.serialize(self.loss),
            "from_logits": self.from_logits if hasattr(self.loss, "from_logits") else None,
        }
