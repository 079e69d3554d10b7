"""What `--data` and its kin mean: pictures to train on, to measure on, to test on."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo.classes import read_classes
from yolo.data import archive, demo, recognition
from yolo.data.dataset import DataSet
from yolo.data.demo_pictures import LARGE
from yolo.data.formats import tutorial_lists
from yolo.data.sample import Sample
from yolo.data.source import Source
from yolo.data.split_names import find_split
from yolo.errors import ConfigError, DatasetError
from yolo.pictures import background
from yolo.pictures.color import parse_color
from yolo.pictures.header import allow_megapixels
from yolo.settings.train import TrainConfig
from yolo.system.reading import printable
from yolo.system.terminal import counted

log = logging.getLogger("yolo")

DEMO_FOLDER = Path("datasets/shapes")


def open_folder(
    path: str | os.PathLike,
    *,
    format: str | None = None,
    images: str | os.PathLike | None = None,
    classes: Sequence[str] | None = None,
    unlabelled: str = "leave-out",
    pictures: bool = True,
) -> DataSet:
    """Open labelled pictures, whatever their format.

    Args:
        path: a folder, the one in which it lies or one of its parts; a file that describes it; or
            an archive, which is unpacked into the cache once.
        format: one of `recognition.FORMATS` by name; found out without it.
        images: the folder of the pictures, where they lie elsewhere.
        classes: class names, for formats that number classes and do not say what they are.
        unlabelled: "background" or "leave-out", what becomes of pictures without a label file.
        pictures: whether they must be there; annotations alone do to score results against.

    Returns:
        The data set; what it says of its pictures has been read, they themselves have not.

    Raises:
        DatasetError: there is no such folder, it is in no known format, or it lacks a part.
        ConfigError: no format has this name.

    Example:
        >>> opened = open_folder("mine")  # doctest: +SKIP
        >>> train = opened.read("train", classes=opened.classes)  # doctest: +SKIP
    """
    source = source_of(path, images=images, classes=classes)
    found = recognition.find_format(source, format)
    if found is None:
        raise recognition.unknown(source, format)
    kind, source = found
    opened = kind.open_source(source)
    if pictures:
        opened.need_pictures()
    opened.background = unlabelled == "background"
    if source.litter:
        log.info(
            "%s: %s that macOS leaves behind (._*) passed over",
            printable(source.root), counted(source.litter, "file"),
        )  # fmt: skip
    return opened


def source_of(path: str | os.PathLike, **named: Any) -> Source:
    """Return what a path names, an archive unpacked; the rest is what `Source` takes."""
    if not Path(path).exists():
        raise DatasetError(f"{printable(path)}: no such folder; expected one of labelled pictures")
    return Source(archive.unpacked(path) if archive.is_archive(path) else path, **named)


@dataclass(frozen=True)
class TrainingData:
    """The pictures of a run.

    Args:
        classes: names in the order of their ids.
        train: to learn from.
        val: to choose the best model by.
        test: to judge it by at the end, with `test_name`; the `val` ones where no other exist.
        test_name: the split that `test` is, the training one where no other has objects.
        divided: for a data set without lists of its own, the names in each split as drawn.
    """

    classes: tuple[str, ...]
    train: list[Sample]
    val: list[Sample]
    test: list[Sample]
    test_name: str
    divided: dict[str, list[str]]


def default_data() -> tuple[str, bool]:
    """Return the data set of a run without `--data`, and whether it is the embedded one.

    It is `VOCdevkit/` where one stands in the current folder, as the tutorial's users expect,
    and else a set that is drawn on the spot.
    """
    if Path("VOCdevkit").is_dir():
        return "VOCdevkit", False
    return str(demo.write_shapes(DEMO_FOLDER, drawing=LARGE)), True


def open_run(config: TrainConfig) -> DataSet:
    """Open the data set that a run's settings name: a folder, or the tutorial's lists.

    Raises:
        DatasetError: a folder or list is missing or faulty.
        ConfigError: the settings contradict each other.
    """
    allow_megapixels(config.max_megapixels)
    background.show_on(parse_color(config.background))
    lists = config.train_list or config.val_list
    if config.list_root and not config.train_list:
        raise ConfigError("--list-root belongs to --train-list and --val-list")
    if config.only_classes and (not config.classes or config.train_list):
        raise ConfigError(
            "--only-classes needs --classes with the names to keep, and data that names classes "
            "(the tutorial's lists number them)"
        )
    if lists and config.data:
        raise ConfigError("give --data, or --train-list and --val-list, not both")
    if not lists:
        if config.data is None:
            raise ConfigError("no data set: set data to its folder, or train_list and val_list")
        return open_folder(
            config.data, format=config.format, images=config.images, unlabelled=config.unlabelled,
            classes=read_classes(config.classes) if config.classes else None,
        )  # fmt: skip
    if not (config.train_list and config.val_list and config.classes):
        raise ConfigError("the tutorial's lists need all of --train-list, --val-list and --classes")
    paths = {"train": config.train_list, "val": config.val_list}
    return tutorial_lists.open_lists(paths, read_classes(config.classes), config.list_root)


def open_data(config: TrainConfig) -> TrainingData:
    """Open and read the pictures that a run's settings name."""
    return read_run(open_run(config), config)


