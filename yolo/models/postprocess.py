"""From pictures to objects, with whatever computes boxes and scores: Keras or an exported file.

A model is here anything with `predict_raw(images)`, which returns {"boxes": (B, N, 4) xyxy in
pixels of `images`, "scores": (B, N, C)} as NumPy, and with `classes`, `image_size` (height, width),
`resize` and `thresholds`: a `Detector`, an `ExportedDetector`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import Any

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.nms import class_wise_nms
from yolo.boxes.results import Results
from yolo.errors import NoNumbers
from yolo.pictures.background import background_of
from yolo.pictures.fit import Fit, fit_image
from yolo.pictures.given import as_picture, each_of

MOST_TOGETHER = 32  # pictures of one size that go through the network at once


def detect(model, images, *, clip: bool = True, **asked) -> Results:
    """Find objects in pictures: fit them, and `find_objects` in those of one size together.

    Args:
        model: see above.
        images: one picture or several in any form that `yolo.pictures.given.each_of` takes.
        clip: cut boxes at the picture's edge and drop those outside it.
        **asked: instead of the model's `Thresholds`; None leaves one as it is.

    Returns:
        For each picture its `Detections`, boxes in pixels of the picture given.

    Raises:
        ValueError: these are no pictures; or see `find_objects`.
        DatasetError: a file cannot be read.
    """
    given, background = each_of(images), background_of(getattr(model, "notes", {}))
    found: list[Detections] = []
    for start in range(0, len(given), MOST_TOGETHER):  # files are read as they are wanted
        pictures = [as_picture(one, background) for one in given[start : start + MOST_TOGETHER]]
        views = [fit_image(one, model.image_size, resize=model.resize) for one in pictures]
        for _, same in groupby(views, lambda view: view[0].shape):  # "shorter" has many sizes
            found += find_objects(model, *zip(*same, strict=True), **asked)
        if clip:
            found[start:] = [
                one.clipped(picture.shape[:2])
                for one, picture in zip(found[start:], pictures, strict=True)
            ]
    return Results(found, given, background)


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

    Raises:
        NoNumbers: scores or boxes are NaN, as of weights that a training destroyed.
    """
    thresholds = model.thresholds.chosen(**asked)._asdict()
    black = [np.zeros_like(pictures[0])] * (batch_size - len(pictures))
    raw = model.predict_raw(np.stack([*pictures, *black]))
    # One walk that finds NaN, too; a box may well be infinite.
    wrong = "scores" if not np.isfinite(raw["scores"].max(initial=0)) else ""
    wrong = wrong or ("boxes" if np.isnan(raw["boxes"].max(initial=0)) else "")
    if wrong:
        raise NoNumbers(
            f"the model gives {wrong} that are no numbers (NaN): its weights are damaged, or a "
            "training whose loss was NaN destroyed them; load those from before"
        )
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
