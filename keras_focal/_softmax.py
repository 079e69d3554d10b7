"""The focal loss of one choice among several classes: the sigmoid's, of each class's log-odds."""

from typing import Any

import keras
from keras import ops

from keras_focal import _arguments as check
from keras_focal._kernels import LARGEST_EXPONENT, all_below, bounded, focal_term, real
from keras_focal._labels import as_classes, in_range
from keras_focal._types import Balance, Tensor


def softmax_focal_loss(
    y_true: Tensor, logits: Tensor, *, alpha: Balance = None, gamma: float = 2.0, axis: int = -1
) -> Tensor:
    r"""Return the focal loss of one choice among several classes, summed over the class axis.

    $$\mathrm{FL} = -\sum_k y_k\,\alpha_k\,(1 - p_k)^\gamma \log p_k$$

    $p_k$ are the softmax probabilities. Each is taken by its log-odds
    $x_k = \log \frac{p_k}{1 - p_k}$, the logit that makes this term that of
    `sigmoid_focal_loss`.

    Args:
        y_true: one-hot or soft labels in [0, 1] of the logits' shape, or classes without the
            class axis (or with it, of length 1). A label outside [0, 1], and a class that is no
            whole number of 0..K-1, gives NaN rather than a silent number.
        logits: scores before the softmax, with K >= 2 classes along `axis`.
        alpha: None, one weight for all, or one weight per class; at least 0.
        gamma: focusing exponent, at least 0; 0 gives (weighted) cross-entropy.
        axis: the class axis of the logits.

    Returns:
        Tensor of the logits' shape without the class axis, float32 or float64.

    Raises:
        TypeError: alpha or gamma is not a number.
        ValueError: one is out of range, or the shapes do not fit, or there is one class only.

    Example:
        >>> import numpy as np
        >>> logits = np.log(np.array([[0.5, 0.25, 0.25]], "float32"))
        >>> round(float(softmax_focal_loss(np.array([0]), logits)[0]), 6)  # 0.5 ** 2 * log(2)
        0.173287

    Reference:
        Lin et al. 2017, section 3, with a softmax in place of the sigmoid.
    """
    gamma = check.number("gamma", gamma, low=0)
    alpha = check.balance(alpha, high=float("inf"))
    z = _moderate(ops.moveaxis(real(logits), axis, -1))  # (..., K)
    classes = z.shape[-1]
    if classes is not None and classes < 2:
        raise ValueError(
            f"logits: expected at least 2 classes along axis {axis}, received {classes}; "
            "for one yes-or-no score use sigmoid_focal_loss"
        )
    check.per_class("alpha", alpha, classes)
    weights = 1.0 if alpha is None else ops.convert_to_tensor(alpha, dtype=z.dtype)
    y = ops.stop_gradient(ops.convert_to_tensor(y_true))
    if is_sparse(y.shape, logits.shape, axis):
        if len(y.shape) == len(z.shape):
            y = ops.squeeze(y, axis=axis)
        check.repeatable(y.shape, z.shape[:-1])
        return _sparse(y, z, weights, gamma)
    check.same_shape(y.shape, logits.shape)
    y = in_range(ops.moveaxis(ops.cast(y, z.dtype), axis, -1))
    return ops.sum(y * weights * focal_term(-_log_odds(z), gamma), axis=-1)


def is_sparse(y_true: tuple, y_pred: tuple, axis: int = -1) -> bool:
    """Tell by static shapes whether labels are integer classes, not a distribution over them.

    The class axis of the predictions is then missing in the labels, or has length 1.

    Example:
        >>> is_sparse((8,), (8, 3)), is_sparse((8, 3), (8, 3))
        (True, False)
    """
    return len(y_true) == len(y_pred) - 1 or (
        len(y_true) == len(y_pred) and y_true[axis] == 1 and y_pred[axis] != 1
    )


def _moderate(z: Tensor) -> Tensor:
    """Return logits (..., K) beside whose size log 2 is not lost: large ones as below their best.

    What matters is their differences, and of two large ones that tie each has half the probability.
    """

    def below_the_best() -> Tensor:
        near = bounded(z)
        return near - ops.stop_gradient(ops.max(near, axis=-1, keepdims=True))

    if keras.backend.backend() != "tensorflow":  # XLA fuses this with what follows
        return below_the_best()
    return ops.cond(all_below(z, LARGEST_EXPONENT), lambda: z, below_the_best)


def _sparse(classes: Tensor, z: Tensor, weights: Any, gamma: float) -> Tensor:
    """Return the loss of integer classes (...) under logits (..., K)."""
    number = ops.shape(z)[-1]
    ids = as_classes(classes)
    known = ops.logical_and(ids >= 0, ids < number)
    ids = ops.where(known, ids, ops.zeros_like(ids))
    true = ops.expand_dims(ids, -1) == ops.arange(number, dtype="int32")  # (..., K)
    zero = ops.zeros_like(z)
    others = ops.logsumexp(ops.where(true, zero - float("inf"), z), axis=-1)
    x_t = ops.sum(ops.where(true, z, zero), axis=-1) - others
    loss = focal_term(-x_t, gamma)
    if not isinstance(weights, float):
        loss = loss * ops.sum(ops.where(true, weights + zero, zero), axis=-1)
    return ops.where(known, loss, ops.full_like(loss, float("nan")))


def _log_odds(z: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of each class's softmax probability, exact for the top class too."""
    classes = ops.shape(z)[-1]
    best = ops.expand_dims(ops.argmax(z, axis=-1), -1)
    top = ops.cast(best, "int32") == ops.arange(classes, dtype="int32")  # (..., K)
    zero = ops.zeros_like(z)
    total = ops.logsumexp(z, axis=-1, keepdims=True)
    rivals = ops.logsumexp(ops.where(top, zero - float("inf"), z), axis=-1, keepdims=True)
    # below the top every p <= 1/2, and log1p(-p) loses nothing
    p = ops.exp(ops.where(top, zero - float("inf"), z - total))
    return z - ops.where(top, rivals, total + ops.log1p(-p))
