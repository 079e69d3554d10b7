"""From samples to batches: tf.data end to end, every element a function of seed and position."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from yolo.boxes.labels import PADDING
from yolo.data.augmenter import Augmenter, chances, joined_pictures
from yolo.data.sample import Sample
from yolo.data.store import Store
from yolo.errors import ConfigError
from yolo.pictures.fit import GREY
from yolo.pictures.sizes import SIZE_MULTIPLE, SIZE_RANGE
from yolo.settings.augmentation import AugmentConfig

SHORTER_RANGE = (0.8, 1.0)  # 640 to 800 for 800, the scale jitter of Lin et al. (2017), table 2
BATCHES_PER_SIZE = 10
NOT_AUGMENTED = AugmentConfig(
    mosaic=0.0, flip=0.0, scale=(1.0, 1.0), translate=0.0, aspect=0.0, hue=0.0, saturation=0.0,
    value=0.0, min_box_pixels=0.0, min_box_visible=0.0,
)  # fmt: skip


# Who reads the whole of every batch. Of n devices that share it device k takes the places k, k + n,
# k + 2n ..., so that a last batch of few pictures spreads over all of them.
ALONE = tf.distribute.InputContext()


def steps_per_epoch(num_samples: int, batch_size: int, *, drop_remainder: bool = True) -> int:
    """Return the number of batches in an epoch, at least one.

    Example:
        >>> steps_per_epoch(17, 8), steps_per_epoch(17, 8, drop_remainder=False)
        (2, 3)
        >>> steps_per_epoch(3, 8)
        1
    """
    whole, rest = divmod(num_samples, batch_size)
    return max(1, whole + (rest > 0 and not drop_remainder))


@dataclass(frozen=True)
class BatchPlan:
    """What decides which pictures each batch of a training holds, and how they are varied.

    Args:
        batch_size: pictures in a batch.
        augment: how pictures are varied.
        epochs: of the whole training; mosaic and mixup end at `augment.special_aug_ratio` of it.
        seed: decides order and variation.
        drop_remainder: leave out the pictures of an epoch that fill no whole batch.
        multi_scale: draw a new size every 10 batches, multiples of 32 from 0.7 to 1.4 times the
            network's; with the resize mode "shorter" a shorter side from 0.8 to 1.0 times.

    Raises:
        ConfigError: `batch_size` is below 1.
    """

    batch_size: int
    augment: AugmentConfig
    epochs: int
    seed: int = 0
    drop_remainder: bool = True
    multi_scale: bool = False

    def __post_init__(self):
        if self.batch_size < 1:
            raise ConfigError(f"batch size is {self.batch_size}; expected at least 1")

    def steps(self, count: int) -> int:
        """Return how many batches an epoch of `count` pictures has."""
        return steps_per_epoch(count, self.batch_size, drop_remainder=self.drop_remainder)

    def first_position(self, epoch: int, batch: int, count: int) -> int:
        """Return the place of a batch's first picture in the endless row of `count` pictures."""
        return (epoch * self.steps(count) + batch) * self.batch_size

    def drawn(self, position: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the epoch of a place in that row, and which of `count` pictures is there."""
        per_epoch = self.steps(count) * self.batch_size
        epoch, place = position // per_epoch, position % per_epoch
        row = epoch * self.batch_size + place // count
        return epoch, tf.random.experimental.index_shuffle(
            place % count, seed=tf.stack([tf.constant(self.seed, tf.int64), row]),
            max_index=count - 1,
        )  # fmt: skip

    def is_special(self, epoch: tf.Tensor | int) -> tf.Tensor:
        """Tell whether mosaic and mixup may still occur in an epoch."""
        return tf.cast(epoch, tf.float64) < self.augment.special_aug_ratio * self.epochs


def training_dataset(
    samples: Sequence[Sample],
    plan: BatchPlan,
    *,
    image_size: tuple[int, int],
    resize: str = "letterbox",
    start: tuple[int, int] = (0, 0),
    cache_bytes: int = 0,
    context: tf.distribute.InputContext = ALONE,
) -> tf.data.Dataset:
    """Return endless batches of shuffled, augmented pictures.

    What a batch holds follows from the plan, the epoch and the position in it, and from nothing
    else: a run that starts later sees what an uninterrupted one sees from there on.
    Each epoch draws every picture at most once, in an order of its own, and leaves out those
    that fill no whole batch (where there are fewer pictures than a batch holds, they repeat);
    without the plan's `drop_remainder` it draws every picture exactly once.

    Args:
        samples: the pictures; those without objects serve as negatives.
        plan: order and variation.
        image_size: (height, width) of the network's input; multiples of 32 with `plan.multi_scale`.
            With "shorter": the shorter side and the most that the longer one may have; pictures
            keep their own size, and a batch has that of its largest.
        resize: "letterbox", "stretch" or "shorter", what the variation starts from.
        start: the epoch to start in, and the batch in it, both from 0.
        cache_bytes: memory for pictures decoded once, at the start; the batches are the same.
        context: which of the devices that share every batch are this process's. The elements are
            then the batches of these in turn: a device's part of the pictures each, or fewer,
            even none, at the end of an epoch.

    Returns:
        A dataset of (images (B, h, w, 3) uint8, {"boxes": (B, M, 4) float32 xyxy pixels of the
        images, "classes": (B, M) int32}), class -1 being padding, and -2 and -3 what is
        to be ignored (`yolo.boxes.labels`). M is the most that a picture can get; no object is cut
        off.

    Raises:
        DatasetError: there are no samples, or a picture does not have its sample's size.
        ConfigError: `resize` makes no sense.
    """
    store = Store(samples, resize=resize, cache_bytes=cache_bytes)
    draw = Augmenter(store, plan.augment)
    count, seed = len(samples), plan.seed
    with tf.device("CPU"):
        sizes = _sizes(image_size, resize) if plan.multi_scale else [image_size]
        sizes = tf.constant(sizes, tf.int32)

    ragged = not plan.drop_remainder and count % plan.batch_size != 0

    def held(position: tf.Tensor) -> tf.Tensor:
        return position % (plan.steps(count) * plan.batch_size) < count

    def one(position: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        epoch, index = plan.drawn(position, count)
        size = sizes[0]
        if plan.multi_scale:
            period = position // (plan.batch_size * BATCHES_PER_SIZE)
            size = sizes[chances([], seed, -1 - period, maxval=len(sizes))]
        image, boxes, classes = draw.if_held(
            held(position) if ragged else None, index, size, (seed, position),
            plan.is_special(epoch),
        )  # fmt: skip
        various = plan.multi_scale or resize == "shorter"
        image.set_shape((None, None, 3) if various else (*image_size, 3))
        return image, {"boxes": boxes, "classes": classes}

    return _batches(
        _positions(context, plan.batch_size, plan.first_position(*start, count)), one,
        context.get_per_replica_batch_size(plan.batch_size),
        held=held if ragged else None, drop_remainder=not ragged, various=resize == "shorter",
    )  # fmt: skip


def _positions(context: tf.distribute.InputContext, batch_size: int, first: int) -> tf.data.Dataset:
    """Return the endless row of positions that a process reads, its devices' batches in turn.

    A position is the number of a batch times its size, plus the place in it.
    """
    each, devices = context.get_per_replica_batch_size(batch_size), context.num_replicas_in_sync
    mine = batch_size // context.num_input_pipelines
    before = context.input_pipeline_id * devices // context.num_input_pipelines

    def position(number: tf.Tensor) -> tf.Tensor:
        step, device, slot = number // mine, number % mine // each, number % each
        return first + step * batch_size + slot * devices + before + device

    return tf.data.Dataset.counter().map(tf.autograph.experimental.do_not_convert(position))


def pictures_of_batch(
    samples: Sequence[Sample], plan: BatchPlan, epoch: int, batch: int
) -> list[os.PathLike]:
    """Return the pictures that `training_dataset` puts into a batch, joined ones included."""
    count, found = len(samples), []
    first, size = plan.first_position(epoch, batch, count), plan.batch_size
    if not plan.drop_remainder:
        size = min(size, count - batch * size)
    for position in range(first, first + size):
        key = tf.constant(position, tf.int64)
        found.append(plan.drawn(key, count)[1])
        if plan.is_special(epoch):
            found += joined_pictures(plan.augment, count, (plan.seed, key))
    return list(dict.fromkeys(samples[int(index)].path for index in found))


def evaluation_dataset(
    samples: Sequence[Sample],
    *,
    image_size: tuple[int, int],
    batch_size: int,
    resize: str = "letterbox",
    context: tf.distribute.InputContext = ALONE,
) -> tf.data.Dataset:
    """Return the pictures once, in order, as prediction sees them: fitted, never varied.

    The last batch may hold fewer. Where several devices share a batch, the row of batches has no
    end: all of them must take the same number of steps, the last one perhaps without a picture.

    Returns:
        A dataset of the same elements as `training_dataset`; pictures are those of
        `yolo.pictures.fit.fit_image` within two grey levels, boxes those of its `Fit`.
    """
    store = Store(samples, resize=resize)
    draw = Augmenter(store, NOT_AUGMENTED)

    count, various = len(samples), resize == "shorter"
    held = (lambda index: index < count) if context.num_replicas_in_sync > 1 else None

    def one(index: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        size = tf.constant(image_size, tf.int32)
        image, boxes, classes = draw.if_held(
            held and held(index), tf.minimum(index, count - 1), size, None, tf.constant(False)
        )
        image.set_shape((None, None, 3) if various else (*image_size, 3))
        return image, {"boxes": boxes, "classes": classes}

    rows = _positions(context, batch_size, 0) if held else tf.data.Dataset.range(count)
    size = context.get_per_replica_batch_size(batch_size)
    return _batches(rows, one, size, held=held, drop_remainder=False, various=various)


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
    dataset, one, batch_size: int, *, drop_remainder: bool, various: bool, held=None
) -> tf.data.Dataset:
    """Return batches of what `one` draws, less the elements that `held` has no use for.

    Of the elements of a batch those that `held` has no use for come last. Where pictures are
    `various` in size the smaller ones are padded.
    """
    options = tf.data.Options()
    options.deterministic = True

    def each(element):
        return one(element) if held is None else (*one(element), held(element))

    each = tf.autograph.experimental.do_not_convert(each)
    dataset = dataset.map(each, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    if various:
        padding = {"boxes": tf.constant(0.0), "classes": tf.constant(PADDING)}
        values = (tf.constant(GREY, tf.uint8), padding, *([] if held is None else [False]))
        dataset = dataset.padded_batch(
            batch_size, padding_values=values, drop_remainder=drop_remainder
        )
    else:
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    if held is not None:
        dataset = dataset.map(_cut)
    return dataset.prefetch(2).with_options(options)


@tf.autograph.experimental.do_not_convert
def _cut(images, truth, counts):
    """Keep the elements of a batch that count, its first ones."""
    number = tf.reduce_sum(tf.cast(counts, tf.int32))
    return images[:number], {name: rows[:number] for name, rows in truth.items()}
