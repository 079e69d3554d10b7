"""Run a detector over pictures: read and resize in threads while the network works.

Prediction and evaluation take the same path through here, so that a score measured by one is the
score seen with the other.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from yolo.boxes.detections import Detections
from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.inference import tiles
from yolo.models.postprocess import find_in_batches
from yolo.models.thresholds import Thresholds
from yolo.pictures.background import background_of
from yolo.pictures.files import read_image
from yolo.pictures.fit import fit_image
from yolo.system.reading import printable

log = logging.getLogger("yolo")

_READERS = min(4, os.cpu_count() or 1)
# Objects of a picture that is looked at in tiles, and of an answer that a filter shortens.
_MANY = 1000


@dataclass(frozen=True)
class Settings:
    """How pictures are looked at.

    Args:
        batch_size: pictures per call of the model, at least 1.
        score_threshold: the least score to report, 0..1; None for the model's own.
        iou_threshold: of non-maximum suppression, 0..1; None for the model's own.
        max_detections: the most detections per picture; None for the model's own, with `tile`
            for 1000 at least.
        one_label: whether an object has one class, its best; None for the model's own.
        classes: names of the classes to report; None for all. Others do not use up
            `max_detections`.
        tile: (height, width) in pixels of the picture: look at overlapping tiles of this size
            besides the whole, see `tiles.detect_tiled`; None looks at the whole only.
        clip: cut boxes at the picture's edge, and drop those outside it.
        ended: asked before each batch, or each picture where there are tiles, whether to look at
            no more.

    Raises:
        ConfigError: `batch_size` is below 1.
    """

    batch_size: int = 8
    score_threshold: float | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    one_label: bool | None = None
    classes: Iterable[str] | None = None
    tile: tuple[int, int] | None = None
    clip: bool = True
    ended: Callable[[], bool] = lambda: False

    def __post_init__(self):
        if self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1. Received: {self.batch_size}.")


def predict(
    model,
    paths: Iterable[os.PathLike],
    *,
    on_error: Callable[[os.PathLike, Exception], None] | None = None,
    **settings,
) -> Iterator[tuple[os.PathLike, np.ndarray, Detections]]:
    """Detect in picture files and yield them one by one, in the order given.

    The model gets batches of one size, see `postprocess.find_in_batches`. With fewer pictures than
    a batch, the batch is as small as they are.

    Args:
        model: a `Detector`, or what `yolo.models.postprocess` takes for one.
        paths: the picture files.
        on_error: called with the path and the error of a picture that cannot be read, which is
            then skipped; None logs a warning. What it raises ends the run.
        **settings: the fields of `Settings`.

    Yields:
        path, picture (H, W, 3) uint8 RGB as displayed, and the detections in pixels of that
        picture.

    Raises:
        ConfigError: a name in `classes` is none of the model's, or `batch_size` is below 1.
    """
    paths = [Path(path) if isinstance(path, str) else path for path in paths]
    chosen = Settings(**settings)
    if chosen.tile is None:  # with tiles, one picture already fills batches
        chosen = replace(chosen, batch_size=min(chosen.batch_size, max(len(paths), 1)))
    ahead = 2 if chosen.tile else 2 * chosen.batch_size + _READERS
    background = background_of(getattr(model, "notes", {}))
    read = functools.partial(read_image, background=background)
    yield from _detect(model, paths, read, chosen, ahead, on_error or _warn)


def predict_frames(
    model, frames: Iterable[np.ndarray], *, ahead: int | None = None, **settings
) -> Iterator[tuple[np.ndarray, Detections]]:
    """Detect in pictures that are in memory already, such as a video's, and yield each.

    Args:
        model: as for `predict`.
        frames: pictures (H, W, 3) uint8 RGB; taken as they are needed, in the caller's thread.
        ahead: how many are taken before the first is returned; None for two batches or so. A
            camera wants 1, and a `batch_size` of 1, to show what happens now.
        **settings: the fields of `Settings`.

    Yields:
        The picture, and the detections in its pixels.

    Raises:
        ConfigError: as `predict`.
    """
    chosen = Settings(**settings)
    if ahead is None:
        ahead = 2 if chosen.tile else 2 * chosen.batch_size
    # Frames are never unreadable: whoever takes them from a file ends there.
    for _, image, found in _detect(model, frames, lambda frame: frame, chosen, ahead, _give_up):
        yield image, found


def _detect(model, items, read, settings, ahead, on_error):
    """Yield (item, picture, detections) for items that `read` turns into pictures."""
    wanted = _class_filter(model.classes, settings.classes)
    usual = shown(model, tile=settings.tile).max_detections
    limit = usual if settings.max_detections is None else settings.max_detections
    asked = {
        "score_threshold": settings.score_threshold,
        "iou_threshold": settings.iou_threshold,
        "one_label": settings.one_label,
        # A filter works on the model's answer, so the answer must be long enough to filter.
        "max_detections": limit if wanted is None else max(limit, _MANY),
    }
    answer = _tiled if settings.tile else _whole
    with contextlib.closing(
        answer(model, items, read, settings, ahead, on_error, asked)
    ) as results:
        for item, image, found in results:
            if wanted is not None:
                found = found[np.isin(found.class_ids, wanted)][:limit]
            yield item, image, found.clipped(image.shape[:2]) if settings.clip else found


def _whole(model, items, read, settings, ahead, on_error, asked):
    """Yield (item, picture, detections) of whole pictures, a batch of them at a time.

    One that cannot be read leaves its place in the batch black: the last digits of what is found in
    the others depend on their places.
    """
    size = tuple(model.image_size)
    nothing = fit_image(np.zeros((*size, 3), np.uint8), size, resize=model.resize)

    def load(item):
        image = read(item)
        return (image, *fit_image(image, size, resize=model.resize))

    with contextlib.closing(_read_ahead(items, load, ahead, on_error)) as loaded:
        full = ((item, *(found or (None, *nothing))) for item, found in loaded)
        views = (((item, image), picture, fit) for item, image, picture, fit in full)
        for (item, image), found in find_in_batches(
            model, views, batch_size=settings.batch_size, ended=settings.ended, **asked
        ):
            if image is not None:
                yield item, image, found


def _tiled(model, items, read, settings, ahead, on_error, asked):
    """Yield (item, picture, detections), each picture looked at tile by tile."""
    size, batch_size = settings.tile, settings.batch_size
    with contextlib.closing(_read_ahead(items, read, ahead, on_error)) as loaded:
        for item, image in loaded:
            if settings.ended():
                return
            if image is None:
                continue
            found = tiles.detect_tiled(model, image, size, batch_size=batch_size, **asked)
            yield item, image, found


def shown(model, *, tile=None) -> Thresholds:
    """Return what counts as found where nobody says; many tiles hold more than one picture.

    Args:
        model: as for `predict`.
        tile: as in `Settings`.
    """
    usual = model.thresholds
    return usual.chosen(max_detections=max(_MANY, usual.max_detections)) if tile else usual


def ranked(model, *, tile=None, most_objects: int = 0) -> Thresholds:
    """Return those by which a model's detections are scored where nobody says.

    Args:
        model: as for `predict`.
        tile: as in `Settings`.
        most_objects: that a picture of the data holds.
    """
    return shown(model, tile=tile).ranked(most_objects)


def detect_samples(
    model,
    samples: list[Sample],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    by: Callable = predict,
    **settings,
) -> list[Detections]:
    """Detect in all pictures of a data set, for evaluation.

    Average precision looks at the whole ranking, so that more is taken of each picture than is
    shown, see `ranked`; all else is as in prediction, the cut at the picture's edge too.

    Args:
        model: as for `predict`.
        samples: the labelled pictures.
        on_progress: called with the pictures done and their number.
        by: what looks at the pictures, `predict` or what does the same elsewhere.
        **settings: the fields of `Settings` that shall be others; None leaves one as it is.

    Returns:
        One entry per sample, in pixels of the original picture.

    Raises:
        DatasetError: a picture cannot be read. A score with pictures missing would not be one.
    """
    found = []
    others = {name: value for name, value in settings.items() if value is not None}
    most = max((len(sample.class_ids) for sample in samples), default=0)
    usual = ranked(model, tile=others.get("tile"), most_objects=most)._asdict()
    paths = [sample.path for sample in samples]
    for _, _, detections in by(model, paths, on_error=_give_up, **{**usual, **others}):
        found.append(detections)
        if on_progress is not None:
            on_progress(len(found), len(samples))
    return found


def _read_ahead(items, load, ahead, on_error):
    """Yield (item, load(item)) in order, while threads load up to `ahead` further ones.

    What cannot be loaded is None.
    """
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="read")
    try:
        waiting: deque = deque()
        remaining = iter(items)
        end = object()
        while True:
            while len(waiting) < ahead and (item := next(remaining, end)) is not end:
                waiting.append((item, pool.submit(load, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            try:
                loaded = future.result()
            except (DatasetError, OSError) as error:
                on_error(item, error)
                loaded = None
            yield item, loaded
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
    log.warning("%s skipped: %s", printable(path), error)


def _give_up(path, error):
    if isinstance(error, DatasetError):
        raise error
    raise DatasetError(f"{printable(path)}: cannot be read ({error}).") from error
