"""How long each stage of prediction takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from yolo.boxes.detections import Detections
from yolo.boxes.draw import draw_detections
from yolo.boxes.nms import class_wise_nms
from yolo.pictures.files import read_image
from yolo.pictures.fit import fit_image

ROUNDS = 20
STAGES = ("read", "resize", "network", "decode and NMS", "draw")


def measure(
    model,
    paths: list[Path],
    *,
    batch_size: int = 1,
    rounds: int = ROUNDS,
    on_round: Callable[[int, int], None] | None = None,
    **asked,
) -> dict[str, np.ndarray]:
    """Time every stage on its own, one after the other, without threads.

    A first round, in which TensorFlow compiles, does not count. A round takes the next
    `batch_size` of the pictures, round and round; always one for the resize mode "shorter". What
    has no `network` and `decode` of its own, such as an exported file, has its decoding counted
    under "network".

    Returns:
        For each of `STAGES`, and for "all" of them, milliseconds a picture, (rounds,) float64.

    Raises:
        DatasetError: a picture cannot be read.
    """
    times, stages = [], _parts(model)
    thresholds = model.thresholds.chosen(**asked)._asdict()
    if model.resize == "shorter":
        batch_size = 1  # each picture has a size of its own
    for number in range(rounds + 1):
        first = number * batch_size
        chosen = [paths[(first + i) % len(paths)] for i in range(batch_size)]
        seconds = _one_round(model, *stages, chosen, thresholds)
        if number > 0:
            times.append(1000 * np.array(seconds) / batch_size)
            if on_round is not None:
                on_round(number, rounds)
    columns = np.array(times).T
    return dict(zip(STAGES, columns, strict=True)) | {"all": columns.sum(axis=0)}


def _parts(model) -> tuple[Callable, Callable]:
    """Return the network and the decoding as two functions of a batch and of its outcome."""
    if not (hasattr(model, "network") and hasattr(model, "decode")):
        return model.predict_raw, lambda raw, size: raw
    import tensorflow as tf

    return model.network.predict_on_batch, tf.function(model.decode)


def _one_round(model, network, decode, paths, thresholds) -> list[float]:
    """Return the seconds of each stage for one batch."""
    clock = time.perf_counter
    marks = [clock()]
    images = [read_image(path) for path in paths]
    marks.append(clock())
    fits = [fit_image(image, tuple(model.image_size), resize=model.resize) for image in images]
    batch = np.stack([picture for picture, _ in fits])
    marks.append(clock())
    maps = network(batch)
    marks.append(clock())
    raw = {name: np.asarray(values) for name, values in decode(maps, batch.shape[1:3]).items()}
    found = [
        Detections(*class_wise_nms(boxes, scores, **thresholds), model.classes)
        for boxes, scores in zip(raw["boxes"], raw["scores"], strict=True)
    ]
    marks.append(clock())
    for image, (_, fit), one in zip(images, fits, found, strict=True):
        places = fit.to_picture(one.boxes_xyxy)
        draw_detections(image, Detections(places, one.scores, one.class_ids, one.class_names))
    marks.append(clock())
    return np.diff(marks).tolist()
