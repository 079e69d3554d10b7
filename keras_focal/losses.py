"""The losses as Keras objects, each with its formula and the function that computes it."""

from abc import abstractmethod
from typing import Unpack

import keras
from keras import ops

from keras_focal import _arguments as check
from keras_focal._base import align, both, only, spread
from keras_focal._common import Common, CommonLoss, Labelled
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


class _Sigmoid(CommonLoss):
    """Losses of independent yes-or-no scores; a subclass gives `from_tensors`."""

    label_smoothing = 0.0
    ignore_label: int | None = None

    @abstractmethod
    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""

    def evaluate(
        self, y_true: Tensor, y_pred: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the loss of each prediction, and which of them count, as `ElementLoss` says.

        Labels have y_pred's shape, or lack a last axis of length 1.
        """
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = align(y_true, y_pred)
        kept = None if mask is None else spread(mask, y_pred)
        if self.ignore_label is not None:
            kept = both(kept, spread(differ(y_true, self.ignore_label), y_pred))
        y_true = only(kept, y_true)
        logits = only(kept, y_pred) if self.from_logits else sigmoid_logits(y_pred, kept)
        if self.label_smoothing:
            y_true = in_range(ops.cast(y_true, "float32"))  # or it would be moved into the range
            y_true = y_true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        return only(kept, self.from_tensors(y_true, logits)), kept


class _OfLabels(_Sigmoid):
    """Those whose labels are classes, 0 or 1, not qualities."""

    def __init__(
        self,
        *,
        name: str | None,
        label_smoothing: float = 0.0,
        ignore_label: int | None = None,
        **common: Unpack[Common],
    ):
        super().__init__(name=name, **common)
        self.label_smoothing = check.number("label_smoothing", label_smoothing, low=0, high=1)
        self.ignore_label = check.ignored(ignore_label)


@register
class FocalLoss(_OfLabels):
    r"""Focal loss for binary and multi-label classification, one value per prediction.

    $$\mathrm{FL} = -\alpha_t\,(1 - p_t)^\gamma \log p_t$$

    $p_t$ and $\alpha_t$ are the probability $p$ and $\alpha$ where the label is 1, and where it is
    0 they are $1 - p$ and $1 - \alpha$.

    Args:
        alpha: weight of the positive class in [0, 1] (negatives get 1 - alpha); or one such
            number per class of the last axis; None weights both sides with 1.
        gamma: focusing exponent, at least 0.
        name: name of the loss.
        **common: what most losses here take.

            - `from_logits`, False by default: whether predictions are logits rather than
              probabilities. Prefer logits: a probability that was rounded to 0 or 1 teaches
              nothing, unless the logits behind it are found. They are for a sigmoid layer on
              TensorFlow and PyTorch; on JAX, and where another operation follows, they are not.
              See docs/focal-loss.md.
            - `label_smoothing`, 0 by default: moves labels this share of the way to 0.5, or to
              1 / K where one of K classes is right.
            - `ignore_label`, None by default: label, such as -1, of entries to leave out: their
              loss and gradient are 0, and a mean does not count them.
            - `reduction`, "sum_over_batch_size" by default: as in `keras.losses.Loss`; "sum" is
              the sum over all elements.
            - `dtype`: dtype of the result; the computation is in float32 at least.

    Raises:
        TypeError: an argument has the wrong type, or a name that is not known.
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
        name: str | None = "focal_loss",
        **common: Unpack[Labelled],
    ):
        super().__init__(name=name, **common)
        self.alpha = check.balance(alpha)
        self.gamma = check.number("gamma", gamma, low=0)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""
        return sigmoid_focal_loss(y_true, logits, alpha=self.alpha, gamma=self.gamma)


@register
class FocalLossStar(_OfLabels):
    r"""FL*, the paper's other form of focal loss.

    $$\mathrm{FL}^* = -\frac{\alpha_t}{\gamma} \log \sigma(\gamma\,x_t + \beta)$$

    $x_t$ is the logit of the label's side: $x$ where the label is 1, else $-x$.

    Args:
        alpha: as in `FocalLoss`.
        gamma: steepness, above 0.
        beta: shift.
        name: name of the loss.
        **common: as in `FocalLoss`.

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
        name: str | None = "focal_loss_star",
        **common: Unpack[Labelled],
    ):
        super().__init__(name=name, **common)
        self.alpha = check.balance(alpha)
        self.gamma = check.number("gamma", gamma, low=0, exclusive=True)
        self.beta = check.number("beta", beta)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""
        return focal_loss_star(y_true, logits, alpha=self.alpha, gamma=self.gamma, beta=self.beta)


@register
class BalancedCrossEntropy(_OfLabels):
    r"""Cross-entropy with a weight for each side: focal loss without focusing.

    $$\mathrm{CE} = -\alpha_t \log p_t$$

    Args:
        alpha: as in `FocalLoss`; 0.75 is the best of the paper's table 1a.
        name: name of the loss.
        **common: as in `FocalLoss`.

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
        name: str | None = "balanced_cross_entropy",
        **common: Unpack[Labelled],
    ):
        super().__init__(name=name, **common)
        self.alpha = check.balance(alpha)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of labels under logits of the same rank."""
        return sigmoid_focal_loss(y_true, logits, alpha=self.alpha, gamma=0.0)


@register
class QualityFocalLoss(_Sigmoid):
    r"""Focal loss of a continuous quality $y$, such as the IoU of the predicted box.

    $$\mathrm{QFL} = -|y - p|^\beta \left( y \log p + (1 - y) \log (1 - p) \right)$$

    Args:
        beta: focusing exponent, at least 0.
        name: name of the loss.
        **common: `from_logits`, `reduction` and `dtype`, as in `FocalLoss`.

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
        name: str | None = "quality_focal_loss",
        **common: Unpack[Common],
    ):
        super().__init__(name=name, **common)
        self.beta = check.number("beta", beta, low=0)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of qualities under logits of the same rank."""
        return quality_focal_loss(y_true, logits, beta=self.beta)


@register
class VarifocalLoss(_Sigmoid):
    r"""Cross-entropy weighted by the quality $y$ of positives, focal loss of negatives.

    $$\mathrm{VFL} = \begin{cases}
    -y \left( y \log p + (1 - y) \log (1 - p) \right) & y > 0 \\
    -\alpha\,p^\gamma \log (1 - p) & y = 0
    \end{cases}$$

    Args:
        alpha: weight of the negatives, at least 0.
        gamma: focusing exponent of the negatives, at least 0.
        name: name of the loss.
        **common: `from_logits`, `reduction` and `dtype`, as in `FocalLoss`.

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
        name: str | None = "varifocal_loss",
        **common: Unpack[Common],
    ):
        super().__init__(name=name, **common)
        self.alpha = check.number("alpha", alpha, low=0)
        self.gamma = check.number("gamma", gamma, low=0)

    def from_tensors(self, y_true: Tensor, logits: Tensor) -> Tensor:
        """Return the loss of qualities under logits of the same rank."""
        return varifocal_loss(y_true, logits, alpha=self.alpha, gamma=self.gamma)
