"""What `--data` and its kin mean: pictures to train on, to measure on, to test on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from yolo.classes import read_classes
from yolo.data import demo
from yolo.data.dataset import DataSet
from yolo.data.demo_pictures import LARGE
from yolo.data.formats import coco, tfrecords, tutorial_lists, voc
from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.pictures import background
from yolo.pictures.header import allow_megapixels
from yolo.settings.train import TrainConfig
from yolo.system.reading import printable

log = logging.getLogger("yolo")

DEMO_FOLDER = Path("datasets/shapes")


class Format(NamedTuple):
    """A format of labelled pictures: its name, what a folder of it holds, and what reads it."""

    name: str
    layout: str
    recognise: Callable[[Path], bool]
    opener: Callable[[Path], DataSet]


# A folder is of the first format that recognises it.
FORMATS = (
    Format("shards", "shards.json", tfrecords.recognise, tfrecords.Shards),
    Format("COCO", "annotations/instances_*.json", coco.recognise, coco.open_folder),
    Format("VOC", "Annotations/*.xml and JPEGImages/*.jpg", voc.recognise, voc.VocFolder),
)


def format_of(path: str | os.PathLike) -> Format | None:
    """Return the format of a folder of labelled pictures, None if it is in none of `FORMATS`."""
    root = Path(path)
    return next((one for one in FORMATS if root.is_dir() and one.recognise(root)), None)


def open_folder(path: str | os.PathLike) -> DataSet:
    """Open a folder of labelled pictures, whatever its format.

    Args:
        path: the folder.

    Returns:
        The data set; what it says of its pictures has been read, they themselves have not.

    Raises:
        DatasetError: there is no such folder, it is in no known format, or it lacks a part.

    Example:
        >>> opened = open_folder("mine")  # doctest: +SKIP
        >>> train = opened.read("train", classes=opened.classes)  # doctest: +SKIP
    """
    found = format_of(path)
    if found is not None:
        return found.opener(Path(path))
    if not Path(path).is_dir():
        raise DatasetError(f"{printable(path)}: no such folder; expected one of labelled pictures")
    layouts = ", or ".join(f"{one.layout} ({one.name})" for one in FORMATS[::-1])
    raise DatasetError(f"{printable(path)}: no data set; expected {layouts}")


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
    background.show_on(background.parse_color(config.background))
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
        return open_folder(config.data)
    if not (config.train_list and config.val_list and config.classes):
        raise ConfigError("the tutorial's lists need all of --train-list, --val-list and --classes")
    paths = {"train": config.train_list, "val": config.val_list}
    return tutorial_lists.open_lists(paths, read_classes(config.classes), config.list_root)


def open_data(config: TrainConfig) -> TrainingData:
    """Open and read the pictures that a run's settings name.

    Raises:
        DatasetError: a folder, list or annotation is missing or faulty, or nothing is labelled.
        ConfigError: the settings contradict each other.
    """
    return read_run(open_run(config), config)


def read_run(opened: DataSet, config: TrainConfig, *, keep_faults: bool = False) -> TrainingData:
    """Read what a run needs of its data set.

    Args:
        opened: the data set.
        config: the settings that name it.
        keep_faults: leave repairs and faults in its `notes`, as `DataSet.read` does.

    Raises:
        DatasetError: an annotation is faulty, or nothing is labelled.
        ConfigError: the class list cannot be read.
    """
    if config.classes and not config.train_list:
        classes = read_classes(config.classes)
    else:
        classes = opened.classes
    if not config.classes:
        log.info("classes found in the annotations: %s", ", ".join(classes))
    source = config.data or config.train_list
    names = {"train": config.train_split, "val": config.val_split}
    if config.train_list:
        names = {"train": "train", "val": "val"}
    if names["val"] not in opened.names and "test" in opened.names:
        log.warning("%s has no list %r; measuring on 'test' instead", source, names["val"])
        names["val"] = "test"
    names["test"] = "test" if "test" in opened.names else names["val"]
    read = {
        name: opened.read(
            name, classes=classes, seed=config.seed, only_classes=config.only_classes,
            first_pixel=config.first_pixel, keep_faults=keep_faults,
        )
        for name in sorted(set(names.values()))
        if name in opened.names or name == names["train"]
    }  # fmt: skip
    train, val, test = (read.get(name, []) for name in names.values())
    divided = opened.splits(config.seed) if opened.divided else {}
    data = TrainingData(classes, train, val, test, names["test"], divided)
    return _checked(data, source, train=names["train"], val=names["val"])


def _checked(data: TrainingData, source, *, train: str, val: str) -> TrainingData:
    """Return data that can be learned from and judged by, with the name of what judges them."""
    if not any(len(sample.class_ids) for sample in data.train):
        raise DatasetError(
            f"{source}: no object is marked in the {len(data.train)} training pictures; "
            "is this the right folder and list?"
        )
    if not _can_judge(data.val):
        log.warning(
            "%s: nothing to measure on in the validation pictures (%d, no object marked); "
            "measuring on the training pictures instead", source, len(data.val),
        )  # fmt: skip
        data, val = replace(data, val=data.train), train
    if not _can_judge(data.test):
        data = replace(data, test=data.val, test_name=val)
    return data


def _can_judge(samples: list[Sample]) -> bool:
    """Tell whether average precision is defined: some object counts."""
    return any((~sample.difficult).any() for sample in samples)
