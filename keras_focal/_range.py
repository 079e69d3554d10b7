"""Predictions that are no probabilities, as where `from_logits=True` was forgotten: said in a line.

The line is a `UserWarning` of Python, which shows once however long the training is. It comes from
`fit`, too: a graph of TensorFlow and a compiled function of JAX call back when such a value turns
up. A function that TensorFlow compiles by XLA cannot, and says nothing.
"""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_focal._types import Tensor

# How far outside [0, 1] a mean of probabilities may lie by the rounding of bfloat16
ROUNDING = 2.0**-7
LINE = (
    "y_pred: expected probabilities, received values outside [0, 1], which are read as 0 or 1 and "
    "teach nothing; for raw outputs (no sigmoid or softmax at the end) write from_logits=True"
)

_told: dict = {}


def inside(p: Tensor) -> Tensor:
    """Return probabilities, what lies outside [0, 1] as the nearest one and without a gradient.

    Warns where it is more than rounding, now or when such a value comes. NaN stays NaN.
    """

    def nearest() -> Tensor:
        fits = ops.logical_and(p >= 0.0, p <= 1.0)
        return ops.where(fits, p, ops.stop_gradient(ops.clip(p, 0.0, 1.0)))

    values = ops.stop_gradient(p)
    low, high = ops.min(values, initial=0.0), ops.max(values, initial=1.0)
    _ask_for_logits(ops.logical_or(low < -ROUNDING, high > 1.0 + ROUNDING))
    if keras.backend.backend() != "tensorflow":  # XLA fuses this with what follows
        return nearest()
    # there every operation walks over its arrays: two that only read, where all is well
    return ops.cond(ops.logical_and(low >= 0.0, high <= 1.0), lambda: p, nearest)


def _ask_for_logits(outside: Tensor) -> None:
    """Warn where a bool scalar is True, which a graph knows only when it runs."""
    backend = keras.backend.backend()
    if backend == "tensorflow" and hasattr(outside, "graph"):
        call_where(outside, _tell, outside)
    elif backend == "jax":
        jax = sys.modules["jax"]
        # told by the value, too: where vmap makes a choice of the branch, both are taken
        jax.lax.cond(
            outside, lambda found: jax.debug.callback(_tell, found), lambda found: None, outside
        )
    elif str(getattr(outside, "device", None)) != "meta":  # PyTorch's tensors without values
        _tell(outside)


def _tell(outside: Tensor) -> None:
    if outside:  # one line, where `warn` would add one of the source
        warnings.warn_explicit(LINE, UserWarning, "keras_focal", 1, registry=_told)


def call_where(found: Tensor, call: Callable[..., None], *given: Tensor) -> Tensor | None:
    """Have a graph of TensorFlow call with values where a bool scalar is True.

    Returns the operation that does, None where TensorFlow compiles by XLA, which cannot.
    """
    tf = sys.modules["tensorflow"]
    graph = found.graph
    while graph is not None:
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return None
            context = context.outer_context
        graph = getattr(graph, "outer_graph", None)

    def called(*values: Any) -> bool:
        call(*values)
        return True

    return tf.cond(found, lambda: tf.numpy_function(called, given, tf.bool), lambda: False)
