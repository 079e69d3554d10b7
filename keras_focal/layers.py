"""A layer that carries the loss, for models that take their labels as an input."""

from typing import Any

import keras
from keras import ops

from keras_focal._base import reduce
from keras_focal._types import Tensor
from keras_focal.functional import Balance
from keras_focal.losses import FocalLoss


@keras.saving.register_keras_serializable(package="keras_focal")
class FocalLossLayer(keras.layers.Layer):
    """Adds the focal loss of its inputs with `add_loss` and passes the logits on.

    Called as `layer((y_true, logits))`, `layer((y_true, logits, mask))` or
    `layer(y_true, logits, mask=mask)`. The model is then compiled without a loss.

    Args:
        alpha: as in `FocalLoss`.
        gamma: as in `FocalLoss`.
        label_smoothing: as in `FocalLoss`.
        ignore_label: as in `FocalLoss`.
        reduction: "sum_over_batch_size" (the mean over elements that count), "sum", or another
            of Keras's names that gives a scalar.
        **kwargs: `name`, `dtype` and the like, as in `keras.layers.Layer`. Whatever the dtype
            policy, labels and logits are taken as they come.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument is out of range.

    Example:
        >>> import numpy as np
        >>> layer = FocalLossLayer()
        >>> logits = layer((np.array([[1.0]], "float32"), np.array([[0.0]], "float32")))
        >>> round(float(layer.losses[0]), 6)
        0.043322
    """

    def __init__(
        self,
        *,
        alpha: Balance = 0.25,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        ignore_label: int | None = None,
        reduction: str = "sum_over_batch_size",
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        if reduction in (None, "none"):
            raise ValueError(
                "reduction: expected one that gives a scalar, such as 'sum_over_batch_size', "
                f"received {reduction!r}"
            )
        self.supports_masking = True
        self.loss = FocalLoss(
            alpha=alpha,
            gamma=gamma,
            label_smoothing=label_smoothing,
            ignore_label=ignore_label,
            reduction=reduction,
            from_logits=True,
        )

    def call(self, inputs: Any, logits: Tensor | None = None, mask: Any = None) -> Tensor:
        """Add the loss and return the logits, unchanged.

        A mask has the logits' shape or its leading axes; 0 or False leaves out.

        Raises:
            ValueError: inputs are not two or three tensors.
        """
        y_true = inputs
        if isinstance(mask, (list, tuple)):  # those that Keras found on the inputs
            mask = mask[1] if len(mask) > 1 else None
        if isinstance(inputs, (list, tuple)):
            if logits is not None or len(inputs) not in (2, 3):
                raise ValueError(
                    "inputs: expected (y_true, logits) or (y_true, logits, mask), "
                    f"received {len(inputs)} tensors"
                )
            y_true, logits, mask = (*inputs, mask)[:3]
        elif logits is None:
            raise ValueError("logits: expected a tensor beside y_true, received None")
        if mask is not None:
            mask = ops.cast(mask, "bool")
        losses, kept = self.loss.evaluate(y_true, logits, mask)
        self.add_loss(reduce(losses, None, kept, self.loss.reduction))
        return logits

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """Return no new mask: the logits keep the one they have."""
        return None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the layer."""
        loss = self.loss.get_config()
        own = ("alpha", "gamma", "label_smoothing", "ignore_label", "reduction")
        return {**super().get_config(), **{name: loss[name] for name in own}}
