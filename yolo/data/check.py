"""What a data set holds and what is wrong with it, found before any time is spent on training."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import combinations
from typing import Any

import numpy as np

from yolo.data import duplicates
from yolo.data.anchor_fit import Recall, box_sizes, network_boxes
from yolo.data.findings import Findings
from yolo.data.sample import Sample
from yolo.pictures.sizes import SIZE_MULTIPLE, SIZE_RANGE
from yolo.settings.train import TrainConfig
from yolo.system.reading import printable

TINY = 4.0  # pixels of the network's picture; below it hardly anything is left to see
UNEQUAL, FEW = 10, 20
POOR_RECALL, CLASSES_NAMED = 0.9, 3
ALIKE = 0.85
NO_ANCHOR = "objects that no anchor resembles"
LOST = "objects that training drops as too small"
# What a problem means: an error stops a run; a repair was made in memory and a warning is a
# mistake that leaves the data usable: both become errors with --strict; a note is good to know.
SEVERITIES = ("error", "repair", "warning", "note")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong or worth a look.

    The severity is one of `SEVERITIES`, the kind the same words each time; the place is file, line
    and object, and what was found there.
    """

    severity: str
    kind: str
    place: str


@dataclass(frozen=True)
class SplitCounts:
    """What one split holds: pictures, those without objects, objects, difficult ones, per class.

    Difficult ones count among the objects, and for no class.
    """

    pictures: int
    empty: int
    objects: int
    difficult: int
    per_class: dict[str, int]


@dataclass(frozen=True)
class DataReport:
    """The result of a check.

    Args:
        source: the data set.
        classes: class names.
        image_size: (height, width) of the network's picture.
        resize: how pictures get that size.
        splits: split name to its counts.
        boxes_xyxy: (N, 4) all objects to be learned, in pixels of the network's picture.
        class_ids: (N,) their classes.
        problems: in the order of `SEVERITIES`.
        decoded: pictures that were decoded whole; 0 for a brief check.
        anchors: what the anchors of the chosen model reach in the first split, if known.
    """

    source: str
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    resize: str
    splits: dict[str, SplitCounts]
    boxes_xyxy: np.ndarray = field(repr=False)
    class_ids: np.ndarray = field(repr=False)
    problems: list[Problem] = field(repr=False)
    decoded: int = 0
    anchors: Recall | None = None

    def of(self, severity: str) -> list[Problem]:
        """Return the problems of one severity."""
        return [problem for problem in self.problems if problem.severity == severity]

    def strict(self) -> DataReport:
        """Return the report with repairs and warnings turned into errors."""
        hard = {"repair": "error", "warning": "error"}
        problems = [replace(p, severity=hard.get(p.severity, p.severity)) for p in self.problems]
        return replace(self, problems=_sorted(problems))

    def with_problems(self, problems: list[Problem]) -> DataReport:
        """Return the report with more of them."""
        return replace(self, problems=_sorted([*self.problems, *problems]))

    def with_anchors(self, recall: Recall) -> DataReport:
        """Return the report with what the anchors reach, and a note where that is little."""
        problems = [problem for problem in self.problems if problem.kind != NO_ANCHOR]
        left_out = {name: 1 - share for name, (_, share, _) in recall.per_class.items()}
        poor = [name for name, share in left_out.items() if 1 - share < POOR_RECALL]
        if poor:
            worst = sorted(poor, key=left_out.__getitem__, reverse=True)[:CLASSES_NAMED]
            text = ", ".join(f"{left_out[name]:.1%} of {printable(name)}" for name in worst)
            unnamed = len(poor) - len(worst)
            more = f" and of {unnamed} class{'es' * (unnamed > 1)} more" if unnamed else ""
            mend = f"at IoU {recall.iou:g}; --anchors auto or a larger --image-size may help"
            problems.append(Problem("note", NO_ANCHOR, f"{text}{more}, {mend}"))
        return replace(self, anchors=recall, problems=_sorted(problems))


