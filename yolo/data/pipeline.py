"""From samples to batches: tf.data end to end, every element a function of seed and position."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from yolo.config import AugmentConfig
from yolo.data.augmenter import Augmenter, chances, joined_pictures
from yolo.data.sample import Sample
from yolo.data.store import Store
from yolo.errors import ConfigError
from yolo.images import GREY, SIZE_MULTIPLE
from yolo.reading import FilePart

SIZE_RANGE = (0.7, 1.4)
SHORTER_RANGE = (0.8, 1.0)  # 640 to 800 for 800, the scale jitter of Lin et al. (2017), table 2
BATCHES_PER_SIZE = 10
NOT_AUGMENTED = AugmentConfig(
    mosaic=0.0,
    flip=0.0,
    scale=(1.0, 1.0),
    translate=0.0,
    aspect=0.0,
    hue=0.0,
    saturation=0.0,
    value=0.0,
    min_box_pixels=0.0,
    min_box_visible=0.0,
)


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Return the number of batches in an epoch: full ones only, at least one.

    Example:
        >>> steps_per_epoch(17, 8), steps_per_epoch(3, 8)
        (2, 1)
    """
    return max(1, num_samples // batch_size)


def training_dataset(
    samples: Sequence[Sample],
    *,
    image_size: tuple[int, int],
    batch_size: int,
    augment: AugmentConfig,
    epochs: int,
    seed: int = 0,
    first_epoch: int = 0,
    first_batch: int = 0,
    resize: str = "letterbox",
    multi_scale: bool = False,
    cache_bytes: int = 0,
) -> tf.data.Dataset:
    """Return endless batches of shuffled, augmented pictures.

    What a batch holds follows from the seed, the epoch and the position in it, and from nothing
    else: a run that starts later sees what an uninterrupted one sees from there on.
    Each epoch draws every picture at most once (where there are fewer pictures than a batch
    holds, they repeat), in an order of its own. Difficult objects are learned like all others.

    Args:
        samples: the pictures; those without objects serve as negatives.
        image_size: (height, width) of the network's input; multiples of 32 with `multi_scale`.
            With "shorter": the shorter side and the most that the longer one may have; pictures
            keep their own size, and a batch has that of its largest.
        batch_size: pictures in a batch.
        augment: how pictures are varied.
        epochs: of the whole training; mosaic and mixup end at `augment.special_aug_ratio` of it.
        seed: decides order and variation.
        first_epoch: where to start, from 0.
        first_batch: where to start in that epoch, from 0.
        resize: "letterbox", "stretch" or "shorter", what the variation starts from.
        multi_scale: draw a new size every 10 batches, multiples of 32 from 0.7 to 1.4 times
            `image_size`; with "shorter" a shorter side from 0.8 to 1.0 times.
        cache_bytes: memory for pictures decoded once, at the start; the batches are the same.

    Returns:
        A dataset of (images (B, h, w, 3) uint8, {"boxes": (B, M, 4) float32 xyxy pixels of the
        images, "classes": (B, M) int32}), class -1 being padding. M is the most that a picture
        can get; no object is cut off.

    Raises:
        DatasetError: there are no samples, or a picture does not have its sample's size.
        ConfigError: `resize` or `batch_size` makes no sense.
    """
    if batch_size < 1:
        raise ConfigError(f"batch size is {batch_size}; expected at least 1")
    store = Store(samples, resize=resize, cache_bytes=cache_bytes)
    draw = Augmenter(store, augment)
    count = len(samples)
    per_epoch = steps_per_epoch(count, batch_size) * batch_size
    special_epochs = augment.special_aug_ratio * epochs
    with tf.device("CPU"):
        sizes = _sizes(image_size, resize) if multi_scale else [image_size]
        sizes = tf.constant(sizes, tf.int32)

    def one(position: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        epoch, index = _drawn(position, count, batch_size, seed)
        special = tf.cast(epoch, tf.float64) < special_epochs
        size = sizes[0]
        if multi_scale:
            period = position // (batch_size * BATCHES_PER_SIZE)
            size = sizes[chances([], seed, -1 - period, maxval=len(sizes))]
        image, boxes, classes = draw(index, size, (seed, position), special)
        various = multi_scale or resize == "shorter"
        image.set_shape((None, None, 3) if various else (*image_size, 3))
        return image, {"boxes": boxes, "classes": classes}

    dataset = tf.data.Dataset.counter(first_epoch * per_epoch + first_batch * batch_size)
    return _batches(dataset, one, batch_size, drop_remainder=True, various=resize == "shorter")


def _drawn(position: tf.Tensor, count: int, batch_size: int, seed: int):
    """Return the epoch of a place in the endless row of pictures, and which picture is there."""
    per_epoch = steps_per_epoch(count, batch_size) * batch_size
    epoch, place = position // per_epoch, position % per_epoch
    order = tf.stack([tf.constant(seed, tf.int64), epoch * batch_size + place // count])
    return epoch, tf.random.experimental.index_shuffle(
        place % count, seed=order, max_index=count - 1
    )


def pictures_of_batch(
    samples: Sequence[Sample], epoch: int, batch: int, *, batch_size: int,
    augment: AugmentConfig, epochs: int, seed: int = 0,
) -> list[Path | FilePart]:  # fmt: skip
    """Return the pictures that `training_dataset` puts into a batch, joined ones included.

    Args:
        samples: as for `training_dataset`, like the rest.
        epoch: from 0.
        batch: its number in the epoch, from 0.
        batch_size: pictures in a batch.
        augment: how pictures are varied.
        epochs: of the whole training.
        seed: of the training.
    """
    count, found = len(samples), []
    start = (epoch * steps_per_epoch(count, batch_size) + batch) * batch_size
    for position in range(start, start + batch_size):
        key = tf.constant(position, tf.int64)
        found.append(_drawn(key, count, batch_size, seed)[1])
        if epoch < augment.special_aug_ratio * epochs:
            found += joined_pictures(augment, count, (seed, key))
    return list(dict.fromkeys(samples[int(index)].path for index in found))


def evaluation_dataset(
    samples: Sequence[Sample],
    *,
    image_size: tuple[int, int],
    batch_size: int,
    resize: str = "letterbox",
) -> tf.data.Dataset:
    """Return the pictures once, in order, as prediction sees them: fitted, never varied.

    Args:
        samples: the pictures.
        image_size: (height, width) of the network's input.
        batch_size: pictures in a batch; the last may hold fewer.
        resize: "letterbox", "stretch" or "shorter".

    Returns:
        A dataset of the same elements as `training_dataset`; pictures are those of
        `yolo.images.fit_image` within two grey levels, boxes those of its `Fit`.

    Raises:
        DatasetError: there are no samples, or a picture does not have its sample's size.
        ConfigError: `resize` makes no sense.
    """
    store = Store(samples, resize=resize)
    draw = Augmenter(store, NOT_AUGMENTED)

    def one(index: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        size = tf.constant(image_size, tf.int32)
        image, boxes, classes = draw(index, size, None, tf.constant(False))
        image.set_shape((None, None, 3) if resize == "shorter" else (*image_size, 3))
        return image, {"boxes": boxes, "classes": classes}

    dataset = tf.data.Dataset.range(len(samples))
    return _batches(dataset, one, batch_size, drop_remainder=False, various=resize == "shorter")


def _sizes(image_size: tuple[int, int], resize: str) -> list[tuple[int, int]]:
    """List the sizes of multi-scale training, each side a multiple of 32."""
    height, width = image_size
    if resize == "shorter":
        low, high = (round(share * min(image_size)) for share in SHORTER_RANGE)
        return [(side, max(image_size)) for side in range(high, low - 1, -SIZE_MULTIPLE)]
    if height % SIZE_MULTIPLE or width % SIZE_MULTIPLE:
        raise ConfigError(f"image size is {height}x{width}; expected multiples of {SIZE_MULTIPLE}")
    sizes = []
    for n in range(1, 2 * height // SIZE_MULTIPLE + 1):
        factor = n * SIZE_MULTIPLE / height
        if SIZE_RANGE[0] <= factor <= SIZE_RANGE[1]:
            other = max(1, round(width * factor / SIZE_MULTIPLE))
            sizes.append((n * SIZE_MULTIPLE, other * SIZE_MULTIPLE))
    return sizes


def _batches(
    dataset, one, batch_size: int, *, drop_remainder: bool, various: bool
) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    one = tf.autograph.experimental.do_not_convert(one)
    dataset = dataset.map(one, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if various:  # pictures of one batch may differ in size; the smaller ones are padded
        padding = {"boxes": tf.constant(0.0), "classes": tf.constant(-1)}
        dataset = dataset.padded_batch(
            batch_size,
            padding_values=(tf.constant(GREY, tf.uint8), padding),
            drop_remainder=drop_remainder,
        )
    else:
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    return dataset.prefetch(2).with_options(options)
