"""Draws training pictures: alone or four in a mosaic, mixed, mirrored, coloured."""

from __future__ import annotations

import tensorflow as tf

from yolo.boxes.labels import PADDING
from yolo.data import augment as aug
from yolo.data.store import Store
from yolo.pictures.sizes import SIZE_MULTIPLE
from yolo.settings.augmentation import AugmentConfig

# What one picture of a mosaic is scaled by, compared with one that is alone on the canvas
MOSAIC_SCALE = 2 / 3
CHANCES = 7  # random numbers for one source picture


class Augmenter:
    """Draws one training picture from the store; a callable for tf.data's graph."""

    def __init__(self, store: Store, config: AugmentConfig):
        self.store = store
        self.config = config
        most = store.most_objects
        self.room = most * (4 if config.mosaic > 0 else 1) + (most if config.mixup > 0 else 0)

    def __call__(
        self, index: tf.Tensor, size: tf.Tensor, key: tuple | None, special: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Draw the picture `index` for an `image_size`; chance is keyed on `key` alone."""
        config = self.config
        limits = size
        size = aug.canvas_of(self.store.sizes(index[None])[0], size, resize=self.store.resize)
        if key is None:
            return self._fill(*self._alone(index, size, limits, None))
        general = chances([6], *key)
        sources = chances([5, CHANCES], *key, salt=1)
        others = chances([4], *key, salt=2, maxval=self.store.count)

        def alone() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            return self._fill(*self._alone(index, size, limits, sources[:1]))

        def mosaic() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            indices = tf.concat([index[None], others[:3]], axis=0)
            return self._fill(*self._mosaic(indices, size, limits, sources[:4], general[4:]))

        if config.mosaic > 0:
            image, boxes, classes = tf.cond(special & (general[0] < config.mosaic), mosaic, alone)
        else:
            image, boxes, classes = alone()

        def mixed() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            more = self._alone(others[3], size, limits, sources[4:])
            room = self.room - self.store.most_objects
            both = zip((boxes, classes), more[1:], strict=True)
            joined = [tf.concat([ours[:room], theirs], 0) for ours, theirs in both]
            return aug.blend(image, more[0]), *joined

        if config.mixup > 0:
            image, boxes, classes = tf.cond(
                special & (general[1] < config.mixup), mixed, lambda: (image, boxes, classes)
            )
        for axis, share, number in ((1, config.flip, 2), (0, config.vertical_flip, 3)):
            if share > 0:
                image, boxes = tf.cond(
                    general[number] < share,
                    lambda i=image, b=boxes, a=axis: aug.flip(i, b, axis=a),
                    lambda i=image, b=boxes: (i, b),
                )
        return image, tf.where(classes[:, None] != PADDING, boxes, 0.0), classes

    def if_held(
        self, held: tf.Tensor | None, index: tf.Tensor, size: tf.Tensor, *rest
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Draw the picture where `held` is true, or None; else a black one without objects."""
        if held is None:
            return self(index, size, *rest)

        def black() -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # Small where the pictures of a batch are padded to the size of the largest.
            sides = [SIZE_MULTIPLE] * 2 if self.store.resize == "shorter" else size
            image = tf.zeros(tf.concat([sides, [3]], axis=0), tf.uint8)
            return image, tf.zeros([self.room, 4]), tf.fill([self.room], PADDING)

        return tf.cond(held, lambda: self(index, size, *rest), black)

    def _fill(self, image, boxes, classes) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Pad boxes and classes to the static room."""
        more = self.room - boxes.shape[0]
        classes = tf.pad(classes, [[0, more]], constant_values=PADDING)
        return image, tf.pad(boxes, [[0, more], [0, 0]]), classes

    def _alone(self, index, size, limits, chance) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """One picture on the whole canvas; without `chance`, simply fitted."""
        canvas = tf.cast(size, tf.float64)[None]
        sizes = self.store.sizes(index[None])
        target = self._fitted(sizes, limits)
        shift = tf.zeros_like(canvas)
        if chance is not None:
            target *= self._factors(chance)
            shift = (2.0 * chance[:, 2:4] - 1.0) * self.config.translate * canvas
        target = tf.maximum(tf.round(target), 1.0)
        origin = (canvas - target) / 2.0
        if self.store.resize == "shorter":  # padding goes to the right and below
            origin = tf.minimum(origin, 0.0)
        origin += shift
        window = aug.visible_window(sizes, target, origin, canvas)
        images, boxes, classes = self._draw(index[None], window, size[None], chance)
        return images[0], boxes[0], classes[0]

    def _mosaic(
        self, indices, size, limits, chance, centre
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Four pictures around a point: each fills its quarter or touches the point."""
        whole = tf.cast(size, tf.float64)
        quarters, corners, inner = aug.mosaic_quarters(whole, centre)
        sizes = self.store.sizes(indices)
        target = self._fitted(sizes, limits)
        target = tf.round(target * self._factors(chance) * MOSAIC_SCALE)
        slack = quarters - target
        origin = tf.where(slack > 0, inner, chance[:, 2:4]) * slack
        window = aug.visible_window(sizes, target, origin, quarters)
        images, boxes, classes = self._draw(indices, window, tf.cast(quarters, tf.int32), chance)
        boxes += tf.cast(tf.tile(corners[:, None, ::-1], [1, 1, 2]), tf.float32)
        return aug.join_quarters(images), tf.reshape(boxes, [-1, 4]), tf.reshape(classes, [-1])

    def _draw(self, indices, window, canvases, chance) -> tuple[list, tf.Tensor, tf.Tensor]:
        """Decode, resize and colour the visible part of each picture, and move its boxes."""
        config = self.config
        colours = None
        if chance is not None and (config.hue or config.saturation or config.value):
            colours = aug.colour_matrix(
                (2.0 * chance[:, 4] - 1.0) * config.hue,
                _factor(chance[:, 5], 1.0 + config.saturation),
                _factor(chance[:, 6], 1.0 + config.value),
            )
        # Taken apart at once: half of a graph would be slices.
        seen = indices, window.source_start, window.source_end - window.source_start
        parts = [self.store.pixels(*one) for one in zip(*map(tf.unstack, seen), strict=True)]
        places = [window.canvas_start, window.canvas_end, canvases]
        places += [] if colours is None else [colours]
        images = [aug.place(*one) for one in zip(parts, *map(tf.unstack, places), strict=True)]
        boxes, classes = aug.move_boxes(
            *self.store.objects(indices), window,
            min_pixels=config.min_box_pixels, min_visible=config.min_box_visible,
        )  # fmt: skip
        return images, boxes, classes

    def _fitted(self, sizes, limits) -> tf.Tensor:
        """Return the size that pictures take before any jitter, (k, 2) float64."""
        limits = tf.cast(limits, tf.float64)[None]
        return aug.fitted_size(sizes, limits, resize=self.store.resize)

    def _factors(self, chance: tf.Tensor) -> tf.Tensor:
        """Return (k, 2) factors on height and width: scale, and aspect shared between them."""
        low, high = self.config.scale
        scale = low * (high / low) ** chance[:, 0]
        aspect = tf.sqrt(_factor(chance[:, 1], 1.0 + self.config.aspect))
        return tf.stack([scale / aspect, scale * aspect], axis=1)


def _factor(chance: tf.Tensor, most: float) -> tf.Tensor:
    """Return factors between 1 / most and most, as often above 1 as below."""
    return most ** (2.0 * chance - 1.0)


def joined_pictures(config: AugmentConfig, count: int, key: tuple) -> list[int]:
    """Return the indices of the pictures that chance adds to the one drawn at `key`."""
    general = chances([6], *key)
    others = [int(index) for index in chances([4], *key, salt=2, maxval=count)]
    added = others[:3] if general[0] < config.mosaic else []
    return added + (others[3:] if general[1] < config.mixup else [])


def chances(shape: list[int], seed: int, key: tf.Tensor, *, salt: int = 0, maxval: int = 0):
    """Return float64 numbers in [0, 1), or int64 below maxval, that follow from the key."""
    seeds = tf.stack([tf.constant(seed * 4 + salt, tf.int64), key])
    if maxval:
        return tf.random.stateless_uniform(shape, seeds, 0, maxval, dtype=tf.int64, alg="philox")
    return tf.random.stateless_uniform(shape, seeds, dtype=tf.float64, alg="philox")
