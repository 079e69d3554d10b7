"""Input: from JPEG files to batches of 416 x 416, pictures a second.

`cold` reads and decodes each picture every time, `cached` has them decoded in memory. Rates need
pictures as they are: give a data set by `--data`; else drawn ones are used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.plan import Group, Limit, Options, Ready, timed

KINDS = {
    "letterbox": (1 / 6, 1 / 6),
    "augmented": None,
    "mosaic": (1 / 6, 1 / 10),
}
GROUPS = [
    Group(
        f"pipeline: {kind}",
        "picture",
        ("cold", "cached"),
        limits=dict(zip(("cold", "cached"), (Limit("tutorial", x) for x in limits), strict=True))
        if limits
        else {},
    )
    for kind, limits in KINDS.items()
]
BATCH = 8
BATCHES = 24
# tf.data works ahead: what lies ready when a run begins is not of this run.
AHEAD = 12


def prepare_folder(what: str, options: Options) -> None:
    """Draw pictures where none are given."""
    if not options.data:
        samples_of(options)


def samples_of(options: Options) -> list:
    """Return the training pictures, with their objects."""
    from yolo.data import demo
    from yolo.data.folder import open_folder

    folder = options.data
    if not folder:
        folder = demo.write_shapes(Path(options.folder) / "shapes", train=64, val=8, test=8)
    return open_folder(folder).read("train")


def prepare(case: str, options: Options) -> Ready:
    """Return what draws batches; `case` is "kind; cold" or "kind; cached"."""
    from yolo.data import pipeline
    from yolo.settings.augmentation import AugmentConfig

    kind, _, where = case.partition("; ")
    augment = {
        "letterbox": pipeline.NOT_AUGMENTED,
        "augmented": replace(AugmentConfig(), mosaic=0.0),
        "mosaic": replace(AugmentConfig(), mosaic=1.0, special_aug_ratio=1.0),
    }[kind]
    batches = iter(
        pipeline.training_dataset(
            samples_of(options),
            pipeline.BatchPlan(BATCH, augment, epochs=1),
            image_size=(416, 416),
            cache_bytes=10**9 if where == "cached" else 0,
        )
    )
    count = max(1, BATCHES // options.shrink)

    def draw(number: int) -> None:
        for _ in range(number):
            next(batches)

    def run() -> tuple[float, float]:
        draw(AHEAD)
        return timed(lambda: draw(count))

    return Ready(run, count * BATCH)
