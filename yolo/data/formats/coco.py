"""The COCO format as tools lay it out: read, and written."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from yolo.boxes.detections import Detections
from yolo.classes import UNUSED_NAMES, common_name
from yolo.data.annotated import Labelled
from yolo.data.dataset import DataSet, Part
from yolo.data.findings import nearest, short_list
from yolo.data.formats.coco_json import MAX_JSON_BYTES, parsed
from yolo.data.pairing import LABEL_FOLDERS, PICTURE_FOLDERS
from yolo.data.sample import Named, Sample
from yolo.data.source import Source
from yolo.data.split_names import find_split, role_of
from yolo.data.unnamed import folders_of, unnamed
from yolo.errors import DatasetError
from yolo.system.reading import printable, regular_file
from yolo.system.writing import add_text

# Names of files that say nothing about which split they describe.
_PLAIN = {"_annotations.coco", "annotations", "instances", "labels", "result", "coco", "data"}
_LISTS = re.compile(rb'\A(\xef\xbb\xbf)?\s*\{.*"(images|annotations)"\s*:\s*\[', re.DOTALL)
_CATEGORIES = re.compile(rb'\A(\xef\xbb\xbf)?\s*\{.*"categories"\s*:\s*\[', re.DOTALL)
_OTHERS = re.compile(rb'"categories"\s*:\s*\{')  # Datumaro's are no list
_HEAD_BYTES = 1 << 16


class _File(NamedTuple):
    """An instances file of a source: its relative name, and where its pictures may lie."""

    name: str
    folders: tuple[str, ...]


# ---------------------------------------------------------------------------------- to read


def recognise(source: Source) -> bool:
    """Tell whether a data set has instances files, by the names or the first bytes of a few."""
    if source.file is not None:
        return source.file.suffix.lower() == ".json" and _looks_so(source, source.named)
    return bool(_names(source))


def open_source(source: Source) -> CocoFiles:
    """Open instances files wherever tools put them.

    These are annotations/instances_<split>.json as COCO itself and CVAT have them, or else the
    instances files at the top and one folder below: <split>/_annotations.coco.json of Roboflow,
    result.json of Label Studio, labels.json of FiftyOne. The pictures are looked for beside the
    file, in folders called after the split, in images/ and data/, and by their names everywhere.
    """
    names = [source.named] if source.file is not None else _names(source)
    files = dict[str, _File]()
    for name in names:
        split = _split(name)
        if split in files:
            raise DatasetError(
                f"{printable(source.root)}: {printable(files[split].name)} and {printable(name)} "
                f"both describe {printable(split)}: name one"
            )
        files[split] = _File(name, _folders(name, split))
    roboflow = any(name.endswith("_annotations.coco.json") for name in names)
    return CocoFiles(source, files, "COCO JSON" + " by Roboflow" * roboflow)


def open_file(annotation_json: str | os.PathLike, images: str | os.PathLike) -> CocoFiles:
    """Open one instances file as a data set of one list, named as the file is."""
    path = Path(annotation_json)
    regular_file(path, max_bytes=MAX_JSON_BYTES)
    source = Source(path, images=images)
    return CocoFiles(source, {path.stem: _File(path.name, ("",))}, "COCO JSON")


def _names(source: Source) -> list[str]:
    """Return the instances files of a folder, relative names."""
    near = [name for name in source.with_suffix(".json") if name.count("/") < 2]
    usual = [name for name in near if name.startswith("annotations/instances_")]
    return usual or [name for name in near if _looks_so(source, name)]


def _looks_so(source: Source, name: str) -> bool:
    """Tell by the first bytes; categories alone are a list of classes, unless more may follow."""
    head = source.head(name, _HEAD_BYTES)
    longer = len(head) == _HEAD_BYTES
    lists = _LISTS.search(head) or (longer and _CATEGORIES.search(head))
    return bool(lists and not _OTHERS.search(head))


def _split(name: str) -> str:
    """Return the split that an instances file describes, by its name or its folder's.

    Example:
        >>> [_split(n) for n in ("annotations/instances_val2017.json", "valid/labels.json")]
        ['val2017', 'valid']
        >>> [_split(n) for n in ("result.json", "coco_train.json", "annotations/x.json")]
        ['default', 'train', 'x']
    """
    folder, _, last = name.rpartition("/")
    stem = last.rpartition(".")[0].removeprefix("instances_")
    if role_of(stem):
        return stem
    if stem.lower() in _PLAIN:
        folder = folder.rpartition("/")[2]
        says = folder and folder.lower() not in LABEL_FOLDERS | PICTURE_FOLDERS
        return folder if says else "default"
    return next((word for word in re.split(r"[^A-Za-z0-9]+", stem) if role_of(word)), stem)


def _folders(name: str, split: str) -> tuple[str, ...]:
    """Return where the pictures of an instances file may lie, the likeliest first."""
    beside = name.rpartition("/")[0]
    inner = [f"{beside}/{one}" if beside else one for one in ("images", "data")]
    return tuple(dict.fromkeys((
        split, f"images/{split}", beside, *inner, f"{split}/images", f"data/{split}", "images",
        "data", "",
    )))  # fmt: skip


class CocoFiles(DataSet):
    """Instances files of the COCO format, one a split; each is parsed when it is first needed.

    Crowd objects (`iscrowd` 1) come out as difficult, and objects of categories that nobody asks
    for are left out. Pictures without annotations are kept; `image_id` is the COCO id as text.
    """

    others_left_out = True

    def __init__(self, source: Source, files: Mapping[str, _File], kind: str):
        super().__init__(source.file or source.root, dict.fromkeys(files, ()), kind=kind)
        self._source, self._files, self._parts = source, files, dict[str, Part]()
        self._unnamed: dict[str, list[Labelled]] = {}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the categories in the order of their ids, first those of train."""
        train = find_split("train", self.lists) or self.lists[0]
        every = (self._parsed(name).classes for name in (train, *self.lists))
        return tuple(dict.fromkeys(name for names in every for name in names))

    def listed(self, name: str) -> Part:
        """Return a split as its file describes it."""
        part = self._parsed(name)
        if self._source.file is not None:  # others may name what lies around
            return part
        if name not in self._unnamed:
            folders = folders_of(self._source, part.pictures)
            alone = all(find_split(name, folder.split("/")) for folder in folders)
            splits = (name,) if alone else self.lists
            self._unnamed |= unnamed(
                self._source, {split: self._parsed(split).pictures for split in splits}
            )
        return replace(part, pictures=[*part.pictures, *self._unnamed[name]])

    def _parsed(self, name: str) -> Part:
        if name not in self._parts:
            file = self._files[name]
            path, pictures = self._source.own_path(file.name), self._source.pictures
            self._parts[name] = parsed(path, pictures, file.folders)
        return self._parts[name]

    def file(self, name: str) -> Path:
        """Return the instances file of a split."""
        return self._source.path(self._files[name].name)

    def _ids(self, part: Part, classes: tuple[str, ...]) -> dict[str, int]:
        missing = _missing(classes, part.classes) and _missing(classes, self.classes)
        if not missing:
            return super()._ids(part, classes)
        raise DatasetError(
            f"{part.what}: no category {short_list(missing)}; expected among "
            f"{short_list(self.classes)}{nearest(missing[0], self.classes)}"
        )


