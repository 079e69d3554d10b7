"""All samples as tensors, and how a graph gets one picture's pixels and objects from them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import tensorflow as tf

from yolo.boxes.labels import PADDING
from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.pictures.files import read_image
from yolo.pictures.header import read_header
from yolo.pictures.sizes import RESIZE_MODES
from yolo.system.reading import FilePart, printable, read_regular

# libjpeg computes the colours at a window's edge as if the picture ended there, where neighbours
# share colour samples. A window wider by this shows inside exactly what the whole picture shows.
_BESIDE = 16
_DCT = "INTEGER_ACCURATE"  # with it TensorFlow computes the pixels that OpenCV computes


class Store:
    """Holds paths, sizes and objects of a data set for use inside tf.data.

    Pictures are files of their own or parts of shards; what comes out is the same.

    Args:
        samples: the pictures.
        resize: "letterbox", "stretch" or "shorter", kept for those who place the pictures.
        cache_bytes: memory for decoded pictures. The first ones that fit into it are decoded
            here, once; what a batch holds does not depend on it.

    Raises:
        DatasetError: there are no samples, a picture cannot be read, or it does not have the
            size that its sample says.
        ConfigError: `resize` is none of them.
    """

    def __init__(
        self, samples: Sequence[Sample], *, resize: str = "letterbox", cache_bytes: int = 0
    ):
        if not samples:
            raise DatasetError("no pictures: the split is empty; expected at least one")
        if resize not in RESIZE_MODES:
            raise ConfigError(f"resize is {resize!r}; expected one of {', '.join(RESIZE_MODES)}")
        self.resize = resize
        self.count = len(samples)
        counts = np.array([len(sample.class_ids) for sample in samples], np.int64)
        self.most_objects = max(1, int(counts.max()))
        plain = [_is_plain(sample) for sample in samples]
        self._all_plain = all(plain)
        self._files = [sample.path for sample in samples]
        self._in_parts = any(isinstance(path, FilePart) for path in self._files)
        boxes = [np.zeros((1, 4), np.float32), *(sample.boxes_xyxy for sample in samples)]
        ids = [np.zeros(1, np.int32), *(sample.labels() for sample in samples)]
        kept, starts = decoded(samples, cache_bytes)
        self.cached = int((starts >= 0).sum())
        with tf.device("CPU"):  # where tf.data runs
            self._plain = tf.constant(plain)
            self._paths = tf.constant([os.fsencode(path) for path in self._files])
            self._sizes = tf.constant([sample.size for sample in samples], tf.float64)
            self._counts = tf.constant(counts)
            self._starts = tf.constant(np.cumsum(counts) - counts)
            self._boxes = tf.constant(np.concatenate(boxes), tf.float32)  # row 0: no object
            self._ids = tf.constant(np.concatenate(ids), tf.int32)
            self._decoded = tf.constant(kept)
            self._decoded_starts = tf.constant(starts)

    def sizes(self, indices: tf.Tensor) -> tf.Tensor:
        """Return (k, 2) float64, height and width of the pictures `indices` (k,)."""
        return tf.gather(self._sizes, indices)

    def objects(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return boxes (k, m, 4) float32 and classes (k, m) int32, padded with class -1.

        Other classes below 0 are labels to ignore, see `yolo.boxes.labels`.
        """
        order = tf.range(self.most_objects, dtype=tf.int64)[None]
        there = order < tf.gather(self._counts, indices)[:, None]  # (k, m)
        rows = tf.where(there, tf.gather(self._starts, indices)[:, None] + order + 1, 0)
        return tf.gather(self._boxes, rows), tf.where(there, tf.gather(self._ids, rows), PADDING)

    def pixels(self, index: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Return a window of the picture `index`, decoding little more than that.

        Args:
            index: () int64.
            start: (2,) int32, top and left.
            size: (2,) int32, height and width.

        Returns:
            (*size, 3) uint8, RGB, upright.
        """
        if not self.cached:
            return self._from_file(index, start, size)
        first = self._decoded_starts[index]

        def from_memory() -> tf.Tensor:
            shape = tf.concat([tf.cast(self._sizes[index], tf.int64), [3]], axis=0)
            pixels = tf.slice(self._decoded, [first], [tf.reduce_prod(shape)])
            return _cut(tf.reshape(pixels, shape), start, size)

        if self.cached == self.count:
            return from_memory()
        return tf.cond(first >= 0, from_memory, lambda: self._from_file(index, start, size))

    def _from_file(self, index: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        def fast() -> tf.Tensor:
            # For training's sake: OpenCV gives the same pixels and takes half as long again.
            whole = tf.cast(tf.gather(self._sizes, index), tf.int32)
            data = self._plain_bytes(index, whole)
            (top, first), (height, width) = tf.unstack(start), tf.unstack(size)
            left = tf.maximum(first - _BESIDE, 0)
            right = tf.minimum(first + width + _BESIDE, tf.unstack(whole)[1])
            window = tf.stack([top, left, height, right - left])
            wider = tf.image.decode_and_crop_jpeg(data, window, channels=3, dct_method=_DCT)
            return tf.slice(wider, [0, first - left, 0], [-1, width, -1])

        def general() -> tf.Tensor:
            image = tf.numpy_function(
                lambda i: read_image(self._files[i]), [index], tf.uint8, stateful=False
            )
            return _cut(tf.ensure_shape(image, (None, None, 3)), start, size)

        return fast() if self._all_plain else tf.cond(self._plain[index], fast, general)

    def _plain_bytes(self, index: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Return the content of a picture file that TensorFlow decodes, () string.

        It has the `size` (2,) int32, height and width, that its header said before.
        """
        if self._in_parts:
            data = tf.numpy_function(
                lambda i: read_regular(self._files[i]), [index], tf.string, stateful=False
            )
        else:
            data = tf.io.read_file(self._paths[index])
        # The file may be another one since its header, or the index over it, was read.
        shape = tf.io.extract_jpeg_shape(data, output_type=tf.int32)
        with tf.control_dependencies([tf.debugging.assert_equal(shape[:2], size)]):
            return tf.identity(data)


def _cut(image: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.slice(image, tf.pad(start, [[0, 1]]), tf.concat([size, [3]], axis=0))


def decoded(samples: Sequence[Sample], budget: int) -> tuple[np.ndarray, np.ndarray]:
    """Decode the first pictures whose pixels fit into a budget, in threads.

    Returns:
        The pixels of all of them in a row (bytes,) uint8, and where each picture begins
        (samples,) int64, -1 for those left out.

    Raises:
        DatasetError: a picture cannot be read.
    """
    sizes = np.array([3 * height * width for height, width in (s.size for s in samples)])
    ends = np.cumsum(sizes)
    fits = ends <= budget
    starts = np.where(fits, ends - sizes, -1)
    pixels = np.empty(int(ends[fits][-1]) if fits.any() else 0, np.uint8)

    def decode(number: int) -> None:
        sample = samples[number]
        image = read_image(sample.path)
        if image.shape[:2] != tuple(sample.size):
            raise _another_size(sample, *image.shape[:2])
        pixels[starts[number] : ends[number]] = image.reshape(-1)

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, np.flatnonzero(fits)))
    return pixels, starts


