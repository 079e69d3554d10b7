"""Class ids that a model does not have, found in a user's own data before they train it.

The network's own arithmetic cannot say so: inside a compiled step an id out of range is clamped
or read as nothing, and the model learns something else.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Mapping

import numpy as np

_MESSAGE = "class id {id} in the data, but the model has {count}: ids 0 to {last}, -1 for padding"
_PATTERN = re.compile(r"class id -?\d+ in the data, but the model has .*?for padding")


def checked(data, num_classes: int):
    """Return a data set that fails at the first class id that the model does not have.

    Args:
        data: a `tf.data.Dataset` of (images, {"boxes": ..., "classes": (B, M) ids}), arrays
            (images, {...}), or anything else, which is returned as it is.
        num_classes: K.

    Returns:
        The data; the batches of a `tf.data.Dataset` are looked at as they come, on the CPU.

    Raises:
        ValueError: arrays hold an id of K or more; for a `tf.data.Dataset` see `explained`.
    """
    message = _MESSAGE.format(
        id="{}", last=num_classes - 1,
        count=f"{num_classes} class" + "es" * (num_classes != 1),
    )  # fmt: skip
    tf = sys.modules.get("tensorflow")
    if tf is not None and isinstance(data, tf.data.Dataset):
        spec = _classes(data.element_spec)
        return data.map(_look(message, num_classes)) if isinstance(spec, tf.TensorSpec) else data
    ids = _classes(data)
    if isinstance(ids, np.ndarray) and ids.size and ids.max() >= num_classes:
        raise ValueError(message.format(ids.max()))
    return data


def _classes(element):
    """Return the class ids of (images, truth, ...), None where there are none."""
    truth = element[1] if isinstance(element, tuple) and len(element) > 1 else None
    return truth.get("classes") if isinstance(truth, Mapping) else None


def _look(message: str, num_classes: int):
    import tensorflow as tf

    def look(*element):
        highest = tf.reduce_max(element[1]["classes"])
        fits = highest < tf.cast(num_classes, highest.dtype)
        tf.debugging.Assert(fits, [tf.strings.format(message, highest)])
        return element

    return look


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Raise what a checked `tf.data.Dataset` found as a ValueError of one line.

    Raises:
        ValueError: a class id of the data is one that the model does not have.
    """
    try:
        yield
    except _faults_of_data() as error:
        found = _PATTERN.search(str(error))
        if found is None:
            raise
        raise ValueError(found[0]) from None


def _faults_of_data() -> tuple[type[Exception], ...]:
    """Return the error in which TensorFlow wraps a failed assertion, if it runs at all."""
    tensorflow = sys.modules.get("tensorflow")
    return () if tensorflow is None else (tensorflow.errors.InvalidArgumentError,)
