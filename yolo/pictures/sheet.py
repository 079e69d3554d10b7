"""Pictures laid out on one sheet."""

from __future__ import annotations

import numpy as np

from yolo.pictures.files import cv2

_GAP = 6


def grid(images: list[np.ndarray], columns: int, *, cell: int = 320) -> np.ndarray:
    """Lay pictures out on one sheet, each shrunk to fit a square cell, proportions kept.

    Returns:
        (H, W, 3) uint8: cells grey beside their pictures, each row as low as these allow, white
        where there is no picture and in gaps beside and below; one empty row if there is none.
    """
    rows = [
        [shrunk(image, cell)[0] for image in images[i : i + columns]]
        for i in range(0, len(images), columns)
    ]
    strips = []
    for row in rows or [[]]:
        tall = max((small.shape[0] for small in row), default=cell)
        strip = np.full((tall + _GAP, columns * (cell + _GAP) - _GAP, 3), 255, np.uint8)
        for i, small in enumerate(row):
            height, width = small.shape[:2]
            left = i * (cell + _GAP)
            strip[:tall, left : left + cell] = 128
            top, left = (tall - height) // 2, left + (cell - width) // 2
            strip[top : top + height, left : left + width] = small
        strips.append(strip)
    return np.concatenate(strips)


def shrunk(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Return a picture scaled to fit a square, proportions kept, and the factor."""
    height, width = image.shape[:2]
    scale = min(side / height, side / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=kind), scale
