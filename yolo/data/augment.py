"""Geometry and colour of training pictures, as TensorFlow functions; pure, all chance comes in."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from yolo.boxes.labels import PADDING
from yolo.pictures.fit import GREY
from yolo.pictures.sizes import SIZE_MULTIPLE

THINNEST = 0.01  # pixels; of less, nothing may be left where numbers have seven digits


class Window(NamedTuple):
    """Which whole pixels of a picture are seen, and where on the canvas they go.

    Every field has shape (k, 2), vertical before horizontal, for k pictures. The pixels from
    `source_start` to `source_end` fill those from `canvas_start` to `canvas_end`; `scale` and
    `offset` (float64) map a point of the picture to the canvas, exactly as the pixels move.
    """

    source_start: tf.Tensor
    source_end: tf.Tensor
    canvas_start: tf.Tensor
    canvas_end: tf.Tensor
    scale: tf.Tensor
    offset: tf.Tensor


def canvas_of(size: tf.Tensor, image_size: tf.Tensor, *, resize: str) -> tf.Tensor:
    """Return the canvas that a picture gets, as `yolo.pictures.fit.canvas_size` does.

    Args:
        size: (2,) float64, height and width of the picture.
        image_size: (2,) int32, height and width, or the two limits of "shorter".
        resize: one of `yolo.pictures.sizes.RESIZE_MODES`.

    Returns:
        (2,) int32.
    """
    if resize != "shorter":
        return image_size
    limits = tf.cast(image_size, tf.float64)[None]
    target = tf.round(fitted_size(size[None], limits, resize=resize)[0])
    return tf.cast(tf.math.ceil(target / SIZE_MULTIPLE), tf.int32) * SIZE_MULTIPLE


def fitted_size(size: tf.Tensor, canvas: tf.Tensor, *, resize: str) -> tf.Tensor:
    """Return the size that a picture takes on the canvas before any jitter.

    Args:
        size: (k, 2) float64, height and width of the pictures.
        canvas: (k, 2) float64, height and width of their canvases, or the limits of "shorter".
        resize: one of `yolo.pictures.sizes.RESIZE_MODES`.

    Returns:
        (k, 2) float64, not rounded.
    """
    if resize == "shorter":
        shorter = tf.reduce_min(canvas, 1) / tf.reduce_min(size, 1)
        longer = tf.reduce_max(canvas, 1) / tf.reduce_max(size, 1)
        return size * tf.minimum(shorter, longer)[:, None]
    if resize == "stretch":
        return tf.broadcast_to(canvas, tf.shape(size))
    return size * tf.reduce_min(canvas / size, axis=1, keepdims=True)


def visible_window(
    size: tf.Tensor, target: tf.Tensor, origin: tf.Tensor, canvas: tf.Tensor
) -> Window:
    """Cut the visible part out of a picture that is scaled and laid on a canvas.

    Both ends are whole pixels: the scale is adjusted by less than a pixel over the window, and
    the returned `scale` and `offset` are those of the adjusted one.

    Args:
        size: (k, 2) float64, height and width of the pictures.
        target: (k, 2) float64, size of the whole pictures on the canvas.
        origin: (k, 2) float64, where the pictures' top left corners come to lie; moved so that
            at least one pixel is seen.
        canvas: (k, 2) float64, height and width of the canvases.
    """
    target = tf.maximum(tf.round(target), 1.0)
    origin = tf.clip_by_value(tf.floor(origin), 1.0 - target, canvas - 1.0)
    start = tf.maximum(origin, 0.0)
    end = tf.minimum(origin + target, canvas)
    source_start = tf.minimum(tf.round((start - origin) * size / target), size - 1.0)
    source_end = tf.maximum(tf.round((end - origin) * size / target), source_start + 1.0)
    scale = (end - start) / (source_end - source_start)
    whole = [tf.cast(x, tf.int32) for x in (source_start, source_end, start, end)]
    return Window(*whole, scale, start - source_start * scale)


def move_boxes(
    boxes: tf.Tensor,
    classes: tf.Tensor,
    window: Window,
    *,
    min_pixels: float = 0.0,
    min_visible: float = 0.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Move boxes with their pictures, cut them at the visible part and drop slivers.

    Args:
        boxes: (k, m, 4) float32 xyxy, pixels of the pictures.
        classes: (k, m) int32, -1 for padding; others below 0 are labels to ignore.
        window: where the k pictures lie.
        min_pixels: boxes that end up narrower or lower than this are dropped.
        min_visible: boxes of whose area a smaller share is left are dropped. What is to be ignored
            stays, however little of it is left.

    Returns:
        boxes (k, m, 4) float32 xyxy in pixels of the canvases, 0 where there is none, and
        classes (k, m), -1 where there is none.
    """
    scale, offset, low, high = (
        tf.tile(tf.cast(x, tf.float64)[:, None, ::-1], [1, 1, 2])  # (k, 1, 4) as x, y, x, y
        for x in (window.scale, window.offset, window.canvas_start, window.canvas_end)
    )
    moved = tf.cast(boxes, tf.float64) * scale + offset
    cut = tf.clip_by_value(moved, low, high)
    sides = cut[..., 2:] - cut[..., :2]  # (k, m, 2)
    full = tf.reduce_prod(moved[..., 2:] - moved[..., :2], axis=-1)
    large = tf.reduce_prod(sides, axis=-1) >= min_visible * full
    large &= tf.reduce_min(sides, axis=-1) >= min_pixels
    keep = ((classes >= 0) & large) | (classes < PADDING)
    keep &= tf.reduce_min(sides, axis=-1) >= THINNEST
    boxes = tf.where(keep[..., None], tf.cast(cut, tf.float32), 0.0)
    return boxes, tf.where(keep, classes, PADDING)


