"""What is a label and what is not: the latter gives NaN, and an error where that is seen."""

import sys
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.backend import standardize_dtype

from keras_focal._range import call_where
from keras_focal._types import Tensor

# How far outside [0, 1] the rounding of an IoU or of a mixture may put a label
ROUNDING = 1e-4
# Stands for a class that no 32-bit integer holds; as many classes no model has
NO_CLASS = 2**31 - 1


def in_range(labels: Tensor) -> Tensor:
    """Return labels with NaN in place of those outside [0, 1].

    Those outside by no more than `ROUNDING` are taken as the end that they are beside.
    """

    def checked() -> Tensor:
        nearest = ops.clip(labels, 0.0, 1.0)
        return ops.where(ops.abs(labels - nearest) <= ROUNDING, nearest, float("nan"))

    if keras.backend.backend() != "tensorflow":  # XLA fuses this with what follows
        return checked()
    # there every operation walks over its arrays: two that only read, where all is well
    return ops.cond(all_inside(labels), lambda: labels, checked)


def all_inside(labels: Tensor) -> Tensor:
    """Tell whether all labels, none of them NaN, lie in [0, 1]: a walk that writes nothing."""
    return ops.logical_and(ops.min(labels, initial=0.0) >= 0, ops.max(labels, initial=0.0) <= 1)


def as_classes(labels: Tensor) -> Tensor:
    """Return classes as int32, with `NO_CLASS` in place of what is no 32-bit integer."""
    dtype = standardize_dtype(labels.dtype)
    ids = ops.cast(labels, "int32")
    if dtype in ("bool", "int8", "uint8", "int16", "uint16", "int32"):
        return ids
    same = ops.equal(ops.cast(ids, dtype), labels)
    if dtype.startswith("uint"):  # an id that wrapped below 0 wraps back
        same = ops.logical_and(same, ids >= 0)
    return ops.where(same, ids, NO_CLASS)


def differ(labels: Tensor, value: int) -> Tensor:
    """Tell which labels are not `value`; -1 is not 255, though uint8 writes both alike."""
    if "float" not in standardize_dtype(labels.dtype):
        labels = as_classes(labels)
    return ops.not_equal(labels, value)


def refuse_no_labels(value: Tensor, losses: Tensor, y_pred: Tensor) -> Tensor:
    """Return what a loss gives, or raise where a label that is none makes it NaN.

    Args:
        value: the reduced `losses`.
        losses: those of the elements, NaN for what is no label.
        y_pred: what was predicted, which may be NaN itself.

    Raises:
        ValueError: a label is none, where a backend computes eagerly. A graph of TensorFlow raises
            for a scalar when it runs, before the gradient comes out.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow" and hasattr(losses, "graph"):
        return value if len(value.shape) else _watched(value, losses, y_pred)
    if backend == "jax" and isinstance(losses, sys.modules["jax"].core.Tracer):
        return value
    if backend == "torch" and (
        losses.device.type != "cpu" or sys.modules["torch"].compiler.is_compiling()
    ):  # to look would wait for the other device
        return value
    if bool(ops.any(ops.isnan(value))):
        _refuse(*map(ops.convert_to_numpy, (losses, y_pred)))
    return value


def _watched(value: Tensor, losses: Tensor, y_pred: Tensor) -> Tensor:
    """Return a scalar of a graph of TensorFlow whose gradient waits for what is no label."""
    tf = sys.modules["tensorflow"]

    @tf.custom_gradient
    def watched(value: Tensor, losses: Tensor, y_pred: Tensor) -> Any:
        seen = call_where(tf.math.is_nan(value), _refuse, losses, y_pred)

        def gradient(upstream: Tensor) -> tuple:
            with tf.control_dependencies([] if seen is None else [seen]):
                return tf.identity(upstream), None, None

        return tf.identity(value), gradient

    return watched(value, losses, y_pred)


def _refuse(losses: Any, y_pred: Any) -> None:
    """Raise where losses are NaN, and predictions are not."""
    lost = np.argwhere(np.isnan(losses.astype("float64")))
    if len(lost) and not np.isnan(y_pred.astype("float64")).any():
        raise ValueError(
            "y_true: expected labels in [0, 1], or numbers of classes where the loss is sparse; "
            f"received others, the first at {lost[0].tolist()}"
        )