def find_damaged(
    samples: Sequence[Sample],
    *,
    seconds: float = math.inf,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[int, str], int]:
    """Decode pictures with every decoder that training and measuring use, in threads.

    TensorFlow's JPEG decoder refuses some files that OpenCV reads, and does not name them.
    Those that are not decoded after `seconds` are left out.

    Returns:
        What is wrong with each bad picture, by its place in `samples`, and how many were decoded.
    """
    end = time.monotonic() + seconds
    faults, done = {}, 0

    def look(sample: Sample) -> str | None:
        return _fault(sample) if time.monotonic() < end else None

    with ThreadPoolExecutor() as pool:
        for number, fault in enumerate(pool.map(look, samples)):
            if fault is None:
                break
            done += 1
            if fault:
                faults[number] = fault
            if on_progress is not None:
                on_progress(done, len(samples))
    return faults, done


def _fault(sample: Sample) -> str:
    """Return why a picture cannot be decoded, "" if it can."""
    try:
        image = read_image(sample.path)
        if image.shape[:2] != tuple(sample.size):
            raise _another_size(sample, *image.shape[:2])
        if _is_plain(replace(sample, plain_jpeg=None)):
            tf.io.decode_jpeg(read_regular(sample.path), dct_method=_DCT)
    except DatasetError as error:
        return str(error)
    except tf.errors.InvalidArgumentError:
        return (
            f"{printable(sample.path)}: a damaged JPEG picture (its data end early): save it again "
            "or remove it"
        )
    return ""


def _is_plain(sample: Sample) -> bool:
    if sample.plain_jpeg is not None:
        return sample.plain_jpeg
    header = read_header(sample.path)
    if header.size != tuple(sample.size):
        raise _another_size(sample, *header.size)
    return header.plain_jpeg


def _another_size(sample: Sample, height: int, width: int) -> DatasetError:
    return DatasetError(
        f"{printable(sample.path)}: {width}x{height} pixels; its sample says "
        f"{sample.size[1]}x{sample.size[0]}: read the data set again"
    )
