"""Pictures: read a file as RGB, and fit it into the network's input with a way back."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from yolo.errors import ConfigError, DatasetError
from yolo.headers import header_of, read_header
from yolo.system.reading import printable, read_regular

try:
    # FFmpeg inside OpenCV asks once how much it shall say; our own messages say what is wrong.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
    import cv2
except ImportError as error:
    raise ConfigError(
        f"OpenCV cannot be imported ({error}): pip install opencv-python-headless"
    ) from None

# OpenCV 4 has this beside its functions, OpenCV 5 in a module of its own; the levels are the same.
set_opencv_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
LOG_SILENT, LOG_FATAL = 0, 1
# What it prints about a damaged TIFF, beside the error that it returns, is said in our own line.
if "OPENCV_LOG_LEVEL" not in os.environ:
    set_opencv_log_level(LOG_FATAL)

GREY = 128
READS_GIF = cv2.haveImageWriter(".gif")  # the packages of OpenCV 4.11 hold no part for it
RESIZE_MODES = ("letterbox", "stretch", "shorter")
SIZE_MULTIPLE = 32  # the coarsest stride that all networks have


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Read a picture as it is meant to be seen; training, prediction and evaluation alike.

    Grey, palette, CMYK and 16-bit pictures become 8-bit RGB (of a PNG's 16 bits the upper 8 are
    taken, a TIFF's are scaled); transparency is dropped, so that the colours under it appear; of
    an animation or of several pages the first is taken. The orientation that EXIF data name is
    applied for JPEG, PNG, WebP and TIFF; BMP and GIF have none. The format is told from the
    content, whatever the file's extension.

    Args:
        path: a JPEG, PNG, BMP, GIF (with OpenCV from 4.12), WebP or TIFF file; a link to one is
            followed.

    Returns:
        (height, width, 3) uint8, RGB.

    Raises:
        DatasetError: the file is missing, no regular file, no picture, damaged, or larger than
            `yolo.headers.allow_megapixels` lets it be, 100 megapixels by default.
    """
    data = read_regular(path)
    header = header_of(data, path)
    try:
        image = cv2.imdecode(
            np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
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
    if header.kind != "tiff":  # OpenCV turns a TIFF by itself, even when told not to
        image = upright(image, header.orientation)
    if image.shape[:2] != header.size:
        raise DatasetError(
            f"{printable(path)}: the header says {header.size[1]}x{header.size[0]} pixels, the "
            f"data hold {image.shape[1]}x{image.shape[0]}: save it again or remove it"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)  # in place: no second copy


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


def image_info(path: str | os.PathLike) -> tuple[int, int, bool]:
    """Tell a picture's size from its header, without decoding it.

    Returns:
        height, width: as displayed, after the EXIF orientation.
        plain_jpeg: whether the file is an upright, complete, grey or three-colour JPEG, which
            TensorFlow's own decoder reads as `read_image` does.

    Raises:
        DatasetError: as `read_image`, as far as the header shows it.
    """
    header = read_header(path)
    return (*header.size, header.whole and header.orientation == 1)


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
        ValueError: these are no numbers, not finite, integers outside 0..255 (a 16-bit picture),
            or floats of 0..1.

    Example:
        >>> to_uint8(np.array([[[-3.0, 0.6, 259.0]]])).tolist()
        [[[0, 1, 255]]]
    """
    images = np.asarray(images)
    if images.dtype == np.uint8 or not images.size:
        return images.astype(np.uint8, copy=False)
    if images.dtype.kind not in "biuf":
        raise ValueError(f"pictures hold numbers in 0..255. Received: dtype {images.dtype}.")
    low, high = images.min(), images.max()
    if not np.isfinite([low, high]).all():
        raise ValueError("pictures hold numbers in 0..255. Received: some that are not finite.")
    if images.dtype.kind in "bf" and 0 < high <= 1:
        raise ValueError(
            f"pictures hold numbers in 0..255. Received: {images.dtype} up to {high}, as of 0..1; "
            "multiply by 255."
        )
    if images.dtype.kind in "iu" and (low < 0 or high > 255):
        raise ValueError(f"pictures hold numbers in 0..255. Received: {low}..{high}; scale them.")
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def fit_image(
    image: np.ndarray, image_size: tuple[int, int], *, resize: str = "letterbox"
) -> tuple[np.ndarray, Fit]:
    """Fit a picture into the network's input, bilinearly.

    Args:
        image: (height, width, 3), 0..255; what is not uint8 goes through `to_uint8`.
        image_size: (height, width) of the network's input; see `canvas_size` for "shorter".
        resize: "letterbox" (grey 128 beside the picture), "stretch" or "shorter".

    Returns:
        picture: (*canvas_size(...), 3) uint8.
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
    picture = np.full((*canvas, 3), GREY, np.uint8)
    picture[top : top + height, left : left + width] = cv2.resize(
        to_uint8(image), (width, height), interpolation=cv2.INTER_LINEAR
    )
    return picture, fit
