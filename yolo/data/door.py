"""A user's own data, looked at before a detector learns from it, in whatever form it comes.

The objects of every batch are looked at, which takes less than a millisecond; the values of the
pictures only in the first `FIRST` batches of a pass, or of the first `PICTURES` of an array: that
is two walks over them, and none where they are uint8. That they are finite is seen in all of them,
by one walk.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras

from yolo.data.one_batch import check_alone, check_batch, check_structure
from yolo.pictures.fit import check_finite
from yolo.system import forks

FIRST = 2
PICTURES = 32


@dataclass(frozen=True)
class Checked:
    """Batches of data that were looked at before, as a run's are; the door lets them through.

    Args:
        batches: what Keras's `fit` and `evaluate` take.
    """

    batches: Any


class Door:
    """Looks at data on its way to a detector, and keeps what it found wrong.

    TensorFlow carries an exception out of a data set as text within an error of its own; the one
    kept here is what `explained` raises.

    Raises:
        YoloError: this process was forked after a detector was made.
    """

    def __init__(self, num_classes: int, check_sides: Callable[[tuple], None]):
        forks.refuse()
        self.num_classes, self.check_sides = num_classes, check_sides
        self.fault: ValueError | None = None

    def checked(self, data: Any, truth: Any = None) -> tuple[Any, Any]:
        """Return what `fit` and `evaluate` are given, made to fail at what is wrong in it.

        Args:
            data: images, a `tf.data.Dataset`, a `keras.utils.PyDataset` or a generator of
                (images, truth), or another library's loader, of which the first batch is looked
                at. What is spread over devices is returned as it is, and so are the batches of
                `Checked`.
            truth: {"boxes": ..., "classes": ...} for images.

        Raises:
            ValueError: arrays hold what is no picture, box or class id, or the form is another.
        """
        tf = sys.modules.get("tensorflow")
        if isinstance(data, Checked):
            return data.batches, None
        if truth is not None or hasattr(data, "shape") or isinstance(data, dict | list | tuple):
            if truth is None:
                check_alone(data)
            self._check_arrays((data, truth))
        elif tf is not None and isinstance(data, tf.data.Dataset):
            self._check_form(data.element_spec)
            data = data.enumerate().map(self._look_in_graph)
        elif isinstance(data, keras.utils.PyDataset):
            if data.use_multiprocessing:  # its batches are made elsewhere
                self.look(0, data[0])
            else:
                data = _Watched(data, self)
        elif isinstance(data, types.GeneratorType):
            data = self._watched(data)
        elif hasattr(data, "__iter__") and not hasattr(data, "__next__") and not _spread(data):
            self.look(0, next(iter(data), None))  # of a loader that Keras knows
        return data, truth

    def validation_checked(self, options: dict) -> dict:
        """Return the options of `fit` with its `validation_data` looked at.

        Its first batch is looked at here, not only after an epoch of training.
        """
        data = options.get("validation_data")
        if isinstance(data, tuple | list):
            self.checked(*data[:2])
            return options
        tf, first = sys.modules.get("tensorflow"), []
        if isinstance(data, types.GeneratorType):
            first = list(itertools.islice(data, 1))
            data = (batch for part in (first, data) for batch in part)
        elif isinstance(data, keras.utils.PyDataset):
            first = [data[0]]
        elif tf is not None and isinstance(data, tf.data.Dataset):
            first = list(data.take(1))
        for element in first:
            self.look(0, element)
        return options if data is None else {**options, "validation_data": self.checked(data)[0]}

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Raise what was found in a data set as it was found, a ValueError of one line."""
        tf = sys.modules.get("tensorflow")
        of_data = (ValueError, *(() if tf is None else (tf.errors.OpError,)))
        try:
            yield
        except of_data as error:
            raise (self.fault or error) from None

    def look(self, number: int, element: Any) -> None:
        """Look at a batch of a pass."""
        try:
            self._check_form(element)
            images, truth = element[:2]
            self._check(images, truth, pixels=number < FIRST)
        except ValueError as error:
            self.fault = error
            raise

    def _check_form(self, element: Any) -> None:
        check_structure(element)
        shape = element[0].shape
        if getattr(shape, "rank", 4) == 4 and None not in tuple(shape[1:3]):
            self.check_sides(tuple(shape[1:3]))

    def _check_arrays(self, element: tuple) -> None:
        self._check_form(element)
        images, truth = element
        if "float" in str(images.dtype):  # others need no walk, nor a copy
            check_finite(_numpy(images))
        self._check(images[:PICTURES], truth, pixels=True)

    def _check(self, images: Any, truth: Any, *, pixels: bool) -> None:
        images, boxes, classes = map(_numpy, (images, truth["boxes"], truth["classes"]))
        check_batch(images, boxes, classes, self.num_classes, pixels=pixels)
        if not pixels:
            check_finite(images)

    def _look_in_graph(self, number: Any, element: tuple) -> tuple:
        import tensorflow as tf

        def look(number, images, boxes, classes):
            self.look(number, (images, {"boxes": boxes, "classes": classes}))
            return True

        images, truth = element[:2]
        tf.numpy_function(look, [number, images, truth["boxes"], truth["classes"]], tf.bool)
        return element

    def _watched(self, batches: Iterator) -> Iterator:
        for number, element in enumerate(batches):
            self.look(number, element)
            yield tuple(element)  # Keras takes no list


class _Watched(keras.utils.PyDataset):
    """A `PyDataset` whose batches are looked at."""

    def __init__(self, source: keras.utils.PyDataset, door: Door):
        super().__init__(workers=source.workers, max_queue_size=source.max_queue_size)
        self.source, self.door = source, door

    @property
    def num_batches(self):
        return self.source.num_batches

    def __getitem__(self, index):
        element = self.source[index]
        self.door.look(index, element)
        return element

    def on_epoch_begin(self):
        self.source.on_epoch_begin()

    def on_epoch_end(self):
        self.source.on_epoch_end()


def _spread(data: Any) -> bool:
    """Tell whether this is a data set of `tf.distribute`, whose batches are in several places."""
    return type(data).__module__.partition(".")[0] == "tensorflow"


def _numpy(value: Any) -> Any:
    return keras.ops.convert_to_numpy(value)
