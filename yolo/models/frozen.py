"""Prediction on a processor by a graph whose weights are constants.

Of weights that are constants TensorFlow folds the norms once, and oneDNN brings the kernels into
the order in memory that its fastest convolutions want, which it cannot do for variables.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from yolo.pictures.given import as_batch
from yolo.system import forks

# To the power of how often the weights have changed before: so many calls go by before they are
# made constants again. A loop that trains and looks in turn shall not wait for a graph each time.
_PATIENCE = 4


# Held while a graph of prediction is made, which several threads may ask for at once
_MAKING = threading.Lock()


class Frozen:
    """A model on TensorFlow as a graph with its weights in it, made anew when they have changed.

    What the weights were is kept, and TensorFlow changes no memory that somebody else holds: a
    variable that was assigned or updated has its numbers elsewhere (`PrepareToUpdateVariable` in
    tensorflow/core/kernels/training_op_helpers.h). Threads may call at the same time.

    Args:
        model: from images (batch, h, w, 3) to a dict of tensors.
    """

    def __init__(self, model: keras.Model):
        import tensorflow as tf

        self._model = model
        values = tf.function(lambda: [variable.value for variable in model.variables])
        self._read = values.get_concrete_function()
        self._lock = threading.Lock()
        self._kept: list = []
        self._graphs: dict = {}  # by the kind of numbers in the images
        self._changes = self._wait = 0

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray] | None:
        """Return what the model makes of images, None while its weights do not stay."""
        import tensorflow as tf

        given = tf.constant(images, tf.uint8 if images.dtype == np.uint8 else tf.float32)
        with self._lock:
            if self._wait:
                self._wait -= 1
                return None
            if self._kept and _places(self._read()) != _places(self._kept):
                self._kept, self._graphs = [], {}
                self._wait = _PATIENCE**self._changes
                self._changes += 1
                return None
            if given.dtype not in self._graphs:
                self._graphs[given.dtype] = self._freeze(given.dtype)
            graph = self._graphs[given.dtype]
        return {name: values.numpy() for name, values in graph(given).items()}

    def _freeze(self, dtype):
        """Return a function of images of a kind, any number of any size, with the weights in it."""
        import tensorflow as tf

        self._kept = self._kept or self._read()
        values = [value.numpy() for value in self._kept]

        def forward(images):
            # NumPy's arrays become constants, where tensors would become inputs.
            now = [(v, tf.constant(n)) for v, n in zip(self._model.variables, values, strict=True)]
            with keras.StatelessScope(state_mapping=now):
                return self._model(images, training=False)

        shape = tf.TensorSpec((None, None, None, 3), dtype)
        return tf.function(forward).get_concrete_function(shape)


class Predicting(keras.Model):
    """A model that predicts by another, which shares its weights."""

    # Untracked, and hidden from Keras's saving, which would find the weights under two names.
    _inference: Any = None
    _frozen: Any = None
    _learns = False
    make_inference_model: Callable[[], keras.Model]  # from images to a dict of what is predicted
    check_sides: Callable[[tuple], None]  # of a batch, (height, width)

    def inference_model(self) -> keras.Model:
        """Return the model from images to what is predicted, always the same."""
        if self._inference is None:
            with _MAKING:
                if self._inference is None:
                    model = self.make_inference_model()
                    model.make_predict_function()  # or each thread would make one of its own
                    frozen = Frozen(model) if _can_freeze(model) else None
                    object.__setattr__(self, "_frozen", lambda: frozen)
                    object.__setattr__(self, "_inference", lambda: model)
        return self._inference()

    @contextlib.contextmanager
    def learning(self):
        """Make no constants of weights that change again and again."""
        before = self._learns
        object.__setattr__(self, "_learns", True)
        try:
            yield
        finally:
            object.__setattr__(self, "_learns", before)

    def predict(self, x, *args, **kwargs):
        """Return the network's raw outputs as Keras's `predict` does; `detect` finds the objects.

        Raises:
            ValueError: an array holds no pictures of a size that the network takes.
        """
        forks.refuse()
        if hasattr(x, "shape"):
            self.check_sides(as_batch(x).shape[1:3])
        return super().predict(x, *args, **kwargs)

    def predicted(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return what is predicted for a batch, as NumPy."""
        model = self.inference_model()
        frozen = None if self._learns or self._frozen() is None else self._frozen()(images)
        return model.predict_on_batch(images) if frozen is None else frozen


def _places(tensors) -> list[int]:
    """Return where in memory the numbers of tensors lie."""
    return [np.asarray(memoryview(one)).ctypes.data for one in tensors]


def _can_freeze(model: keras.Model) -> bool:
    """Return whether Keras computes with TensorFlow, on this process's processor alone.

    And whether a model's weights have a place in memory that Python knows: bfloat16's have none.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    if any(variable.dtype == "bfloat16" for variable in model.variables):
        return False
    import tensorflow as tf

    return not (tf.config.get_visible_devices("GPU") or tf.distribute.has_strategy())