def place(
    part: tf.Tensor,
    start: tf.Tensor,
    end: tf.Tensor,
    canvas: tf.Tensor,
    colour: tf.Tensor | None = None,
) -> tf.Tensor:
    """Resize the visible part of a picture and lay it on a grey canvas.

    Letterbox, stretch, scale, shift and the quarters of a mosaic are all this one step.
    Bilinear with half-pixel centres and without antialiasing, as OpenCV resizes.

    Args:
        part: (height, width, 3) uint8, the pixels that will be seen.
        start: (2,) int32, top and left of their place on the canvas.
        end: (2,) int32, bottom and right of it.
        canvas: (2,) int32, height and width.
        colour: (3, 3) float32 applied to each pixel's RGB column, or None.

    Returns:
        (*canvas, 3) uint8, 128 where there is no picture.
    """
    pixels = tf.raw_ops.ResizeBilinear(
        images=tf.expand_dims(part, 0), size=end - start, half_pixel_centers=True
    )
    pixels = tf.squeeze(pixels, 0)
    if colour is not None:
        pixels = tf.tensordot(pixels, colour, [[2], [1]])
    pixels = tf.saturate_cast(pixels + 0.5, tf.uint8)
    margins = tf.stack([start, canvas - end], axis=1)  # (2, 2): before and after, y and x
    return tf.pad(pixels, tf.pad(margins, [[0, 1], [0, 0]]), constant_values=GREY)


def mosaic_quarters(canvas: tf.Tensor, chance: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Divide the canvas at a random point, 0.3 to 0.7 along each side.

    Args:
        canvas: (2,) float64, height and width.
        chance: (2,) float64 in [0, 1).

    Returns:
        sizes: (4, 2) float64, of the quarters: top left, top right, bottom left, bottom right.
        corners: (4, 2) float64, their top left corners on the canvas.
        inner: (4, 2) float64, 1 where the quarter touches the dividing point with its bottom
            or right side, 0 where with its top or left side.
    """
    centre = tf.round(canvas * (0.3 + 0.4 * chance))
    inner = tf.constant([[1, 1], [1, 0], [0, 1], [0, 0]], tf.float64)
    sizes = inner * centre + (1.0 - inner) * (canvas - centre)
    return sizes, (1.0 - inner) * centre, inner


def join_quarters(quarters: list[tf.Tensor]) -> tf.Tensor:
    """Put the four pictures of a mosaic together: two above, two below."""
    above, below = tf.concat(quarters[:2], axis=1), tf.concat(quarters[2:], axis=1)
    return tf.concat([above, below], axis=0)


def blend(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Return the mean of two uint8 pictures, rounded down, without leaving uint8."""
    both = tf.bitwise.bitwise_and(first, second)
    either = tf.bitwise.bitwise_xor(first, second)
    return both + tf.bitwise.right_shift(either, tf.ones_like(either))


def flip(image: tf.Tensor, boxes: tf.Tensor, *, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirror a picture and its boxes: top to bottom along axis 0, left to right along axis 1.

    Args:
        image: (height, width, 3).
        boxes: (m, 4) float32 xyxy pixels; padding is mirrored too and stays meaningless.
        axis: 0 or 1.
    """
    length = tf.cast(tf.shape(image)[axis], tf.float32)
    x1, y1, x2, y2 = tf.unstack(boxes, axis=-1)
    sides = [x1, length - y2, x2, length - y1] if axis == 0 else [length - x2, y1, length - x1, y2]
    return tf.reverse(image, [axis]), tf.stack(sides, axis=-1)


def colour_matrix(hue: tf.Tensor, saturation: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Return the matrix that turns hue, scales saturation and brightness, all in one product.

    Hue is a turn of the RGB cube around its grey diagonal, saturation the distance from that
    diagonal, value a common factor: nearly what HSV does, at a small part of the cost. Grey
    stays grey.

    Args:
        hue: (k,) turn, 1 being a full circle.
        saturation: (k,) factor.
        value: (k,) factor.

    Returns:
        (k, 3, 3) float32, to be applied to RGB columns.
    """
    angle = 2.0 * math.pi * hue
    third = tf.constant(1 / 3, hue.dtype)
    even = saturation * tf.cos(angle)
    odd = saturation * tf.sin(angle) / math.sqrt(3)
    same = value * (third + 2 * third * even)
    after = value * (third - third * even - odd)
    before = value * (third - third * even + odd)
    rows = [same, after, before, before, same, after, after, before, same]
    return tf.cast(tf.reshape(tf.stack(rows, axis=-1), [-1, 3, 3]), tf.float32)
