"""The rates in the README's table of models: pictures a second in training and in prediction.

    python -m benchmarks --only zoo --out logs/zoo.json     # a few minutes a model
    python -m benchmarks.zoo logs/zoo.json                  # the two columns, a row a model

Both by TensorFlow on this machine, at the size that the table's arithmetic is counted for, with
random pictures and fresh weights: a training step as `benchmarks.training` takes it, in the
precision that `train.py` chooses, and what `Detector.detect` does with one picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.plan import Group, Options, Ready
from yolo.models.names import ZOO

SIDE = 416
TRAINING, PREDICTION = "training, batch 2", "prediction, batch 1"
GROUPS = [Group(f"zoo: {name}, {SIDE}", "picture", (TRAINING, PREDICTION)) for name in ZOO]


def prepare_folder(what: str, options: Options) -> None:
    """Nothing is read from files."""


def prepare(case: str, options: Options) -> Ready:
    """Return a training step or a prediction; `case` is "model, side; training, batch 2"."""
    what, _, job = case.partition("; ")
    name, side = what.partition(",")[0], 64 if options.shrink > 1 else SIDE
    if job == TRAINING:
        from benchmarks import training

        return training.step(name, 2, side, "auto")
    import keras

    from benchmarks.training import batch_of
    from yolo import zoo
    from yolo.classes import COCO_CLASSES

    keras.utils.set_random_seed(1)
    model = zoo.build(name, classes=COCO_CLASSES, image_size=(side, side))
    images, _ = batch_of(1, side)
    return Ready(lambda: model.detect(images), 1)


def table(results: dict) -> str:
    """Return the models' rates as a table in Markdown, a dash where nothing was measured.

    Args:
        results: of `report.read`.
    """
    lines = ["| model | training, pictures a second | prediction, pictures a second |",
             "|---|---|---|"]  # fmt: skip
    for name, group in zip(ZOO, GROUPS, strict=True):
        rows = results["groups"].get(group.name, {})
        rates = [
            report.number(1 / rows[case]["seconds"]) if case in rows else "-"
            for case in group.cases
        ]
        lines.append(f"| `{name}` | {' | '.join(rates)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the rates of a recorded run."""
    parser = argparse.ArgumentParser(prog="benchmarks.zoo", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="what python -m benchmarks --out has written")
    print(table(report.read(parser.parse_args(argv).results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
