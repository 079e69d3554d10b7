"""Run a detector over picture files: read and resize in threads while the network works.

Prediction and evaluation take the same path through here, so that a score measured by one is the
score seen with the other.
"""

from __future__ import annotations

import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.files import write_bytes
from yolo.headers import printable
from yolo.images import fit_image, read_image
from yolo.results import Detections

logger = logging.getLogger("yolo")

_READERS = min(4, os.cpu_count() or 1)
_MANY = 1000


def predict(
    model,
    paths: Iterable[Path],
    *,
    batch_size: int = 8,
    score_threshold: float = 0.25,
    iou_threshold: float = 0.45,
    max_detections: int = 100,
    classes: Iterable[str] | None = None,
    clip: bool = True,
    on_error: Callable[[Path, Exception], None] | None = None,
) -> Iterator[tuple[Path, np.ndarray, Detections]]:
    """Detect in picture files and yield them one by one, in the order given.

    The model always gets batches of one size, the last one filled up with black pictures whose
    results are thrown away: a batch of another size would make TensorFlow trace the model anew,
    which takes longer. With fewer pictures than a batch, the batch is as small as they are.

    Args:
        model: a `Detector`, or anything with its `detect`, `classes`, `image_size`, `resize`.
        paths: the picture files.
        batch_size: pictures per call of the model, at least 1.
        score_threshold: the least score to report, 0..1.
        iou_threshold: of non-maximum suppression, 0..1.
        max_detections: the most detections per picture.
        classes: names of the classes to report; None for all. Others do not use up
            `max_detections`.
        clip: cut boxes at the picture's edge, and drop those outside it.
        on_error: called with the path and the error of a picture that cannot be read, which is
            then skipped; None logs a warning. What it raises ends the run.

    Yields:
        path, picture (H, W, 3) uint8 RGB as displayed, and the detections in pixels of that
        picture.

    Raises:
        ConfigError: a name in `classes` is none of the model's, or `batch_size` is below 1.
    """
    paths = [Path(path) for path in paths]
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1. Received: {batch_size}.")
    wanted = _class_filter(model.classes, classes)
    # A filter works on the model's answer, so the answer must be long enough to filter.
    asked = max_detections if wanted is None else max(max_detections, _MANY)
    batch_size = min(batch_size, max(len(paths), 1))
    for batch in _batches(model, paths, batch_size, on_error or _warn):
        images = np.zeros((batch_size, *model.image_size, 3), np.uint8)
        for i, (_, _, picture, _) in enumerate(batch):
            images[i] = picture
        answers = model.detect(
            images,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=asked,
        )
        for (path, image, _, fit), found in zip(batch, answers, strict=False):
            if wanted is not None:
                found = found[np.isin(found.class_ids, wanted)][:max_detections]
            boxes = fit.to_picture(found.boxes_xyxy)
            found = Detections(boxes, found.scores, found.class_ids, found.class_names)
            yield path, image, found.clipped(image.shape[:2]) if clip else found


def detect_samples(
    model,
    samples: list[Sample],
    *,
    score_threshold: float = 0.001,
    iou_threshold: float = 0.45,
    max_detections: int = 300,
    batch_size: int = 8,
    clip: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Detections]:
    """Detect in all pictures of a data set, for evaluation.

    The low score threshold is what average precision needs: it looks at the whole ranking.

    Args:
        model: as for `predict`.
        samples: the labelled pictures.
        score_threshold: the least score to report, 0..1.
        iou_threshold: of non-maximum suppression, 0..1.
        max_detections: the most detections per picture; COCO's figures use the best 100.
        batch_size: pictures per call of the model.
        clip: cut boxes at the picture's edge; Darknet and COCO's tools score them uncut.
        on_progress: called with the pictures done and their number.

    Returns:
        One entry per sample, in pixels of the original picture.

    Raises:
        DatasetError: a picture cannot be read. A score with pictures missing would not be one.
    """
    found = []
    for _, _, detections in predict(
        model,
        [sample.path for sample in samples],
        batch_size=batch_size,
        score_threshold=score_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
        clip=clip,
        on_error=_give_up,
    ):
        found.append(detections)
        if on_progress is not None:
            on_progress(len(found), len(samples))
    return found


def detections_to_json(path: Path, image: np.ndarray, detections: Detections) -> dict:
    """Return what was found in one picture as plain values for the predictions file.

    Args:
        path: the picture file, written down as given.
        image: (H, W, 3) the picture as displayed.
        detections: in pixels of `image`.

    Returns:
        `file`, `width`, `height` and `objects`, each of them as `Detections.to_json` gives it.
    """
    return {
        "file": printable(path),
        "width": int(image.shape[1]),
        "height": int(image.shape[0]),
        "objects": detections.to_json(),
    }


def write_predictions(path: Path, pictures: list[dict]) -> None:
    """Write the predictions of all pictures as one JSON file, UTF-8, whole or not at all.

    Args:
        path: the file to write; its folder is made if it is missing.
        pictures: what `detections_to_json` returned, one entry per picture.
    """
    text = json.dumps(pictures, ensure_ascii=False, indent=1)
    write_bytes(path, (text + "\n").encode("utf-8"))


def _batches(model, paths, batch_size, on_error):
    """Yield lists of (path, image, picture, fit), while threads read about two batches ahead."""
    ahead = 2 * batch_size + _READERS
    image_size, resize = tuple(model.image_size), model.resize

    def load(path):
        image = read_image(path)
        return (path, image, *fit_image(image, image_size, resize=resize))

    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
    try:
        waiting, batch, remaining = deque(), [], iter(paths)
        while True:
            while len(waiting) < ahead and (path := next(remaining, None)) is not None:
                waiting.append((path, pool.submit(load, path)))
            if not waiting:
                break
            path, future = waiting.popleft()
            try:
                batch.append(future.result())
            except (DatasetError, OSError) as error:
                on_error(path, error)
                continue
            if len(batch) == batch_size:
                yield batch
                batch = []
        if batch:
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _class_filter(known, names):
    """Return the ids of the named classes, or None for all."""
    if names is None:
        return None
    known, names = list(known), list(names)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"The model does not know the class {unknown[0]!r}. It knows: {', '.join(known)}."
        )
    return [known.index(name) for name in names]


def _warn(path, error):
    logger.warning("%s skipped: %s", printable(path), error)


def _give_up(path, error):
    if isinstance(error, DatasetError):
        raise error
    raise DatasetError(f"{printable(path)}: cannot be read ({error}).") from error
