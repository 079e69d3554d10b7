"""From pictures to objects, with whatever computes boxes and scores: Keras or an exported file.

A model is here anything with `predict_raw(images)`, which returns {"boxes": (B, N, 4) xyxy in
pixels of `images`, "scores": (B, N, C)} as NumPy, and with `classes`, `image_size` (height, width),
`resize` and `thresholds`: a `Detector`, an `ExportedDetector`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.nms import class_wise_nms
from yolo.pictures.fit import Fit, fit_image, to_uint8


def detect(model, images, *, clip: bool = True, **asked) -> list[Detections]:
    """Find objects in pictures of one size: fit them, and `find_objects` in them.

    Args:
        model: see above.
        images: (B, H, W, 3) or one picture (H, W, 3), 0..255 RGB.
        clip: cut boxes at the picture's edge and drop those outside it.
        **asked: instead of the model's `Thresholds`; None leaves one as it is.

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
    views = [fit_image(one, model.image_size, resize=model.resize) for one in to_uint8(images)]
    found = find_objects(model, *zip(*views, strict=True), **asked)
    return [one.clipped(images.shape[1:3]) for one in found] if clip else found


def find_objects(
    model, pictures: Sequence[np.ndarray], fits: Sequence[Fit], *, batch_size: int = 0, **asked
) -> list[Detections]:
    """Find objects in fitted pictures: compute, suppress, and go the way back.

    Args:
        model: see above.
        pictures: (h, w, 3) uint8 RGB each, all of one size, as `fit_image` returned them.
        fits: the way back of each, as it came with it.
        batch_size: fill the batch with black pictures up to this.
        **asked: instead of the model's `Thresholds`; None leaves one as it is.

    Returns:
        For each picture its `Detections`, boxes in pixels of the picture that was fitted.
    """
    thresholds = model.thresholds.chosen(**asked)._asdict()
    black = [np.zeros_like(pictures[0])] * (batch_size - len(pictures))
    raw = model.predict_raw(np.stack([*pictures, *black]))
    results = []
    for i, fit in enumerate(fits):
        boxes, scores, class_ids = class_wise_nms(raw["boxes"][i], raw["scores"][i], **thresholds)
        results.append(Detections(fit.to_picture(boxes), scores, class_ids, model.classes))
    return results


def find_in_batches(
    model, views: Iterable[tuple[Any, np.ndarray, Fit]], *, batch_size: int,
    ended: Callable[[], bool] = lambda: False, **asked,
) -> Iterator[tuple[Any, Detections]]:  # fmt: skip
    """Find objects in as many fitted pictures as come.

    The model always gets `batch_size` of them, a last batch is filled with black ones: a batch of
    another size would make TensorFlow trace the model anew, which takes longer. With "shorter" each
    picture has a size of its own and goes alone; padded to a common size, what is found in it would
    depend on its neighbours.

    Args:
        model: see above.
        views: what a picture is called, the fitted picture, and its way back.
        batch_size: pictures per call of the model.
        ended: asked before each batch whether to look at no more.
        **asked: as for `find_objects`.

    Yields:
        What the picture is called, and its `Detections`.
    """
    size = 1 if model.resize == "shorter" else batch_size
    remaining = iter(views)
    while batch := list(islice(remaining, size)):
        if ended():
            return
        names, pictures, fits = zip(*batch, strict=True)
        found = find_objects(model, pictures, fits, batch_size=size, **asked)
        yield from zip(names, found, strict=True)
