"""The losses of one choice among several classes, as Keras objects."""

from typing import Unpack

import keras
from keras import ops

from keras_focal import _arguments as check
from keras_focal._base import both, only, spread
from keras_focal._common import Common, CommonLoss, Smoothed
from keras_focal._labels import as_classes, differ, in_range
from keras_focal._probabilities import softmax_logits
from keras_focal._types import Tensor
from keras_focal.functional import Balance, is_sparse, softmax_focal_loss

register = keras.saving.register_keras_serializable(package="keras_focal")


class _Softmax(CommonLoss):
    """Losses over the classes of the last axis, which they reduce."""

    def __init__(
        self,
        *,
        name: str | None,
        alpha: Balance,
        gamma: float,
        label_smoothing: float = 0.0,
        **common: Unpack[Common],
    ):
        super().__init__(name=name, **common)
        self.alpha = check.balance(alpha, high=float("inf"))
        self.gamma = check.number("gamma", gamma, low=0)
        self.label_smoothing = check.number("label_smoothing", label_smoothing, low=0, high=1)

    def _logits(self, y_pred: Tensor, kept: Tensor | None) -> Tensor:
        """Return the logits of predictions (..., K), 0 in rows that are not kept."""
        rows = None if kept is None else ops.expand_dims(kept, -1)
        return only(rows, y_pred) if self.from_logits else softmax_logits(y_pred, rows)

    def _loss(self, y_true: Tensor, logits: Tensor) -> Tensor:
        return softmax_focal_loss(y_true, logits, alpha=self.alpha, gamma=self.gamma)

    def _smooth(self, one_hot: Tensor, logits: Tensor) -> Tensor:
        """Move labels (..., K) this share of the way to 1 / K."""
        if not self.label_smoothing:
            return one_hot
        one_hot = in_range(ops.cast(one_hot, "float32"))  # or it would be moved into the range
        return one_hot * (1.0 - self.label_smoothing) + self.label_smoothing / logits.shape[-1]


@register
class CategoricalFocalLoss(_Softmax):
    r"""Focal loss of one choice among several classes, from one-hot or soft labels.

    $$\mathrm{FL} = -\sum_k y_k\,\alpha_k\,(1 - p_k)^\gamma \log p_k$$

    One value per row, from the softmax probabilities $p_k$ of its classes. A label $y_k$ outside
    [0, 1] gives NaN.

    Args:
        alpha: None, one weight for all, or one weight per class; at least 0.
        gamma: focusing exponent, at least 0.
        name: name of the loss.
        **common: as in `FocalLoss`, without `ignore_label`.

    Example:
        >>> import numpy as np
        >>> loss = CategoricalFocalLoss()
        >>> round(float(loss(np.array([[1, 0]]), np.array([[0.5, 0.5]]))), 6)
        0.173287

    Reference:
        Lin et al. 2017, section 3, with a softmax in place of the sigmoid.
    """

    def __init__(
        self,
        *,
        alpha: Balance = None,
        gamma: float = 2.0,
        name: str | None = "categorical_focal_loss",
        **common: Unpack[Smoothed],
    ):
        super().__init__(name=name, alpha=alpha, gamma=gamma, **common)

    def evaluate(
        self, y_true: Tensor, y_pred: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss of each row, and which of them count, as `ElementLoss` says.

        Raises:
            ValueError: y_true has the shape of classes, or another that does not fit.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.convert_to_tensor(y_true)
        if is_sparse(y_true.shape, y_pred.shape):
            raise ValueError(
                f"y_true: expected labels of the predictions' shape {tuple(y_pred.shape)}, "
                f"received {tuple(y_true.shape)}; for integer classes use "
                "SparseCategoricalFocalLoss"
            )
        check.same_shape(y_true.shape, y_pred.shape)
        kept = None if mask is None else spread(mask, y_pred[..., 0])
        logits = self._logits(y_pred, kept)
        if kept is not None:
            y_true = only(ops.expand_dims(kept, -1), y_true)
        return only(kept, self._loss(self._smooth(y_true, logits), logits)), kept


@register
class SparseCategoricalFocalLoss(_Softmax):
    r"""Focal loss of one choice among several classes, from integer classes.

    $$\mathrm{FL} = -\alpha_t\,(1 - p_t)^\gamma \log p_t$$

    One value per row, from the softmax probability $p_t$ of its class $t$, and $\alpha_t$ the
    weight of that class.

    Args:
        alpha: as in `CategoricalFocalLoss`.
        gamma: likewise.
        ignore_label: class, such as -1 or 255, of rows to leave out: their loss and gradient are
            0, and a mean does not count them. Any other that is no whole number of 0..K-1
            gives NaN.
        name: name of the loss.
        **common: as in `FocalLoss`.

    Example:
        >>> import numpy as np
        >>> loss = SparseCategoricalFocalLoss(ignore_label=-1)
        >>> probabilities = np.array([[0.5, 0.5], [0.9, 0.1]])
        >>> round(float(loss(np.array([0, -1]), probabilities)), 6)
        0.173287

    Reference:
        As `CategoricalFocalLoss`.
    """

    def __init__(
        self,
        *,
        alpha: Balance = None,
        gamma: float = 2.0,
        ignore_label: int | None = None,
        name: str | None = "sparse_categorical_focal_loss",
        **common: Unpack[Smoothed],
    ):
        super().__init__(name=name, alpha=alpha, gamma=gamma, **common)
        self.ignore_label = check.ignored(ignore_label)

    def evaluate(
        self, y_true: Tensor, y_pred: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss of each row, and which of them count, as `ElementLoss` says.

        Classes (...) or (..., 1) are whole numbers of any dtype.

        Raises:
            ValueError: y_true has the shape of one-hot labels, or another that does not fit.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = self._classes(y_true, y_pred)
        rows = y_pred[..., 0]
        kept = None if mask is None else spread(mask, rows)
        if self.ignore_label is not None:
            kept = both(kept, spread(differ(y_true, self.ignore_label), rows))
        y_true = only(kept, y_true)
        logits = self._logits(y_pred, kept)
        if self.label_smoothing:
            classes = logits.shape[-1]
            known = ops.logical_and(y_true >= 0, y_true < classes)
            one_hot = ops.one_hot(ops.where(known, y_true, 0), classes, dtype="float32")
            losses = self._loss(self._smooth(one_hot, logits), logits)
            losses = ops.where(known, losses, ops.full_like(losses, float("nan")))
        else:
            losses = self._loss(y_true, logits)
        return only(kept, losses), kept

    def _classes(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the classes as int32 without the axis of length 1."""
        y_true = ops.convert_to_tensor(y_true)
        if not is_sparse(y_true.shape, y_pred.shape):
            raise ValueError(
                f"y_true: expected integer classes of shape {tuple(y_pred.shape[:-1])} for "
                f"predictions {tuple(y_pred.shape)}, received {tuple(y_true.shape)}; for one-hot "
                "labels use CategoricalFocalLoss"
            )
        if len(y_true.shape) == len(y_pred.shape):
            y_true = ops.squeeze(y_true, -1)
        return as_classes(y_true)
