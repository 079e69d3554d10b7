"""Detect in pictures that already have the network's size, however many there are of each."""

from __future__ import annotations

import numpy as np

from yolo.boxes.detections import Detections


def detect_fitted(
    model, pictures: list[np.ndarray], *, batch_size: int, **thresholds
) -> list[Detections]:
    """Return what a model finds in pictures as `pictures.fit.fit_image` returned them.

    Where all pictures have one size, the model always gets `batch_size` of them, the rest black
    and thrown away: a batch of another size would make TensorFlow trace the model anew, which
    takes longer. With "shorter" each picture has a size of its own and goes alone; padded to a
    common size, what is found in it would depend on its neighbours.

    Args:
        model: a `Detector`, or anything with its `detect`, `image_size` and `resize`.
        pictures: at most `batch_size` pictures (h, w, 3) uint8 RGB.
        batch_size: pictures per call of the model.
        **thresholds: of `Detector.detect`.

    Returns:
        For each picture its detections, in its pixels.
    """
    if model.resize == "shorter":
        return [model.detect(image[None], fitted=True, **thresholds)[0] for image in pictures]
    images = np.zeros((batch_size, *model.image_size, 3), np.uint8)
    for i, picture in enumerate(pictures):
        images[i] = picture
    return model.detect(images, **thresholds)[: len(pictures)]