def examine(
    source: str,
    splits: Mapping[str, Sequence[Sample]],
    classes: Sequence[str],
    findings: Sequence[Findings],
    *,
    image_size: tuple[int, int],
    resize: str = "letterbox",
    decode: Callable[[list], Mapping[Any, str]] | None = None,
) -> DataReport:
    """Check a data set that has been read.

    `decode` decodes the pictures of a list of paths and returns what is wrong with each bad one, as
    `decoding.decode_all` does; without it only headers have been read. The first of the splits is
    the one to train on.
    """
    classes = tuple(classes)
    every = [sample for samples in splits.values() for sample in samples]
    learned = [sample.learned() for sample in every]
    boxes, class_ids = network_boxes(learned, image_size, resize)
    problems = [p for found in findings for p in _of_annotations(found)]
    paths = list(dict.fromkeys(sample.path for sample in every))
    if decode is not None:
        faults = decode(paths).values()
        problems += [Problem("error", "unreadable pictures", text) for text in faults]
    problems += _repeated(splits)
    problems += _tiny(every, network_boxes(every, image_size, resize)[0])
    counts = {name: _count(samples, classes) for name, samples in splits.items()}
    problems += _of_pictures(splits)
    problems += _of_classes(counts, classes)
    return DataReport(
        source=source, classes=classes, image_size=(image_size[0], image_size[1]), resize=resize,
        splits=counts, boxes_xyxy=boxes, class_ids=class_ids, problems=_sorted(problems),
        decoded=0 if decode is None else len(paths),
    )  # fmt: skip


def failed(source: str, message: str, findings: Sequence[Findings] = ()) -> DataReport:
    """Return the report of a data set that cannot be read at all."""
    problems = [p for found in findings for p in _of_annotations(found)]
    problems.append(Problem("error", "data that cannot be read", message))
    none = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    return DataReport(source, (), (0, 0), "letterbox", {}, *none, _sorted(problems))


