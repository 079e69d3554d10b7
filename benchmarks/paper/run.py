"""One arm on one data set from one seed, in a process of its own: trained, scored, written down.

`python -m benchmarks.paper` starts these; the run stands in JSON on the command line:

    python -m benchmarks.paper.run '{"data_set": "shapes", "arm": "yolo-fl", "seed": 1}'
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.paper import results
from benchmarks.paper.arms import ARMS, FOCAL, Arm
from benchmarks.paper.data import Data, open_set
from benchmarks.paper.plan import Run, Settings
from yolo.errors import YoloError
from yolo.models.yolov4.settings import LOSS_SCALINGS, YOLOv4Loss
from yolo.settings.augmentation import AugmentConfig
from yolo.system import terminal

# Pictures stay whole and nearly as large as they are: a few hundred steps are too few to learn
# from strong variation.
AUGMENT = AugmentConfig(mosaic=0.0, scale=(0.8, 1.2), min_box_visible=0.5)
# RetinaNet's fresh subnets (deviation 0.01, four convolutions deep) hardly move under plain SGD
# in so few steps; Adam's also do not depend on the scale of a loss, which differs between arms.
PEAK_RATE = {"retinanet-csp-tiny": 1e-3, "yolov4-tiny": 1e-3}
HEAD_NORM = "group"  # the subnets' own signal dies away in them; the paper had time to wait
# A quarter of the paper's channels: its subnets alone would take five sixths of every arm's time.
CHANNELS = 64
WARMUP_SHARE, LAST_RATE, WEIGHT_DECAY, CLIP_NORM = 0.1, 0.02, 1e-4, 10.0
MOST = 100  # detections a picture, as the paper counts them


def train(arm: Arm, data: Data, settings: Settings, seed: int, write):
    """Train a detector.

    Fresh weights, order and variation of the pictures follow from the seed, so they are the same
    for all arms of a model.

    Args:
        arm: the loss and the prior.
        data: the pictures.
        settings: what all arms have in common.
        seed: decides all chance.
        write: called with lines of progress.

    Returns:
        The detector, the mean loss of the last tenth of the steps, and the step at which the
        loss was no longer finite, 0 if it always was.
    """
    import keras

    from yolo.data.pipeline import BatchPlan, training_dataset
    from yolo.models.schedules import WarmupDecay
    from yolo.training.precision import choose_precision

    keras.utils.set_random_seed(seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(choose_precision(settings.precision))
    try:
        detector = _build(arm, data.classes, settings)
    finally:
        keras.config.set_dtype_policy(before)
    rate = WarmupDecay(
        PEAK_RATE[arm.model], steps=settings.steps, final=LAST_RATE,
        warmup_steps=round(WARMUP_SHARE * settings.steps),
    )  # fmt: skip
    detector.compile(
        keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=CLIP_NORM),
        loss=arm.loss(),
        loss_settings=YOLOv4Loss(**LOSS_SCALINGS[arm.scaling]) if arm.scaling else None,
        run_eagerly=settings.eager,
    )
    plan = BatchPlan(settings.batch_size, AUGMENT, epochs=1, seed=seed)
    batches = training_dataset(data.train, plan, image_size=(settings.image_size,) * 2)
    watch = _watch(settings.steps, write)
    # Keras reads one batch more than it trains on; the pipeline has no end.
    detector.fit(
        batches, steps_per_epoch=settings.steps, epochs=1, shuffle=False, verbose=0,
        callbacks=[watch],
    )  # fmt: skip
    return detector, watch.last_loss(), watch.diverged_at


def _build(arm: Arm, classes, settings: Settings):
    from yolo import zoo
    from yolo.models.layers import NORM_MOMENTUM, ConvNorm
    from yolo.models.yolov4.settings import YOLOV4_TINY_ANCHORS
    from yolo.weights import loading

    side = settings.image_size
    if arm.model == "yolov4-tiny":
        anchors = [(w * side / 416, h * side / 416) for w, h in YOLOV4_TINY_ANCHORS]
        options = {"anchors": tuple(anchors)}
    else:
        # 32 to 512 at 512 pixels, so that objects of the same share of a picture find the same
        # anchors.
        levels = tuple(level * side / 512 for level in (32, 64, 128, 256, 512))
        options = {"anchor_sizes": levels, "head_norm": HEAD_NORM, "channels": CHANNELS}
    detector = zoo.build(
        arm.model, classes=classes, image_size=(side, side), prior=arm.prior, **options
    )
    if settings.weights:
        loading.start_from(detector, settings.weights)
    # Batch norm's averages forget what they started from within a tenth of the steps; the usual
    # momentum looks back over a hundred, which may be all there are.
    for layer in detector.network.layers:
        if isinstance(layer, ConvNorm):
            layer.norm.momentum = min(NORM_MOMENTUM, 1 - 10 / max(settings.steps, 20))
    return detector


def _watch(steps: int, write):
    """Return a callback that shows progress, keeps losses and ends a run that diverged."""
    import keras
    import numpy as np

    class Watch(keras.callbacks.Callback):
        diverged_at = 0

        def on_train_begin(self, logs=None):
            self.losses, self.sum, self.shown = [], 0.0, time.monotonic()

        def on_train_batch_end(self, batch, logs=None):
            # Keras reports the mean of the steps so far.
            total = float(logs["loss"]) * (batch + 1)
            self.losses.append(total - self.sum)
            self.sum = total
            if not math.isfinite(total):
                self.diverged_at, self.model.stop_training = batch + 1, True
            elif time.monotonic() - self.shown > 30:
                self.shown = time.monotonic()
                write(f"step {batch + 1}/{steps}, loss {self.last_loss():.4f}")

        def on_train_end(self, logs=None):
            weights = self.model.trainable_variables
            if not all(np.isfinite(weight.numpy()).all() for weight in weights):
                self.diverged_at = self.diverged_at or steps

        def last_loss(self):
            last = self.losses[-max(1, steps // 10) :]
            return sum(last) / len(last)

    return Watch()


def score(detector, data: Data, batch_size: int) -> dict[str, float]:
    """Return COCO's AP, AP50 and AP75 and VOC2010's mAP50 on the test pictures, 0..1."""
    from yolo.evaluation.coco import evaluate_coco
    from yolo.evaluation.voc import evaluate_voc
    from yolo.inference.predictor import detect_samples

    # Evaluation's low threshold: arms differ in how high they score, not only in how they rank.
    found = detect_samples(detector, data.test, max_detections=MOST, batch_size=batch_size)
    coco = evaluate_coco(found, data.test, data.classes)
    voc = evaluate_voc(found, data.test, data.classes)
    return {name: coco[name] for name in ("AP", "AP50", "AP75")} | {"mAP50": voc.map_all_point}


def run(what: Run, folder: str | None, settings: Settings, write, *, path=results.PATH) -> dict:
    """Train and score one arm and append its row to the results.

    A run whose loss stops being finite scores 0, as a detector that finds nothing does.

    Args:
        what: data set, arm and seed.
        folder: the data set's folder.
        settings: what all arms have in common.
        write: called with lines of progress.
        path: the results file.

    Returns:
        The row.
    """
    started = time.monotonic()
    data = open_set(what.data_set, folder)
    arm = ARMS[what.arm]
    detector, loss, diverged_at = train(arm, data, settings, what.seed, write)
    scores = dict.fromkeys(("AP", "AP50", "AP75", "mAP50"), 0.0)
    if not diverged_at:
        scores = score(detector, data, 8)
    row = {
        **asdict(what), **dict(zip(results.SETTINGS, results.key(settings), strict=True)),
        **{name: f"{value:.5f}" for name, value in scores.items()},
        "precision": detector.network.dtype_policy.name, "loss": f"{loss:.5g}",
        "diverged_at": diverged_at, "seconds": round(time.monotonic() - started, 1),
        "processor_seconds": round(time.process_time(), 1),
        "processor": f"{platform.machine()}, {os.cpu_count()} cores",
    }  # fmt: skip
    if what.arm == FOCAL and what.seed == 1 and not diverged_at:
        from benchmarks.paper import figures

        kept = path.parent / f"figure4_{what.data_set}.csv"
        figures.keep_curves(detector, data.test, kept, steps=settings.steps)
    results.append(row, path)
    return row


def main() -> int:
    """Do the run that the command line describes in JSON."""
    given = json.loads(sys.argv[1])
    settings = Settings(**given.get("settings", {}))
    path = Path(given.get("results", results.PATH))
    screen = terminal.Screen()
    logging.getLogger("yolo").addHandler(terminal.ScreenHandler(screen))
    logging.getLogger("yolo").setLevel(logging.WARNING)
    terminal.import_tensorflow_quietly(verbose=False)
    what = Run(given["data_set"], given["arm"], given["seed"])

    def write(line: str) -> None:
        screen.write(f"{what}: {line}")  # others may run beside it

    try:
        row = run(what, given.get("folder"), settings, write, path=path)
    except YoloError as error:
        write(f"error: {error}")
        return 1
    write(
        f"AP {100 * float(row['AP']):.2f}, AP50 {100 * float(row['AP50']):.2f}, "
        f"loss {row['loss']}, {row['seconds']} s"
        + (f", diverged at step {row['diverged_at']}" if row["diverged_at"] else "")
    )
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
