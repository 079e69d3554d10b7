"""From pictures to objects, with whatever computes boxes and scores: Keras or an exported file."""

from __future__ import annotations

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.nms import class_wise_nms
from yolo.pictures.fit import Fit, fit_image, to_uint8


def find_objects(
    model,
    images,
    *,
    score_threshold: float,
    iou_threshold: float,
    max_detections: int = 100,
    clip: bool = False,
    fitted: bool = False,
) -> list[Detections]:
    """Find objects in pictures: resize, compute, suppress, and go back to the pictures' pixels.

    Args:
        model: anything with `predict_raw(images)`, which returns {"boxes": (B, N, 4) xyxy in
            pixels of `images`, "scores": (B, N, C)} as NumPy, and with `classes`, `image_size`
            (height, width) and `resize`.
        images: (B, H, W, 3) or one picture (H, W, 3), 0..255 RGB. Pictures of another size than
            the model's are resized as the model says.
        score_threshold: report objects that score at least this, in 0..1.
        iou_threshold: of two boxes of a class that overlap more, the better one stays.
        max_detections: at most this many objects a picture.
        clip: cut boxes at the picture's edge and drop those outside.
        fitted: whether the pictures are as the network shall see them, whatever their size.

    Returns:
        For each picture its `Detections`, boxes in pixels of the picture given.

    Raises:
        ValueError: `images` has another shape, or values that are no picture's: see
            `yolo.pictures.fit.to_uint8`, through which they go.
    """
    images = np.asarray(images)
    if images.ndim == 3:
        images = images[None]
    if images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:3]:
        raise ValueError(
            f"detect needs RGB pictures (batch, height, width, 3). Received: shape {images.shape}."
        )
    if len(images) == 0:
        return []
    images = to_uint8(images)
    size = images.shape[1:3]
    fits: list[Fit | None] = [None] * len(images)
    if not fitted and (model.resize == "shorter" or size != tuple(model.image_size)):
        pairs = [fit_image(one, model.image_size, resize=model.resize) for one in images]
        images, fits = np.stack([image for image, _ in pairs]), [fit for _, fit in pairs]
    raw = model.predict_raw(images)
    results = []
    for boxes, scores, fit in zip(raw["boxes"], raw["scores"], fits, strict=True):
        boxes, scores, class_ids = class_wise_nms(
            boxes,
            scores,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
        )
        boxes = boxes if fit is None else fit.to_picture(boxes)
        found = Detections(boxes, scores, class_ids, model.classes)
        results.append(found.clipped(size) if clip else found)
    return results
