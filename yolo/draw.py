"""Draw boxes with readable labels, lay pictures out on a sheet, and write picture files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from yolo.data.sample import Sample
from yolo.drawing import draw_boxes
from yolo.errors import YoloError
from yolo.files import write_bytes
from yolo.images import cv2, encode_image
from yolo.reading import printable
from yolo.results import Detections


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


def grid(images: list[np.ndarray], columns: int, *, cell: int = 320) -> np.ndarray:
    """Lay pictures out on one sheet, each shrunk to fit a square cell, proportions kept.

    Args:
        images: pictures (H, W, 3) uint8 of any sizes.
        columns: pictures per row, at least 1.
        cell: side of a cell in pixels.

    Returns:
        (rows * cell, columns * cell, 3) uint8, grey where there is no picture; one empty row if
        there is none at all.
    """
    rows = max(1, -(-len(images) // columns))
    sheet = np.full((rows * cell, columns * cell, 3), 128, np.uint8)
    for i, image in enumerate(images):
        height, width = image.shape[:2]
        scale = min(cell / height, cell / width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        shrink = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, size, interpolation=shrink)
        top = i // columns * cell + (cell - size[1]) // 2
        left = i % columns * cell + (cell - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = small
    return sheet


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write a picture file, its format told by the suffix, whole or not at all.

    Args:
        path: the file; any characters will do, and its folder is made if it is missing.
        image: (H, W, 3) uint8 RGB.

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
    write_bytes(path, data)
