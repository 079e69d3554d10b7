"""What the loss classes share: element-by-element results, weights, masks and reduction."""

from abc import ABC, abstractmethod
from typing import Any

import keras
from keras import ops
from keras.backend import standardize_dtype

from keras_focal._labels import refuse_no_labels
from keras_focal._types import Tensor

try:
    from keras.src.backend import get_keras_mask
except ImportError:  # not a public name: fall back on the attribute that it reads

    def get_keras_mask(x: Tensor) -> Tensor | None:
        """Return the mask that a layer attached to its output, or None."""
        return getattr(x, "_keras_mask", None)


class ElementLoss(keras.losses.Loss, ABC):
    """Base of losses whose `call` keeps the last axis, or says which elements count.

    Keras reduces the last axis in `call`; here it is kept, so that a detector can weigh single
    anchors. The mean over everything is the same. Entries left out (by `ignore_label`, or by a
    layer's mask) have loss and gradient 0, and a mean does not count them.

    Attributes:
        soft_targets: whether labels are qualities in [0, 1] rather than classes.
    """

    soft_targets = False

    @abstractmethod
    def evaluate(
        self, y_true: Tensor, y_pred: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss of each element, and which of them count.

        Args:
            y_true: labels.
            y_pred: predictions.
            mask: None, or a bool tensor of the losses' shape or its leading axes; False leaves
                out.

        Returns:
            (losses, kept): losses a tensor; kept a bool tensor of its shape, or None where all
            count. Elements that do not count have loss and gradient 0, whatever was predicted.
        """

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each element, float32 or float64, not reduced."""
        return self.evaluate(y_true, y_pred)[0]

    def __call__(
        self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """Return the reduced loss: a scalar, or one value per element where `reduction` is "none".

        Sample weights are of the leading axes of the loss, or of all of them.

        Raises:
            ValueError: shapes do not fit, or a label is none, as far as that is known: where a
                backend computes eagerly, and for a scalar in a graph of TensorFlow, where it is
                TensorFlow's own error with the same line. Compiled by XLA its loss is NaN.
        """
        mask = get_keras_mask(y_pred)
        with keras.name_scope(self.name):
            if mask is not None:
                mask = ops.cast(ops.convert_to_tensor(mask), "bool")
            losses, kept = self.evaluate(y_true, y_pred, mask)
            value = reduce(losses, sample_weight, kept, self.reduction)
            return ops.cast(refuse_no_labels(value, losses, y_pred), self.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        return {**super().get_config(), "dtype": self.dtype}


class _Reduction(keras.losses.Loss):
    """Keras's own reduction of values that are losses already."""

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return y_pred


def reduce(
    losses: Tensor, sample_weight: Tensor | None, kept: Tensor | None, reduction: str | None
) -> Tensor:
    """Reduce losses as Keras does, with weights of their shape or of its leading axes.

    Elements that are not `kept`, a bool tensor of the losses' shape, count neither in the sum nor
    in the denominator of a mean.
    """
    dtype = standardize_dtype(losses.dtype)
    weights = None
    if kept is not None:
        losses = only(kept, losses)
        weights = ops.cast(kept, dtype)
        if reduction in ("sum_over_batch_size", "mean"):
            total = ops.sum(ops.ones_like(weights))
            weights = weights * ops.divide_no_nan(total, ops.sum(weights))
    if sample_weight is not None:
        given = ops.cast(ops.convert_to_tensor(sample_weight), dtype)
        if len(given.shape) == len(losses.shape) + 1 and given.shape[-1] == 1:
            given = ops.squeeze(given, -1)
        if 0 < len(given.shape) < len(losses.shape):
            given = _expand(given, losses)
        if reduction == "mean_with_sample_weight":
            given = given * ops.ones_like(losses)  # so that their sum counts every element
        weights = given if weights is None else weights * given
    reduction = _Reduction(reduction=reduction, name="reduction", dtype=dtype)
    return reduction(losses, losses, sample_weight=weights)


def only(kept: Tensor | None, x: Tensor) -> Tensor:
    """Set to 0 what does not count: labels and logits before a loss, and the loss itself.

    Zero losses alone would not do: their gradient of 0 times the slope of an infinite logit is
    NaN. None keeps everything.
    """
    return x if kept is None else ops.where(kept, x, ops.zeros_like(x))


def spread(mask: Tensor, like: Tensor) -> Tensor:
    """Repeat a bool mask, of a tensor's shape or of its leading axes, over its whole shape."""
    if len(mask.shape) == len(like.shape) + 1:
        mask = ops.squeeze(mask, -1)
    return ops.logical_and(_expand(mask, like), ops.ones_like(like, dtype="bool"))


def both(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Return where two bool tensors are True; None stands for one that is True everywhere."""
    if one is None or other is None:
        return other if one is None else one
    return ops.logical_and(one, other)


def _expand(x: Tensor, like: Tensor) -> Tensor:
    """Append axes of length 1 until the ranks agree."""
    for _ in range(len(like.shape) - len(x.shape)):
        x = ops.expand_dims(x, -1)
    return x


def align(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return labels in the rank of predictions, where a last axis of length 1 is the difference."""
    y_true = ops.convert_to_tensor(y_true)
    rank, wanted = len(y_true.shape), len(y_pred.shape)
    if rank == wanted - 1 and y_pred.shape[-1] == 1:
        return ops.expand_dims(y_true, -1)
    if rank == wanted + 1 and y_true.shape[-1] == 1:
        return ops.squeeze(y_true, -1)
    return y_true
