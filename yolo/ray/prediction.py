"""Detection in many pictures by the workers of a Ray cluster: Ray Data hands them out."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from yolo.boxes.detections import Detections
from yolo.errors import DatasetError, YoloError
from yolo.inference import predictor
from yolo.pictures.background import background_of
from yolo.pictures.files import read_image
from yolo.ray.cluster import Cluster
from yolo.system.kept import kept_lines

_BATCHES = 4  # of the network that a worker is given at once


def predict(
    model: Any, paths: Iterable[os.PathLike], *, cluster: Cluster, open_model: Callable[[], Any],
    on_error: Callable[[os.PathLike, Exception], None], pixels: bool = True,
    kept: tuple[Path, str] | None = None, **settings: Any,
) -> Iterator[tuple[os.PathLike, np.ndarray, Detections]]:  # fmt: skip
    """Detect in picture files as `predictor.predict` does, by workers that `open_model` themselves.

    All nodes see the files. Unless `pixels` are wanted pictures are black, which spares reading
    them here. `kept` names a file for what was found so far, from which a run that was killed goes
    on and which is gone at the end, and what that depends on besides pictures and settings.
    """
    files = [Path(path) if isinstance(path, str) else path for path in paths]
    ended = settings.pop("ended", lambda: False)
    batch = settings.get("batch_size", 8)
    if not settings.get("tile"):  # of fewer pictures the batch is smaller
        settings["batch_size"] = batch = min(batch, max(len(files), 1))
    size, count = _BATCHES * batch, len(files)  # the last part may be larger, with a whole batch
    firsts = [at for at in range(0, count, size) if at == 0 or count - at >= batch]
    chunks = [files[a:b] for a, b in zip(firsts, [*firsts[1:], count], strict=True)]
    place, of = kept or (None, "")
    lines = kept_lines(
        place, repr((of, chunks, sorted(settings.items(), key=str))),
        lambda done: _computed(cluster, open_model, chunks[done:], settings),
    )  # fmt: skip
    background = background_of(getattr(model, "notes", {}))
    for chunk, line in zip(chunks, lines, strict=True):
        for path, entry in zip(chunk, json.loads(line), strict=True):
            if ended():
                return
            try:
                if isinstance(entry, str):
                    raise DatasetError(entry)
                black = np.broadcast_to(np.uint8(0), (*entry[0], 3))
                image = read_image(path, background=background) if pixels else black
            except DatasetError as error:
                on_error(path, error)
                continue
            boxes, scores, class_ids = map(np.array, entry[1:])
            yield path, image, Detections(boxes, scores, class_ids, model.classes)
    if place is not None:
        place.unlink(missing_ok=True)


def _computed(
    cluster: Cluster, open_model: Callable, chunks: list, settings: dict
) -> Iterator[bytes]:
    """Yield what the workers find in each part, in order."""
    if not chunks:
        return
    with cluster.connected() as ray:
        import ray.data as data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        each = cluster.resources(ray)
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        work = [{"paths": pickle.dumps(chunk)} for chunk in chunks]
        found = data.from_items(work, override_num_blocks=len(work)).map_batches(
            _Worker, fn_constructor_args=(str(Path.cwd()), open_model, settings), batch_size=1,
            compute=data.ActorPoolStrategy(min_size=cluster.span[0], max_size=cluster.span[1]),
            num_cpus=each["CPU"], num_gpus=each.get("GPU"),
        )  # fmt: skip
        for row in found.iter_rows():
            if row["failed"]:
                raise pickle.loads(row["failed"])
            yield row["line"]


class _Worker:
    """Ray's actor that holds the detector; what no other attempt would mend is an answer."""

    def __init__(self, folder: str, open_model: Callable, settings: dict) -> None:
        with contextlib.suppress(OSError):  # where relative names mean the same on all nodes
            os.chdir(folder)
        self.opened, self.settings = functools.cache(open_model), settings

    def __call__(self, batch: dict) -> dict:
        paths = pickle.loads(batch["paths"][0])
        found: dict[int, Any] = {}
        try:
            for path, image, boxes in predictor.predict(
                self.opened(), paths, **self.settings,
                on_error=lambda path, error: found.update({id(path): str(error)}),
            ):  # fmt: skip
                arrays = (boxes.boxes_xyxy, boxes.scores, boxes.class_ids)
                found[id(path)] = [image.shape[:2], *(array.tolist() for array in arrays)]
        except YoloError as error:
            return {"failed": [pickle.dumps(error)], "line": [b""]}
        line = json.dumps([found[id(path)] for path in paths]) + "\n"
        return {"failed": [b""], "line": [line.encode()]}
