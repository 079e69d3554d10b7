"""A dry run on a handful of pictures: a model that cannot learn these will learn nothing else."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from yolo.data.anchor_fit import network_boxes
from yolo.data.folder import TrainingData
from yolo.data.pipeline import NOT_AUGMENTED
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.pictures.header import printable
from yolo.settings.detector import canvas, model_settings
from yolo.settings.train import TrainConfig
from yolo.training import fit_anchors, preview, run_folder, starting_weights, trainer
from yolo.training.watching import StopWhenLearned

LEARNED = 0.95  # mAP50 on the pictures trained on
STEPS_AN_EPOCH, EPOCHS = 25, 40


def choose(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Choose pictures that between them show as many classes as they can, few objects first.

    Fewer than `count` if there are not so many with objects.

    Raises:
        DatasetError: no picture has objects.
    """
    left = [(sample, sample.learned().class_ids) for sample in samples]
    left = [(sample, ids) for sample, ids in left if len(ids)]
    if not left:
        raise DatasetError("no training picture has an object to learn")
    chosen: list[Sample] = []
    known: set[int] = set()
    while left and len(chosen) < count:
        best = max(left, key=lambda one: (len(set(one[1].tolist()) - known), -len(one[1])))
        chosen.append(best[0])
        left = [one for one in left if one is not best]
        known.update(best[1].tolist())
    return chosen


def overfit_settings(config: TrainConfig, pictures: int) -> TrainConfig:
    """Return a run's settings for learning a few pictures by heart: nothing varied, no stop.

    Model, size, anchors, loss, optimizer, precision and weights stay as they are: these are what
    is tried.
    """
    return dataclasses.replace(
        config,
        **dataclasses.asdict(NOT_AUGMENTED),
        multi_scale=False,
        batch_size=min(config.batch_size or pictures, pictures),
        epochs=EPOCHS,
        init_epoch=0,
        freeze_epochs=0,
        freeze_batch_size=None,
        epochs_between_evaluations=2,
        patience=0,
        save_period=0,
        name=None,
        save_dir=str(Path(config.save_dir) / "overfit"),
    )


def without_anchor(
    config: TrainConfig, samples: Sequence[Sample], classes: Sequence[str]
) -> dict[str, int]:
    """Count the objects that no anchor learns, which no number of steps will teach.

    Class name to number, of the classes that have such objects. Each object is looked at as if it
    were alone in its picture.
    """
    learned = [sample.learned() for sample in samples]
    boxes, ids = network_boxes(learned, config.image_size, config.resize)
    if not len(ids):
        return {}
    found = preview.matched_anchors(
        config, model_settings(config), canvas(config),
        boxes[:, None], ids[:, None],
    )  # fmt: skip
    alone = zip(ids.tolist(), found, strict=True)
    return dict(Counter(classes[i] for i, anchors in alone if not len(anchors)))


def explain(missed: Mapping[str, int], objects: int) -> str:
    """Return a line on what `without_anchor` found among so many objects."""
    text = ", ".join(f"{count} {printable(name)}" for name, count in missed.items())
    return (
        f"no anchor learns {sum(missed.values())} of the {objects} objects ({text}): they cannot "
        "be found; --anchors auto, --force-match or a larger --image-size gives them some"
    )


def overfit(
    config: TrainConfig, data: TrainingData, count: int, *, write: Callable, live: bool = False
) -> tuple[Path, TrainingData, TrainConfig]:
    """Train on a few pictures until they are learned, or for 1,000 steps.

    Returns:
        The best model, the few pictures as data for training and measuring, and the settings
        with the anchors that were trained.
    """
    few = choose(data.train, count)
    config = overfit_settings(config, len(few))
    folder = run_folder.create(config)
    config = starting_weights.settle_weights(config, write)
    config, _ = fit_anchors.settle_anchors(config, data.train, data.classes, folder, write)
    missed = without_anchor(config, few, data.classes)
    if missed:
        write(explain(missed, sum(len(sample.learned().class_ids) for sample in few)))
    steps = max(1, -(-len(few) // config.batch_size))
    times = max(1, STEPS_AN_EPOCH // steps)
    repeated = dataclasses.replace(data, train=few * times, val=few, test=few, test_name="chosen")
    run_folder.describe(folder, config, data.classes, {})
    best = trainer.train(
        config, repeated, folder, write=write, live=live,
        callbacks=[StopWhenLearned(LEARNED, write)],
    )  # fmt: skip
    return best, dataclasses.replace(repeated, train=few), config
