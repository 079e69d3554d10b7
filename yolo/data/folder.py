"""What `--data` and its kin mean: pictures to train on, to measure on, to test on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from yolo.classes import read_classes
from yolo.data import demo
from yolo.data.findings import Findings
from yolo.data.formats import coco, tfrecords, tutorial_lists, voc
from yolo.data.sample import Sample
from yolo.errors import ConfigError, DatasetError
from yolo.pictures.header import allow_megapixels
from yolo.settings.train import TrainConfig

log = logging.getLogger("yolo")

DEMO_FOLDER = Path("datasets/shapes")


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
    return str(demo.write_shapes(DEMO_FOLDER)), True


def open_data(config: TrainConfig, *, collect: list[Findings] | None = None) -> TrainingData:
    """Read the pictures that a run's settings name.

    Args:
        config: the settings.
        collect: takes what is wrong with annotations, repairs and faults, for the check of the
            data; without it repairs are logged and faults raised.

    Raises:
        DatasetError: a folder, list or annotation is missing or faulty, or nothing is labelled.
        ConfigError: the settings contradict each other.
    """
    allow_megapixels(config.max_megapixels)
    classes = read_classes(config.classes) if config.classes else None
    if config.list_root and not config.train_list:
        raise ConfigError("--list-root belongs to --train-list and --val-list")
    if config.only_classes and (not classes or config.train_list):
        raise ConfigError(
            "--only-classes needs --classes with the names to keep, and data that names classes "
            "(the tutorial's lists number them)"
        )
    if config.train_list or config.val_list:
        return _from_lists(config, classes, collect)
    if config.data is None:
        raise ConfigError("no data set: set data to its folder, or train_list and val_list")
    root = config.data
    if classes is None:
        classes = classes_of(root)
        log.info("classes found in the annotations: %s", ", ".join(classes))
    lists, drawn = lists_of(root, config.seed)
    names = {"train": config.train_split, "val": config.val_split}
    if names["val"] not in lists and "test" in lists:
        log.warning("%s has no list %r; measuring on 'test' instead", root, names["val"])
        names["val"] = "test"
    names["test"] = "test" if "test" in lists else names["val"]
    read = {
        name: read_split(
            root,
            name,
            classes=classes,
            seed=config.seed,
            first_pixel=config.first_pixel,
            collect=collect,
            only_classes=config.only_classes,
        )
        for name in sorted(set(names.values()))
        if name in lists or name == names["train"]
    }
    train, val, test = (read.get(name, []) for name in names.values())
    divided = lists if drawn else {}
    read_data = TrainingData(classes, train, val, test, names["test"], divided)
    return _checked(read_data, root, train=names["train"], val=names["val"])


def classes_of(root) -> tuple[str, ...]:
    """Return the classes that a folder's annotations name."""
    if tfrecords.is_shards(root):
        return tfrecords.Shards(root).classes
    for annotation_json, _ in find_coco(root).values():
        return coco.read_categories(annotation_json)[0]
    return voc.find_classes(root)


def lists_of(root, seed: int) -> tuple[dict, bool]:
    """Return a folder's splits, and whether they were drawn because it has none of its own."""
    if tfrecords.is_shards(root):
        return dict.fromkeys(tfrecords.Shards(root).splits), False
    coco_files = find_coco(root)
    if coco_files:
        return dict.fromkeys(coco_files), False
    return voc.splits(root, seed=seed), is_divided(root)


def is_divided(root) -> bool:
    """Tell whether a folder has no lists, so that a seed divides its pictures.

    Raises:
        DatasetError: it is no data set.
    """
    return is_voc(root) and not voc.is_own_split(root)


def is_voc(root) -> bool:
    """Tell whether a folder is to be read in VOC format: it is neither COCO's nor in shards."""
    return not (tfrecords.is_shards(root) or find_coco(root))


def find_coco(root) -> dict[str, tuple[Path, Path]]:
    """Return the splits of a folder in COCO's layout, none for other folders.

    The layout is annotations/instances_<split>.json with the pictures in <split>/ or
    images/<split>/, as COCO itself is distributed.

    Args:
        root: the folder.

    Returns:
        Split name to (JSON file, picture folder).
    """
    found = {}
    for path in sorted(Path(root).glob("annotations/instances_*.json")):
        name = path.stem.removeprefix("instances_")
        folders = (Path(root) / name, Path(root) / "images" / name)
        found[name] = (path, next((f for f in folders if f.is_dir()), folders[0]))
    return found


def read_split(
    root, split: str, *, classes, seed: int = 0, first_pixel: str = "auto", collect=None,
    only_classes: bool = False,
) -> list[Sample]:  # fmt: skip
    """Read one split of a folder in VOC format, in COCO's layout or in shards.

    Args:
        root: the folder.
        split: name of the split.
        classes: names in the order of their ids.
        seed: decides the split of a VOC folder without lists.
        first_pixel: "0" or "1", how VOC annotations count; "auto" finds out.
        collect: takes what was found; see `voc.read_split`.
        only_classes: leave out objects of other classes; COCO's are left out in any case.
    """
    if tfrecords.is_shards(root):
        return tfrecords.Shards(root).read_split(split, classes=classes, only_classes=only_classes)
    coco_files = find_coco(root)
    if not coco_files:
        zero_based = {"auto": None, "0": True, "1": False}[first_pixel]
        return voc.read_split(
            root, split, classes=classes, seed=seed, zero_based=zero_based, collect=collect,
            only_classes=only_classes,
        )  # fmt: skip
    if split not in coco_files:
        raise DatasetError(f"{root}: no split {split!r}; expected one of {', '.join(coco_files)}")
    return coco.read_coco(*coco_files[split], classes=classes, collect=collect)


def _from_lists(config: TrainConfig, classes, collect) -> TrainingData:
    if config.data:
        raise ConfigError("give --data, or --train-list and --val-list, not both")
    if not (config.train_list and config.val_list and classes):
        raise ConfigError("the tutorial's lists need all of --train-list, --val-list and --classes")
    root = config.list_root
    train = tutorial_lists.read_lines(
        config.train_list, classes=classes, root=root, collect=collect
    )
    val = tutorial_lists.read_lines(config.val_list, classes=classes, root=root, collect=collect)
    read_data = TrainingData(classes, train, val, val, "val", {})
    return _checked(read_data, config.train_list, train="train", val="val")


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
