"""What another program or `predict.py --save coco-results` found, laid beside labelled pictures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolo.boxes.detections import Detections
from yolo.data.dataset import class_ids
from yolo.data.formats import detection_text
from yolo.data.formats.coco_results import key_of
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.system.reading import printable, shortened


class Found(NamedTuple):
    """One object that was found.

    Args:
        names: what its picture is called, the surest name first.
        label: its class; "" where it is a number only.
        category: that number, as text.
        box: x1, y1, x2, y2 in pixels.
        score: 0..1.
    """

    names: tuple[str, ...]
    label: str
    category: str
    box: tuple[float, ...]
    score: float


@dataclass(frozen=True)
class Placed:
    """Results beside the pictures that they are of.

    Args:
        detections: one entry per sample.
        indices: the sample of each result, -1 for none.
        pictures: how many results are of each picture that is not among the samples.
        classes: how many are of each class that is not among theirs.
    """

    detections: list[Detections]
    indices: list[int]
    pictures: Counter[str]
    classes: Counter[str]


def from_coco(entries: Iterable[dict]) -> list[Found]:
    """Return what the entries of a results file in COCO's format say."""
    found = []
    for entry in entries:
        x, y, width, height = entry["bbox"]
        stem = Path(str(entry.get("file_name") or "")).stem
        names = (stem, str(entry["image_id"])) if stem else (str(entry["image_id"]),)
        found.append(Found(
            names, str(entry.get("category_name") or ""), key_of(entry["category_id"]),
            (x, y, x + width, y + height), entry["score"],
        ))  # fmt: skip
    return found


def from_text(folder: Path, *, first_pixel: int = 0) -> list[Found]:
    """Return what a folder of text files says, see `formats.detection_text`.

    `first_pixel` is 1 where its pixels are numbered from 1 and the last one is inside.
    """
    lines = detection_text.read_detections(folder)
    return [
        Found((stem,), label, "", (x1 - first_pixel, y1 - first_pixel, x2, y2), score)
        for stem, label, score, (x1, y1, x2, y2) in lines
    ]


def place(
    found: Sequence[Found], samples: Sequence[Sample], classes: Sequence[str], *,
    categories: Mapping[str, str], source: Path,
) -> Placed:  # fmt: skip
    """Lay results beside the pictures that they are of.

    Args:
        found: the results.
        samples: the labelled pictures; results name them by id or by their file's stem.
        classes: class names; `class_ids` of the samples index into them.
        categories: the class of each number that stands for one.
        source: names the results in messages.

    Raises:
        DatasetError: no result is of any of the pictures or classes, or a score is out of 0..1.
    """
    pictures = _pictures(samples)
    labels = {one.label or categories.get(one.category, one.category) for one in found}
    ids = class_ids(sorted(labels), classes)
    rows, indices = defaultdict[int, list](list), []
    strangers, others = Counter[str](), Counter[str]()
    for one in found:
        index = next((pictures[n] for n in map(_plain, one.names) if n in pictures), -1)
        label = one.label or categories.get(one.category, one.category)
        indices.append(index)
        if index < 0:
            strangers[one.names[0]] += 1
        elif label not in ids:
            others[label] += 1
        else:
            rows[index].append((*one.box, one.score, ids[label]))
    if found and not rows:
        raise DatasetError(_nothing_fits(strangers, others, samples, classes, source))
    return Placed(
        [_detections(rows[i], tuple(classes), source) for i in range(len(samples))],
        indices, strangers, others,
    )  # fmt: skip


def _pictures(samples: Sequence[Sample]) -> dict[str, int]:
    """Return the place of each picture by its names; a stem that two have names neither."""
    stems = [_plain(sample.path.stem) for sample in samples]
    counts = Counter(stems)
    by_stem = {stem: i for i, stem in enumerate(stems) if counts[stem] == 1}
    return by_stem | {_plain(sample.image_id): i for i, sample in enumerate(samples)}


def _plain(name: str) -> str:
    """Return a picture's name; COCO's pictures are numbers with zeros before them."""
    return str(int(name)) if name.isascii() and name.isdigit() else name


def _detections(rows: list, classes: tuple[str, ...], source: Path) -> Detections:
    values = np.array(rows, np.float64).reshape(-1, 6)
    scores = values[:, 4]
    if not ((scores >= 0) & (scores <= 1)).all():
        wrong = scores[~((scores >= 0) & (scores <= 1))][0]
        raise DatasetError(f"{printable(source)}: score {wrong:g}; expected 0 to 1")
    return Detections(values[:, :4], scores, values[:, 5].astype(np.int32), classes)


def _nothing_fits(strangers: Counter, others: Counter, samples, classes, source) -> str:
    names = [sample.path.stem for sample in samples]
    what, theirs, known = ("class", others, classes) if others else ("picture", strangers, names)
    return (
        f"{printable(source)}: no result is of a {what} of the data: it names "
        f"{shortened(next(iter(theirs)))}, the data {shortened(next(iter(known), None))}"
    )
