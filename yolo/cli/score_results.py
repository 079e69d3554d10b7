"""`evaluate.py --results`: score what another program, or an earlier prediction, found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yolo.cli import common
from yolo.errors import ConfigError
from yolo.settings.train import TrainConfig
from yolo.system import terminal
from yolo.system.reading import printable

if TYPE_CHECKING:
    from yolo.data.dataset import DataSet
    from yolo.data.sample import Sample
    from yolo.evaluation.results import Found, Placed

_OPTIONS = {
    "--results", "--data", "--json", "--verbose", "--match-iou", "--inclusive-pixels", "--split",
    "--seed", "--images", "--format", "--unlabelled", "--first-pixel", "--classes",
    "--only-classes", "--max-megapixels",
}  # fmt: skip
_NAMED = 5  # pictures and classes that are named of those left out


@dataclass(frozen=True)
class _Truth:
    """What results are scored against.

    Args:
        samples: the labelled pictures.
        classes: class names.
        categories: the class of each number that stands for one.
        instances: an instances file of COCO's without its pictures, which is scored as it is.
        first_pixel: 1 where the annotations number pixels from 1, else 0.
        numbered: whether `categories` were guessed.
    """

    samples: list[Sample]
    classes: tuple[str, ...]
    categories: dict[str, str]
    instances: Path | None = None
    first_pixel: int = 0
    numbered: bool = False


def score(args, screen: terminal.Screen) -> int:
    """Score results against labelled pictures, show the tables, and return the exit code."""
    from yolo.evaluation import coco, voc

    common.refuse_idle(
        args, args.typed - _OPTIONS, "does not go with --results, which are scored as they are"
    )
    truth = _truth(args)
    found, entries, placed = _read(args, truth, screen)
    _tell(found, placed, truth, screen)
    result = voc.evaluate_voc(
        placed.detections, truth.samples, truth.classes, iou_threshold=args.match_iou,
        inclusive_pixels=args.inclusive_pixels,
    )  # fmt: skip
    if truth.instances is not None and entries is not None:
        entries = _with_ids(entries, found, placed, truth)
        of_coco = coco.evaluate_coco_files(truth.instances, entries)
    else:
        of_coco = coco.evaluate_coco(placed.detections, truth.samples, truth.classes)
    common.show_scores(result, of_coco, truth.samples, screen, args.json)
    return 0


def _read(args, truth: _Truth, screen) -> tuple[list[Found], list[dict] | None, Placed]:
    """Read the results, and lay them beside the pictures; entries are those of a JSON file."""
    from yolo.data.formats.coco_results import read_results
    from yolo.evaluation import results

    path, entries = Path(args.results), None
    if path.is_dir() and len(alone := list(path.glob("*.json"))) == 1 == len(list(path.iterdir())):
        path = alone[0]
    if path.is_dir():
        found = results.from_text(path, first_pixel=truth.first_pixel)
    else:
        entries = read_results(path)
        found = results.from_coco(entries)
    screen.write(f"{printable(path)} on {terminal.counted(len(truth.samples), 'picture')}")
    found, from_0 = results.from_0(found, truth.classes, truth.categories)
    if from_0 or (truth.numbered and any(not one.label for one in found)):
        known = dict(enumerate(truth.classes)) if from_0 else truth.categories
        names = ", ".join(f"{number} {name}" for number, name in known.items())
        screen.write(f"categories are numbers: {names} (--classes NAMES: another order)")
    placed = results.place(
        found, truth.samples, truth.classes, categories=truth.categories, source=path
    )
    return found, entries, placed


def _truth(args) -> _Truth:
    from yolo.data.formats import detection_text
    from yolo.pictures.header import allow_megapixels

    root, results = args.data, Path(args.results)
    if root is None and results.is_dir() and (results / detection_text.TRUTH).is_dir():
        root = args.results  # the tutorial's map_out holds both
    if root is None:
        raise ConfigError(
            "--results needs --data, the labelled pictures (or their COCO file, or text files of "
            "ground truth) to score against"
        )
    names = common.class_names(args.classes)
    if args.format is None and Path(root).is_dir() and detection_text.is_truth(Path(root)):
        samples, classes = detection_text.read_truth(Path(root))
        if names is not None:
            samples = [common.of_classes(sample, classes, names) for sample in samples]
        return _Truth(samples, names or classes, _numbers(names or classes), numbered=True)
    allow_megapixels(args.max_megapixels)
    return _opened(args, common.open_data(args, root, names, pictures=False), names)


def _opened(args, opened: DataSet, names: tuple[str, ...] | None) -> _Truth:
    """Return the pictures of a data set to score against; those of a file need not be there."""
    from yolo.data.dataset import without_pictures
    from yolo.data.formats import coco, coco_json

    seed = TrainConfig.seed if args.seed is None else args.seed
    whole = not args.typed & {"--split", "--seed"} and len(opened.lists) == 1
    split = opened.lists[0] if whole else common.split_meant(args, opened)
    classes = names or opened.classes
    categories = _numbers(classes)
    numbered, file = not isinstance(opened, coco.CocoFiles), None
    first, part = opened._first_pixel(args.first_pixel), opened.asked(split, seed)
    if isinstance(opened, coco.CocoFiles):
        name = opened.named(split)
        file = opened.file(name if name in opened.lists else opened.lists[0])
        categories = coco_json.category_names(file)
        file = file if name in opened.lists and names is None else None  # as it is
    # What is wrong with an annotation is for COCO's own tools no matter.
    if not any(one.path or one.shares or (numbered and any(one.faults)) for one in part.pictures):
        samples = without_pictures(part, classes, first_pixel=first)
        return _Truth(samples, classes, categories, file, first, numbered)
    samples = opened.read(
        split, classes=classes, seed=seed, first_pixel=args.first_pixel,
        only_classes=args.only_classes or names is not None,
    )  # fmt: skip
    return _Truth(samples, classes, categories, None, first, numbered)


def _numbers(classes: tuple[str, ...]) -> dict[str, str]:
    """Return the class of each number that may stand for one, from 1."""
    return {str(number): name for number, name in enumerate(classes, 1)}


def _with_ids(entries: list[dict], found, placed: Placed, truth: _Truth) -> list[dict]:
    """Return the entries of a results file with the ids of the pictures and categories meant."""
    numbers = {name: number for number, name in truth.categories.items()}
    rows = []
    for entry, one, index in zip(entries, found, placed.indices, strict=True):
        if index >= 0:
            category = numbers.get(one.label, entry["category_id"])
            image = truth.samples[index].image_id
            rows.append({**entry, "image_id": image, "category_id": category})
    return rows


def _tell(found, placed: Placed, truth: _Truth, screen) -> None:
    """Say what of the results counts nowhere, and which pictures have none."""
    for what, counts in (("pictures", placed.pictures), ("classes", placed.classes)):
        if counts:
            names = ", ".join(map(printable, list(counts)[:_NAMED]))
            more = ", ..." if len(counts) > _NAMED else ""
            screen.write(
                f"left out: {terminal.counted(sum(counts.values()), 'result')} of {len(counts)} "
                f"{what} that the data do not have: {names}{more}"
            )
    empty = Counter(len(one) == 0 for one in placed.detections)[True]
    if empty:
        screen.write(f"without a result: {terminal.counted(empty, 'picture')}")
