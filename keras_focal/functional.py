"""The losses as functions of logits, element by element.

All take labels first, compute in float32 (in float64 where the logits are float64) whatever the
dtypes of their arguments, and are finite with finite gradients for every logit: one beyond 1e30
counts as 1e30. What is no label (2, or a class that does not exist) gives NaN.
"""

from typing import Any

from keras import ops
from keras.backend import standardize_dtype

from keras_focal import _arguments as check
from keras_focal._kernels import balanced_focal, bounded, by_side, focal_term, real
from keras_focal._labels import as_classes, in_range
from keras_focal._softmax import is_sparse, softmax_focal_loss
from keras_focal._sparse import sparse_focal
from keras_focal._types import Balance, Tensor

__all__ = [
    "Balance",
    "focal_loss_star",
    "is_sparse",
    "quality_focal_loss",
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "sparse_sigmoid_focal_loss",
    "varifocal_loss",
]


def sigmoid_focal_loss(
    y_true: Tensor, logits: Tensor, *, alpha: Balance = 0.25, gamma: float = 2.0
) -> Tensor:
    r"""Return the focal loss of independent yes-or-no decisions.

    $$\mathrm{FL} = -\alpha_t\,(1 - p_t)^\gamma \log p_t$$

    $p_t$ and $\alpha_t$ are $p = \sigma(x)$ and $\alpha$ where the label is 1, else $1 - p$ and
    $1 - \alpha$. A label $y$ between them mixes both sides:
    $y\,\mathrm{FL}(y{=}1) + (1 - y)\,\mathrm{FL}(y{=}0)$.

    Args:
        y_true: labels in [0, 1], bool, integer or float, of the logits' shape. Any
            other value gives NaN; by 1e-4, which rounding may do, a label may lie outside. No
            gradient flows to them.
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
    r"""Return `sigmoid_focal_loss` summed over the classes, from integers instead of dense labels.

    $$\sum_k \mathrm{FL}(y_k, x_k), \qquad y_k = 1 \text{ where } k \text{ is the class, else } 0$$

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
    logits = real(logits)
    class_ids = ops.convert_to_tensor(class_ids)
    if "int" not in standardize_dtype(class_ids.dtype):
        raise TypeError(
            f"class_ids: expected integers, received {standardize_dtype(class_ids.dtype)}"
        )
    check.repeatable(class_ids.shape, logits.shape[:-1])
    positive, negative = _sides(alpha, logits)
    rows = ops.shape(logits)[:-1]
    class_ids = ops.broadcast_to(as_classes(class_ids), rows)
    if mask is not None:
        mask = ops.convert_to_tensor(mask)
        check.repeatable(mask.shape, logits.shape[:-1])
        mask = ops.broadcast_to(ops.cast(mask, "bool"), rows)
    return sparse_focal(class_ids, logits, positive, negative, gamma=gamma, kept=mask)


def focal_loss_star(
    y_true: Tensor, logits: Tensor, *, alpha: Balance = 0.25, gamma: float = 2.0, beta: float = 1.0
) -> Tensor:
    r"""Return FL*, the paper's other form of focal loss.

    $$\mathrm{FL}^* = -\frac{\alpha_t}{\gamma} \log \sigma(\gamma\,x_t + \beta)
    = \frac{\alpha_t}{\gamma}\,\mathrm{softplus}(-\gamma\,x_t - \beta)$$

    $x_t$ is the logit of the true side: $x$ where the label is 1, else $-x$. $\gamma$ sets how
    steep the loss is and $\beta$ where it falls.

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
    positive, negative = _sides(alpha, logits)

    def term(u: Tensor) -> Tensor:
        return ops.softplus(gamma * u - beta)

    return by_side(term, in_range(labels), bounded(logits), positive, negative, given) / gamma


def quality_focal_loss(y_true: Tensor, logits: Tensor, *, beta: float = 2.0) -> Tensor:
    r"""Return the focal loss of a continuous quality, such as the IoU of the predicted box.

    $$\mathrm{QFL} = -|y - p|^\beta \left( y \log p + (1 - y) \log (1 - p) \right)$$

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
    y, logits = in_range(y), bounded(logits)
    cross_entropy = _cross_entropy(y, logits)
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
    r"""Return the loss that focuses negatives only and weights positives by their quality.

    $$\mathrm{VFL} = \begin{cases}
    -y \left( y \log p + (1 - y) \log (1 - p) \right) & y > 0 \\
    -\alpha\,p^\gamma \log (1 - p) & y = 0
    \end{cases}$$

    Args:
        y_true: as in `quality_focal_loss`.
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
    y, logits, _ = _prepare(y_true, logits)
    y, logits = in_range(y), bounded(logits)
    return ops.where(y == 0, alpha * focal_term(logits, gamma), y * _cross_entropy(y, logits))


def _cross_entropy(y: Tensor, logits: Tensor) -> Tensor:
    """Return -y log p - (1 - y) log(1 - p)."""
    return y * ops.softplus(-logits) + (1.0 - y) * ops.softplus(logits)


def _prepare(y_true: Tensor, logits: Tensor) -> tuple[Tensor, Tensor, str]:
    """Return labels and logits in one float dtype, and the dtype in which labels were given."""
    logits = real(logits)
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
