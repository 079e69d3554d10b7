"""Data sets in the COCO format: an instances JSON and a folder of pictures."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolo.classes import UNUSED_NAMES, common_name
from yolo.data.findings import Findings, MarkedObject, check_objects, nearest, short_list
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.headers import printable, read_header, regular_file


def read_categories(annotation_json: str | os.PathLike) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of the categories and their ids, both in the order of the ids.

    Raises:
        DatasetError: the file is missing or is no instances JSON.
    """
    return _categories(_load(annotation_json), annotation_json)


def read_coco(
    annotation_json: str | os.PathLike,
    image_folder: str | os.PathLike,
    *,
    classes: Sequence[str] | None = None,
    collect: list[Findings] | None = None,
) -> list[Sample]:
    """Read an instances file of the COCO format.

    Crowd objects (`iscrowd` 1) come out as difficult. Pictures without annotations are kept.

    Args:
        annotation_json: the instances JSON.
        image_folder: holds the pictures under their `file_name`.
        classes: names of the categories to keep, in the order of their new ids (COCO's own
            names or Darknet's); all, in the order of the category ids, if None.
        collect: takes what was found, repairs and faults; nothing is logged or raised for it.

    Returns:
        One sample a picture, in the file's order; `image_id` is the COCO id as text.

    Raises:
        DatasetError: a file is missing or faulty: the message names up to 20 faults.
    """
    data = _load(annotation_json)
    names, ids = _categories(data, annotation_json)
    file = printable(annotation_json)
    classes = names if classes is None else tuple(classes)
    # COCO's files say "couch" where Darknet's class list says "sofa"; both mean one category.
    wanted = {common_name(name): i for i, name in enumerate(classes)}
    known = {common_name(name) for name in names}
    missing = [
        name for name in classes if common_name(name) not in known and name not in UNUSED_NAMES
    ]
    if missing:
        raise DatasetError(
            f"{file}: no category {short_list(missing)}; expected among {short_list(names)}"
            f"{nearest(missing[0], names)}"
        )
    class_of = {
        category: wanted[common_name(name)]
        for name, category in zip(names, ids, strict=True)
        if common_name(name) in wanted
    }
    findings = Findings(file)
    marked: dict[Any, list[MarkedObject]] = defaultdict(list)
    pictures = {entry.get("id"): entry for entry in data["images"]}
    for number, item in enumerate(data["annotations"]):
        label = f"annotation {item.get('id', f'number {number}')}"
        if item.get("image_id") not in pictures:
            findings.error(f"{file}: {label}: no picture with id {item.get('image_id')!r}")
        elif item.get("category_id") not in ids:
            findings.error(f"{file}: {label}: no category with id {item.get('category_id')!r}")
        elif item["category_id"] in class_of:
            try:
                x, y, width, height = (float(n) for n in item["bbox"])
            except (KeyError, TypeError, ValueError):
                findings.error(
                    f"{file}: {label}: bbox {item.get('bbox')!r}; expected [x, y, width, height]"
                )
                continue
            box = (x, y, x + width, y + height)
            difficult = bool(item.get("iscrowd", 0))
            marked[item["image_id"]].append(
                MarkedObject(label, class_of[item["category_id"]], box, difficult)
            )
    samples = []
    for image_id, entry in pictures.items():
        name = entry.get("file_name")
        if not isinstance(name, str) or Path(name).is_absolute() or ".." in Path(name).parts:
            findings.error(
                f"{file}: picture {image_id!r}: file_name {name!r}; expected a name in the folder"
            )
            continue
        path = Path(image_folder) / name
        try:
            size = read_header(path).size
        except DatasetError as error:
            findings.error(str(error))
            continue
        if (entry.get("height"), entry.get("width")) != size:
            findings.warn("height and width are not the picture's, whose own are used", name)
        place = f"{file}: {printable(name)}"
        arrays = check_objects(marked[image_id], size, file=place, findings=findings)
        samples.append(Sample(path, size=size, image_id=str(image_id), **arrays))
    findings.finish(collect)
    return samples


def _load(path: str | os.PathLike) -> dict[str, list[dict]]:
    regular_file(path, max_bytes=1 << 33)
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{printable(path)}: no readable JSON ({error})") from None
    for key in ("images", "annotations", "categories"):
        entries = data.get(key) if isinstance(data, dict) else None
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise DatasetError(
                f"{printable(path)}: no list of objects under {key!r}; expected an instances "
                "file in COCO format"
            )
    return data


def _categories(data: dict, path: str | os.PathLike) -> tuple[tuple[str, ...], list[int]]:
    try:
        pairs = sorted((int(c["id"]), str(c["name"])) for c in data["categories"])
    except (KeyError, TypeError, ValueError):
        raise DatasetError(f"{printable(path)}: a category without id or name") from None
    if not pairs:
        raise DatasetError(f"{printable(path)}: no categories; expected at least one")
    return tuple(name for _, name in pairs), [i for i, _ in pairs]
