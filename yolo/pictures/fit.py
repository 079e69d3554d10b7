"""A picture fitted into the network's input, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from yolo.errors import ConfigError
from yolo.pictures.files import cv2
from yolo.pictures.sizes import RESIZE_MODES, SIZE_MULTIPLE

GREY = 128
OVERSHOOT = 64  # an interpolation of 0..255 reaches over by less, a picture without its mean more
NORMALISED_END = 10  # no deviation of a colour is so small that a picture would reach further


@dataclass(frozen=True)
class Fit:
    """Where a picture lies in the network's input, and the way back.

    Args:
        scale_xy: network pixels for one pixel of the picture, horizontally and vertically.
        offset_xy: network pixels left of and above the picture.

    Example:
        >>> fit = Fit(scale_xy=(0.5, 0.5), offset_xy=(0.0, 4.0))
        >>> fit.to_network([[10, 20, 30, 40]]).tolist()
        [[5.0, 14.0, 15.0, 24.0]]
        >>> fit.to_picture(fit.to_network([[10, 20, 30, 40]])).tolist()
        [[10.0, 20.0, 30.0, 40.0]]
    """

    scale_xy: tuple[float, float]
    offset_xy: tuple[float, float]

    def to_network(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Map boxes (n, 4) in pixels of the picture to pixels of the network's input."""
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        return (boxes * (self.scale_xy * 2) + self.offset_xy * 2).astype(np.float32)

    def to_picture(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Map boxes (n, 4) in pixels of the network's input to pixels of the picture."""
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        return ((boxes - self.offset_xy * 2) / (self.scale_xy * 2)).astype(np.float32)


def canvas_size(size: tuple[int, int], image_size: tuple[int, int], resize: str) -> tuple[int, int]:
    """Return the size of the network's input for one picture.

    Args:
        size: (height, width) of the picture.
        image_size: (height, width) of the network's input; for "shorter" the lengths that the
            shorter side gets and that the longer side must not exceed.
        resize: one of `RESIZE_MODES`.

    Returns:
        `image_size`; for "shorter" the resized picture's size, padded to multiples of 32.

    Example:
        >>> canvas_size((480, 640), (800, 1333), "shorter")
        (800, 1088)
    """
    if resize != "shorter":
        return image_size[0], image_size[1]
    _, _, height, width = fit_window(size, image_size, resize)
    return -(-height // SIZE_MULTIPLE) * SIZE_MULTIPLE, -(-width // SIZE_MULTIPLE) * SIZE_MULTIPLE


def fit_window(
    size: tuple[int, int], image_size: tuple[int, int], resize: str = "letterbox"
) -> tuple[int, int, int, int]:
    """Choose the part of the network's input that a whole picture fills.

    Args:
        size: (height, width) of the picture.
        image_size: (height, width) of the network's input; see `canvas_size` for "shorter".
        resize: "letterbox" keeps the proportions and centres the picture between grey bars;
            "stretch" fills the input; "shorter" gives the shorter side one length, as Faster
            R-CNN and RetinaNet do, and pads at the right and below.

    Returns:
        top, left, height, width of that part, whole pixels.

    Raises:
        ConfigError: `resize` is none of them.

    Example:
        >>> fit_window((480, 640), (416, 416))
        (52, 0, 312, 416)
        >>> fit_window((480, 640), (800, 1333), "shorter")
        (0, 0, 800, 1067)
        >>> fit_window((480, 640), (416, 416), "stretch")
        (0, 0, 416, 416)
    """
    if resize == "stretch":
        return 0, 0, image_size[0], image_size[1]
    if resize == "shorter":
        scale = min(min(image_size) / min(size), max(image_size) / max(size))
        return 0, 0, max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    if resize != "letterbox":
        raise ConfigError(f"resize is {resize!r}; expected one of {', '.join(RESIZE_MODES)}")
    scale = min(image_size[0] / size[0], image_size[1] / size[1])
    height, width = (max(1, round(n * scale)) for n in size)
    return (image_size[0] - height) // 2, (image_size[1] - width) // 2, height, width


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return pictures of any kind of numbers as 8-bit ones; those that are stay the same object.

    Args:
        images: (..., 3) RGB in 0..255. Floats are rounded, and cut where they reach over.

    Returns:
        The same shape, uint8.

    Raises:
        ValueError: these are no pictures, see `check_pixels`.

    Example:
        >>> to_uint8(np.array([[[-3.0, 0.6, 259.0]]])).tolist()
        [[[0, 1, 255]]]
    """
    images = np.asarray(images)
    check_pixels(images)
    if images.dtype == np.uint8 or not images.size:
        return images.astype(np.uint8, copy=False)
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def check_pixels(images: np.ndarray) -> None:
    """Refuse values that are no picture's; of uint8 there are none.

    Raises:
        ValueError: these are no numbers, not finite, outside 0..255 (a 16-bit picture, or one with
            a mean taken away), or floats of 0..1 or otherwise normalised.
    """
    if images.dtype == np.uint8 or not images.size:
        return
    if images.dtype.name == "bfloat16":  # no kind of number to NumPy
        images = images.astype(np.float32)
    if images.dtype.kind not in "biuf":
        raise ValueError(f"pictures hold numbers in 0..255. Received: dtype {images.dtype}.")
    check_finite(images)
    low, high = images.min(), images.max()
    if images.dtype.kind in "bf" and 0 < high <= 1:
        raise ValueError(
            f"pictures hold numbers in 0..255. Received: {images.dtype} up to {high}, as of 0..1; "
            "multiply by 255."
        )
    if images.dtype.kind == "f" and low < 0 and high <= NORMALISED_END:
        raise ValueError(
            f"pictures hold numbers in 0..255. Received: {low:g} to {high:g}, as of normalised "
            "ones; leave the normalisation out."
        )
    over = 0 if images.dtype.kind in "iu" else OVERSHOOT
    if low < -over or high > 255 + over:
        raise ValueError(
            f"pictures hold numbers in 0..255. Received: {low:g}..{high:g}; scale them, and take "
            "no mean away."
        )


def check_finite(images: np.ndarray) -> None:
    """Refuse pictures with numbers that are NaN or infinite; integers are none.

    Raises:
        ValueError: some are not finite.
    """
    if images.dtype.kind != "f" and images.dtype.name != "bfloat16":
        return
    with np.errstate(invalid="ignore"):  # one walk, and no other array
        total = images.sum(dtype=np.result_type(images.dtype, np.float32))
    if not np.isfinite(total):
        raise ValueError("pictures hold numbers in 0..255. Received: some that are not finite.")


def fit_image(
    image: np.ndarray, image_size: tuple[int, int], *, resize: str = "letterbox"
) -> tuple[np.ndarray, Fit]:
    """Fit a picture into the network's input, bilinearly.

    Args:
        image: (height, width, 3), 0..255; what is not uint8 goes through `to_uint8`.
        image_size: (height, width) of the network's input; see `canvas_size` for "shorter".
        resize: "letterbox" (grey 128 beside the picture), "stretch" or "shorter".

    Returns:
        picture: (*canvas_size(...), 3) uint8; `image` itself where it fits as it is.
        fit: maps boxes from the picture to the network's input and back.

    Raises:
        ConfigError: `resize` is none of them.
        ValueError: the values are no picture's.

    Example:
        >>> picture, fit = fit_image(np.zeros((2, 4, 3), np.uint8), (8, 8))
        >>> picture[:, 0, 0].tolist(), fit.scale_xy, fit.offset_xy
        ([128, 128, 0, 0, 0, 0, 128, 128], (2.0, 2.0), (0.0, 2.0))
    """
    top, left, height, width = fit_window(image.shape[:2], image_size, resize)
    fit = Fit((width / image.shape[1], height / image.shape[0]), (float(left), float(top)))
    canvas = canvas_size(image.shape[:2], image_size, resize)
    if image.shape[:2] == (height, width) == canvas:
        return to_uint8(image), fit
    picture = np.full((*canvas, 3), GREY, np.uint8)
    picture[top : top + height, left : left + width] = cv2.resize(
        to_uint8(image), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return picture, fit
