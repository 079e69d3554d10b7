"""The bias that makes a new classifier say "background"."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_focal import _arguments as check
from keras_focal._types import Tensor


@keras.saving.register_keras_serializable(package="keras_focal")
class PriorProbability(keras.initializers.Initializer):
    """Bias initializer with which a sigmoid starts at a given probability.

    Among a hundred thousand anchors nearly all are background; starting at p = 0.5 lets their
    summed loss swamp the first steps.

    Args:
        pi: the probability that every score starts at, in (0, 1).

    Raises:
        TypeError: pi is not a number.
        ValueError: pi is not in (0, 1).

    Example:
        >>> bias = PriorProbability(0.01)((2,))
        >>> round(float(bias[0]), 5)
        -4.59512

    Reference:
        Lin et al. 2017, sections 3.3 and 4.1: bias = -log((1 - pi) / pi).
    """

    def __init__(self, pi: float = 0.01):
        self.pi = check.number("pi", pi, low=0, high=1, exclusive=True)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of a shape, filled with the bias; no dtype is Keras's default."""
        dtype = keras.backend.standardize_dtype(dtype)
        return ops.full(shape, -math.log((1.0 - self.pi) / self.pi), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments from which `from_config` rebuilds the initializer."""
        return {"pi": self.pi}
