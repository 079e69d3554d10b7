"""Detection in many pictures by the workers of a Ray cluster: Ray Data hands them out."""

from __future__ import annotations

import hashlib
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
from yolo.ray.cluster import Cluster, go_to, packed, unpacked

_BATCHES = 4  # of the network that a worker is given at once


def predict(
    model: Any, paths: Iterable[os.PathLike], *, cluster: Cluster, open_model: Callable[[], Any],
    on_error: Callable[[os.PathLike, Exception], None], pixels: bool = True,
    kept: Path | None = None, **settings: Any,
) -> Iterator[tuple[os.PathLike, np.ndarray, Detections]]:  # fmt: skip
    """Detect in picture files as `predictor.predict` does, in the order given.

    Args:
        model: the detector.
        paths: the picture files, which all nodes see.
        cluster: where.
        open_model: opens the same detector in a worker.
        on_error: called with the path and the error of a picture that cannot be read.
        pixels: whether pictures are wanted; else they are black, which spares reading them here.
        kept: a file for what was found so far, from which a run that was killed goes on; it is
            gone at the end.
        **settings: the fields of `predictor.Settings`.

    Yields:
        path, picture (H, W, 3) uint8 RGB, and the detections in its pixels.

    Raises:
        YoloError: the cluster cannot be used, or no result can be had of a picture.
    """
    files = [Path(path) for path in paths]
    ended = settings.pop("ended", lambda: False)
    if not settings.get("tile"):  # of fewer pictures the batch is smaller
        settings["batch_size"] = min(settings.get("batch_size", 8), max(len(files), 1))
    chunks = _chunks(files, settings.get("batch_size", 8))
    background = background_of(getattr(model, "notes", {}))
    for chunk, line in zip(
        chunks, _lines(cluster, open_model, chunks, settings, kept), strict=False
    ):
        for entry in json.loads(line):
            if ended():
                return
            path = chunk[entry["at"]]
            try:
                if "error" in entry:
                    raise DatasetError(entry["error"])
                black = np.broadcast_to(np.uint8(0), (*entry["size"], 3))
                image = read_image(path, background=background) if pixels else black
            except DatasetError as error:
                on_error(path, error)
                continue
            found = [np.array(entry[name]) for name in ("boxes", "scores", "class_ids")]
            yield path, image, Detections(found[0], found[1], found[2], model.classes)
    if kept is not None:
        kept.unlink(missing_ok=True)


def _chunks(paths: list[Path], batch_size: int) -> list[list[Path]]:
    """Divide pictures into whole batches; the last part is no smaller than one if others are."""
    size = _BATCHES * batch_size
    firsts = list(range(0, len(paths), size))
    if len(firsts) > 1 and len(paths) - firsts[-1] < batch_size:
        firsts.pop()
    return [paths[a:b] for a, b in zip(firsts, [*firsts[1:], len(paths)], strict=True)]


def _lines(
    cluster: Cluster, open_model: Callable, chunks: list, settings: dict, kept: Path | None
) -> Iterator[str]:
    """Yield what was found in each part, first what is kept of it, and keep the others."""
    told = repr((chunks, sorted(settings.items(), key=str), getattr(open_model, "args", None)))
    head = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()
    lines = _kept_lines(kept, head)
    yield from lines
    if len(lines) == len(chunks):
        return
    file = None
    try:
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            file = kept.open("w", encoding="utf-8")
            file.writelines(f"{line}\n" for line in (head, *lines))
        for line in _computed(cluster, open_model, chunks[len(lines) :], settings):
            if file is not None:
                file.write(f"{line}\n")
                file.flush()
            yield line
    except OSError as error:
        raise YoloError(f"{kept}: cannot be written ({error.strerror or error})") from error
    finally:
        if file is not None:
            file.close()


def _kept_lines(kept: Path | None, head: str) -> list[str]:
    """Return the whole lines that a run of the same work has left."""
    if kept is None or not kept.is_file():
        return []
    first, *lines = kept.read_text(encoding="utf-8").split("\n")
    return lines[:-1] if first == head else []


def _computed(
    cluster: Cluster, open_model: Callable, chunks: list, settings: dict
) -> Iterator[str]:
    """Yield what the workers find in each part, in order."""
    with cluster.connected() as ray:
        import ray.data as data

        logging.getLogger("ray.data").setLevel(logging.ERROR)
        each = cluster.resources(ray)
        context = data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        pool = data.ActorPoolStrategy(min_size=cluster.least, max_size=cluster.most)
        work = [{"work": pickle.dumps(chunk)} for chunk in chunks]
        found = data.from_items(work, override_num_blocks=len(work)).map_batches(
            _Worker, fn_constructor_args=(str(Path.cwd()), open_model, settings), compute=pool,
            batch_size=1, num_cpus=each["CPU"], num_gpus=each.get("GPU"),
        )  # fmt: skip
        for row in found.iter_rows():
            if isinstance(failed := json.loads(row["line"]), dict):
                raise unpacked(failed)
            yield row["line"]


class _Worker:
    """Ray's actor that holds the detector."""

    def __init__(self, folder: str, open_model: Callable, settings: dict) -> None:
        self.model, self.settings, self.failed = None, settings, None
        go_to(folder)
        try:
            self.model = open_model()
        except YoloError as error:  # which another start would not mend
            self.failed = packed(error)

    def __call__(self, batch: dict) -> dict:
        return {"line": [self._line(pickle.loads(work)) for work in batch["work"]]}

    def _line(self, paths: list[Path]) -> str:
        try:
            return json.dumps(self.failed or self._entries(paths))
        except YoloError as error:
            return json.dumps(packed(error))

    def _entries(self, paths: list[Path]) -> list[dict]:
        at, entries = {id(path): number for number, path in enumerate(paths)}, []

        def lost(path: os.PathLike, error: Exception) -> None:
            entries.append({"at": at[id(path)], **packed(error)})

        for path, image, found in predictor.predict(
            self.model, paths, on_error=lost, **self.settings
        ):
            entries.append(
                {"at": at[id(path)], "size": image.shape[:2], "boxes": found.boxes_xyxy.tolist(),
                 "scores": found.scores.tolist(), "class_ids": found.class_ids.tolist()}
            )  # fmt: skip
        return entries
