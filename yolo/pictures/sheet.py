"""Pictures laid out on one sheet."""

from __future__ import annotations

import numpy as np

from yolo.pictures.files import cv2

_GAP = 6


def grid(
    images: list[np.ndarray], columns: int, *, cell: int = 320, tight: bool = False
) -> np.ndarray:
    """Lay pictures out on one sheet, each shrunk to fit a square cell, proportions kept.

    Args:
        images: pictures (H, W, 3) uint8 of any sizes.
        columns: pictures per row, at least 1.
        cell: side of a cell in pixels.
        tight: make each row as low as its pictures allow, and leave white gaps between pictures.

    Returns:
        (rows * cell, columns * cell, 3) uint8, or less high if `tight`, grey where there is no
        picture; one empty row if there is none at all.
    """
    rows = [
        [shrunk(image, cell)[0] for image in images[i : i + columns]]
        for i in range(0, len(images), columns)
    ]
    strips = []
    for row in rows or [[]]:
        tall = max((small.shape[0] for small in row), default=cell) if tight else cell
        strip = np.full((tall, columns * cell, 3), 128, np.uint8)
        for i, small in enumerate(row):
            height, width = small.shape[:2]
            top, left = (tall - height) // 2, i * cell + (cell - width) // 2
            strip[top : top + height, left : left + width] = small
        if tight:
            strip = _with_gaps(strip, columns, cell, len(row))
        strips.append(strip)
    return np.concatenate(strips)


def shrunk(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Return a picture scaled to fit a square, proportions kept, and the factor."""
    height, width = image.shape[:2]
    scale = min(side / height, side / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=kind), scale


def _with_gaps(strip: np.ndarray, columns: int, cell: int, filled: int) -> np.ndarray:
    """Return a row of cells with white below and between them, and where no picture is."""
    parts = []
    for i in range(columns):
        part = strip[:, i * cell : (i + 1) * cell]
        parts.append(part if i < filled else np.full_like(part, 255))
        parts.append(np.full((strip.shape[0], _GAP, 3), 255, np.uint8))
    row = np.concatenate(parts[:-1], axis=1)
    return np.concatenate([row, np.full((_GAP, row.shape[1], 3), 255, np.uint8)])
