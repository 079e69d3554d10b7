"""The COCO format: instances JSON files with folders of pictures, read; results files, written."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolo.boxes.detections import Detections
from yolo.classes import UNUSED_NAMES, common_name
from yolo.data.annotated import Box, Labelled, MarkedObject
from yolo.data.dataset import DataSet, Part
from yolo.data.findings import nearest, short_list
from yolo.data.source import Source
from yolo.errors import DatasetError
from yolo.system.reading import inside, printable, read_json, shortened

MAX_JSON_BYTES = 1 << 31


def recognise(source: Source) -> bool:
    """Tell whether a folder is in COCO's layout."""
    return source.file is None and any(source.root.glob("annotations/instances_*.json"))


def open_source(source: Source) -> CocoFiles:
    """Open a folder in COCO's layout, as COCO itself is distributed.

    That is annotations/instances_<split>.json with the pictures in <split>/ or images/<split>/.
    """
    files, root = {}, source.root
    for path in sorted(root.glob("annotations/instances_*.json")):
        name = path.stem.removeprefix("instances_")
        folders = (root / name, root / "images" / name)
        files[name] = (path, next((f for f in folders if f.is_dir()), folders[0]))
    return CocoFiles(root, files)


def open_file(annotation_json: str | os.PathLike, images: str | os.PathLike) -> CocoFiles:
    """Open one instances file as a data set of one split, named as the file is.

    Args:
        annotation_json: the instances JSON.
        images: the folder that holds the pictures under their `file_name`.
    """
    path = Path(annotation_json)
    return CocoFiles(path, {path.stem: (path, Path(images))})


class CocoFiles(DataSet):
    """Instances files of the COCO format, one a split; each is parsed when it is first needed.

    Crowd objects (`iscrowd` 1) come out as difficult, and objects of categories that nobody asks
    for are left out. Pictures without annotations are kept; `image_id` is the COCO id as text.

    Args:
        root: names the data set in messages.
        files: split name to instances JSON and picture folder.
    """

    others_left_out = True

    def __init__(self, root: Path, files: Mapping[str, tuple[Path, Path]]):
        super().__init__(root, dict.fromkeys(files, ()), kind="COCO JSON")
        self._files, self._parts = files, dict[str, Part]()

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the first file's categories, in the order of their ids."""
        return self.listed(self.lists[0]).classes

    def listed(self, name: str) -> Part:
        """Return a split as its file describes it.

        Raises:
            DatasetError: the file is missing or is no instances JSON.
        """
        if name not in self._parts:
            self._parts[name] = _parsed(*self._files[name])
        return self._parts[name]

    def _ids(self, part: Part, classes: tuple[str, ...]) -> dict[str, int]:
        known = {common_name(name) for name in part.classes}
        missing = [
            name for name in classes if common_name(name) not in known and name not in UNUSED_NAMES
        ]
        if missing:
            raise DatasetError(
                f"{part.what}: no category {short_list(missing)}; expected among "
                f"{short_list(part.classes)}{nearest(missing[0], part.classes)}"
            )
        return super()._ids(part, classes)


def results(
    found: Detections, image_id: int | str, *, category_ids: Sequence[int] | None = None
) -> list[dict]:
    """Return what was found in a picture as entries of a results file.

    Numbers have nine digits, from which a float32 comes back as it was: with fewer, what lies on
    the limit of an overlap falls to the other side.

    Args:
        found: the detections, in pixels of the picture.
        image_id: the picture's id in the ground truth.
        category_ids: the category of each class id; class id + 1 without it.

    Example:
        >>> results(Detections([[1, 2, 4, 8]], [0.5], [0]), 7)
        [{'image_id': 7, 'category_id': 1, 'bbox': [1.0, 2.0, 3.0, 6.0], 'score': 0.5}]
    """
    corners = found.boxes_xyxy.astype(np.float64)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return [
        {
            "image_id": image_id,
            "category_id": int(category_ids[i] if category_ids is not None else i + 1),
            "bbox": [_nine_digits(value) for value in box],
            "score": _nine_digits(score),
        }
        for box, score, i in zip(boxes, found.scores, found.class_ids, strict=True)
    ]


def _nine_digits(value: float) -> float:
    return float(f"{value:.9g}")


