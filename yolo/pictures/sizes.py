"""Which sizes a network's picture may have, and how pictures get them; known without NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

RESIZE_MODES = ("letterbox", "stretch", "shorter")
SIZE_RANGE = (0.7, 1.4)  # of several sizes in one training, around the one that is given
SIZE_MULTIPLE = 32  # the coarsest stride that all networks have


def checked_size(
    image_size: int | Sequence[int], resize: str, *, any_side: bool = False
) -> tuple[int, int]:
    """Return the size of a network's picture, unless it is none.

    Args:
        image_size: (height, width) in pixels, or both in one number.
        resize: one of `RESIZE_MODES`; with "shorter" sides need be no multiples of 32.
        any_side: whether that holds of the others, too.

    Raises:
        ValueError: there is no such size, or no such mode.
    """
    if resize not in RESIZE_MODES:
        known = ", ".join(map(repr, RESIZE_MODES))
        raise ValueError(f"resize must be one of {known}. Received: {resize!r}.")
    sides = tuple(image_size) if isinstance(image_size, Iterable) else (image_size, image_size)
    step = 1 if any_side or resize == "shorter" else SIZE_MULTIPLE
    if len(sides) != 2 or not all(_is_side(side, step) for side in sides):
        raise ValueError(
            f"image_size must be (height, width) in multiples of 32. Received: {sides}."
        )
    return int(sides[0]), int(sides[1])


def _is_side(side: Any, step: int) -> bool:
    return isinstance(side, Real) and float(side) >= 32 and float(side) % step == 0


def check_sides(size: tuple[int, int], stride: int = SIZE_MULTIPLE) -> None:
    """Refuse a size of the network's input that the stride of its coarsest level does not divide.

    Raises:
        ValueError: a side is no multiple of it.
    """
    if any(side % stride or not side for side in size):
        height, width = size
        rows, columns = (max(1, round(side / stride)) * stride for side in size)
        raise ValueError(
            f"the network takes heights and widths in multiples of {stride}, received "
            f"{height}x{width} (height x width); resize pictures and boxes to {rows}x{columns}, "
            "with fit_image of yolo.pictures.fit for example"
        )
