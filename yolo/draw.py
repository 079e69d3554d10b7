"""Draw boxes with readable labels, lay pictures out on a sheet, and write picture files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from yolo.data.sample import Sample
from yolo.drawing import draw_boxes
from yolo.errors import YoloError
from yolo.images import cv2, encode_image
from yolo.results import Detections
from yolo.system.reading import printable
from yolo.system.writing import write_bytes

_GAP = 6


def draw_detections(
    image: np.ndarray,
    detections: Detections,
    *,
    show_scores: bool = True,
    scale: float | None = None,
) -> np.ndarray:
    """Draw what was found: one box and label each, the best on top.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        detections: in pixels of the picture.
        show_scores: write the score behind the class name.
        scale: as for `drawing.draw_boxes`; a large picture with many small objects wants labels
            of their size rather than of its own.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    order = np.argsort(detections.scores, kind="stable")  # the best last
    labels = detections.labels
    if show_scores:
        labels = [
            f"{label} {score:.2f}" for label, score in zip(labels, detections.scores, strict=True)
        ]
    return draw_boxes(
        image,
        detections.boxes_xyxy[order],
        detections.class_ids[order],
        [labels[i] for i in order],
        scale=scale,
    )


def draw_ground_truth(image: np.ndarray, sample: Sample, classes) -> np.ndarray:
    """Draw what people marked, difficult objects with a question mark behind the name.

    Args:
        image: (H, W, 3) uint8 RGB, the sample's picture, left as it is.
        sample: the objects.
        classes: the class names.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    labels = [
        classes[class_id] + ("?" if difficult else "")
        for class_id, difficult in zip(sample.class_ids, sample.difficult, strict=True)
    ]
    return draw_boxes(image, sample.boxes_xyxy, sample.class_ids, labels)


def outline(
    canvas: np.ndarray, boxes_xyxy: np.ndarray, color: tuple[int, int, int], *, line: int = 0
) -> None:
    """Draw plain outlines of boxes into a picture.

    Args:
        canvas: (H, W, 3) uint8, changed in place.
        boxes_xyxy: (n, 4) in pixels of the picture.
        color: three values 0..255 in the channel order of the picture.
        line: pixels thick; 0: thick enough to be seen beside `draw_detections`' own.
    """
    line = line or max(2, round(np.sqrt(canvas.shape[0] * canvas.shape[1]) * 0.007))
    for box in np.asarray(boxes_xyxy).reshape(-1, 4):
        left, top = (np.floor(box[:2]).astype(int) - line // 2).tolist()
        right, bottom = (np.ceil(box[2:]).astype(int) + line // 2).tolist()
        cv2.rectangle(canvas, (left, top), (right, bottom), color, line)


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