def _parsed(path: Path, folder: Path) -> Part:
    """Return what an instances file says of its pictures."""
    data, file, faults = read_instances(path), printable(path), list[str]()
    names = _categories(data, path)
    entries = _by_id(data["images"], file, faults)
    marked = _marked(data["annotations"], entries, names, file, faults)
    pictures = [_labelled(key, entry, folder, file, marked[key]) for key, entry in entries.items()]
    return Part(file, pictures, tuple(names.values()), faults)


def _labelled(
    key: int | str, entry: dict, folder: Path, file: str, objects: Sequence[MarkedObject]
) -> Labelled:
    """Return what is known of a picture, which must not lie outside of the folder."""
    name = entry.get("file_name")
    path, shown = _picture(folder, name), printable(str(name))
    fault = (
        f"{file}: picture {shortened(key)}: file_name {shortened(name)}; expected a name in the "
        "folder"
    )
    return Labelled(
        path, str(key), f"{file}: {shown}", objects, (entry.get("height"), entry.get("width")),
        shown, () if path else (fault,),
    )  # fmt: skip


def _marked(
    annotations: list[dict],
    pictures: Container,
    names: Mapping[Any, str],
    file: str,
    faults: list[str],
) -> dict[Any, list[MarkedObject]]:
    """Return the objects of each picture id; an annotation that belongs nowhere is a fault."""
    marked: dict[Any, list[MarkedObject]] = defaultdict(list)
    for number, item in enumerate(annotations):
        label = f"annotation {shortened(item.get('id', f'number {number}'))}"
        picture, category = (_plain(item.get(name)) for name in ("image_id", "category_id"))
        if picture not in pictures:
            faults.append(f"{file}: {label}: no picture with id {shortened(item.get('image_id'))}")
            continue
        if category not in names:
            faults.append(
                f"{file}: {label}: no category with id {shortened(item.get('category_id'))}"
            )
            continue
        box, crowd, fault = _corners(item.get("bbox")), item.get("iscrowd", 0), ""
        if box is None:
            fault = f"bbox {shortened(item.get('bbox'))}; expected [x, y, width, height]"
        elif crowd not in (0, 1):
            fault = f"iscrowd {shortened(crowd)}; expected 0 or 1"
        marked[picture].append(
            MarkedObject(label, names[category], box, difficult=crowd == 1, fault=fault)
        )
    return marked


def _corners(bbox: object) -> Box | None:
    """Return the corners of [x, y, width, height], None for anything else."""
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    try:
        x, y, width, height = map(float, bbox)
    except (TypeError, ValueError, OverflowError):
        return None
    return x, y, x + width, y + height


def _plain(value) -> Any:
    """Return an id as it is, and None for what cannot be one."""
    return value if isinstance(value, int | str) else None


def _by_id(entries: list[dict], file: str, faults: list[str]) -> dict[Any, dict]:
    """Return the entries by their id; one without or with another's is a fault."""
    found: dict[Any, dict] = {}
    for entry in entries:
        key = _plain(entry.get("id"))
        if key is None or key in found:
            faults.append(
                f"{file}: a picture with the id {shortened(entry.get('id'))}; expected a number "
                "of its own"
            )
        else:
            found[key] = entry
    return found


def _picture(folder: Path, name: object) -> Path | None:
    """Return the path of a picture, None if the name leads out of the folder."""
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    path = folder / name
    return path if inside(path, folder, path.parent) else None


def read_instances(path: Path) -> dict[str, list[dict]]:
    """Read an instances file in COCO format as it is, no more than its three lists being sure.

    Raises:
        DatasetError: it is no JSON, or lacks a list of objects.
    """
    data = read_json(path, max_bytes=MAX_JSON_BYTES)
    for key in ("images", "annotations", "categories"):
        entries = data.get(key) if isinstance(data, dict) else None
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise DatasetError(
                f"{printable(path)}: no list of objects under {key!r}; expected an instances "
                "file in COCO format"
            )
    return data


def _categories(data: dict, path: Path) -> dict[int, str]:
    """Return the names of the categories by their ids, in the order of these."""
    try:
        pairs = sorted((int(c["id"]), str(c["name"])) for c in data["categories"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DatasetError(f"{printable(path)}: a category without id or name") from None
    if len({category for category, _ in pairs}) < len(pairs):
        raise DatasetError(f"{printable(path)}: two categories have the same id; correct the file")
    if not pairs:
        raise DatasetError(f"{printable(path)}: no categories; expected at least one")
    return dict(pairs)
