"""Pictures in whatever form a program has them: paths, Pillow's, arrays, or several of these."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from yolo.errors import DatasetError
from yolo.pictures.background import on_background, shown_on
from yolo.pictures.color import Color
from yolo.pictures.files import read_image
from yolo.pictures.fit import check_pixels, to_uint8
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import LITTER, printable

EXPECTED = (
    "expected a path, a Pillow picture, an array (height, width), (height, width, 1, 3 or 4), a "
    "batch of these, or a list"
)


def each_of(images: Any) -> list[Any]:
    """Return pictures given in any usual form one by one, files unread, for `as_picture`.

    Args:
        images: a path; a folder, whose pictures are taken by name; a picture of Pillow, with its
            pixels as they lie; an array (H, W) or (H, W, 1) grey, (H, W, 3) RGB or (H, W, 4) RGBA
            of 0..255, or a batch of these (B, H, W, channels); or a list of any of them, each of a
            size of its own.

    Raises:
        ValueError: a batch is none of pictures; the message says what to write.
        DatasetError: a folder holds no picture.

    Example:
        >>> grey, clear = np.full((2, 3), 7, np.uint8), np.zeros((4, 5, 4), np.uint8)
        >>> [(one.shape, int(one.max())) for one in map(as_picture, each_of([grey, clear]))]
        [((2, 3, 3), 7), ((4, 5, 3), 255)]
    """
    if isinstance(images, list | tuple) and not _of_numbers(images):
        return [one for image in images for one in (each_of(image) if _is_path(image) else [image])]
    if _is_path(images) and os.path.isdir(images):  # noqa: PTH112 (Path's raises at long names)
        return _of_folder(images)
    if _is_path(images) or _is_pillow(images):
        return [images]
    array = np.asarray(images)
    if array.ndim != 4:
        return [array]
    if len(array):
        _check_channels(array)
        check_pixels(array)
    return list(array)


def as_picture(image: Any, background: Color | None = None) -> np.ndarray:
    """Return one picture of `each_of` as (H, W, 3) uint8 RGB.

    Args:
        image: a path, a picture of Pillow or an array.
        background: what shows through where it is transparent; None for what
            `yolo.pictures.background.show_on` set, white by default.

    Raises:
        ValueError: this is no picture; the message says what to write.
        DatasetError: a file cannot be read.
    """
    if _is_path(image):
        return read_image(image, background=background)
    if _is_pillow(image):
        transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        if transparent:
            image = image.convert("RGBA")
        elif image.mode in ("1", "P", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
            image = image.convert("RGB")
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3:
        raise _no_picture(array, "one picture for each entry of a list")
    _check_channels(array)
    return _from_array(array, background)


def as_batch(images: Any) -> np.ndarray:
    """Return fitted pictures for the network, of any kind of numbers, as they are.

    Args:
        images: (B, H, W, 3) RGB in 0..255.

    Raises:
        ValueError: they have another shape or values that are no picture's.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            f"expected fitted pictures (batch, height, width, 3), received "
            f"{images.shape}; write detect(images), which fits them"
        )
    check_pixels(images)
    return images


def _check_channels(array: np.ndarray) -> None:
    height, width, channels = array.shape[-3:]
    if channels not in (1, 3, 4):
        if height in (1, 3, 4) and channels > 4:
            raise _no_picture(
                array, f"np.moveaxis(image, {array.ndim - 3}, -1): channels come last"
            )
        raise _no_picture(array, "images[..., None] if they are a batch of grey pictures")
    if not height or not width:
        raise _no_picture(array, "a picture that has pixels")


def _from_array(array: np.ndarray, background: Color | None) -> np.ndarray:
    """Return an array (H, W, 1, 3 or 4) as (H, W, 3) uint8."""
    array = to_uint8(array)
    if array.shape[-1] == 1:
        return np.repeat(array, 3, axis=-1)
    if array.shape[-1] == 4:
        return on_background(array, background or shown_on())
    return array


def _is_path(image: Any) -> bool:
    return isinstance(image, str | os.PathLike)


def _of_folder(folder: str | os.PathLike) -> list[Path]:
    found = sorted(
        path for path in Path(folder).iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(LITTER)
    )  # fmt: skip
    if not found:
        raise DatasetError(f"{printable(folder)}: this folder holds no picture")
    return found


def _is_pillow(image: Any) -> bool:
    return hasattr(image, "convert") and hasattr(image, "mode") and hasattr(image, "info")


def _of_numbers(values: Any) -> bool:
    """Tell whether nested lists hold numbers, and are one array."""
    while isinstance(values, list | tuple) and len(values):
        values = values[0]
    return isinstance(values, int | float | np.number)


def _no_picture(array: np.ndarray, write: str) -> ValueError:
    received = f"shape {array.shape}"
    if not array.ndim:
        received = f"a {type(array.item()).__name__}"
    elif array.dtype == object:
        received = "several objects"
    if array.dtype.kind == "S":
        write = "os.fsdecode(path), or Image.open(io.BytesIO(data)) for a file's bytes"
    return ValueError(f"no picture: {EXPECTED}; received {received}; write {write}")
