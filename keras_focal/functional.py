"""The losses as functions of logits, element by element.

All take labels first, compute in float32 (in float64 where the logits are float64) whatever the
dtypes of their arguments, and are finite with finite gradients for every finite logit. What is no
label (2, or a class that does not exist) gives NaN.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops
from keras.backend import standardize_dtype

from keras_focal import _arguments as check
from keras_focal._kernels import balanced_focal, focal_term
from keras_focal._labels import as_classes, in_range
from keras_focal._sparse import sparse_focal
from keras_focal._types import Tensor

Balance = float | Sequence[float] | None


def sigmoid_focal_loss(
    y_true: Tensor, logits: Tensor, *, alpha: Balance = 0.25, gamma: float = 2.0
) -> Tensor:
    """Return the focal loss of independent yes-or-no decisions.

    FL = -alpha_t * (1 - p_t)^gamma * log(p_t). A label between 0 and 1 mixes both sides:
    y * FL(positive) + (1 - y) * FL(negative).

    Args:
        y_true: labels in [0, 1], bool, integer or float, of the logits' shape (an axis of
            length 1 is repeated). Any other gives NaN; by 1e-4, which rounding may do, a label
            may lie outside. No gradient flows to them.
        logits: scores before the sigmoid, any shape.
        alpha: weight of the positive class in [0, 1], negatives get 1 - alpha; or one such
            number per class of the last axis; None weights both sides with 1.
        gamma: focusing exponent, at least 0; 0 gives alpha-balanced cross-entropy.

    Returns:
        Tensor of the logits' shape, float32 or float64.

    Raises:
        TypeError: alpha or gamma is not a number.
        ValueError: alpha or gamma is out of range, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss = sigmoid_focal_loss(np.array([1.0, 0.0]), np.array([0.0, 0.0], "float32"))
        >>> [round(float(x), 6) for x in loss]
        [0.043322, 0.129965]

    Reference:
        Lin et al. 2017, section 3.2, equation 5.
    """
    gamma = check.number("gamma", gamma, low=0)
    labels, logits, given = _prepare(y_true, logits)
    positive, negative = _sides(alpha, logits)
    return balanced_focal(labels, logits, positive, negative, gamma=gamma, given=given)


def sparse_sigmoid_focal_loss(
    class_ids: Tensor,
    logits: Tensor,
    *,
    alpha: Balance = 0.25,
    gamma: float = 2.0,
    mask: Tensor | None = None,
) -> Tensor:
    """Return `sigmoid_focal_loss` summed over the classes, from integers instead of dense labels.

    For a dense detector: each anchor has one class or none. On TensorFlow the loss and its
    gradient are made in one walk over the logits, block by block, in a third of the memory that
    dense labels take.

    Args:
        class_ids: integers (...): the class whose label is 1; below 0 all labels are 0. An axis
            of length 1 is repeated.
        logits: scores before the sigmoid, (..., K).
        alpha: as in `sigmoid_focal_loss`.
        gamma: likewise.
        mask: None, or (...) of which 0 or False leaves out: there loss and gradient are 0,
            whatever the class and the logits.

    Returns:
        Tensor (...), float32 or float64; NaN where a class is K or more.

    Raises:
        TypeError: alpha or gamma is not a number, or the classes are not integers.
        ValueError: alpha or gamma is out of range, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss = sparse_sigmoid_focal_loss(np.array([1, -1]), np.zeros((2, 2), "float32"))
        >>> [round(float(x), 6) for x in loss]  # 0.129965 + 0.043322, twice 0.129965
        [0.173287, 0.25993]

    Reference:
        Lin et al. 2017, section 3.2, equation 5, and section 4.1.
    """
    gamma = check.number("gamma", gamma, low=0)
    logits = _real(logits)
    class_ids = ops.convert_to_tensor(class_ids)
    if "int" not in standardize_dtype(class_ids.dtype):
        raise TypeError(
            f"class_ids: expected integers, received {standardize_dtype(class_ids.dtype)}"
        )
    check.same_shape(class_ids.shape, logits.shape[:-1])
    positive, negative = _sides(alpha, logits)
    rows = ops.shape(logits)[:-1]
    class_ids = ops.broadcast_to(as_classes(class_ids), rows)
    if mask is not None:
        mask = ops.convert_to_tensor(mask)
        check.same_shape(mask.shape, logits.shape[:-1])
        mask = ops.broadcast_to(ops.cast(mask, "bool"), rows)
    return sparse_focal(class_ids, logits, positive, negative, gamma=gamma, kept=mask)


def focal_loss_star(
    y_true: Tensor, logits: Tensor, *, alpha: Balance = 0.25, gamma: float = 2.0, beta: float = 1.0
) -> Tensor:
    """Return FL*, the paper's other form of focal loss.

    FL* = -alpha_t * log(sigmoid(gamma * x_t + beta)) / gamma, with x_t the logit of the true
    side. gamma sets how steep the loss is and beta where it falls.

    Args:
        y_true: labels as in `sigmoid_focal_loss`.
        logits: scores before the sigmoid, any shape.
        alpha: as in `sigmoid_focal_loss`.
        gamma: steepness, above 0.
        beta: shift, any finite number. gamma 1 and beta 0 give alpha-balanced cross-entropy.

    Returns:
        Tensor of the logits' shape, float32 or float64.

    Raises:
        TypeError: a hyper-parameter is not a number.
        ValueError: one is out of range, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss = focal_loss_star(np.ones(1), np.zeros(1, "float32"), alpha=None)
        >>> round(float(loss[0]), 5)
        0.15663

    Reference:
        Lin et al. 2017, appendix A.
    """
    gamma = check.number("gamma", gamma, low=0, exclusive=True)
    beta = check.number("beta", beta)
    labels, logits, given = _prepare(y_true, logits)
    labels = in_range(labels)
    positive, negative = _sides(alpha, logits)
    if "float" not in given:  # no label between 0 and 1
        sign = 1.0 - 2.0 * labels
        weight = negative + (positive - negative) * labels
        return weight * ops.softplus(gamma * sign * logits - beta) / gamma
    on_positive = labels * positive * ops.softplus(-gamma * logits - beta)
    on_negative = (1.0 - labels) * negative * ops.softplus(gamma * logits - beta)
    return (on_positive + on_negative) / gamma


def quality_focal_loss(y_true: Tensor, logits: Tensor, *, beta: float = 2.0) -> Tensor:
    """Return the focal loss of a continuous quality, such as the IoU of the predicted box.

    QFL = |y - p|^beta * cross-entropy(y, p).

    Args:
        y_true: qualities in [0, 1], of the logits' shape; 0 for background. Others give NaN.
        logits: scores before the sigmoid, any shape.
        beta: focusing exponent, at least 0.

    Returns:
        Tensor of the logits' shape, float32 or float64. Where y is exactly p, loss and gradient
        are 0 for beta > 0.

    Raises:
        TypeError: beta is not a number.
        ValueError: beta is negative, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss = quality_focal_loss(np.array([1.0]), np.array([0.0], "float32"))
        >>> round(float(loss[0]), 6)  # 0.5 ** 2 * log(2)
        0.173287

    Reference:
        Li et al. 2020, Generalized Focal Loss (arXiv:2006.04388), equation 3.
    """
    beta = check.number("beta", beta, low=0)
    y, logits, _ = _prepare(y_true, logits)
    y = in_range(y)
    cross_entropy = y * ops.softplus(-logits) + (1.0 - y) * ops.softplus(logits)
    if beta == 0:
        return cross_entropy
    # y - p without the cancellation of 1 - p
    distance = ops.abs(y * ops.sigmoid(-logits) - (1.0 - y) * ops.sigmoid(logits))
    if beta == 1:
        return distance * cross_entropy
    if beta == 2:
        return distance * distance * cross_entropy
    apart = distance > 0
    power = ops.exp(beta * ops.log(ops.where(apart, distance, ops.ones_like(distance))))
    return ops.where(apart, power, ops.zeros_like(power)) * cross_entropy


def varifocal_loss(
    y_true: Tensor, logits: Tensor, *, alpha: float = 0.75, gamma: float = 2.0
) -> Tensor:
    """Return the loss that focuses negatives only and weights positives by their quality.

    VFL = q * cross-entropy(q, p) where q > 0, and alpha * p^gamma * (-log(1 - p)) where q = 0.

    Args:
        y_true: qualities q in [0, 1], of the logits' shape; 0 for background. Others give NaN.
        logits: scores before the sigmoid, any shape.
        alpha: weight of the negatives, at least 0.
        gamma: focusing exponent of the negatives, at least 0.

    Returns:
        Tensor of the logits' shape, float32 or float64.

    Raises:
        TypeError: alpha or gamma is not a number.
        ValueError: one is negative, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss = varifocal_loss(np.array([0.5, 0.0]), np.zeros(2, "float32"))
        >>> [round(float(x), 6) for x in loss]
        [0.346574, 0.129965]

    Reference:
        Zhang et al. 2021, VarifocalNet (arXiv:2008.13367), equation 2.
    """
    alpha = check.number("alpha", alpha, low=0)
    gamma = check.number("gamma", gamma, low=0)
    q, logits, _ = _prepare(y_true, logits)
    q = in_range(q)
    on_positive = q * (q * ops.softplus(-logits) + (1.0 - q) * ops.softplus(logits))
    return ops.where(q == 0, alpha * focal_term(logits, gamma), on_positive)


def softmax_focal_loss(
    y_true: Tensor, logits: Tensor, *, alpha: Balance = None, gamma: float = 2.0, axis: int = -1
) -> Tensor:
    """Return the focal loss of one choice among several classes, summed over the class axis.

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
        Lin et al. 2017, section 3, with p_t the softmax probability of the true class.
    """
    gamma = check.number("gamma", gamma, low=0)
    alpha = check.balance(alpha, high=float("inf"))
    z = ops.moveaxis(_real(logits), axis, -1)  # (..., K)
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
        check.same_shape(y.shape, z.shape[:-1])
        return _sparse(y, z, weights, gamma)
    check.same_shape(y.shape, logits.shape)
    y = in_range(ops.moveaxis(ops.cast(y, z.dtype), axis, -1))
    return ops.sum(y * weights * focal_term(-_log_odds(z), gamma), axis=-1)


def is_sparse(y_true: tuple, y_pred: tuple, axis: int = -1) -> bool:
    """Tell whether labels are integer classes rather than a distribution over them.

    Args:
        y_true: static shape of the labels.
        y_pred: static shape of the predictions.
        axis: the class axis of the predictions.

    Returns:
        True where the class axis is missing in the labels or has length 1.

    Example:
        >>> is_sparse((8,), (8, 3)), is_sparse((8, 3), (8, 3))
        (True, False)
    """
    return len(y_true) == len(y_pred) - 1 or (
        len(y_true) == len(y_pred) and y_true[axis] == 1 and y_pred[axis] != 1
    )


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


def _real(logits: Tensor) -> Tensor:
    """Return logits as a float32 tensor, or float64 where they are."""
    logits = ops.convert_to_tensor(logits)
    wide = standardize_dtype(logits.dtype) == "float64"
    return ops.cast(logits, "float64" if wide else "float32")


def _prepare(y_true: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, str]:
    """Return labels and logits in one float dtype, and the dtype in which labels were given."""
    logits = _real(logits)
    y_true = ops.convert_to_tensor(y_true)
    check.same_shape(y_true.shape, logits.shape)
    given = standardize_dtype(y_true.dtype)
    return ops.stop_gradient(ops.cast(y_true, logits.dtype)), logits, given


def _sides(alpha: Balance, logits: Tensor) -> tuple[Any, Any]:
    """Return the weights of the positive and the negative side."""
    weights = check.balance(alpha)
    if weights is None:
        return 1.0, 1.0
    if isinstance(weights, tuple):
        check.per_class("alpha", weights, logits.shape[-1])
        weights = ops.convert_to_tensor(weights, dtype=logits.dtype)
    return weights, 1.0 - weights
