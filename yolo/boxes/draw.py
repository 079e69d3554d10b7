"""Boxes with readable labels, drawn into a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo.pictures.files import cv2
from yolo.pictures.text import put_text, text_width


def draw_detections(
    image: np.ndarray,
    detections: Any,
    *,
    show_scores: bool = True,
    scale: float | None = None,
) -> np.ndarray:
    """Draw what was found: one box and label each, the best on top.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        detections: `Detections`, in pixels of the picture.
        show_scores: write the score behind the class name.
        scale: as for `draw_boxes`; a large picture with many small objects wants labels
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


_SMALLEST_TEXT = 8


def draw_boxes(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    class_ids: np.ndarray,
    labels: Sequence[str],
    *,
    scale: float | None = None,
) -> np.ndarray:
    """Draw boxes and, over all of them, their labels; the last on top.

    Args:
        image: (H, W, 3) uint8 RGB, left as it is.
        boxes_xyxy: (n, 4) in pixels of the picture.
        class_ids: (n,) decide the colours.
        labels: (n,) texts.
        scale: pixels; lines and texts get the size that suits a picture of this side. The
            picture's own if None.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    canvas = np.array(image, np.uint8, order="C")
    height, width = canvas.shape[:2]
    scale = scale or np.sqrt(height * width)
    line = max(1, round(scale * 0.0035))
    size = max(min(12, height // 5), round(scale * 0.026), _SMALLEST_TEXT)
    for box, class_id in zip(boxes_xyxy, class_ids, strict=True):
        # Half-open: the last pixel of a box lies just before its right and lower edge.
        left, top = np.floor(box[:2]).astype(int).tolist()
        right, bottom = (np.ceil(box[2:]).astype(int) - 1).tolist()
        color = class_color(int(class_id))
        cv2.rectangle(canvas, (left, top), (right, bottom), color, line)
    for box, class_id, label in zip(boxes_xyxy, class_ids, labels, strict=True):
        _draw_label(canvas, label, box, class_color(int(class_id)), size, line)
    return canvas


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
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _draw_label(
    canvas: np.ndarray,
    label: str,
    box: np.ndarray,
    color: tuple[int, int, int],
    size: int,
    line: int,
) -> None:
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


def _fit_label(label: str, size: int, room: int) -> tuple[str, int, int]:
    """Return the label, its text size and width, made smaller and then shorter to fit `room`."""
    text = text_width(label, size)
    while text > room and size > _SMALLEST_TEXT:
        size = max(_SMALLEST_TEXT, min(size - 1, int(size * room / text)))
        text = text_width(label, size)
    while text > room and label:
        label = label[:-1]
        text = text_width(label, size) if label else 0
    return label, size, text


def _ink(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, whichever stands out more from the colour (after WCAG 2)."""
    linear = (np.asarray(color) / 255.0) ** 2.2
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)
