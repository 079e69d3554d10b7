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
from yolo.data.pairing import nfc, stem_and_suffix
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.pictures.header import PICTURE_SUFFIXES
from yolo.system.reading import FilePart, printable, shortened


class Found(NamedTuple):
    """One object that was found.

    Args:
        file: its picture's path, or a part of it; "" where only an id is said.
        image_id: what else its picture is called.
        label: its class; "" where it is a number only.
        category: that number, as text.
        box: x1, y1, x2, y2 in pixels.
        score: 0..1.
    """

    file: str
    image_id: str
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
        found.append(Found(
            str(entry.get("file_name") or ""), key_of(entry["image_id"]),
            str(entry.get("category_name") or ""), key_of(entry["category_id"]),
            (x, y, x + width, y + height), entry["score"],
        ))  # fmt: skip
    return found


def from_text(folder: Path, *, first_pixel: int = 0) -> list[Found]:
    """Return what a folder of text files says, see `formats.detection_text`.

    `first_pixel` is 1 where its pixels are numbered from 1 and the last one is inside, as they
    always are in the results of VOC's kit.
    """
    lines = detection_text.read_detections(folder)
    first = 1 if detection_text.of_kit(folder) else first_pixel
    return [
        Found("", name, label, "", (x1 - first, y1 - first, x2, y2), score)
        for name, label, score, (x1, y1, x2, y2) in lines
    ]


def from_0(
    found: Sequence[Found], classes: Sequence[str], categories: Mapping[str, str]
) -> tuple[list[Found], bool]:
    """Return results with the names of classes that are counted from 0, and whether they are.

    So they are where all are numbers below that of the classes and, in text, are no names of
    classes, or in JSON one is 0, which none of the `categories` is.

    Example:
        >>> one = Found("", "street", "1", "", (0, 0, 9, 9), 0.5)
        >>> from_0([one], ["cat", "dog"], {"1": "cat", "2": "dog"})[0][0].label
        'dog'
    """
    numbers = {one.label or one.category for one in found}
    below = all(n.isascii() and n.isdigit() and int(n) < len(classes) for n in numbers)
    if all(one.label for one in found):
        stand_for_others = not numbers & set(classes)
    else:
        stand_for_others = "0" in numbers and "0" not in categories
    if not found or not below or not stand_for_others:
        return list(found), False
    return [one._replace(label=classes[int(one.label or one.category)]) for one in found], True


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
    pictures = _pictures(found, samples)
    labels = {one.label or categories.get(one.category, one.category) for one in found}
    ids = class_ids(sorted(labels), classes)
    rows, indices = defaultdict[int, list](list), []
    strangers, others = Counter[str](), Counter[str]()
    for one in found:
        index = pictures[one.file, one.image_id]
        label = one.label or categories.get(one.category, one.category)
        indices.append(index)
        if index < 0:
            strangers[one.file or one.image_id] += 1
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


def _pictures(found: Iterable[Found], samples: Sequence[Sample]) -> dict[tuple[str, str], int]:
    """Return the place of each result's picture among the samples, -1 for none.

    The path decides where one is said and any fits, else the id, and where none has that id, it as
    a path: each by its end, as far as that tells the samples apart.
    """
    names = list(dict.fromkeys((one.file, one.image_id) for one in found))
    by_path = _by_path([file for file, _ in names if file], samples)
    by_id = {_plain(sample.image_id): i for i, sample in enumerate(samples)}
    by_name = _by_path([one for _, one in names if _plain(one) not in by_id], samples)
    fits = any(index >= 0 for index in by_path.values())
    return {
        (file, one): by_path[file]
        if file and fits
        else by_id.get(_plain(one), by_name.get(one, -1))
        for file, one in names
    }


def _by_path(paths: Iterable[str], samples: Sequence[Sample]) -> dict[str, int]:
    """Return the sample that each path is of, -1 where there is none.

    It is the one with the longest end in common. Of several paths with the same sample the nearest
    one is meant: where samples are a part of the pictures, cam2/1.jpg is not cam1/1.jpg.
    """
    ends = defaultdict[str, set[int]](set)
    for i, sample in enumerate(samples):
        inside = sample.path.name if isinstance(sample.path, FilePart) else sample.path.as_posix()
        for end in _ends(f"{inside.rpartition('/')[0]}/{sample.path.stem}"):
            ends[end].add(i)
    near = dict[str, tuple[int, int, str]]()
    nearest = defaultdict[int, set[tuple[int, str]]](set)
    for path in paths:
        whole = path.replace("\\", "/")
        found = _ends(whole[: -len(suffix)] if (suffix := _picture_suffix(whole)) else whole)
        for length in range(len(found), 0, -1):
            if len(here := ends.get(found[length - 1], set())) == 1:
                index = min(here)
                near[path] = (index, length, found[-1])
                nearest[index].add((length, found[-1]))
                break
    meant = {}
    for index, claims in nearest.items():
        most = max(length for length, _ in claims)
        names = [name for length, name in claims if length == most]
        meant[index] = names[0] if len(names) == 1 else ""
    return {
        path: near[path][0] if path in near and meant[near[path][0]] == near[path][2] else -1
        for path in paths
    }


def _ends(name: str) -> list[str]:
    """Return the ends of a path in NFC: c, b/c and a/b/c."""
    *folders, last = [part for part in nfc(name).split("/") if part not in ("", ".")] or [""]
    parts = [*folders, _plain(last)]
    return ["/".join(parts[start:]) for start in reversed(range(len(parts)))]


def _picture_suffix(name: str) -> str:
    suffix = stem_and_suffix(name)[1]
    return suffix if suffix in PICTURE_SUFFIXES else ""


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
