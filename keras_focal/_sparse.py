"""Focal loss of integer classes: all labels taken as 0, then the few rows with an object anew.

On TensorFlow, where each operation walks over its whole arrays, the logits are taken in blocks: of
the arrays as large as they only the gradient is kept. XLA and PyTorch differentiate the plain
form.
"""

from __future__ import annotations

import keras
from keras import ops

from keras_focal._base import only
from keras_focal._kernels import LARGEST_EXPONENT, bounded, focal_term, power
from keras_focal._types import Tensor

# Elements of a block: large enough that starting operations costs nothing, and a few percent of
# what makes memory a matter.
BLOCK = 2**20
MOST_BLOCKS = 16


def sparse_focal(
    class_ids: Tensor,
    logits: Tensor,
    positive: float | Tensor,
    negative: float | Tensor,
    *,
    gamma: float,
    kept: Tensor | None = None,
) -> Tensor:
    """Return the focal loss of each row of logits (..., K), summed over its classes.

    `class_ids` (...) int32 name the class labelled 1, below 0 none; K or more gives NaN. A side's
    weight is a number or a (K,) tensor. Rows that are not `kept` (...) have loss and gradient 0.
    """
    classes = ops.shape(logits)[-1]
    known = class_ids < classes
    ids = ops.where(known, class_ids, -1)
    if keras.backend.backend() == "tensorflow":
        rows = ops.reshape(logits, (-1, classes))
        counted = None if kept is None else ops.reshape(kept, (-1,))
        loss = _with_slope(ops.reshape(ids, (-1,)), rows, counted, positive, negative, gamma)
        loss = ops.reshape(loss, ops.shape(ids))
    else:
        logits = logits if kept is None else only(ops.expand_dims(kept, -1), logits)
        _, signed, weight = _signed(ids, bounded(logits), positive, negative)
        loss = ops.sum(weight * focal_term(signed, gamma), axis=-1)
    return only(kept, ops.where(known, loss, float("nan")))


def _signed(
    ids: Tensor, z: Tensor, positive: float | Tensor, negative: float | Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return which labels are 1, -x_t, and the weight of the true side, for logits (..., K)."""
    true = ops.expand_dims(ids, -1) == ops.arange(ops.shape(z)[-1], dtype="int32")
    weight = ops.where(true, positive, negative + ops.zeros_like(z))
    return true, ops.where(true, -z, z), weight


def _with_slope(
    ids: Tensor,
    rows: Tensor,
    kept: Tensor | None,
    positive: float | Tensor,
    negative: float | Tensor,
    gamma: float,
) -> Tensor:
    """Compute the losses (N,) of rows (N, K) and their slope block by block."""

    @ops.custom_gradient
    def compute(z: Tensor) -> tuple:
        losses: list[Tensor] = []
        slopes: list[Tensor] = []
        size = _block_rows(z)
        count, classes = ops.shape(z)
        for number in range(MOST_BLOCKS if size is None else max(1, -(-count // size))):
            if size is None:
                step = (count + MOST_BLOCKS - 1) // MOST_BLOCKS
                begin = ops.minimum(number * step, count)
                length = ops.minimum(count - begin, step)
            else:
                begin, length = number * size, min(size, count - number * size)
            if losses:
                # No loss is below 0, so this adds 0; but the block has to wait for the one
                # before, whose memory it shall use.
                begin = begin + ops.cast(ops.any(losses[-1] < 0), "int32")
            block = ops.slice(z, (begin, 0), (length, classes))
            own = ops.slice(ids, (begin,), (length,))
            counted = None if kept is None else ops.slice(kept, (begin,), (length,))
            loss, slope = _block(own, block, counted, positive, negative, gamma)
            losses.append(loss)
            slopes.append(slope)
        slope = ops.concatenate(slopes, axis=0)

        def gradient(*args: Tensor, upstream: Tensor = None) -> Tensor:
            if upstream is None:
                (upstream,) = args
            return ops.expand_dims(upstream, -1) * slope

        return ops.concatenate(losses, axis=0), gradient

    return compute(rows)


def _block_rows(z: Tensor) -> int | None:
    """Return the rows of a block where the shape is known, else None."""
    count, classes = z.shape
    if count is None or classes is None:
        return None
    size = max(1, BLOCK // classes)
    return max(size, -(-count // MOST_BLOCKS))


def _block(
    ids: Tensor,
    z: Tensor,
    kept: Tensor | None,
    positive: float | Tensor,
    negative: float | Tensor,
    gamma: float,
) -> tuple[Tensor, Tensor]:
    """Return the losses (n,) and slopes (n, K) of a block of rows."""
    loss, slope = _negatives(z, negative, gamma)
    # Rows with an object, and rows with a logit beyond the reach of exp: that shows in the loss,
    # as NaN or as one that large.
    limit = ops.cast((LARGEST_EXPONENT - 1.0) * ops.min(negative), loss.dtype)
    anew = ops.logical_or(ids >= 0, ops.logical_not(loss < limit))
    (places,) = ops.nonzero(anew)  # (rows,)
    own = ops.take(z, places, axis=0)
    if kept is not None:  # their slope is multiplied by 0, and has to be a number for that
        own = only(ops.expand_dims(ops.take(kept, places), -1), own)
    own_loss, own_slope = _any_rows(ops.take(ids, places), own, positive, negative, gamma)
    places = ops.expand_dims(places, -1)
    loss = ops.scatter_update(loss, places, own_loss)
    return loss, ops.scatter_update(slope, places, own_slope)


def _negatives(z: Tensor, weight: float | Tensor, gamma: float) -> tuple[Tensor, Tensor]:
    """Return the losses summed over classes, and slopes, of labels 0 and logits fit for exp."""
    exponential = ops.exp(z)
    cross_entropy = ops.log1p(exponential)  # -log(1 - p)
    q = ops.reciprocal(1.0 + exponential)
    p = exponential * q
    if gamma == 0:
        return ops.sum(weight * cross_entropy, axis=-1), weight * p
    factor = weight * power(p, z, cross_entropy, gamma)
    loss = factor * cross_entropy
    return ops.sum(loss, axis=-1), gamma * (loss * q) + factor * p


def _any_rows(
    ids: Tensor, z: Tensor, positive: float | Tensor, negative: float | Tensor, gamma: float
) -> tuple[Tensor, Tensor]:
    """Return losses (n,) and slopes (n, K) for any logits and classes."""
    true, signed, weight = _signed(ids, bounded(z), positive, negative)
    miss, hit = ops.sigmoid(signed), ops.sigmoid(-signed)  # 1 - p_t, p_t
    cross_entropy = ops.softplus(signed)
    factor = weight * ops.exp(-gamma * ops.softplus(-signed))
    slope = factor * (gamma * (cross_entropy * hit) + miss)
    return ops.sum(factor * cross_entropy, axis=-1), ops.where(true, -slope, slope)
