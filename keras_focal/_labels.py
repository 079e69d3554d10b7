"""What is a label and what is not: the latter gives NaN, on every backend alike."""

import keras
from keras import ops
from keras.backend import standardize_dtype

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
