"""How long each stage of prediction takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from yolo.draw import draw_detections
from yolo.images import fit_image, read_image

ROUNDS = 20
STAGES = ("read", "resize", "network", "decode and NMS", "draw")


def measure(
    model,
    paths: list[Path],
    *,
    batch_size: int = 1,
    rounds: int = ROUNDS,
    on_round: Callable[[int, int], None] | None = None,
    **thresholds,
) -> dict[str, np.ndarray]:
    """Time every stage on its own, one after the other, without threads.

    A first round, in which TensorFlow compiles, does not count. Decoding is compiled together
    with the network; it is taken, with suppression, as what `detect` needs longer than the bare
    network.

    Args:
        model: a `Detector`. One without a `network` of its own to time, such as an exported
            file, has its decoding counted under "network".
        paths: pictures; a round takes the next `batch_size` of them, round and round.
        batch_size: pictures a call of the network.
        rounds: how many are timed, at least 1.
        on_round: called with the rounds done and their number.
        **thresholds: of `Detector.detect`.

    Returns:
        For each of `STAGES`, and for "all" of them, milliseconds a picture, (rounds,) float64.

    Raises:
        DatasetError: a picture cannot be read.
    """
    times = {stage: [] for stage in STAGES}
    for number in range(rounds + 1):
        first = number * batch_size
        chosen = [paths[(first + i) % len(paths)] for i in range(batch_size)]
        taken = _one_round(model, chosen, thresholds)
        if number == 0:
            continue
        for stage in STAGES:
            times[stage].append(1000 * taken[stage] / batch_size)
        if on_round is not None:
            on_round(number, rounds)
    result = {stage: np.array(values) for stage, values in times.items()}
    return result | {"all": np.sum(list(result.values()), axis=0)}


def _one_round(model, paths, thresholds) -> dict[str, float]:
    """Return the seconds of each stage for one batch."""
    clock = time.perf_counter
    marks = [clock()]
    images = [read_image(path) for path in paths]
    marks.append(clock())
    fits = [fit_image(image, tuple(model.image_size), resize=model.resize) for image in images]
    batch = np.stack([picture for picture, _ in fits])
    marks.append(clock())
    network = getattr(model, "network", None)
    if network is not None:
        network.predict_on_batch(batch)
    else:
        model.predict_raw(batch)
    marks.append(clock())
    answers = model.detect(batch, **thresholds)
    marks.append(clock())
    for image, (_, fit), found in zip(images, fits, answers, strict=True):
        draw_detections(image, replace(found, boxes_xyxy=fit.to_picture(found.boxes_xyxy)))
    marks.append(clock())
    read, resize, bare, whole, draw = np.diff(marks)
    # `detect` runs the network once more; what it takes beyond that is decoding and suppression.
    return dict(zip(STAGES, (read, resize, bare, max(0.0, whole - bare), draw), strict=True))
