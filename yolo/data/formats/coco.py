"""Data sets in the COCO format: an instances JSON and a folder of pictures."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from yolo.classes import UNUSED_NAMES, common_name
from yolo.data.annotated import Box, MarkedObject, check_objects
from yolo.data.findings import Findings, nearest, short_list, tell_left_out
from yolo.data.sample import Sample
from yolo.errors import DatasetError
from yolo.pictures.header import Header, read_header
from yolo.system.reading import inside, printable, read_regular, shortened

MAX_JSON_BYTES = 1 << 31


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
    class_of = _class_of(names, ids, names if classes is None else tuple(classes), file)
    findings = Findings(file)
    pictures = _by_id(data["images"], file, findings)
    marked = _marked(data["annotations"], pictures, class_of, file, findings)
    counts = Counter(_plain(item.get("category_id")) for item in data["annotations"])
    others = {i: name for i, name in zip(ids, names, strict=True) if class_of[i] is None}
    tell_left_out(file, {name: counts[i] for i, name in others.items() if counts[i]})
    samples = []
    for image_id, entry in pictures.items():
        found = _header(
            entry, Path(image_folder), f"{file}: picture {shortened(image_id)}", findings
        )
        if found is None:
            continue
        path, header = found
        place = f"{file}: {printable(entry['file_name'])}"
        arrays = check_objects(marked[image_id], header.size, file=place, findings=findings)
        samples.append(Sample(path, size=header.size, image_id=str(image_id), **arrays))
    findings.finish(collect)
    return samples


def _class_of(
    names: tuple[str, ...], ids: list[int], classes: tuple[str, ...], file: str
) -> dict[int, int | None]:
    """Return the class id of every category id, None for categories that are left out."""
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
    return {i: wanted.get(common_name(name)) for i, name in zip(ids, names, strict=True)}


def _marked(
    annotations: list[dict],
    pictures: Container,
    class_of: dict[int, int | None],
    file: str,
    findings: Findings,
) -> dict[Any, list[MarkedObject]]:
    """Return the objects of each picture id; an annotation that belongs nowhere is noted."""
    marked: dict[Any, list[MarkedObject]] = defaultdict(list)
    for number, item in enumerate(annotations):
        label = f"annotation {shortened(item.get('id', f'number {number}'))}"
        picture, category = (_plain(item.get(name)) for name in ("image_id", "category_id"))
        if picture not in pictures:
            findings.error(f"{file}: {label}: no picture with id {shortened(item.get('image_id'))}")
            continue
        if category not in class_of:
            findings.error(
                f"{file}: {label}: no category with id {shortened(item.get('category_id'))}"
            )
            continue
        class_id = class_of[category]
        if class_id is None:
            continue
        box = _corners(item.get("bbox"))
        if box is None:
            findings.error(
                f"{file}: {label}: bbox {shortened(item.get('bbox'))}; expected "
                "[x, y, width, height]"
            )
            continue
        crowd = item.get("iscrowd", 0)
        if crowd not in (0, 1):
            findings.error(f"{file}: {label}: iscrowd {shortened(crowd)}; expected 0 or 1")
            continue
        marked[picture].append(MarkedObject(label, class_id, box, difficult=bool(crowd)))
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


def _header(
    entry: dict, folder: Path, label: str, findings: Findings
) -> tuple[Path, Header] | None:
    """Return path and header of a picture; one that cannot be read is None and noted."""
    name = entry.get("file_name")
    path = _picture(folder, name)
    if path is None:
        findings.error(f"{label}: file_name {shortened(name)}; expected a name in the folder")
        return None
    try:
        header = read_header(path)
    except DatasetError as error:
        findings.error(str(error))
        return None
    shown = printable(str(name))
    if header.frames > 1:
        findings.warn("pictures of several frames, the first taken", shown)
    if (entry.get("height"), entry.get("width")) != header.size:
        findings.warn("height and width are not the picture's, whose own are used", shown)
    return path, header


def _plain(value) -> Any:
    """Return an id as it is, and None for what cannot be one."""
    return value if isinstance(value, int | str) else None


def _by_id(entries: list[dict], file: str, findings: Findings) -> dict[Any, dict]:
    """Return the entries by their id; one without or with another's is noted."""
    found: dict[Any, dict] = {}
    for entry in entries:
        key = _plain(entry.get("id"))
        if key is None or key in found:
            findings.error(
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


def _load(path: str | os.PathLike) -> dict[str, list[dict]]:
    data = read_regular(path, max_bytes=MAX_JSON_BYTES)
    try:
        data = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(
            f"{printable(path)}: no readable JSON ({printable(str(error))[:200]})"
        ) from None
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
    except (KeyError, TypeError, ValueError, OverflowError):
        raise DatasetError(f"{printable(path)}: a category without id or name") from None
    if len({category for category, _ in pairs}) < len(pairs):
        raise DatasetError(f"{printable(path)}: two categories have the same id; correct the file")
    if not pairs:
        raise DatasetError(f"{printable(path)}: no categories; expected at least one")
    return tuple(name for _, name in pairs), [i for i, _ in pairs]
