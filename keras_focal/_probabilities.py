"""Back from probabilities to logits, without dead gradients.

A probability that was rounded to 0 or 1 has lost its logit, and clipping it, as is customary,
also cuts its gradient. The rule here, in float32 or wider:

1. Where the backend still knows the logits from which a sigmoid or softmax made the tensor, they
   are used. In TensorFlow's graphs (`fit` makes one) it is known behind a change of shape or dtype,
   too; in eager TensorFlow and in PyTorch only of what an activation of Keras returned. JAX keeps
   no such trace.
2. Otherwise a probability below the smallest one of its dtype's table (`SMALLEST`) is read as
   that one, and a probability of 1 as half a rounding step of its dtype below 1. The gradient
   passes straight through this reading, as if the value read had been given, so a confident
   error still pushes the probability, with a force that its dtype can hold. It does not push the
   logit behind it: the sigmoid's own slope p (1 - p) is 0 where p was rounded to 0 or 1.
3. What lies outside [0, 1] is no probability. It is read as the end that it is beside and has no
   gradient, which would have no bound; a warning asks for `from_logits=True` (`_range`).

Logits, `from_logits=True`, need neither.
"""

from typing import Any

import keras
from keras import ops
from keras.backend import standardize_dtype

from keras_focal._base import only
from keras_focal._range import inside
from keras_focal._types import Tensor

# float16: its smallest normal number; 1 / SMALLEST must be finite in the dtype, with room for
# weights, since that is the gradient of the logarithm
SMALLEST = {"float16": 2.0**-14, "bfloat16": 1e-30, "float32": 1e-30, "float64": 1e-30}
HALF_STEP = {"float16": 2.0**-12, "bfloat16": 2.0**-9, "float32": 2.0**-25, "float64": 2.0**-54}
# The operations of a graph that keep all values, and their order
KEEPING = {"Cast", "ExpandDims", "Identity", "Reshape", "Squeeze"}


def sigmoid_logits(probabilities: Tensor, kept: Tensor | None = None) -> Tensor:
    """Return the logits of independent probabilities, float32 or float64.

    Where a bool tensor `kept` of the same shape is False, logit and gradient are 0.

    Example:
        >>> import numpy as np
        >>> [round(float(x), 4) for x in sigmoid_logits(np.array([0.5, 0.01], "float32"))]
        [0.0, -4.5951]
    """
    p, dtype = _wide(probabilities)
    known = _activation_input(probabilities, "Sigmoid", ops.sigmoid)
    if known is not None:
        return only(kept, ops.cast(known, p.dtype))
    if kept is not None:
        p = ops.where(kept, p, 0.5)
    p = inside(p)
    return ops.log(_floor(p, SMALLEST[dtype])) - ops.log(_floor(1.0 - p, HALF_STEP[dtype]))


def softmax_logits(probabilities: Tensor, kept: Tensor | None = None) -> Tensor:
    """Return logits of probabilities (..., classes), float32 or float64, up to a constant per row.

    Each row is normalised to sum 1. In rows where a bool tensor `kept` (..., 1) is False, logits
    and gradient are 0.

    Example:
        >>> import numpy as np
        >>> x = softmax_logits(np.array([[0.8, 0.2]], "float32"))
        >>> round(float(x[0, 0] - x[0, 1]), 4)  # log(4)
        1.3863
    """
    p, dtype = _wide(probabilities)
    known = _activation_input(probabilities, "Softmax", ops.softmax)
    if known is not None:
        return only(kept, ops.cast(known, p.dtype))
    if kept is not None:
        p = ops.where(kept, p, 1.0)
    return ops.log(_floor(inside(p), SMALLEST[dtype]))


def _wide(probabilities: Tensor) -> tuple[Tensor, str]:
    """Return a float32 or float64 tensor, and the name of the dtype in which it was given."""
    p = ops.convert_to_tensor(probabilities)
    dtype = standardize_dtype(p.dtype)
    if dtype not in SMALLEST:  # integers 0 and 1
        dtype = "float32"
    return ops.cast(p, "float64" if dtype == "float64" else "float32"), dtype


def _floor(x: Tensor, smallest: float) -> Tensor:
    """Return max(x, smallest) with the gradient of x."""
    return x + ops.stop_gradient(ops.maximum(x, smallest) - x)


def _activation_input(tensor: Tensor, kind: str, activation: Any) -> Tensor | None:
    """Return the logits from which `kind` made this very tensor, or None.

    Keras marks the results of both sigmoid and softmax with the same attribute, so the mark alone
    does not tell which one it was: the backend's own record of the operation does, and in eager
    TensorFlow, which has none, the values do.
    """
    if getattr(tensor, "op", None) is not None:  # TensorFlow, within a graph
        return _graph_input(tensor, kind)
    known = getattr(tensor, "_keras_logits", None)
    if known is None:
        return None
    if keras.backend.backend() == "torch":
        producer = type(getattr(tensor, "grad_fn", None)).__name__
        return known if producer.startswith(f"{kind}Backward") else None
    if keras.backend.backend() == "tensorflow":
        again = activation(ops.convert_to_tensor(known))
        return known if bool(ops.all(ops.equal(again, tensor))) else None
    return None


def _graph_input(tensor: Tensor, kind: str) -> Tensor | None:
    """Return the logits of a tensor in a graph of TensorFlow, in the tensor's shape, or None."""
    made, reshaped = tensor, False
    while made.op.type in KEEPING and "float" in standardize_dtype(made.dtype):
        reshaped = reshaped or made.op.type not in ("Cast", "Identity")
        made = made.op.inputs[0]
    if made.op.type != kind or "float" not in standardize_dtype(made.dtype):
        return None
    logits = made.op.inputs[0]
    if not reshaped:
        return logits
    if kind == "Softmax" and (made.shape[-1] is None or made.shape[-1] != tensor.shape[-1]):
        return None  # it was over other classes
    return ops.reshape(logits, ops.shape(tensor))
