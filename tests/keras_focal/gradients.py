"""Value and gradient of a function on whichever backend Keras runs."""

import keras
import numpy as np
from keras import ops


def numpy64(x):
    """Return a tensor of any float dtype as a float64 array."""
    if keras.backend.standardize_dtype(x.dtype) != "float64":
        x = ops.cast(x, "float32")
    return np.asarray(ops.convert_to_numpy(x), dtype=np.float64)


def value_and_grad(function, x, dtype="float32"):
    """Return (function(x), d sum(function(x)) / dx) as float64 arrays."""
    backend = keras.backend.backend()
    x = ops.convert_to_tensor(np.asarray(x), dtype=dtype)
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        gradient = tape.gradient(value, x)
    elif backend == "jax":
        import jax

        value = function(x)
        gradient = jax.grad(lambda x: function(x).sum())(x)
    else:
        x = x.detach().clone().requires_grad_(True)
        value = function(x)
        value.sum().backward()
        gradient, value = x.grad, value.detach()
    return numpy64(value), numpy64(gradient)