def _sorted(problems: list[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: SEVERITIES.index(problem.severity))


def _of_annotations(findings: Findings) -> list[Problem]:
    found = [("error", {"faults in annotations": findings.errors})]
    found += [("repair", findings.warnings), ("note", findings.notes)]
    return [
        Problem(severity, kind, place)
        for severity, kinds in found
        for kind, places in kinds.items()
        for place in places
    ]


def _count(samples: Sequence[Sample], classes: tuple[str, ...]) -> SplitCounts:
    learned = [np.zeros(0, np.int32), *(sample.learned().class_ids for sample in samples)]
    numbers = np.bincount(np.concatenate(learned).astype(np.int64), minlength=len(classes))
    return SplitCounts(
        pictures=len(samples),
        empty=sum(len(sample.class_ids) == 0 for sample in samples),
        objects=sum(len(sample.class_ids) for sample in samples),
        difficult=sum(int(sample.difficult.sum()) for sample in samples),
        per_class={name: int(n) for name, n in zip(classes, numbers, strict=True)},
    )


def _repeated(splits: Mapping[str, Sequence[Sample]]) -> list[Problem]:
    found = []
    for group in duplicates.same_pictures(splits):
        kind = "pictures that are there twice, byte for byte"
        if len({name for name, _ in group}) > 1:
            kind = "pictures that two splits share (scores on them flatter)"
        found.append(Problem("warning", kind, duplicates.describe(group)))
    return found


def _tiny(samples: Sequence[Sample], boxes: np.ndarray) -> list[Problem]:
    """Name the objects of which resizing leaves next to nothing; boxes in the samples' order."""
    sizes = box_sizes(boxes)
    small = sizes.min(axis=1) < TINY
    if not small.any():
        return []
    found, first = [], 0
    kind = f"boxes below {TINY:g} pixels on the network's picture"
    for sample in samples:
        count = len(sample.class_ids)
        for i in np.flatnonzero(small[first : first + count]):
            width, height = sizes[first + i]
            found.append(Problem("note", kind, f"{sample.place(int(i))}: {width:.1f}x{height:.1f}"))
        first += count
    return found


def _of_pictures(splits: Mapping[str, Sequence[Sample]]) -> list[Problem]:
    return [
        Problem("note", "pictures without objects (they teach background)", printable(sample.path))
        for samples in splits.values()
        for sample in samples
        if not len(sample.class_ids)
    ]


def _of_classes(splits: dict[str, SplitCounts], classes: tuple[str, ...]) -> list[Problem]:
    """Tell what is odd about the classes: missing, rare, unequal, or named almost alike."""
    found = []
    if splits:
        name, first = next(iter(splits.items()))
        numbers = {c: n for c, n in first.per_class.items() if n}
        for c in classes:
            if not first.per_class[c]:
                elsewhere = [s for s, other in splits.items() if other.per_class[c]]
                more = f", but in {', '.join(elsewhere)}" if elsewhere else ""
                found.append(Problem("warning", f"classes without objects in {name}", f"{c}{more}"))
            elif first.per_class[c] < FEW:
                place = f"{c}: {first.per_class[c]}"
                found.append(Problem("note", f"classes with fewer than {FEW} objects", place))
        if numbers and max(numbers.values()) >= UNEQUAL * min(numbers.values()):
            most, least = (choose(numbers, key=numbers.__getitem__) for choose in (max, min))
            place = f"{most} {numbers[most]} to {least} {numbers[least]}"
            kind = f"unequal classes in {name}"
            found.append(Problem("note", kind, f"{place}; focal loss minds that less"))
    if len(classes) <= 200:
        for one, other in combinations(classes, 2):
            if SequenceMatcher(None, one.casefold(), other.casefold()).ratio() >= ALIKE:
                same = one.casefold() == other.casefold()
                if same or min(len(one), len(other)) > 4 and not _numbered(one, other):
                    place = f"{one!r} and {other!r}"
                    found.append(Problem("note", "classes of almost one name", place))
    return found


def _numbered(one: str, other: str) -> bool:
    """Tell whether names differ in digits only, as on purpose."""
    return re.sub("[0-9]", "", one) == re.sub("[0-9]", "", other)


def lost_objects(config: TrainConfig, samples: Sequence[Sample]) -> list[Problem]:
    """Say which objects no variation makes large enough to be learned.

    Returns:
        An error with the size that would do if it is all of them, a warning that counts them if
        it is some.
    """
    learned = [sample.learned() for sample in samples]
    boxes, _ = network_boxes(learned, config.image_size, config.resize)
    sides = box_sizes(boxes).min(axis=1)
    largest = config.scale[1] * math.sqrt(1.0 + config.aspect)
    if config.multi_scale and config.resize != "shorter":
        largest *= SIZE_RANGE[1]
    lost = sides * largest < config.min_box_pixels
    if not lost.any():
        return []
    height, width = config.image_size
    what = (
        f"below {config.min_box_pixels:g} pixels on the network's picture of {width}x{height}, "
        "however it is varied"
    )
    # Half of those that are lost are at least that large before anything is varied.
    factor = config.min_box_pixels / max(float(np.median(sides[lost])), 1e-3)
    larger = [math.ceil(side * factor / SIZE_MULTIPLE) * SIZE_MULTIPLE for side in (height, width)]
    size = f"{larger[0]}" if larger[0] == larger[1] else f"{larger[0]}x{larger[1]}"
    mend = f"--image-size {size} keeps half of them; so do pictures cut into parts"
    if lost.all():
        text = f"all {len(lost)} objects are {what}, and nothing would be learned: {mend}"
        return [Problem("error", LOST, text)]
    return [Problem("warning", LOST, f"{lost.sum()} of {len(lost)} are {what}: {mend}")]
