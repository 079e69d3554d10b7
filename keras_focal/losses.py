"""The losses as Keras objects: `model.compile(loss=FocalLoss())`."""

from typing import Any

import keras
from keras import ops

from keras_focal import _arguments as check
from keras_focal._base import ElementLoss, align, both, ignored, only, spread
from keras_focal._labels import differ, in_range
from keras_focal._probabilities import sigmoid_logits
from keras_focal._softmax_losses import CategoricalFocalLoss, SparseCategoricalFocalLoss
from keras_focal._types import Tensor
from keras_focal.functional import (
    Balance,
    focal_loss_star,
    quality_focal_loss,
    sigmoid_focal_loss,
    varifocal_loss,
)

__all__ = [
    "BalancedCrossEntropy",
    "CategoricalFocalLoss",
    "FocalLoss",
    "FocalLossStar",
    "QualityFocalLoss",
    "SparseCategoricalFocalLoss",
    "VarifocalLoss",
]

register = keras.saving.register_keras_serializable(package="keras_focal")


class _Sigmoid(ElementLoss):
    """Losses of independent yes-or-no scores; a subclass gives `from_tensors`."""

    def __init__(
        self,
        *,
        from_logits: bool,
        reduction: str | None,
        name: str | None,
        dtype: Any,
        label_smoothing: float = 0.0,
        ignore_label: int | None = None,
    ):
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.from_logits = check.flag("from_logits", from_logits)
        self.label_smoothing = check.number("label_smoothing", label_smoothing, low=0, high=1)
        self.ignore_label = ignored(ignore_label)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""
        raise NotImplementedError

    def evaluate(
        self, y_true: Tensor, y_pred: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss of each prediction, and which of them count.

        Args:
            y_true: labels of y_pred's shape, or lacking a last axis of length 1.
            y_pred: logits where `from_logits`, else probabilities.
            mask: None, or bool of y_pred's shape or its leading axes; False leaves out.

        Returns:
            (losses, kept): tensors of y_pred's shape, float and bool; kept is None where there
            is neither `ignore_label` nor mask.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = align(y_true, y_pred)
        kept = None if mask is None else spread(mask, y_pred)
        if self.ignore_label is not None:
            kept = both(kept, spread(differ(y_true, self.ignore_label), y_pred))
        y_true = only(kept, y_true)
        if self.from_logits:
            logits = only(kept, y_pred)
        else:
            logits = sigmoid_logits(y_pred, kept)
        if self.label_smoothing:
            y_true = in_range(ops.cast(y_true, "float32"))  # or it would be moved into the range
            y_true = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return only(kept, self.from_tensors(y_true, logits)), kept

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        config = {**super().get_config(), "from_logits": self.from_logits}
        if not self.soft_targets:
            config |= {
                "label_smoothing": self.label_smoothing,
                "ignore_label": self.ignore_label,
            }
        return config


@register
class FocalLoss(_Sigmoid):
    """Focal loss for binary and multi-label classification.

    FL = -alpha_t * (1 - p_t)^gamma * log(p_t), one value per prediction.

    Args:
        alpha: weight of the positive class in [0, 1] (negatives get 1 - alpha); or one such
            number per class of the last axis; None weights both sides with 1.
        gamma: focusing exponent, at least 0.
        from_logits: whether predictions are logits rather than probabilities. Prefer logits: a
            probability that was rounded to 0 or 1 teaches nothing, unless the logits behind it
            are found. They are for a sigmoid layer on TensorFlow and PyTorch; on JAX, and where
            another operation follows, they are not. See docs/focal-loss.md.
        label_smoothing: moves labels this share of the way to 0.5.
        ignore_label: label value, such as -1, of entries to leave out: their loss and gradient
            are 0, and a mean does not count them.
        reduction: as in `keras.losses.Loss`; "sum" is the sum over all elements.
        name: name of the loss.
        dtype: dtype of the result; the computation is in float32 at least.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> loss = FocalLoss(from_logits=True, reduction="none")
        >>> [round(float(x), 6) for x in loss(np.array([1, 0]), np.array([0.0, 0.0]))]
        [0.043322, 0.129965]

    Reference:
        Lin et al. 2017, equation 5.
    """

    def __init__(
        self,
        *,
        alpha: Balance = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        ignore_label: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "focal_loss",
        dtype: Any = None,
    ):
        super().__init__(
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            ignore_label=ignore_label,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.alpha = check.balance(alpha)
        self.gamma = check.number("gamma", gamma, low=0)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""
        return sigmoid_focal_loss(y_true, logits, alpha=self.alpha, gamma=self.gamma)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}


@register
class FocalLossStar(_Sigmoid):
    """FL*, the paper's other form: -alpha_t * log(sigmoid(gamma * x_t + beta)) / gamma.

    Args:
        alpha: as in `FocalLoss`.
        gamma: steepness, above 0.
        beta: shift.
        from_logits: as in `FocalLoss`.
        label_smoothing: as in `FocalLoss`.
        ignore_label: as in `FocalLoss`.
        reduction: as in `FocalLoss`.
        name: name of the loss.
        dtype: dtype of the result.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> loss = FocalLossStar(alpha=None, gamma=4, beta=0, from_logits=True)
        >>> round(float(loss(np.array([1]), np.array([0.0]))), 5)
        0.17329

    Reference:
        Lin et al. 2017, appendix A.
    """

    def __init__(
        self,
        *,
        alpha: Balance = 0.25,
        gamma: float = 2.0,
        beta: float = 1.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        ignore_label: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "focal_loss_star",
        dtype: Any = None,
    ):
        super().__init__(
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            ignore_label=ignore_label,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.alpha = check.balance(alpha)
        self.gamma = check.number("gamma", gamma, low=0, exclusive=True)
        self.beta = check.number("beta", beta)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""
        return focal_loss_star(y_true, logits, alpha=self.alpha, gamma=self.gamma, beta=self.beta)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        own = {"alpha": self.alpha, "gamma": self.gamma, "beta": self.beta}
        return {**super().get_config(), **own}


@register
class BalancedCrossEntropy(_Sigmoid):
    """Alpha-balanced cross-entropy, -alpha_t * log(p_t): focal loss without focusing.

    Args:
        alpha: as in `FocalLoss`; 0.75 is the best of the paper's table 1a.
        from_logits: as in `FocalLoss`.
        label_smoothing: as in `FocalLoss`.
        ignore_label: as in `FocalLoss`.
        reduction: as in `FocalLoss`.
        name: name of the loss.
        dtype: dtype of the result.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> loss = BalancedCrossEntropy(alpha=0.5)
        >>> round(float(loss(np.array([1]), np.array([0.5]))), 6)  # half of log(2)
        0.346574

    Reference:
        Lin et al. 2017, equation 3.
    """

    def __init__(
        self,
        *,
        alpha: Balance = 0.75,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        ignore_label: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "balanced_cross_entropy",
        dtype: Any = None,
    ):
        super().__init__(
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            ignore_label=ignore_label,
            reduction=reduction,
            name=name,
            dtype=dtype,
        )
        self.alpha = check.balance(alpha)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""
        return sigmoid_focal_loss(y_true, logits, alpha=self.alpha, gamma=0.0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        return {**super().get_config(), "alpha": self.alpha}


@register
class QualityFocalLoss(_Sigmoid):
    """Focal loss of a continuous quality: |y - p|^beta * cross-entropy(y, p).

    Args:
        beta: focusing exponent, at least 0.
        from_logits: as in `FocalLoss`.
        reduction: as in `FocalLoss`.
        name: name of the loss.
        dtype: dtype of the result.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> round(float(QualityFocalLoss()(np.array([1.0]), np.array([0.5]))), 6)
        0.173287

    Reference:
        Li et al. 2020 (arXiv:2006.04388), equation 3.
    """

    soft_targets = True

    def __init__(
        self,
        *,
        beta: float = 2.0,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "quality_focal_loss",
        dtype: Any = None,
    ):
        super().__init__(from_logits=from_logits, reduction=reduction, name=name, dtype=dtype)
        self.beta = check.number("beta", beta, low=0)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of qualities under logits of the same rank."""
        return quality_focal_loss(y_true, logits, beta=self.beta)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        return {**super().get_config(), "beta": self.beta}


@register
class VarifocalLoss(_Sigmoid):
    """Quality-weighted cross-entropy on positives, focal loss on negatives.

    Args:
        alpha: weight of the negatives, at least 0.
        gamma: focusing exponent of the negatives, at least 0.
        from_logits: as in `FocalLoss`.
        reduction: as in `FocalLoss`.
        name: name of the loss.
        dtype: dtype of the result.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> round(float(VarifocalLoss()(np.array([0.5]), np.array([0.5]))), 6)  # log(2) / 2
        0.346574

    Reference:
        Zhang et al. 2021 (arXiv:2008.13367), equation 2.
    """

    soft_targets = True

    def __init__(
        self,
        *,
        alpha: float = 0.75,
        gamma: float = 2.0,
        from_logits: bool = False,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "varifocal_loss",
        dtype: Any = None,
    ):
        super().__init__(from_logits=from_logits, reduction=reduction, name=name, dtype=dtype)
        self.alpha = check.number("alpha", alpha, low=0)
        self.gamma = check.number("gamma", gamma, low=0)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of qualities under logits of the same rank."""
        return varifocal_loss(y_true, logits, alpha=self.alpha, gamma=self.gamma)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the loss."""
        return {**super().get_config(), "alpha": self.alpha, "gamma": self.gamma}
