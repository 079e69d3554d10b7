"""Picture files: read as RGB, written whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from yolo.errors import ConfigError, DatasetError, YoloError
from yolo.pictures.background import on_background, shown_on
from yolo.pictures.color import Color
from yolo.pictures.header import OPAQUE, PREMULTIPLIED, Header, header_of
from yolo.system.reading import printable, read_regular
from yolo.system.writing import write_bytes

try:
    # FFmpeg inside OpenCV asks once how much it shall say; our own messages say what is wrong.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    import cv2
except ImportError as error:
    raise ConfigError(
        f"OpenCV cannot be imported ({error}): pip install opencv-python-headless"
    ) from None
if not hasattr(cv2, "imdecode"):  # a folder that one of two packages left when it went
    raise ConfigError(
        "OpenCV is there in part only: two of its packages in one environment share a folder. "
        "pip uninstall -y opencv-python; pip uninstall -y opencv-python-headless; "
        "pip install opencv-python-headless"
    )

# OpenCV 4 has this beside its functions, OpenCV 5 in a module of its own; the levels are the same.
set_opencv_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
LOG_SILENT, LOG_FATAL = 0, 1
# What it prints about a damaged TIFF, beside the error that it returns, is said in our own line.
if "OPENCV_LOG_LEVEL" not in os.environ:
    set_opencv_log_level(LOG_FATAL)

READS_GIF = cv2.haveImageWriter(".gif")  # the packages of OpenCV 4.11 hold no part for it


def read_image(path: str | os.PathLike, *, background: Color | None = None) -> np.ndarray:
    """Read a picture as it is meant to be seen; training, prediction and evaluation alike.

    Grey, palette, CMYK and 16-bit pictures become 8-bit RGB (of a PNG's 16 bits the upper 8 are
    taken, a TIFF's are scaled); a transparent picture lies on a background; of
    an animation or of several pages the first is taken. The orientation that EXIF data name is
    applied for JPEG, PNG, WebP and TIFF; BMP and GIF have none. The format is told from the
    content, whatever the file's extension.

    Args:
        path: a JPEG, PNG, BMP, GIF (with OpenCV from 4.12), WebP or TIFF file; a link to one is
            followed.
        background: what shows through where the picture is transparent, RGB; None for what
            `background.show_on` set, white by default. A BMP is never taken as transparent.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        DatasetError: the file is missing, no regular file, no picture, damaged, or larger than
            `yolo.pictures.header.allow_megapixels` lets it be, 100 megapixels by default.
    """
    data = read_regular(path)
    header = header_of(data, path)
    image = _decoded(data, header, path)
    if header.alpha != OPAQUE:
        image = _without_alpha(image, header, background or shown_on(), path)
    if header.kind != "tiff":  # OpenCV turns a TIFF by itself, even when told not to
        image = upright(image, header.orientation)
    if image.shape[:2] != header.size:
        raise DatasetError(
            f"{printable(path)}: the header says {header.size[1]}x{header.size[0]} pixels, the "
            f"data hold {image.shape[1]}x{image.shape[0]}: save it again or remove it"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)  # in place: no second copy


def _decoded(data: bytes, header: Header, path: str | os.PathLike) -> np.ndarray:
    """Return the pixels of a file as OpenCV has them, with its alpha channel if it has one."""
    how = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    if header.alpha != OPAQUE:
        how = cv2.IMREAD_UNCHANGED  # which ignores the orientation, too
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    except cv2.error:
        image = None
    except MemoryError:
        raise DatasetError(
            f"{printable(path)}: {header.width}x{header.height} pixels do not fit into the memory"
        ) from None
    if image is None and header.kind == "gif" and not READS_GIF:
        raise DatasetError(
            f"{printable(path)}: OpenCV {cv2.__version__} reads no GIF pictures: take a newer "
            "opencv-python-headless or save it as PNG"
        )
    if image is None:
        raise DatasetError(
            f"{printable(path)}: a damaged {header.kind.upper()} picture (cut short?): "
            "save it again or remove it"
        )
    return image


def _without_alpha(
    image: np.ndarray, header: Header, background: Color, path: str | os.PathLike
) -> np.ndarray:
    """Return a picture with alpha channel (h, w, 4) BGRA on a background, (h, w, 3) BGR uint8."""
    if image.ndim == 2 and header.clear_level is not None:
        alpha = np.where(image == header.clear_level, 0, np.iinfo(image.dtype).max)
        image = np.stack([image] * 3 + [alpha.astype(image.dtype)], axis=-1)
    # libtiff multiplies 8-bit colours with an alpha that stands beside them.
    multiplied = header.alpha == PREMULTIPLIED or (
        header.kind == "tiff" and image.dtype == np.uint8
    )
    if image.dtype == np.uint16:
        image = image >> 8 if header.kind == "png" else cv2.convertScaleAbs(image, alpha=1 / 257)
        image = image.astype(np.uint8)
    if image.ndim == 3 and image.shape[2] == 3:
        return image  # no pixel of it is transparent
    if image.ndim == 2:
        raise DatasetError(
            f"{printable(path)}: a grey {header.kind.upper()} picture with an alpha channel, which "
            "OpenCV does not read: save it as PNG"
        )
    return on_background(image, background[::-1], premultiplied=multiplied)


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn a stored picture as its EXIF orientation asks.

    Args:
        image: (height, width, channels), as stored.
        orientation: 1 to 8, as EXIF defines them.

    Returns:
        The picture as displayed; height and width are swapped for orientations 5 to 8.

    Example:
        >>> upright(np.array([[[1], [2]]]), 6)[..., 0].tolist()
        [[1], [2]]
        >>> upright(np.array([[[1], [2]]]), 8)[..., 0].tolist()
        [[2], [1]]

    Reference:
        Exif 2.32, tag 0x0112 (Orientation).
    """
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def encode_image(image: np.ndarray, suffix: str) -> bytes:
    """Return the content of a picture file.

    Bytes in memory rather than `cv2.imwrite`, which fails on Chinese paths under Windows.

    Args:
        image: (H, W, 3) uint8 RGB.
        suffix: ".jpg", ".png", ".webp" and others that OpenCV writes.

    Raises:
        ValueError: OpenCV cannot write this kind of file, or not such a picture.
    """
    try:
        done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise ValueError(f"no picture can be written as {suffix!r}: {error.err}") from None
    if not done:
        raise ValueError(f"no picture can be written as {suffix!r}")
    return data.tobytes()


def write_image(path: str | os.PathLike, image: np.ndarray, comment: bytes = b"") -> None:
    """Write a picture file, its format told by the suffix, whole or not at all.

    Args:
        path: the file; any characters will do, and its folder is made if it is missing.
        image: (H, W, 3) uint8 RGB.
        comment: what a JPEG shall say of itself, at most 65533 bytes; other formats lack it.

    Raises:
        YoloError: OpenCV cannot write this kind of file, or the disk refuses.
    """
    path = Path(path)
    suffix = path.suffix.lower() or ".png"
    try:
        data = encode_image(image, suffix)
    except ValueError:
        raise YoloError(
            f"{printable(path)}: a picture cannot be written as '{suffix}'. "
            "Expected .jpg, .png or .webp."
        ) from None
    if comment and suffix in (".jpg", ".jpeg"):
        data = _with_comment(data, comment)
    write_bytes(path, data)


def _with_comment(jpeg: bytes, comment: bytes) -> bytes:
    """Return a JPEG with a comment behind its first segment, which must be JFIF's own."""
    end = 4 + int.from_bytes(jpeg[4:6], "big")
    length = (2 + len(comment)).to_bytes(2, "big")
    return jpeg[:end] + b"\xff\xfe" + length + comment + jpeg[end:]
