"""Draw boxes with readable labels, lay pictures out on a sheet, and write picture files."""

from __future__ import annotations

import colorsys
import os
from pathlib import Path

import numpy as np

from yolo.data.sample import Sample
from yolo.errors import YoloError
from yolo.files import write_bytes
from yolo.headers import printable
from yolo.images import cv2
from yolo.lettering import put_text, text_width
from yolo.results import Detections

_SMALLEST_TEXT = 8


def draw_detections(
    image: np.ndarray, detections: Detections, *, show_scores: bool = True
) -> np.ndarray:
    """Draw what was found: one box and label each, the best on top.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        detections: in pixels of the picture.
        show_scores: write the score behind the class name.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    order = np.argsort(detections.scores, kind="stable")  # the best last
    labels = detections.labels
    if show_scores:
        labels = [
            f"{label} {score:.2f}" for label, score in zip(labels, detections.scores, strict=True)
        ]
    return _draw(
        image,
        detections.boxes_xyxy[order],
        detections.class_ids[order],
        [labels[i] for i in order],
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
    return _draw(image, sample.boxes_xyxy, sample.class_ids, labels)


def class_color(class_id: int) -> tuple[int, int, int]:
    """Return the colour of a class: always the same, and far from those of its neighbours.

    Args:
        class_id: 0 or more.

    Returns:
        Red, green, blue in 0..255.

    Example:
        >>> class_color(0)
        (255, 64, 64)
    """
    hue = (class_id * 0.6180339887) % 1.0  # the golden ratio spreads any number of hues evenly
    value = (1.0, 0.75, 0.9)[class_id % 3]
    saturation = (0.75, 0.95, 0.55)[class_id // 3 % 3]
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))


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
        # imencode and a write of our own: cv2.imwrite fails on Chinese paths under Windows.
        done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        raise YoloError(
            f"{printable(path)}: a picture cannot be written as '{suffix}'. "
            "Expected .jpg, .png or .webp."
        )
    write_bytes(path, data.tobytes())


def _draw(image, boxes, class_ids, labels) -> np.ndarray:
    canvas = np.array(image, np.uint8, order="C")
    height, width = canvas.shape[:2]
    scale = np.sqrt(height * width)
    line = max(1, round(scale * 0.0035))
    size = max(min(12, height // 5), round(scale * 0.026), _SMALLEST_TEXT)
    for box, class_id in zip(boxes, class_ids, strict=True):
        # Half-open: the last pixel of a box lies just before its right and lower edge.
        left, top = np.floor(box[:2]).astype(int).tolist()
        right, bottom = (np.ceil(box[2:]).astype(int) - 1).tolist()
        color = class_color(int(class_id))
        cv2.rectangle(canvas, (left, top), (right, bottom), color, line)
    for box, class_id, label in zip(boxes, class_ids, labels, strict=True):
        _draw_label(canvas, label, box, class_color(int(class_id)), size, line)
    return canvas


def _draw_label(canvas, label, box, color, size, line) -> None:
    """Draw a label above its box, or inside it at the top, but always wholly in the picture."""
    height, width = canvas.shape[:2]
    pad = max(1, size // 6)
    label, size, text = _fit_label(label, size, width - 2 * pad)
    drop = -(-size * 3 // 10)  # room below the base line
    tall, wide = size + drop + pad, text + 2 * pad
    if not label or tall > height:
        return
    left = int(np.clip(np.floor(box[0]) - line // 2, 0, width - wide))
    top = int(np.floor(box[1])) - line // 2 - tall
    if top < 0:
        top = int(np.floor(box[1])) + line // 2
    top = int(np.clip(top, 0, height - tall))
    cv2.rectangle(canvas, (left, top), (left + wide - 1, top + tall - 1), color, cv2.FILLED)
    patch = np.ascontiguousarray(canvas[top : top + tall, left : left + wide])
    put_text(patch, label, (pad, pad // 2 + size), size, _ink(color))
    canvas[top : top + tall, left : left + wide] = patch


def _fit_label(label, size, room) -> tuple[str, int, int]:
    """Return the label, its text size and width, made smaller and then shorter to fit `room`."""
    text = text_width(label, size)
    while text > room and size > _SMALLEST_TEXT:
        size = max(_SMALLEST_TEXT, min(size - 1, int(size * room / text)))
        text = text_width(label, size)
    while text > room and label:
        label = label[:-1]
        text = text_width(label, size) if label else 0
    return label, size, text


def _ink(color) -> tuple[int, int, int]:
    """Return black or white, whichever stands out more from the colour (after WCAG 2)."""
    linear = (np.asarray(color) / 255.0) ** 2.2
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)
