"""Text in pictures, Chinese included, with whatever can draw it on this machine.

OpenCV 5 draws TrueType text in most scripts by itself. OpenCV 4 has strokes for ASCII alone;
there, other text is drawn by Pillow with a font of the system, or else as question marks, with
one warning.
"""

from __future__ import annotations

import functools
import logging

import numpy as np

from yolo.pictures.files import cv2

log = logging.getLogger("yolo")

# Fonts with Chinese characters, as Windows, macOS and Linux systems name them.
_SYSTEM_FONTS = (
    "msyh.ttc",
    "simhei.ttf",
    "simsun.ttc",
    "PingFang.ttc",
    "STHeiti Medium.ttc",
    "NotoSansCJK-Regular.ttc",
    "NotoSansSC-Regular.otf",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf",
)
_HERSHEY = cv2.FONT_HERSHEY_SIMPLEX
_HERSHEY_HEIGHT = 30.0  # pixels of a line at scale 1, to match the size of TrueType text


def text_width(text: str, size: int) -> int:
    """Return how many pixels wide a line of text is.

    Args:
        text: one line.
        size: height of the line in pixels, about; it reaches from 1 above to 0.3 below the base
            line, in units of the size.

    Returns:
        Pixels from the origin to the right edge of the last character.
    """
    text, backend = _prepare(text)
    if backend == "truetype":
        left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _face(), int(size))
        return left + width
    if backend == "pillow":
        return int(np.ceil(_pillow_font(int(size)).getlength(text)))
    (width, _), _ = cv2.getTextSize(text, _HERSHEY, size / _HERSHEY_HEIGHT, _stroke(size))
    return width


def put_text(image: np.ndarray, text: str, origin: tuple[int, int], size: int, color) -> None:
    """Draw one line of text into a picture.

    Args:
        image: (H, W, 3) uint8, changed in place.
        text: one line; characters that cannot be drawn become question marks.
        origin: (x, y) of the left end of the base line.
        size: see `text_width`.
        color: three values 0..255 in the channel order of the picture.
    """
    text, backend = _prepare(text)
    color = tuple(int(value) for value in color)
    if backend == "truetype":
        cv2.putText(image, text, origin, color, _face(), int(size))
    elif backend == "pillow":
        from PIL import Image, ImageDraw

        canvas = Image.fromarray(image)
        ImageDraw.Draw(canvas).text(
            origin, text, fill=color, font=_pillow_font(int(size)), anchor="ls"
        )
        image[...] = np.asarray(canvas)
    else:
        scale = size / _HERSHEY_HEIGHT
        cv2.putText(image, text, origin, _HERSHEY, scale, color, _stroke(size), cv2.LINE_AA)


def _prepare(text: str) -> tuple[str, str]:
    """Return the text as it can be drawn, and the means to draw it."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    if hasattr(cv2, "FontFace"):
        return text, "truetype"
    if text.isascii():
        return text, "strokes"
    if _font_file() is not None:
        return text, "pillow"
    return "".join(c if c.isascii() else "?" for c in text), "strokes"


@functools.cache
def _face():
    return cv2.FontFace("sans")


@functools.cache
def _font_file() -> str | None:
    """Return a font with Chinese characters for Pillow, or None after one warning."""
    try:
        from PIL import ImageFont
    except ImportError:
        reason = "pip install 'opencv-python-headless>=5', or pip install pillow"
    else:
        for name in _SYSTEM_FONTS:
            try:
                ImageFont.truetype(name, 12)
                return name
            except OSError:
                continue
        reason = "pip install 'opencv-python-headless>=5', or install a Chinese font"
    log.warning("labels with characters outside ASCII are drawn as '?': %s", reason)
    return None


@functools.lru_cache(maxsize=16)
def _pillow_font(size: int):
    from PIL import ImageFont

    return ImageFont.truetype(_font_file(), size)


def _stroke(size: int) -> int:
    return max(1, round(size / 14))
