r"""The focal term and its gradient, safe at every logit and quick on TensorFlow's CPU kernels.

With x_t = z for a positive and -z for a negative, and u = -x_t, the modulating factor is
1 - p_t = sigmoid(u) and the cross-entropy is softplus(u). Written with softplus alone,

$$(1 - p_t)^\gamma\,(-\log p_t) = e^{-\gamma\,\mathrm{softplus}(-u)}\;\mathrm{softplus}(u),$$

nothing overflows, no 0 * inf arises, and automatic differentiation of it is exact; a power of
sigmoid(u) would give NaN gradients for gamma < 1.

TensorFlow runs one kernel per operation, so there the number of passes over memory is the cost.
`balanced_focal` then brings its own gradient, and takes a short cut where all labels are 0 or 1
and no logit can overflow exp, which it looks up in the data: one exponential chain, not two.
XLA and PyTorch differentiate the plain form (which also keeps JAX's forward mode).
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.backend import standardize_dtype

from keras_focal._labels import all_inside, in_range
from keras_focal._types import Tensor

# exp(x) and its log1p are exact enough and finite in float32 within +-LARGEST_EXPONENT
LARGEST_EXPONENT = 80.0
# What a larger logit, an infinite one included, counts as
LARGEST_LOGIT = 1e30


def real(logits: Tensor) -> Tensor:
    """Return logits as a float32 tensor, or float64 where they are that."""
    logits = ops.convert_to_tensor(logits)
    wide = standardize_dtype(logits.dtype) == "float64"
    return ops.cast(logits, "float64" if wide else "float32")


def bounded(logits: Tensor) -> Tensor:
    """Return logits with +-`LARGEST_LOGIT` in place of larger ones; NaN stays.

    A hundred million losses of that size still have a finite sum.
    """

    def nearest() -> Tensor:
        return ops.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)

    if keras.backend.backend() != "tensorflow":  # XLA fuses this with what follows
        return nearest()
    # there every operation walks over its arrays: two that only read, where all is well
    return ops.cond(all_below(logits, LARGEST_LOGIT), lambda: logits, nearest)


def all_below(logits: Tensor, limit: float) -> Tensor:
    """Tell whether all logits lie within +-limit: two walks that write nothing."""
    highest, lowest = ops.max(logits, initial=0.0), ops.min(logits, initial=0.0)
    return ops.logical_and(highest < limit, lowest > -limit)


def focal_term(u: Tensor, gamma: float) -> Tensor:
    """Return (1 - p_t)^gamma * (-log p_t), at least 0, as a function of u = -x_t."""
    if gamma == 0:
        return ops.softplus(u)
    return ops.exp(-gamma * ops.softplus(-u)) * ops.softplus(u)


def balanced_focal(
    labels: Tensor, logits: Tensor, positive: Any, negative: Any, *, gamma: float, given: str
) -> Tensor:
    """Return the focal loss of labels in [0, 1], else NaN: `by_side` with `focal_term`.

    The labels broadcast to the logits and are constant for the gradient. A side's weight is a
    number or a tensor over the last axis. `given` is the dtype in which the labels came: one that
    is no float has none between 0 and 1, and bool none outside.
    """
    labels = ops.stop_gradient(labels)
    if keras.backend.backend() == "tensorflow":
        return _with_slope(labels, logits, positive, negative, gamma, given)

    def term(u: Tensor) -> Tensor:
        return focal_term(u, gamma)

    return by_side(term, in_range(labels), bounded(logits), positive, negative, given)


def by_side(
    term: Callable[[Tensor], Tensor],
    labels: Tensor,
    logits: Tensor,
    positive: Any,
    negative: Any,
    given: str,
) -> Tensor:
    """Return y * positive * term(-z) + (1 - y) * negative * term(z); `term` is a function of -x_t.

    The others are those of `balanced_focal`, with NaN for what is no label.
    """
    if "float" not in given:  # no label between 0 and 1
        sign = 1.0 - 2.0 * labels
        return (negative + (positive - negative) * labels) * term(sign * logits)
    return labels * positive * term(-logits) + (1.0 - labels) * negative * term(logits)


def _with_slope(
    labels: Tensor, logits: Tensor, positive: Any, negative: Any, gamma: float, given: str
) -> Tensor:
    """Compute loss and slope together, and register the slope as the gradient."""

    @ops.custom_gradient
    def compute(z: Tensor) -> Any:
        small = all_below(z, LARGEST_EXPONENT)
        if "float" in given:
            small = ops.logical_and(small, ops.all(ops.logical_or(labels == 0, labels == 1)))
        elif given != "bool":
            small = ops.logical_and(small, all_inside(labels))
        loss, slope = ops.cond(
            small,
            lambda: _hard_loss_and_slope(labels, z, positive, negative, gamma),
            lambda: _soft_loss_and_slope(in_range(labels), bounded(z), positive, negative, gamma),
        )

        def gradient(*args: Any, upstream: Tensor = None) -> Tensor:
            if upstream is None:
                (upstream,) = args
            return upstream * slope

        return loss, gradient

    return compute(logits)


def _hard_loss_and_slope(
    y: Tensor, z: Tensor, positive: Any, negative: Any, gamma: float
) -> tuple[Tensor, Tensor]:
    """Return FL and dFL/dz for labels 0 and 1 and logits small enough for exp."""
    # the weight of each label's side, with the sign of du/dz
    both = positive + negative
    signed = negative - (y if isinstance(both, float) and both == 1.0 else both * y)
    u = ops.sign(signed) * z
    miss = ops.sigmoid(u)  # 1 - p_t
    cross_entropy = ops.log1p(ops.exp(u))  # -log p_t
    factor = signed * power(miss, u, cross_entropy, gamma)
    loss = factor * cross_entropy
    if gamma == 0:
        return ops.abs(loss), factor * miss
    scaled = gamma * loss
    return ops.abs(loss), scaled + miss * (factor - scaled)


def power(miss: Tensor, u: Tensor, cross_entropy: Tensor, gamma: float) -> Tensor:
    """Return miss ** gamma: products where gamma is a small integer, else by logarithm.

    `miss` is sigmoid(u), 1 - p_t, and `cross_entropy` softplus(u); for gamma 0 it is the number 1.
    """
    if gamma == 0:
        return 1.0
    if gamma in (1, 2, 3, 4, 5):
        result = miss
        for _ in range(int(gamma) - 1):
            result = result * miss
        return result
    return ops.exp(gamma * (u - cross_entropy))


def _soft_loss_and_slope(
    y: Tensor, z: Tensor, positive: Any, negative: Any, gamma: float
) -> tuple[Tensor, Tensor]:
    """Return FL and dFL/dz for any labels in [0, 1] and any logits."""
    no, yes = ops.softplus(z), ops.softplus(-z)  # -log(1 - p), -log p
    p, q = ops.sigmoid(z), ops.sigmoid(-z)
    on_positive = y * positive * ops.exp(-gamma * no)
    on_negative = (1.0 - y) * negative * ops.exp(-gamma * yes)
    slope = on_negative * (gamma * (no * q) + p) - on_positive * (gamma * (yes * p) + q)
    return on_positive * yes + on_negative * no, slope
