"""What shows through where a picture is transparent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from yolo.pictures.color import WHITE, Color

_shown: Color = WHITE


def show_on(color: Color) -> None:
    """Set the background of all transparent pictures that this process reads from now on."""
    global _shown
    _shown = color


def shown_on() -> Color:
    """Return what `show_on` set, white by default."""
    return _shown


def background_of(notes: dict) -> Color | None:
    """Return the background that a model was trained with, None where it notes none."""
    found = notes.get("background")
    return None if found is None else (found[0], found[1], found[2])


def on_background(
    image: np.ndarray, color: Sequence[int] = WHITE, *, premultiplied: bool = False
) -> np.ndarray:
    """Lay a transparent picture on a background.

    The picture is (height, width, 4) uint8, its colours `premultiplied` with alpha already or not;
    of the background there is a level for each of the three, in their order.

    Returns:
        (height, width, 3) uint8: alpha * colour + (1 - alpha) * background, rounded.

    Example:
        >>> on_background(np.array([[[9, 9, 9, 0], [9, 9, 9, 255], [0, 0, 0, 51]]], np.uint8))[0]
        array([[255, 255, 255],
               [  9,   9,   9],
               [204, 204, 204]], dtype=uint8)

    Reference:
        Porter and Duff (1984), Compositing digital images, "over".
    """
    alpha = image[..., 3].astype(np.uint16)
    shown = np.empty((*image.shape[:2], 3), np.uint8)
    for i, level in enumerate(color):
        own = image[..., i].astype(np.uint16)
        own *= np.uint16(255) if premultiplied else alpha
        through = (255 - alpha) * np.uint16(level)
        # Premultiplied colours brighter than their alpha would overflow.
        total = np.minimum(own, 65025 - through) + through
        shown[..., i] = (total + 127) // 255
    return shown
