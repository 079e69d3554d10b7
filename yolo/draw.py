"""Draw boxes with readable labels, lay pictures out on a sheet, and write picture files."""

from __future__ import annotations

import numpy as np

from yolo.data.sample import Sample
from yolo.drawing import draw_boxes
from yolo.pictures.files import cv2
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