def _missing(classes: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the classes that are not among names, by either name of COCO's."""
    known = {common_name(name) for name in names}
    return [n for n in classes if common_name(n) not in known and n not in UNUSED_NAMES]


# --------------------------------------------------------------------------------- to write


def write_labels(folder: Path, splits: Named, classes: Sequence[str]) -> dict[str, int]:
    """Write an instances file for each split; see `convert.Writer`.

    A difficult object has "ignore", as in the COCO form of PASCAL VOC; a region of many is a crowd.
    """
    every = [one.image_id for samples in splits.values() for _, one in samples]
    numbered = all(key.isascii() and key.isdigit() for key in every)
    numbers = {key: int(key) if numbered else n for n, key in enumerate(dict.fromkeys(every), 1)}
    truncated = 0
    for split, samples in splits.items():
        file = Instances(classes)
        for name, one in samples:
            key = numbers[one.image_id] if len(numbers) == len(every) else len(file.images) + 1
            file.add(key, name, one.size, one)
            truncated += int(one.truncated.sum())
        add_text(folder / "annotations" / f"instances_{split}.json", file.text())
    return {"marks of truncation": truncated}


class Instances:
    """An instances file that is being written; categories count from 1."""

    def __init__(self, classes: Sequence[str]):
        self.images: list[dict] = []
        self.annotations: list[dict] = []
        self._categories = [
            {"id": n, "name": name, "supercategory": ""} for n, name in enumerate(classes, 1)
        ]

    def add(self, key: int, name: str, size: tuple[int, int], objects: Sample | Detections) -> None:
        """Add a picture and its objects."""
        image = {"id": key, "file_name": name, "width": size[1], "height": size[0]}
        self.images.append(image)
        boxes = objects.boxes_xyxy.tolist()
        for i, (class_id, box) in enumerate(zip(objects.class_ids.tolist(), boxes, strict=True)):
            x1, y1, x2, y2 = (round(value, 4) for value in box)
            width, height = round(x2 - x1, 4), round(y2 - y1, 4)
            entry = {
                "id": len(self.annotations) + 1, "image_id": key, "category_id": class_id + 1,
                "bbox": [x1, y1, width, height], "area": round(width * height, 4), "iscrowd": 0,
                "segmentation": [],  # which CVAT's importer asks for
            }  # fmt: skip
            if isinstance(objects, Detections):
                entry["score"] = round(float(objects.scores[i]), 6)
            else:
                entry["area"] = round(float(objects.areas[i]), 4)  # of its mask, if it had one
                entry["iscrowd"] = int(objects.crowd[i])
                if objects.difficult[i] and not objects.crowd[i]:
                    entry["ignore"] = 1
            self.annotations.append(entry)

    def text(self) -> str:
        """Return the file's text."""
        return json.dumps({
            "images": self.images, "annotations": self.annotations, "categories": self._categories,
        }, ensure_ascii=False)  # fmt: skip