def classes_of(opened: DataSet, config: TrainConfig) -> tuple[str, ...]:
    """Return the class names of a run: those that were given, else those of its data set."""
    given = config.classes if not config.train_list else None
    return read_classes(given) if given else opened.classes


def read_run(opened: DataSet, config: TrainConfig, *, keep_faults: bool = False) -> TrainingData:
    """Read what a run needs of its data set.

    With `keep_faults` repairs and faults stay in its `notes`, as in `DataSet.read`.
    """
    classes = classes_of(opened, config)
    if not config.classes:
        log.info("classes found in the annotations: %s", ", ".join(classes))
    source = config.data or config.train_list
    wanted = {"train": config.train_split, "val": config.val_split, "test": "test"}
    if config.train_list:
        wanted = {"train": "train", "val": "val", "test": "test"}
    if config.train_split == TrainConfig.train_split:
        opened.divide()
    # A single list that is named itself is not: nothing of it is left to measure on.
    known = opened.names if opened.draws(opened.named(wanted["train"])) else opened.lists
    names = {role: find_split(name, known) for role, name in wanted.items()}
    used = [wanted[role] for role, name in names.items() if name is not None]
    log.info("data: %s", opened.describe(used, config.seed))
    read = {
        name: opened.read(
            name, classes=classes, seed=config.seed, only_classes=config.only_classes,
            first_pixel=config.first_pixel, keep_faults=keep_faults,
        )
        for name in sorted({names["train"] or wanted["train"], *filter(None, names.values())})
    }  # fmt: skip
    if config.difficult == "learn" and names["train"]:
        learned = [sample.with_difficult_learned() for sample in read[names["train"]]]
        read[names["train"]] = learned
    parts = {role: (name, read[name]) for role, name in names.items() if name is not None}
    divided = opened.splits(config.seed) if opened.divided and known is opened.names else {}
    return _judged(classes, parts, divided, source)


def _judged(classes, parts: dict[str, tuple[str, list[Sample]]], divided, source) -> TrainingData:
    """Return data that can be learned from and judged by, with the name of what judges them.

    A list that is missing, empty, or without a single object that counts cannot judge a model: for
    val the test pictures do it then, for test the val ones, and for both those to train on.
    """
    train_name, train = parts["train"]
    if not any(len(sample.class_ids) for sample in train):
        raise DatasetError(
            f"{source}: no object is marked in the {len(train)} training pictures; "
            "is this the right folder and list?"
        )
    if not any(sample.learned().class_ids.size for sample in train):
        raise DatasetError(
            f"{source}: all objects of the {len(train)} training pictures are marked as difficult "
            "or as crowds, which are not learned: --difficult learn takes the difficult ones"
        )
    judges = {role: parts[role] for role in ("val", "test") if role in parts}
    for role, (name, samples) in list(judges.items()):
        if not can_judge(samples):
            log.warning("%s: %s", source, cannot_judge(name, samples))
            del judges[role]
    if not judges:
        log.warning("%s: measuring on the training pictures instead", source)
    elif "val" not in judges:
        lacks = ":" if "val" in parts else " has no list 'val';"
        log.warning("%s%s measuring on %r instead", source, lacks, judges["test"][0])
    val = judges.get("val") or judges.get("test") or (train_name, train)
    test_name, test = judges.get("test") or val
    return TrainingData(classes, train, val[1], test, test_name, divided)


def can_judge(samples: Sequence[Sample]) -> bool:
    """Tell whether average precision is defined: some object counts."""
    return any((~sample.difficult).any() for sample in samples)


def cannot_judge(name: str, samples: Sequence[Sample]) -> str:
    """Return what a message says of a list that cannot judge a model."""
    pictures = counted(len(samples), "picture")
    return f"nothing to measure on in the list {printable(name)}: {pictures}, no object that counts"
